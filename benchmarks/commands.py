"""What does a person wait for: the same file again, where it stands, the report, what failed?

Each is the command, in a process of its own, with the start of Python in it: a million records that
were all sent, and 100,000 of a file in which each has the same fault.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import orjson

from benchmarks import machine
from benchmarks.contest import report
from benchmarks.records import Shape, records, write_jsonl
from benchmarks.server import Conditions, running, usual
from benchmarks.whole_import import RUN, import_file

if TYPE_CHECKING:
    from collections.abc import Sequence

ALL_SENT, SOME_FAILED = 0, 3
TOKEN: Final = ("--token", "benchmark")


def seconds(command: Sequence[str], runs: int, status: int = ALL_SENT) -> float:
    """How long a command takes: the median over the runs."""
    took = []
    for _ in range(runs):
        began = time.perf_counter()
        done = subprocess.run(  # noqa: S603 - our own module
            [sys.executable, "-c", RUN, *command],
            check=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        took.append(time.perf_counter() - began)
        if done.returncode != status:
            raise RuntimeError(f"{command[0]} ended with status {done.returncode}")
    return round(median(took), 2)


def of_sent(folder: Path, count: int, runs: int) -> dict[str, float]:
    """What takes how long once all of so many records are sent."""
    source, outbox = folder / "records.jsonl", folder / "outbox.db"
    write_jsonl(source, Shape(count=count))
    with running(Conditions(server=usual())) as server:
        import_file(source, outbox, server.base_url, in_flight=None)
        of_outbox = "--outbox", str(outbox)
        again = "import", str(source), *of_outbox, "--base-url", server.base_url
        return {
            "import again": seconds([*again, *TOKEN, "--quiet"], runs),
            "status": seconds(["status", *of_outbox], runs),
            "report": seconds(["report", *of_outbox, "--html", str(folder / "r.html")], runs),
        }


def of_failed(folder: Path, count: int, runs: int) -> dict[str, float]:
    """What takes how long once so many were refused as they stood."""
    source, of_outbox = folder / "faulty.jsonl", ("--outbox", str(folder / "faulty.db"))
    with source.open("wb") as file:
        for record in records(Shape(count=count)):
            del record["direction"]
            file.write(orjson.dumps(record) + b"\n")
    given = "--base-url", "http://127.0.0.1:9", *TOKEN, "--quiet"
    seconds(["import", str(source), *of_outbox, *given], 1, SOME_FAILED)
    command = ["failed", *of_outbox, "--output", str(folder / "failed.jsonl")]
    return {"failed": seconds(command, runs)}


def main() -> None:
    """Measure, and print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.commands")
    parser.add_argument("--sent", type=int, default=1_000_000)
    parser.add_argument("--failed", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    machine.pin(machine.CLIENT_CORE)
    with TemporaryDirectory() as name:
        took = of_sent(Path(name), given.sent, given.runs)
        took |= of_failed(Path(name), given.failed, given.runs)
    report("commands", sent=given.sent, failed=given.failed, runs=given.runs, seconds=took)


if __name__ == "__main__":
    main()
