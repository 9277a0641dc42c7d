"""An outbox in a database, opened again where it was lost."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

from leadconnector_async.errors import NotSentError, OutboxError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from leadconnector_async.outbox.base import Outbox, Staged
    from leadconnector_async.outbox.postgres.outbox import PostgresOutbox
    from leadconnector_async.outbox.source_pass import SourcePass
    from leadconnector_async.records.draft import Draft

T = TypeVar("T")

_log: Final = logging.getLogger(__name__)

ENDED: Final = "the ingestor was closed or stopped, or its run ended"
"""Why a call has no end."""

_AGAIN_S: Final = (0.1, 0.5, 1.0, 2.0, 5.0, 5.0, 5.0, 5.0)
"""Seconds between attempts to go on where the outbox was lost: a server is restarted meanwhile."""


@dataclass(eq=False, repr=False)
class ReopenedOutbox:
    """An outbox in a database that is opened again where it was lost.

    It is made of what opens it, and of what is told of ends: see `listen`.
    """

    _open: Callable[[], Awaitable[PostgresOutbox]]
    _ended: Callable[[int], None]
    _reopening: asyncio.Lock = field(default_factory=asyncio.Lock)
    is_closing: bool = False
    """Whether it is opened no more."""
    _lost: PostgresOutbox | None = None

    async def open(self) -> None:
        """Open it. Raises what ``open_outbox`` does."""
        self._outbox = await self._opened()

    async def durably(self, work: Callable[[PostgresOutbox], Awaitable[T]]) -> T:
        """Let the outbox do work that may be done twice, opened again where it was lost.

        Raises:
            OutboxError: it stays lost, or the work is at fault.
            NotSentError: it was closed meanwhile.
        """
        for pause in (*_AGAIN_S, None):
            outbox = self._outbox
            try:
                return await work(outbox)
            except OutboxError as error:
                if self.is_closing:
                    raise NotSentError(ENDED) from error
                if pause is None or not outbox.is_lost:
                    raise
                if outbox is not self._lost:  # once for all calls that wait for it
                    self._lost = outbox
                    _log.warning("outbox lost, it is opened again: %s", error)
            await asyncio.sleep(pause)
            await self._reopen(outbox)
        raise AssertionError

    async def _reopen(self, lost: PostgresOutbox) -> None:
        async with self._reopening:
            if self._outbox is lost and not self.is_closing:
                with suppress(OutboxError):  # the next attempt says so
                    spare = await self._opened()
                    if not self.is_closing:  # else nobody would close it
                        self._outbox, spare = spare, lost
                    await spare.close()

    async def _opened(self) -> PostgresOutbox:
        outbox = await self._open()
        try:
            await outbox.listen(self._ended)
        except BaseException:
            await outbox.close()
            raise
        return outbox

    async def close(self) -> None:
        """Close it."""
        await self._outbox.close()


async def stage_anew(
    batch: Sequence[Draft], source_pass: SourcePass, met: bytes, outbox: Outbox
) -> Staged:
    """Stage a batch, also after an attempt of which nobody knows what was committed."""
    source_pass.restore(met)
    return await outbox.stage(batch, source_pass)
