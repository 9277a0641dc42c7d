"""A process that needs OAuth's token of a location, as each worker of several does.

It is given the token store, the API, and when to begin, in seconds since 1970; it prints the token.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from oauth_kit import FIRST, SECRET
from outbox_kit import ENVIRONMENT

from leadconnector_async import LeadConnector, OAuth

if TYPE_CHECKING:
    from leadconnector_async.sandbox import SandboxThread


def start(store: str, sandbox: SandboxThread, at: float) -> subprocess.Popen[bytes]:
    """Start such a process."""
    words = [sys.executable, __file__, store, sandbox.url, str(at)]
    return subprocess.Popen(words, env=ENVIRONMENT, stdout=subprocess.PIPE)


async def main(store: str, base_url: str, at: float) -> None:
    """Ask for the token when it is time, once all others have started too."""
    oauth = OAuth("app", SECRET, store=store, refresh_tokens=FIRST)
    async with LeadConnector(oauth, base_url=base_url):
        await asyncio.sleep(at - time.time())
        sys.stdout.write(await oauth.token("own"))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3])))
