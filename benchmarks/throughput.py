"""How many messages a second does one core carry: a whole import, beside its bound and its peers?

Everyone posts the same bodies to the same server, each turn in a fresh process on the client's
core, turn and turn about. Every ratio is taken within one round; the medians over the rounds are
reported. CPU time per message tells the same where other programs disturb the clock.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from benchmarks import machine
from benchmarks.contest import Job, Lap, report, run
from benchmarks.records import Shape, write_jsonl
from benchmarks.server import KINDS, Conditions, Kind, ceiling, nginx, running, usual
from benchmarks.whole_import import import_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.server import BenchmarkServer

BARE: Final = "bare aiohttp loop"
IMPORT: Final = "whole import"
OWN_CLOCK: Final = "whole import, own clock"
IMPORTED: Final = 60_000


class Contestant(Struct, frozen=True):
    """Who takes part, with so many messages. Slow ones do in the first of several laps alone.

    ``in_flight`` is what suits it best, where that is not what all have.
    """

    peer: str
    messages: int
    in_flight: int | None = None
    slow: bool = False


CONTESTANTS: Final = {
    "asyncio.Protocol by hand": Contestant("protocol", 80_000),
    "pycurl multi": Contestant("pycurl", 50_000),
    "our sending alone": Contestant("sending", 40_000),
    "pyreqwest": Contestant("pyreqwest", 30_000),
    BARE: Contestant("bare", 25_000),
    "plain aiohttp script": Contestant("plain", 15_000),
    "httpx": Contestant("httpx", 2_000, slow=True),
    "httpx, 4 in flight": Contestant("httpx", 2_000, in_flight=4, slow=True),
    "official SDK": Contestant("sdk", 2_000, slow=True),
    "official SDK, 4 in flight": Contestant("sdk", 2_000, in_flight=4, slow=True),
}


class Lane(Struct, frozen=True, kw_only=True):
    """The conditions under which all take their turns."""

    server: Kind
    in_flight: int
    tls: bool = False
    uvloop: bool = True
    slow: bool = False
    """Whether the slow ones take part."""

    def __str__(self) -> str:
        scheme, loop = "TLS 1.3" if self.tls else "HTTP", "uvloop" if self.uvloop else "asyncio"
        return f"{self.server}, {scheme}, {loop}, {self.in_flight} in flight"


USUAL: Final = (
    Lane(server="nginx", in_flight=64, slow=True),
    Lane(server="nginx", in_flight=32),
    Lane(server="nginx", in_flight=64, uvloop=False),
    Lane(server="nginx", in_flight=64, tls=True),
    Lane(server="granian", in_flight=32),
    Lane(server="granian", in_flight=64, tls=True),
)


class Options(Struct, frozen=True, kw_only=True):
    """What is to be measured, with which part of the usual messages: all figures are rates."""

    lanes: tuple[Lane, ...]
    runs: int
    part: float
    only: frozenset[str]

    @property
    def imported(self) -> int:
        """How many messages a whole import has."""
        return round(IMPORTED * self.part)

    def plays(self, name: str) -> bool:
        """Whether somebody takes part."""
        return not self.only or name in self.only


Laps = dict[str, list[Lap]]


def measure(options: Options, lane: Lane, folder: Path) -> dict[str, Any]:
    """Let everyone take a turn, round after round, against a server of their own."""
    laps: Laps = {}
    with running(Conditions(server=lane.server, tls=lane.tls)) as server:
        most = ceiling(server)
        for _ in range(options.runs):
            for name, lap in _round(options, lane, server, folder).items():
                laps.setdefault(name, []).append(lap)
    bare = laps.get(BARE)
    figures = {name: _figures(its, bare) for name, its in laps.items()}
    return {"server_ceiling": most, "contestants": figures}


def _round(options: Options, lane: Lane, server: BenchmarkServer, folder: Path) -> dict[str, Lap]:
    laps = {}
    for name, who in CONTESTANTS.items():
        if options.plays(name) and (lane.slow or not who.slow):
            before = server.stats().stored
            in_flight = who.in_flight or lane.in_flight
            messages = round(who.messages * options.part)
            laps[name] = run(who.peer, Job(server.base_url, messages, in_flight, lane.uvloop))
            assert server.stats().stored - before >= messages
    if options.plays(IMPORT):
        before = server.stats().stored
        with TemporaryDirectory(dir=folder) as own:
            done = import_file(
                folder / "records.jsonl",
                Path(own, "outbox.db"),
                server.base_url,
                in_flight=lane.in_flight,
                uvloop=lane.uvloop,
            )
        assert server.stats().stored - before == options.imported
        laps |= {IMPORT: done.lap, OWN_CLOCK: done.own_clock}
    return laps


def _figures(laps: list[Lap], bare: list[Lap] | None) -> dict[str, float]:
    """Medians; ratios to the bare loop, where it ran too."""
    figures: dict[str, float] = {
        "messages": laps[0].messages,
        "messages_per_s": round(median(lap.rate for lap in laps)),
        "cpu_us_per_message": round(median(lap.cpu_us for lap in laps), 1),
    }
    if bare is not None:
        pairs = list(zip(laps, bare, strict=True))
        figures["rate_to_bare"] = round(median(own.rate / its.rate for own, its in pairs), 3)
        figures["bare_cpu_to_own"] = round(median(its.cpu_us / own.cpu_us for own, its in pairs), 3)
    return figures


def read_options(arguments: Sequence[str] | None = None) -> Options:
    """Read the command line: the usual conditions, or those that are given."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.throughput")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--part", type=float, default=1.0, help="of the usual messages, as in 0.1")
    parser.add_argument("--server", choices=KINDS, help="by default both, as far as installed")
    parser.add_argument("--in-flight", type=int, action="append", metavar="N")
    parser.add_argument("--tls", action="store_true", help="over TLS 1.3")
    parser.add_argument("--loop", choices=("uvloop", "asyncio"))
    parser.add_argument("--only", action="append", choices=[IMPORT, *CONTESTANTS], default=[])
    given = parser.parse_args(arguments)
    if given.in_flight or given.tls or given.loop:
        lanes = tuple(
            Lane(
                server=given.server or usual(),
                in_flight=in_flight,
                tls=given.tls,
                uvloop=given.loop != "asyncio",
                slow=True,
            )
            for in_flight in given.in_flight or (64,)
        )
    else:
        lanes = tuple(lane for lane in USUAL if given.server in (None, lane.server))
    return Options(lanes=lanes, runs=given.runs, part=given.part, only=frozenset(given.only))


def main() -> None:
    """Measure, and print one JSON object."""
    options = read_options()
    machine.pin(machine.CLIENT_CORE)
    there, skipped = options.lanes, []
    if nginx() is None and {lane.server for lane in there} != {"nginx"}:
        skipped = [str(lane) for lane in there if lane.server == "nginx"]
        there = tuple(lane for lane in there if lane.server != "nginx")
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_jsonl(folder / "records.jsonl", Shape(count=options.imported))
        lanes = {str(lane): measure(options, lane, folder) for lane in there}
    told = {"not_measured_without_nginx": skipped} if skipped else {}
    report("throughput", runs=options.runs, lanes=lanes, **told)


if __name__ == "__main__":
    main()
