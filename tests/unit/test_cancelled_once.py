"""Work that is cancelled once with the task that awaits it."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from leadconnector_async.cancellation import cancelled_once, cut_off


async def test_a_cancellation_while_a_time_limit_unwinds_is_not_lost() -> None:
    """The limit takes its own one back; the work went on to its end, and told it as its own."""
    unwinding = asyncio.Event()

    async def work() -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(0):
                try:
                    await asyncio.sleep(60)
                finally:
                    unwinding.set()
                    await asyncio.sleep(0)
                    await asyncio.sleep(0)
        await asyncio.sleep(60)

    waiting = asyncio.create_task(cancelled_once(work()))
    await unwinding.wait()
    waiting.cancel()
    assert await asyncio.wait([waiting], timeout=10) == ({waiting}, set())
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_nothing_to_cut_off_is_no_error() -> None:
    """An ingestor that was never opened closes as any other does."""
    await cut_off()
