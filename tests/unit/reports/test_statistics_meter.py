"""The figures of a moment."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from virtual_time import HeldClock

from leadconnector_async import LeadConnector
from leadconnector_async.outbox.base import State
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


def test_a_rate_after_a_quiet_night_is_that_of_now() -> None:
    """Spread over the night, what is left of the morning would seem to take weeks."""
    loop = HeldClock()
    lease = SimpleNamespace(location="l")
    sent: Any = [(SimpleNamespace(lease=lease, seq=seq), State.SENT) for seq in range(20)]

    async def main() -> None:
        async with LeadConnector("token", base_url="http://127.0.0.1:1") as api:
            meter = StatisticsMeter(api.session)
            for moment in (1.0, *range(36_000, 36_011)):
                loop.now = float(moment)
                meter.committed(sent, 0.1)
            assert meter.snapshot().rate == 11 * 20 / 40

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(main())
