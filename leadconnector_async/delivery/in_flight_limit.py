"""How much is in hand: what was taken in and has no outcome yet."""

import asyncio
from collections.abc import Callable
from typing import Final

HELD_BYTES: Final = 32 << 20
"""Bytes of bodies that are taken in and have no outcome yet: what comes beyond waits."""


_PIECE: Final = 64
"""Messages that a run takes from a synchronous iterable at a time at most."""


class InFlightLimit:
    """Counts the messages that were taken in and have no outcome yet: ``most`` at a time.

    Their bodies are weighed too: `HELD_BYTES` at a time, and one more.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.piece: int = max(min(most // 4, _PIECE), 1)
        """How many a run takes at a time, once there is space for all of them."""
        self._space = asyncio.Event()
        self._turn = asyncio.Lock()
        self._in_line = 0
        self.callers: int = 0
        """How many calls of `submit` wait for space."""
        self.waited_for: Callable[[], object] = bool
        """Called where one has to: its caller may be who takes the outcomes, which makes space."""
        self.size: int = 0
        self._weight = 0

    def take(self, count: int, weight: int = 0) -> None:
        """So many have come."""
        self.size += count
        self._weight += weight

    def leave(self, count: int, weight: int = 0) -> None:
        """So many are done with; with the last one whatever was weighed, copies included.

        What a failed `submit` has left in memory may be more of them: it ends within a stream.
        """
        self.size = max(self.size - count, 0)
        self._weight = max(self._weight - weight, 0) if self.size else 0
        self._space.set()

    async def has_space(self, *, calls: int = 1) -> None:
        """Wait until one more may be taken. Whoever comes first goes first: lanes are in order.

        ``calls`` is 0 where it is no call of `submit` that waits, but a run that takes a `piece`.
        """
        count = 1 if calls else self.piece
        if not (self._in_line or self._is_full(count)):
            return
        self._in_line += 1
        self.callers += calls
        if calls:
            self.waited_for()
        try:
            async with self._turn:
                while self._is_full(count):
                    self._space.clear()
                    await self._space.wait()
        finally:
            self._in_line -= 1
            self.callers -= calls

    def _is_full(self, count: int) -> bool:
        return self.size + count > self._most or self._weight >= HELD_BYTES
