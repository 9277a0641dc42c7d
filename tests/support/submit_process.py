"""A process of a web application: it submits messages, as ``uvicorn --workers 2`` has two of it.

It is given the database, the API and its token, and which messages to submit; it prints the number
of each that is sent. Several of them may submit the same ones.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from outbox_kit import ENVIRONMENT
from worker_harness import STARTED

from leadconnector_async import (
    InboundMessage,
    Ingestor,
    LeadConnector,
    Policy,
    Record,
    Sent,
    Timeouts,
)

if TYPE_CHECKING:
    from leadconnector_async.sandbox import SandboxThread

LOCATIONS: Final = 8

PATIENT: Final = Policy(look_after=(0.5, 2.0))
QUICK: Final = Timeouts(read=1.0)


def record(number: int) -> Record:
    """A message of one of five contacts in one of eight locations."""
    when = datetime(2024, 3, 1, tzinfo=UTC) + timedelta(minutes=number)
    message = InboundMessage(
        type="SMS",
        contact_id=f"c{number % 5}".ljust(20, "x"),
        direction="inbound",
        date=when,
        message=f"m{number}",
    )
    return Record(id=f"r{number}", message=message, location_id=f"location{number % LOCATIONS:012}")


def start(sandbox: SandboxThread, url: str, first: int, end: int) -> subprocess.Popen[bytes]:
    """Start a process that submits the messages of these numbers."""
    words = [url, sandbox.url, sandbox.token, str(first), str(end)]
    process = subprocess.Popen(
        [sys.executable, __file__, *words], env=ENVIRONMENT, stdout=subprocess.PIPE
    )
    STARTED.append(process)
    return process


async def main(url: str, base_url: str, token: str, *numbers: str) -> None:
    """Submit, a few at a time, and print what is sent."""
    some = asyncio.Semaphore(20)
    async with (
        LeadConnector(token, base_url=base_url, limit=None, policy=PATIENT, timeouts=QUICK) as api,
        Ingestor(api, outbox=url) as ingestor,
    ):

        async def submit(number: int) -> None:
            async with some:
                outcome = await ingestor.submit(record(number))
            assert isinstance(outcome, Sent), outcome
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()

        await asyncio.gather(*map(submit, range(*map(int, numbers))))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
