"""How much of one location's quota is used, and how many requests are refused?

Servers, network and other programs are simulated in virtual time, so the figures are the same on
every machine. ``used`` is a share of the bound, *what is left of the limit x window / (window +
round trip)*, from the first second on; above 1 where a server lets more through. The cost of a
request is real processor time.
"""

from __future__ import annotations

import asyncio
import time
from statistics import median
from typing import TYPE_CHECKING, Any, Final, get_args

import msgspec
from aiolimiter import AsyncLimiter
from msgspec.structs import replace
from quota_servers import Kind, Outcome, Scenario, simulate

from benchmarks import machine
from leadconnector_async.models import RateLimitHeaders
from leadconnector_async.quota.limits import RateLimit
from leadconnector_async.quota.quota import Quota

if TYPE_CHECKING:
    from quota_servers import Client, Sender

    from leadconnector_async.quota.limits import QuotaSnapshot

ROUND_TRIPS: Final = (0.01, 0.1, 0.3)
SEEDS: Final = range(5)
ANY: Final[dict[str, Any]] = {"kind": "sliding", "round_trip": 0.1}
SITUATIONS: Final = {
    "first 10 s": Scenario(**ANY, seconds=10),
    "first 20 s": Scenario(**ANY, seconds=20),
    "60 s": Scenario(**ANY),
    "after a restart": Scenario(**ANY, restart_after=25),
    "beside others, evenly": Scenario(**ANY, others="evenly", warm_up=15),
    "beside others, in bursts": Scenario(**ANY, others="in bursts", warm_up=15),
    "25 per 10 s announced": Scenario(**ANY, requests=25),
    "250 per 10 s announced": Scenario(**ANY, requests=250),
    "100 per 20 s announced": Scenario(**ANY, interval=20),
    "jitter of 90 %, every fifth uplink slow": Scenario(**ANY, jitter=0.9, slow=0.2),
}
LAP: Final = 500
PEERS: Final = {
    "AsyncLimiter(100, 10)": (100, 10.0),
    "AsyncLimiter(10, 1)": (10, 1.0),
    "AsyncLimiter(1, 0.1)": (1, 0.1),
}


def peer(rate: float, period: float) -> Client:
    """A token bucket and nothing else."""

    async def client(
        sender: Sender, until: float, snapshot: QuotaSnapshot | None
    ) -> QuotaSnapshot | None:
        await sender.through_limiter(AsyncLimiter(rate, period), until)
        return snapshot

    return client


def summary(outcomes: list[Outcome]) -> dict[str, float]:
    """The middle, the worst, and how many requests were refused in all of them."""
    used = [outcome.used for outcome in outcomes]
    return {
        "used": round(median(used), 3),
        "used_worst": round(min(used), 3),
        "throttled": sum(outcome.throttled for outcome in outcomes),
    }


def over_servers(situation: Scenario, client: Client | None = None) -> dict[str, Any]:
    """One situation against every kind of server, over every round trip."""
    return {
        kind: {
            f"{round_trip * 1000:.0f} ms": summary(
                [
                    simulate(scenario, client)
                    for seed in SEEDS
                    for scenario in [
                        replace(situation, kind=kind, round_trip=round_trip, seed=seed)
                    ]
                ]
            )
            for round_trip in ROUND_TRIPS
        }
        for kind in get_args(Kind)
    }


def of_full_windows() -> dict[str, Any]:
    """Of limit x time / window, with no round trip deducted: how full a window gets, once going."""
    return {
        kind: {
            f"{round_trip * 1000:.0f} ms": round(_steady_rate(kind, round_trip), 4)
            for round_trip in (*ROUND_TRIPS, 1.0)
        }
        for kind in get_args(Kind)
    }


def _steady_rate(kind: Kind, round_trip: float) -> float:
    longer, shorter = (
        simulate(Scenario(kind=kind, round_trip=round_trip, seconds=seconds))
        for seconds in (600, 200)
    )
    assert not longer.throttled
    return (longer.sent - shorter.sent) / 4000


async def cost(limit: RateLimit | None, seen: RateLimitHeaders, laps: int = 50) -> float:
    """Processor microseconds per request, for asking, taking and giving back; the best lap."""
    loop = asyncio.get_running_loop()
    quota = Quota(limit, now=loop.time(), wall_ms=0)
    best = float("inf")
    for _ in range(laps):
        began = time.process_time()
        for _ in range(LAP):
            now = loop.time()
            assert quota.ready_at(now) <= now
            quota.give_back(quota.take(now), now, seen)
        best = min(best, time.process_time() - began)
    return round(best / LAP * 1e6, 2)


def costs() -> dict[str, float]:
    """With figures in the answers, and without any."""
    most = 1_000_000
    figures = RateLimitHeaders(max=most, remaining=most, interval_ms=10_000, daily_remaining=most)
    return {
        "no limit": asyncio.run(cost(None, RateLimitHeaders())),
        f"{most:,} per 10 s, with figures": asyncio.run(cost(RateLimit(most, daily=None), figures)),
    }


def main() -> None:
    """Print one JSON object."""
    result = {
        "benchmark": "quota",
        "time": "virtual: servers and network are simulated; all but cpu_us_per_request",
        "machine": machine.describe(),
        "ours": {name: over_servers(situation) for name, situation in SITUATIONS.items()},
        "share_of_full_windows": of_full_windows(),
        "peers, 60 s": {
            name: over_servers(SITUATIONS["60 s"], peer(*bucket)) for name, bucket in PEERS.items()
        },
        "cpu_us_per_request": costs(),
    }
    print(msgspec.json.encode(result).decode())


if __name__ == "__main__":
    main()
