"""What does a message cost where there are more locations, more records, or one busy contact?

Each import is the command, from the file to the last settled record, with what it may have in
flight left to it; against a server that limits nobody, so that only our own work is seen.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from benchmarks import machine
from benchmarks.contest import report
from benchmarks.records import Shape, write_jsonl
from benchmarks.server import Conditions, add_server_option, running, usual
from benchmarks.whole_import import import_file

if TYPE_CHECKING:
    from benchmarks.server import BenchmarkServer

LOCATIONS: Final = (1, 10, 100, 1_000, 10_000)
RECORDS: Final = (10_000, 100_000, 1_000_000)
USUAL: Final = 100_000
"""Records, where they are not what is varied."""


def cost(server: BenchmarkServer, shape: Shape) -> dict[str, float]:
    """Import records of a shape into a new outbox."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_jsonl(folder / "records.jsonl", shape)
        before = server.stats()
        done = import_file(
            folder / "records.jsonl", folder / "outbox.db", server.base_url, in_flight=None
        )
        size = (folder / "outbox.db").stat().st_size
    after = server.stats()
    assert after.stored - before.stored == shape.count
    figures = {
        "cpu_us_per_message": round(done.lap.cpu_us, 1),
        "messages_per_s": round(done.own_clock.rate),
        "peak_mib": round(done.peak_mib, 1),
        "outbox_bytes_per_message": round(size / shape.count),
    }
    if after.connections is not None and before.connections is not None:
        figures["connections_opened"] = after.connections - before.connections
    return figures


def main() -> None:
    """Measure, and print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling")
    parser.add_argument("--locations", type=int, nargs="*", default=LOCATIONS)
    parser.add_argument("--records", type=int, nargs="*", default=RECORDS)
    parser.add_argument("--usual", type=int, default=USUAL, help="records over the locations")
    parser.add_argument("--tls", action="store_true", help="over TLS 1.3")
    add_server_option(parser)
    given = parser.parse_args()
    kind = given.server or usual()
    machine.pin(machine.CLIENT_CORE)
    with running(Conditions(server=kind, tls=given.tls)) as server:
        over_locations = {
            str(number): cost(server, Shape(count=given.usual, locations=number))
            for number in given.locations
        }
        over_records = {str(count): cost(server, Shape(count=count)) for count in given.records}
        one_contact = cost(server, Shape(count=given.usual, people=1))
    report(
        "scaling",
        server=kind,
        tls=given.tls,
        records_over_locations=given.usual,
        over_locations=over_locations,
        over_records=over_records,
        one_contact=one_contact,
    )


if __name__ == "__main__":
    main()
