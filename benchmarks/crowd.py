"""Many locations at once, each with its own token and quota, through the `Ingestor`.

One location may be a giant, another always answers 429. The run stops once all the others are done.
"""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import aclosing
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec import Struct

from benchmarks.contest import loop_factory
from benchmarks.records import Shape, records
from leadconnector_async import Ingestor, LeadConnector, RateLimit, Record, Sent

if TYPE_CHECKING:
    from collections.abc import Iterator

GIANT = "giant"
REFUSED = "refused"


class Crowd(Struct, frozen=True, kw_only=True):
    """Who sends how much. ``giant`` and ``refused`` are records of those two, 0 for none."""

    base_url: str
    locations: int
    each: int
    limit: int
    giant: int = 0
    refused: int = 0
    order: Literal["grouped", "mixed"] = "grouped"
    """Grouped: the giant first, then the refused one, then one location after the other."""
    in_flight: int = 64


class Ended(Struct, frozen=True):
    """What the client's side says of a run. Times in seconds."""

    staged_s: float
    sent_s: float
    cpu_s: float
    sent: int


class LocationTokens:
    """The server tells locations apart by their tokens, so each location's id is its token."""

    async def token(self, location_id: str) -> str:
        """The token of a location."""
        return location_id

    async def renew(self, location_id: str, refused: str) -> str | None:  # noqa: ARG002 - the protocol's names
        """None: these tokens do not expire."""
        return None


def source(crowd: Crowd) -> Iterator[Record]:
    """The records in the order of the source file."""
    wanted = [(GIANT, crowd.giant), (REFUSED, crowd.refused)]
    wanted += [(f"location{number}", crowd.each) for number in range(crowd.locations)]
    names = [name for name, count in wanted for _ in range(count)]
    if crowd.order == "mixed":
        Random(1).shuffle(names)  # noqa: S311 - reproducible, not secret
    for name, fields in zip(names, records(Shape(count=len(names))), strict=True):
        yield msgspec.convert(
            {"id": fields.pop("id"), "location_id": name, "message": fields}, Record
        )


async def send_all(crowd: Crowd, outbox: Path) -> Ended:
    """Import the crowd's records; end when every ordinary location is done."""
    expected = crowd.locations * crowd.each
    sent = 0
    began, began_cpu = time.perf_counter(), time.process_time()
    staged = 0.0
    api = LeadConnector(
        LocationTokens(), base_url=crowd.base_url, limit=RateLimit(requests=crowd.limit)
    )
    async with (
        api,
        Ingestor(api, outbox=outbox, concurrency=crowd.in_flight) as ingestor,
        aclosing(ingestor.run(source(crowd))) as outcomes,
    ):
        async for outcome in outcomes:
            staged = staged or time.perf_counter() - began
            if outcome.location_id not in {GIANT, REFUSED}:
                assert isinstance(outcome, Sent)
                sent += 1
            if sent == expected:
                ingestor.stop()
    elapsed = time.perf_counter() - began
    return Ended(staged, elapsed - staged, time.process_time() - began_cpu, sent)


def main() -> None:
    """Run the crowd given as an argument, and print how it ended."""
    crowd = msgspec.json.decode(sys.argv[1], type=Crowd)
    with (
        TemporaryDirectory() as folder,
        asyncio.Runner(loop_factory=loop_factory(uvloop=True)) as runner,
    ):
        ended = runner.run(send_all(crowd, Path(folder, "outbox.db")))
    sys.stdout.buffer.write(msgspec.json.encode(ended))


if __name__ == "__main__":
    main()
