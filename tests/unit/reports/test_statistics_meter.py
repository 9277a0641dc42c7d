"""The figures of a moment."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from virtual_time import HeldClock

from leadconnector_async import LeadConnector
from leadconnector_async.reports.statistics_meter import StatisticsMeter


def test_there_is_no_rate_of_the_first_moment() -> None:
    """One request after a millisecond would be a thousand a second, and somebody's alarm."""
    loop = HeldClock()
    exchange: Any = SimpleNamespace(
        location="l", slot=SimpleNamespace(waited=0.0, taken_at=0.0), response=None, ended_at=0.0
    )

    async def main() -> None:
        async with LeadConnector("token", base_url="http://127.0.0.1:1") as api:
            meter = StatisticsMeter(api.session)
            meter.snapshot()
            meter.requested(exchange)
            loop.now = 0.001
            assert (meter.snapshot().rate, meter.snapshot().request_rate) == (None, None)
            loop.now = 2.0
            assert (meter.snapshot().rate, meter.snapshot().request_rate) == (
                0.0,
                0.5,
            )

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(main())
