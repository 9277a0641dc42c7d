"""Clocks that are set by hand, a loop's too, and an event loop that does not wait.

When all tasks sleep, the loop's clock jumps to the next that is due. So hours pass in seconds, and
a seed repeats a run exactly.
"""

from __future__ import annotations

import asyncio
import selectors
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")
TICK: Final = 1e-9
"""Time passes a little whatever happens: a clock that stands still makes a limiter wait forever for
what is missing by a rounding error."""


class Clock:
    """A clock that is set by hand, in seconds."""

    now = 1_000_000.0

    def __call__(self) -> float:
        """Now."""
        return self.now


class HeldClock(asyncio.SelectorEventLoop):
    """A loop whose time goes on when a test says so."""

    now = 0.0

    def time(self) -> float:
        """The time that was set."""
        return self.now


class _JumpingSelector(selectors.DefaultSelector):
    """Instead of waiting, moves the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        self.now += TICK
        if not ready:
            if timeout is None:
                raise RuntimeError("every task waits for another one: nothing would ever happen")
            self.now += max(timeout, 0.0)
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is that of its next timer."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Seconds of virtual time."""
        return self._jumping.now


def in_virtual_time(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end, in no time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)
