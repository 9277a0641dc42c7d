from __future__ import annotations

import asyncio

import pytest
from virtual_time import in_virtual_time

from leadconnector_async.quota.limits import RateLimit
from leadconnector_async.quota.window import Pacer


async def passed(pacer: Pacer, seconds: float, weight: float = 1.0) -> int:
    """How many requests pass in that time."""
    loop = asyncio.get_running_loop()
    ends, number = loop.time() + seconds, 0
    while (ready_at := pacer.ready_at(now := loop.time(), weight)) < ends:
        if ready_at > now:
            await asyncio.sleep(ready_at - now)
            continue
        await pacer.draw(weight)
        assert loop.time() == pytest.approx(now, abs=1e-6), "drawing waited though it was ready"
        number += 1
    return number


def test_a_small_burst_then_a_little_more_than_the_mean_rate() -> None:
    """A twentieth of the limit at once, then 1.1 times the mean: the slots bound, not the pacer."""
    burst, number = in_virtual_time(_burst_and_rate())
    assert burst == 5
    assert number == pytest.approx(110, abs=2)


async def _burst_and_rate() -> tuple[int, int]:
    pacer = Pacer(RateLimit())
    return await passed(pacer, 0.01), await passed(pacer, 10.0)


def test_twice_the_weight_is_half_the_rate() -> None:
    """So the pace follows what is left to us without another limiter."""
    number = in_virtual_time(_weighted(2.0))
    assert number == pytest.approx(55, abs=3)


def test_a_weight_that_no_burst_holds_still_passes() -> None:
    """Where nearly all is left to others, one passes at a time."""
    assert in_virtual_time(_weighted(1e6)) > 0


async def _weighted(weight: float) -> int:
    return await passed(Pacer(RateLimit()), 10.0, weight)
