"""Ctrl-C and SIGTERM: once to finish, twice to stop now."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Final, Self

from leadconnector_async.sources.batch_reader import ReadingInterruptedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, TracebackType

    from leadconnector_async.sources.batch_reader import SourceReader

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class Signals:
    """Handles signals while the block runs; use it in the main thread, inside the loop.

    The first calls ``finish``, the second ``stop_now``, and the third kills: what is in flight
    then is looked for by the next run. While ``reader`` reads, a signal breaks into it.
    """

    def __init__(
        self, reader: SourceReader, *, finish: Callable[[], object], stop_now: Callable[[], object]
    ) -> None:
        self._reader = reader
        self._finish = finish
        self._stop_now = stop_now
        self._loop = asyncio.get_running_loop()
        self._former: dict[int, object] = {}
        self.count = 0

    def __enter__(self) -> Self:
        # Not loop.add_signal_handler: a loop that waits for a pipe would never call it.
        for number in _SIGNALS:
            self._former[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # as it was given

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self.count += 1
        if self.count > 1:
            signal.signal(number, signal.SIG_DFL)
        self._reader.stop()
        act = self._finish if self.count == 1 else self._stop_now
        self._loop.call_soon_threadsafe(act)
        if self._reader.reading:
            raise ReadingInterruptedError
