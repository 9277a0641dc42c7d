"""How much memory does an import take, and does it grow with the size of the import?"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks import machine
from benchmarks.contest import report
from benchmarks.records import Shape, write_jsonl
from benchmarks.server import Conditions, add_server_option, running, usual
from benchmarks.whole_import import Import, import_file

SIZES: Final = (10_000, 100_000, 1_000_000)
IN_FLIGHT: Final = 32


def import_of(records: int, base_url: str) -> Import:
    """Import so many records into a new outbox."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_jsonl(folder / "records.jsonl", Shape(count=records))
        return import_file(
            folder / "records.jsonl",
            folder / "outbox.db",
            base_url,
            in_flight=IN_FLIGHT,
        )


def main() -> None:
    """Measure, and print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    add_server_option(parser)
    given = parser.parse_args()
    sizes, kind = given.sizes, given.server or usual()
    machine.pin(machine.CLIENT_CORE)
    with running(Conditions(server=kind)) as server:
        imports = {size: import_of(size, server.base_url) for size in sizes}
    peaks = {size: its.peak_mib for size, its in imports.items()}
    report(
        "memory",
        server=kind,
        peak_mib={str(size): round(peak, 1) for size, peak in peaks.items()},
        largest_to_smallest=round(peaks[max(peaks)] / peaks[min(peaks)], 3),
        messages_per_s={str(size): round(its.lap.rate) for size, its in imports.items()},
    )


if __name__ == "__main__":
    main()
