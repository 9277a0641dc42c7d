"""What does the outbox cost per record, and does that grow with the size of the import?

Staged in groups of 5,000, from a history in the order of its contacts, whose keys therefore come in
no order; claimed and settled in groups of 500. Wall-clock time holds the disk, CPU time does not.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from benchmarks.contest import report
from leadconnector_async.outbox.base import Settlement, State
from leadconnector_async.outbox.memory import MemoryOutbox
from leadconnector_async.outbox.source_pass import SourcePass
from leadconnector_async.outbox.sqlite.outbox import SqliteOutbox
from leadconnector_async.records.draft import Draft

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from leadconnector_async.outbox.base import Claim, Outbox


class Shape(Struct, frozen=True):
    """How many records, in how many locations; ``memory`` for the outbox without a file."""

    count: int
    locations: int
    memory: bool = False

    @property
    def name(self) -> str:
        """As the result calls it."""
        kind = "memory" if self.memory else "file"
        return f"{kind}, {self.count:,} records, {self.locations} locations"


SIZES: Final = (10_000, 100_000)
MILLION: Final = 1_000_000
LOCATIONS: Final = (1, 50)
STAGED: Final = 5_000
GROUP: Final = 500
ADMITTED: Final = Shape(5_000, 50)
WAITERS: Final = 200
PER_CONTACT: Final = (1.6, 5)
"""Shape and scale of a Pareto law: 12 records of a contact on average, and a long tail."""
YEARS_MS: Final = 5 * 365 * 86_400_000
FIRST_MS: Final = 1_550_000_000_000
BODY: Final = b"p" * 300
RAW: Final = b"r" * 350


def drafts(shape: Shape, seed: int = 1) -> Iterator[list[Draft]]:
    """Batches of records: contacts one after the other."""
    draw = random.Random(seed)  # noqa: S311 - reproducible, not secret
    batch: list[Draft] = []
    tail, scale = PER_CONTACT
    line = 0
    while line < shape.count:
        location = f"location{draw.randrange(shape.locations)}"
        lane = draw.getrandbits(64) - (1 << 63)
        for _ in range(min(int(draw.paretovariate(tail) * scale), shape.count - line)):
            line += 1
            date = FIRST_MS + draw.randrange(YEARS_MS)
            key = b"c" + date.to_bytes(6, "big") + draw.randbytes(12)
            batch.append(Draft(location, lane, date, key, True, BODY, line, RAW, None))  # noqa: FBT003 - counted
            if len(batch) == STAGED:
                yield batch
                batch = []
    yield batch


class Stopwatch:
    """Adds up wall-clock and CPU seconds by step."""

    def __init__(self) -> None:
        self.wall: dict[str, float] = {}
        self.cpu: dict[str, float] = {}

    async def time(self, step: str, work: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401 - what the work gives
        """Await the work, and count it to the step."""
        wall, cpu = time.perf_counter(), time.process_time()
        result = await work
        self.wall[step] = self.wall.get(step, 0.0) + time.perf_counter() - wall
        self.cpu[step] = self.cpu.get(step, 0.0) + time.process_time() - cpu
        return result

    def per_record(self, counts: dict[str, int]) -> dict[str, dict[str, float]]:
        """Microseconds per record of each step."""
        return {
            step: {
                "wall_us": round(self.wall[step] / count * 1e6, 2),
                "cpu_us": round(self.cpu[step] / count * 1e6, 2),
            }
            for step, count in counts.items()
        }


def fate(claim: Claim) -> Settlement:
    """Tell of a claim that it was sent."""
    at = time.time_ns() // 1_000_000
    message, conversation = f"message{claim.seq:014d}", f"conversation{claim.lane & 0xFFFFFFFF:08x}"
    return Settlement(claim, State.SENT, at, 1, message, conversation)


async def run(outbox: Outbox, shape: Shape) -> dict[str, dict[str, float]]:
    """Take records through an outbox, from staging to settling, and some more through `admit`."""
    watch = Stopwatch()
    staging = ("stage",) if shape.memory else ("stage", "stage_again")
    for step in staging:
        source_pass = SourcePass()
        for batch in drafts(shape):
            await watch.time(step, outbox.stage(batch, source_pass))
    await watch.time("seal", outbox.publish())
    leases = [(await outbox.acquire(name)).lease for name in await outbox.locations()]
    wants = [(lease, GROUP // shape.locations) for lease in leases]
    settled = 0
    while settled < shape.count:
        groups = await watch.time("claim", outbox.claim(wants))
        fates = [fate(claim) for group in groups for claim in group]
        assert fates
        await watch.time("settle", outbox.settle(fates, ()))
        settled += len(fates)
    admitted = [draft for batch in drafts(ADMITTED, seed=2) for draft in batch]
    await watch.time("admit", admit_all(outbox, admitted))
    counts = dict.fromkeys((*staging, "seal", "claim", "settle"), shape.count)
    return watch.per_record({**counts, "admit": len(admitted)})


async def admit_all(outbox: Outbox, admitted: list[Draft]) -> None:
    """Admit records with so many callers at once."""
    left = iter(admitted)

    async def worker() -> None:
        for draft in left:
            await outbox.submit(draft)

    await asyncio.gather(*(worker() for _ in range(WAITERS)))


async def run_in_file(path: Path, shape: Shape) -> dict[str, dict[str, float]]:
    """Use an outbox in a file."""
    async with await SqliteOutbox.open(path) as outbox:
        return await run(outbox, shape)


def measure(shape: Shape) -> dict[str, Any]:
    """Measure in this process."""
    result: dict[str, Any] = {}
    if shape.memory:
        result["per_record"] = asyncio.run(run(MemoryOutbox(), shape))
    else:
        with TemporaryDirectory() as folder:
            path = Path(folder) / "outbox.db"
            result["per_record"] = asyncio.run(run_in_file(path, shape))
            result["file_bytes_per_record"] = round(path.stat().st_size / shape.count)
    result["peak_mib"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
    return result


def main() -> None:
    """Measure each shape in a process of its own, and print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.outbox")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--million", action="store_true", help="a million records as well")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(msgspec.json.encode(measure(msgspec.json.decode(given.one, type=Shape))).decode())
        return
    sizes = [*given.sizes, *[MILLION][: given.million]]
    shapes = [Shape(size, locations) for size in sizes for locations in LOCATIONS]
    shapes.append(Shape(min(sizes), LOCATIONS[-1], memory=True))
    results = {}
    for shape in shapes:
        one = msgspec.json.encode(shape).decode()
        command = [sys.executable, "-m", "benchmarks.outbox", "--one", one]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE)  # noqa: S603 - our own module
        results[shape.name] = msgspec.json.decode(done.stdout)
    report("outbox", **results)


if __name__ == "__main__":
    main()
