"""Do a thousand locations side by side each get what one gets alone?

The server enforces each location's own limit. A giant with far more records than it can send
starves nobody, and a location that always answers 429 costs nobody anything, whether the source is
grouped by location, the giant first, or mixed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from statistics import quantiles
from typing import TYPE_CHECKING, Final, Literal

import msgspec
from msgspec import Struct, structs

from benchmarks import machine
from benchmarks.contest import report
from benchmarks.crowd import GIANT, REFUSED, Crowd, Ended
from benchmarks.server import Conditions, running

if TYPE_CHECKING:
    from benchmarks.server_app import Count, Stats

LIMIT: Final = 20
"""Requests per location and ten seconds: a thousand locations together stay within one core."""
EACH: Final = 50
"""Records per location: two and a half windows."""
GIANTS: Final = 20_000
"""Records of the giant: 300 times as many as it can send meanwhile. Each is staged first."""


class Outcome(Struct, frozen=True, kw_only=True):
    """What the server saw of a run.

    ``took`` are seconds from the run's first request to a location's last one, over all ordinary
    locations.
    """

    took_median_s: float
    took_p99_s: float
    took_worst_s: float
    throttled: int
    giant_sent: int
    staged_s: float
    cpu_us_per_message: float


def send(crowd: Crowd) -> Outcome:
    """Run a crowd in a process of its own, against a server of its own."""
    with running(Conditions(limit=crowd.limit, refuses=REFUSED)) as server:
        command = [sys.executable, "-m", "benchmarks.crowd"]
        job = msgspec.json.encode(structs.replace(crowd, base_url=server.base_url)).decode()
        done = subprocess.run([*command, job], check=True, stdout=subprocess.PIPE)  # noqa: S603 - our own module
        return outcome(crowd, msgspec.json.decode(done.stdout, type=Ended), server.stats())


def outcome(crowd: Crowd, ended: Ended, stats: Stats) -> Outcome:
    """Sum up; every ordinary location must have sent all it had."""
    seen = dict(stats.tokens)
    first_s = min(count.first_s for count in seen.values())
    giant = seen.pop(GIANT, None)
    seen.pop(REFUSED, None)
    assert len(seen) == crowd.locations
    assert all(count.stored == crowd.each for count in seen.values())
    took = sorted(count.last_s - first_s for count in seen.values())
    return Outcome(
        took_median_s=round(took[len(took) // 2], 2),
        took_p99_s=round(_p99(took), 2),
        took_worst_s=round(took[-1], 2),
        throttled=_throttled(seen),
        giant_sent=giant.stored if giant else 0,
        staged_s=round(ended.staged_s, 1),
        cpu_us_per_message=round(ended.cpu_s / stats.stored * 1e6, 1),
    )


def _throttled(seen: dict[str, Count]) -> int:
    """Answers of 429 to ordinary locations: all of our own making."""
    return sum(count.throttled for count in seen.values())


def _p99(ordered: list[float]) -> float:
    return quantiles(ordered, n=100)[-1] if len(ordered) > 1 else ordered[0]


def main() -> None:
    """Measure, and print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.locations")
    parser.add_argument("--locations", type=int, default=1_000)
    parser.add_argument("--giant", type=int, default=GIANTS)
    given = parser.parse_args()
    machine.pin(machine.CLIENT_CORE)
    alone = send(Crowd(base_url="", locations=1, each=EACH, limit=LIMIT))
    crowds = {order: _crowd(given.locations, given.giant, order) for order in ("grouped", "mixed")}
    together = {order: send(crowd) for order, crowd in crowds.items()}
    report(
        "locations",
        locations=given.locations,
        records_each=EACH,
        limit_per_10_s=LIMIT,
        alone=alone,
        together=together,
        worst_to_alone={
            order: round(its.took_worst_s / alone.took_worst_s, 3)
            for order, its in together.items()
        },
    )


def _crowd(locations: int, giant: int, order: Literal["grouped", "mixed"]) -> Crowd:
    return Crowd(
        base_url="",
        locations=locations,
        each=EACH,
        limit=LIMIT,
        giant=giant,
        refused=EACH,
        order=order,
    )


if __name__ == "__main__":
    main()
