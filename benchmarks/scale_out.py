"""What does an outbox in PostgreSQL cost per record, beside one in a file?

Both take the same records through the same steps, on this machine, and both write through to the
disk. CPU time is that of this process: the database's own is not in it, and the wall-clock time is.
A whole import is the command, from the file to the last settled record.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from benchmarks.contest import report
from benchmarks.many_workers import many, paced
from benchmarks.outbox import Shape, run
from benchmarks.records import Shape as Records, write_jsonl
from benchmarks.server import running
from benchmarks.whole_import import import_file
from leadconnector_async.outbox.open import open_outbox

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.server import BenchmarkServer

COUNT: Final = 20_000
LOCATIONS: Final = 100
IN_FLIGHT: Final = 128


@contextmanager
def database(url: str | None) -> Iterator[str]:
    """A server, and the place of an outbox that is not there yet."""
    if url is not None:
        yield url
        return
    sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))
    server = import_module("postgres_server")
    mine = server.start(next(server.binaries_found()))
    try:
        yield mine.url
    finally:
        mine.stop()


def place_in(url: str, name: str) -> str:
    """An outbox of that database."""
    return f"{url}{'&' if '?' in url else '?'}schema=benchmark_{name}_{time.time_ns()}"


async def steps(place: str, shape: Shape) -> dict[str, dict[str, float]]:
    """Take records through an outbox."""
    async with await open_outbox(place) as outbox:
        return await run(outbox, shape)


def whole_import(place: str, source: Path, server: BenchmarkServer) -> dict[str, float]:
    """Import a file by the command."""
    lap = import_file(source, place, server.base_url, in_flight=IN_FLIGHT).lap
    return {
        "wall_us": round(lap.elapsed_s / lap.messages * 1e6, 2),
        "cpu_us": round(lap.cpu_s / lap.messages * 1e6, 2),
    }


def main() -> None:
    """Measure both, and print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale_out")
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--postgres", metavar="URL", help="a server; by default one of its own")
    given = parser.parse_args()
    shape = Shape(given.count, 1)  # so that each batch is full until the last
    result: dict[str, Any] = {}
    with TemporaryDirectory() as folder, database(given.postgres) as url:
        source = Path(folder) / "records.jsonl"
        write_jsonl(source, Records(count=given.count, locations=LOCATIONS))
        with running() as server:
            for store in ("file", "postgres"):
                one, other = (
                    place_in(url, name) if store == "postgres" else f"{folder}/{name}.db"
                    for name in ("steps", "import")
                )
                result[store] = asyncio.run(steps(one, shape))
                result[store]["import"] = whole_import(other, source, server)
        result["paced_by_one"] = paced_one = paced(place_in(url, "one"), 1)
        result["paced_by_two"] = paced_two = paced(place_in(url, "two"), 2)
        result["many_locations"] = many(place_in(url, "many"))
    mine, theirs = result["postgres"], result["file"]
    moved = mine["claim"]["wall_us"] + mine["settle"]["wall_us"]
    result["staging_as_fast_as_file"] = round(
        theirs["stage"]["wall_us"] / mine["stage"]["wall_us"], 2
    )
    result["claimed_and_settled_per_s"] = round(1e6 / moved)
    cpu = theirs["import"]["cpu_us"] / mine["import"]["cpu_us"]
    result["import_as_cheap_as_file"] = round(cpu, 2)
    result["two_workers_beside_one"] = round(paced_two["seconds"] / paced_one["seconds"], 2)
    report("scale_out", records=given.count, locations=LOCATIONS, **result)


if __name__ == "__main__":
    main()
