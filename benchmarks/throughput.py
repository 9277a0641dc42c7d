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
from typing import TYPE_CHECKING, Final

from msgspec import Struct, field

from benchmarks import machine
from benchmarks.contest import Contestant, Lap, report, run
from benchmarks.ours.whole_import import import_file
from benchmarks.records import Shape, write_jsonl
from benchmarks.server import BenchmarkServer, ceiling, running

if TYPE_CHECKING:
    from collections.abc import Sequence

BARE: Final = "bare aiohttp loop"
IMPORT: Final = "whole import"
IMPORT_IN_FLIGHT: Final = 32
CONTESTANTS: Final = {
    "asyncio.Protocol by hand": Contestant("peers.protocol", 200_000),
    BARE: Contestant("peers.bare", 100_000),
    "our sending alone": Contestant("ours.sending", 100_000),
    "plain aiohttp script": Contestant("peers.plain", 50_000),
    "httpx": Contestant("peers.httpx_client", 3_000),
    "httpx, 4 in flight": Contestant("peers.httpx_client", 4_000, in_flight=4),
    "official SDK": Contestant("peers.official_sdk", 3_000),
    "official SDK, 4 in flight": Contestant("peers.official_sdk", 4_000, in_flight=4),
}
"""All with the same number in flight; the slow ones also with the number that suits them best."""


class Options(Struct, frozen=True, kw_only=True):
    """What is to be measured."""

    runs: int
    messages: int
    uvloop: bool
    only: frozenset[str]


class Laps(Struct):
    """One contestant's laps, one for each round."""

    laps: list[Lap] = field(default_factory=list)

    def against(self, bare: Laps | None) -> dict[str, object]:
        """Medians; ratios to the bound, where it ran too."""
        figures: dict[str, object] = {
            "messages": self.laps[0].messages,
            "messages_per_s": round(median(lap.rate for lap in self.laps)),
            "cpu_us_per_message": round(median(lap.cpu_us for lap in self.laps), 1),
        }
        if bare is not None:
            pairs = list(zip(self.laps, bare.laps, strict=True))
            figures["rate_to_bare"] = round(median(own.rate / its.rate for own, its in pairs), 3)
            figures["bare_cpu_to_own"] = round(
                median(its.cpu_us / own.cpu_us for own, its in pairs), 3
            )
        return figures


def measure(options: Options, server: BenchmarkServer, folder: Path) -> dict[str, Laps]:
    """Let everyone take a turn, round after round."""
    chosen = {name: who for name, who in CONTESTANTS.items() if _plays(options, name)}
    laps = {name: Laps() for name in chosen}
    if _plays(options, IMPORT):
        laps[IMPORT] = Laps()
        write_jsonl(folder / "records.jsonl", Shape(count=options.messages))
    for number in range(options.runs):
        for name, contestant in chosen.items():
            before = server.stats().stored
            laps[name].laps.append(run(contestant, server.base_url, uvloop=options.uvloop))
            assert server.stats().stored - before >= contestant.messages
        if IMPORT in laps:
            laps[IMPORT].laps.append(_import(options, server, folder, number))
    return laps


def _plays(options: Options, name: str) -> bool:
    return not options.only or name in options.only


def _import(options: Options, server: BenchmarkServer, folder: Path, number: int) -> Lap:
    before = server.stats().stored
    done = import_file(
        folder / "records.jsonl",
        folder / f"outbox{number}.db",
        server.base_url,
        in_flight=IMPORT_IN_FLIGHT,
        uvloop=options.uvloop,
    )
    assert server.stats().stored - before == options.messages
    return done.lap


def read_options(arguments: Sequence[str] | None = None) -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.throughput")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--messages", type=int, default=200_000, help="in the whole import")
    parser.add_argument("--loop", choices=("uvloop", "asyncio"), default="uvloop")
    parser.add_argument("--only", action="append", choices=[IMPORT, *CONTESTANTS], default=[])
    given = parser.parse_args(arguments)
    return Options(
        runs=given.runs,
        messages=given.messages,
        uvloop=given.loop == "uvloop",
        only=frozenset(given.only),
    )


def main() -> None:
    """Measure, and print one JSON object."""
    options = read_options()
    machine.pin(machine.CLIENT_CORE)
    with running() as server, TemporaryDirectory() as folder:
        most = ceiling(server)
        laps = measure(options, server, Path(folder))
    bare = laps.get(BARE)
    report(
        "throughput",
        loop="uvloop" if options.uvloop else "asyncio",
        runs=options.runs,
        server_ceiling=most,
        contestants={name: its.against(bare) for name, its in laps.items()},
    )


if __name__ == "__main__":
    main()
