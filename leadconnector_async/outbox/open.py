"""Opening an outbox where its user says that it is: which store is behind a place.

A place is the path of a file, for `SqliteOutbox`; or the URL of a database, for `PostgresOutbox`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from leadconnector_async.errors import ClosedError, OutboxError, OutboxUnusableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from leadconnector_async.outbox.durable import DurableOutbox
    from leadconnector_async.outbox.outbox_reader import OutboxReader
    from leadconnector_async.outbox.postgres.outbox import PostgresOutbox
    from leadconnector_async.outbox.postgres.reader import PostgresOutboxReader

    Place = str | os.PathLike[str]

T = TypeVar("T")


_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/|postgres(ql)?:", re.IGNORECASE)
"""What a URL begins with, and no path: a drive of Windows has one letter. One without its slashes
may hold a password all the same."""


def is_url(place: Place) -> bool:
    """Tell a database from a file."""
    return _SCHEME.match(os.fspath(place)) is not None


def shown_place(place: Place) -> str:
    """A place as it may be printed: a URL without its password.

    Raises:
        OutboxUnusableError: it is a URL that cannot be read.
    """
    if not is_url(place):
        return os.fspath(place)
    from leadconnector_async.outbox.postgres.place import read_place  # noqa: PLC0415 - only if used

    return read_place(os.fspath(place)).shown


def files_of(place: Place) -> Path:
    """The folder that keeps the files that came within sources: beside the outbox.

    Those of a database are kept here, in the working folder.
    """
    if not is_url(place):
        return Path(f"{os.fspath(place)}.files")
    from leadconnector_async.outbox.postgres.place import read_place  # noqa: PLC0415 - only if used

    return Path(f"{read_place(os.fspath(place)).schema}.files")


def exists(place: Place) -> bool:
    """Whether there may be an outbox, or something that takes its place: a server is not asked."""
    return is_url(place) or Path(place).exists()


def _check_unmoved(place: Place) -> None:
    """See that no new file takes the place of one that was moved: it would send all again.

    Raises:
        OutboxUnusableError: it would.
    """
    moved = f"{os.fspath(place)}.moved"
    if not exists(place) and Path(moved).exists():
        raise OutboxUnusableError(
            f"{place} was moved, and {moved} is kept of it: give the place where it is now, or, to "
            "begin anew, put that file elsewhere"
        )


def database_stores() -> tuple[type[PostgresOutbox], type[PostgresOutboxReader]]:
    """What writes and what reads an outbox in a database.

    Raises:
        OutboxUnusableError: the driver is not installed.
    """
    try:
        from leadconnector_async.outbox.postgres.outbox import PostgresOutbox  # noqa: PLC0415 - only if used
        from leadconnector_async.outbox.postgres.reader import PostgresOutboxReader  # noqa: PLC0415 - the same
    except ModuleNotFoundError as error:
        if error.name != "asyncpg":
            raise
        raise OutboxUnusableError(
            "asyncpg is missing, which an outbox in PostgreSQL needs: "
            "pip install 'leadconnector-async[postgres]'"
        ) from error
    return PostgresOutbox, PostgresOutboxReader


async def open_outbox(place: Place, *, create: bool = True) -> DurableOutbox:
    """Open an outbox to write. A file is owned until it is closed.

    It is made if it does not exist, unless ``create`` is False.

    Raises:
        OutboxBusyError: another process, or this one, has it open.
        OutboxUnusableError: it is no outbox, is damaged, is of another version, or does not exist.
        OutboxWriteError: it cannot be written.
    """
    if is_url(place):
        return await database_stores()[0].open(os.fspath(place), create=create)
    if not create and not exists(place):
        raise OutboxUnusableError(f"{place} does not exist: give the outbox of an earlier import")
    _check_unmoved(place)
    from leadconnector_async.outbox.sqlite.outbox import SqliteOutbox  # noqa: PLC0415 - only if used

    return await SqliteOutbox.open(place)


async def open_shared(place: str, *, destination: str) -> PostgresOutbox:
    """Open an outbox in a database, to send from beside others; it has to be there.

    Raises:
        OutboxError: as `open_outbox` does; or it is for another API than ``destination``.
    """
    outbox = await database_stores()[0].open(place, create=False)
    try:
        await outbox.dedicate(destination)
    except BaseException:
        await outbox.close()
        raise
    return outbox


async def open_reader(place: Place) -> OutboxReader:
    """Open an outbox to read, beside whoever writes it.

    Raises:
        OutboxError: it does not exist, or cannot be read.
    """
    if is_url(place):
        return await database_stores()[1].open(os.fspath(place))
    from leadconnector_async.outbox.sqlite.reader import SqliteOutboxReader  # noqa: PLC0415 - only if used

    return SqliteOutboxReader(place)


async def server_of(place: str) -> str:
    """The version of the server that a URL names.

    Raises:
        OutboxError: it cannot be reached, or used for an outbox.
    """
    database_stores()
    from leadconnector_async.outbox.postgres.connection import server_version  # noqa: PLC0415 - only if used
    from leadconnector_async.outbox.postgres.place import read_place  # noqa: PLC0415 - the same

    return await server_version(read_place(place))


async def read_outbox(place: Place, work: Callable[[OutboxReader], Awaitable[T]]) -> T:
    """Let ``work`` read an outbox, and close it.

    Raises:
        OutboxError: it does not exist, or cannot be read.
    """
    async with await open_reader(place) as reader:
        return await work(reader)


@asynccontextmanager
async def rehearsal(place: Place | None) -> AsyncIterator[DurableOutbox]:
    """Open what stands in for an outbox: what is written to it is gone afterwards.

    Raises:
        OutboxError: the outbox exists and cannot be read, or there is no room for a copy.
    """
    if place and is_url(place):
        async with await database_stores()[0].open(os.fspath(place), rehearsing=True) as outbox:
            yield outbox
        return
    from leadconnector_async.outbox.sqlite.connection import copy_of  # noqa: PLC0415 - only if used

    if place:
        _check_unmoved(place)
    with copy_of(place if place and exists(place) else None) as copy:
        async with await open_outbox(copy) as rehearsed:
            yield rehearsed


_log: Final = logging.getLogger(__name__)

ENDED: Final = "the ingestor was closed"
"""Why a call has no end."""

_AGAIN_S: Final = (0.1, 0.5, 1.0, 2.0, 5.0, 5.0, 5.0, 5.0)
"""Seconds between attempts to go on where the outbox was lost: a server is restarted meanwhile."""


class ReopenedOutbox:
    """An outbox in a database that is opened again where it was lost. ``ended``: see `listen`."""

    def __init__(
        self,
        open_outbox: Callable[[], Awaitable[PostgresOutbox]],
        ended: Callable[[int], None],
    ) -> None:
        self._open = open_outbox
        self._ended = ended
        self._reopening = asyncio.Lock()
        self.is_closing = False
        """Whether it is opened no more."""

    async def open(self) -> None:
        """Open it. Raises what ``open_outbox`` does."""
        self._outbox = await self._opened()

    async def durably(self, work: Callable[[PostgresOutbox], Awaitable[T]]) -> T:
        """Let the outbox do work that may be done twice, opened again where it was lost.

        Raises:
            OutboxError: it stays lost, or the work is at fault.
        """
        for pause in (*_AGAIN_S, None):
            outbox = self._outbox
            try:
                return await work(outbox)
            except OutboxError as error:
                if self.is_closing:
                    raise ClosedError(ENDED) from error
                if pause is None or not outbox.is_lost:
                    raise
                _log.warning("outbox lost, opened again in %.1f s: %s", pause, error)
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
