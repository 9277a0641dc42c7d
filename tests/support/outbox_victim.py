"""A process that works with an outbox until it is killed, and says what it was told is durable.

``python outbox_victim.py PATH SEED``. A line is printed after each call: ``staged KEY…``,
``claimed KEY…``, ``settled KEY…``.
"""

from __future__ import annotations

import asyncio
import random
import sys
from typing import TYPE_CHECKING

from outbox_kit import draft, fate, keys

from leadconnector_async.outbox.source_pass import SourcePass
from leadconnector_async.outbox.sqlite.outbox import SqliteOutbox

if TYPE_CHECKING:
    from leadconnector_async.outbox.base import Claim


def say(what: str, names: list[str]) -> None:
    """Tell the parent; a pipe keeps what was written when its writer is killed."""
    print(what, *names, flush=True)  # noqa: T201 - the parent reads it


async def main(path: str, seed: int) -> None:
    """Stage, claim and settle without end."""
    draw = random.Random(seed)
    held: list[Claim] = []
    async with await SqliteOutbox.open(path) as outbox:
        lease = (await outbox.acquire("l1")).lease
        for turn in range(100_000):
            names = [f"{seed}-{turn}-{n}" for n in range(draw.randrange(1, 60))]
            batch = [draft(name, lane=draw.randrange(9), date=draw.randrange(99)) for name in names]
            await outbox.stage(batch, SourcePass())
            say("staged", names)
            await outbox.publish()
            (claims,) = await outbox.claim([(lease, draw.randrange(1, 90))])
            say("claimed", keys(claims))
            held += claims
            ended = [held.pop(draw.randrange(len(held))) for _ in range(len(held) // 2)]
            await outbox.settle([fate(claim) for claim in ended], ())
            say("settled", keys(ended))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
