"""What does a message cost where the API sets the pace: 100 locations, 100 per 10 s, 100 ms away?

The server enforces each location's limit and answers late. The limit is the API's own; the records
are so many that the whole takes some 20 seconds. The bare aiohttp loop sends as many a second to
the same server, which limits nothing then: a message that comes alone costs any client more than
one of many, and ratios are taken within a round.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from benchmarks import machine
from benchmarks.contest import Job, report, run
from benchmarks.records import Shape, location_id, write_jsonl
from benchmarks.server import Conditions, running
from benchmarks.whole_import import import_file

if TYPE_CHECKING:
    from benchmarks.contest import Lap
    from benchmarks.whole_import import Import

LIMIT: Final = 100
WINDOW_S: Final = 10
DELAY_S: Final = 0.1


def paced(folder: Path, shape: Shape) -> tuple[Import, int]:
    """Import records of many locations, each with a token; also: how many answers were 429."""
    write_jsonl(folder / "records.jsonl", shape)
    names = [location_id(number) for number in range(shape.locations)]
    (folder / "locations.toml").write_text(
        "".join(f'[[location]]\nid = "{name}"\ntoken_env = "TOKEN_{name}"\n' for name in names)
    )
    environment = {f"TOKEN_{name}": name for name in names}
    environment["LEADCONNECTOR_LOCATIONS"] = str(folder / "locations.toml")
    with running(Conditions(limit=LIMIT, delay=DELAY_S)) as server:
        done = import_file(
            folder / "records.jsonl",
            folder / "outbox.db",
            server.base_url,
            in_flight=None,
            environment=environment,
        )
        stats = server.stats()
    assert stats.stored == shape.count
    return done, stats.throttled


def bare(shape: Shape) -> Lap:
    """Send by the bare loop, with as many in flight as make the same rate."""
    with running(Conditions(delay=DELAY_S)) as server:
        in_flight = round(shape.locations * LIMIT / WINDOW_S * DELAY_S)
        return run("bare", Job(server.base_url, shape.count // 2, in_flight))


def main() -> None:
    """Measure, and print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.paced")
    parser.add_argument("--locations", type=int, default=100)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    machine.pin(machine.CLIENT_CORE)
    shape = Shape(count=given.messages, locations=given.locations)
    done, laps = [], []
    for _ in range(given.runs):
        laps.append(bare(shape))
        with TemporaryDirectory() as folder:
            done.append(paced(Path(folder), shape))
    ours: dict[str, Any] = {
        "cpu_us_per_message": round(median(its.lap.cpu_us for its, _ in done), 1),
        "seconds": round(median(its.summary["elapsed_s"] for its, _ in done), 1),
        "peak_mib": round(median(its.peak_mib for its, _ in done), 1),
        "throttled": sum(throttled for _, throttled in done),
        "cpu_to_bare": round(
            median(its.lap.cpu_us / lap.cpu_us for (its, _), lap in zip(done, laps, strict=True)), 2
        ),
    }
    peer = {"cpu_us_per_message": round(median(lap.cpu_us for lap in laps), 1)}
    report(
        "paced",
        server="granian",
        runs=given.runs,
        locations=shape.locations,
        messages=shape.count,
        limit_per_10_s=LIMIT,
        answers_after_ms=DELAY_S * 1000,
        seconds_by_the_limit=round(shape.count / shape.locations / LIMIT * WINDOW_S, 1),
        whole_import=ours,
        bare_aiohttp_loop=peer,
    )


if __name__ == "__main__":
    main()
