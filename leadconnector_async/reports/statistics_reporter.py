"""Tells a callback now and then what `Statistics` holds."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from inspect import isawaitable
from threading import Thread
from typing import TYPE_CHECKING, Final

from leadconnector_async.errors import OutboxError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from leadconnector_async.reports.statistics import Statistics

_log: Final = logging.getLogger(__name__)

LAST_S: Final = 1.0
"""Seconds that a call under way is given at the end, and the last one."""


class StatisticsReporter:
    """Calls back with the figures every few seconds, and once more at the end.

    It is called in a thread of its own, so that one that is slow holds nothing up; what it returns
    is awaited in the loop if it can be, as of a coroutine function. While one is under way, none is
    begun. The first that fails is logged.
    """

    def __init__(
        self,
        snapshot: Callable[[], Statistics],
        callback: Callable[[Statistics], object],
        every: float,
        refresh: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        self._snapshot = snapshot
        self._callback = callback
        self._every = every
        self._refresh = refresh
        self._failed = False
        self._call: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._report())

    async def close(self) -> None:
        """End, with a last call, for which little time is given."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.wait([self._task])
        if self._call is not None:
            await asyncio.wait([self._call], timeout=LAST_S)
        await self._tell()
        if self._call is not None:
            await asyncio.wait([self._call], timeout=LAST_S)
            self._call.cancel()

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            await self._tell()

    async def _tell(self) -> None:
        if self._call is not None and not self._call.done():
            return
        if self._refresh is not None:
            with suppress(OutboxError):  # the run itself says so
                await self._refresh()
        statistics = self._snapshot()
        loop, call = asyncio.get_running_loop(), asyncio.Future[None]()
        self._call = call

        def run() -> None:
            answer = None
            try:
                answer = self._callback(statistics)
            except Exception:  # noqa: BLE001 - it is the callback's own
                self._note_failure()
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._finish, call, answer)

        Thread(target=run, name="statistics", daemon=True).start()

    def _finish(self, call: asyncio.Future[None], answer: object) -> None:
        if not isawaitable(answer):
            _end(call)
            return
        task = asyncio.ensure_future(self._awaited(answer))
        call.add_done_callback(lambda _: task.cancel())
        task.add_done_callback(lambda _: _end(call))

    async def _awaited(self, answer: Awaitable[object]) -> None:
        try:
            await answer
        except Exception:  # noqa: BLE001 - it is the callback's own
            self._note_failure()

    def _note_failure(self) -> None:
        if not self._failed:
            self._failed = True
            _log.exception("on_stats failed, and is called all the same: later failures are quiet")


def _end(call: asyncio.Future[None]) -> None:
    if not call.done():
        call.set_result(None)
