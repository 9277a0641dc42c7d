"""Opening an outbox where its user says that it is: which store is behind a place.

A place is the path of a file, for `SqliteOutbox`; or the URL of a database, for `PostgresOutbox`.
"""

from __future__ import annotations

import os
import re
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from leadconnector_async.errors import OutboxUnusableError
from leadconnector_async.outbox.database import fault
from leadconnector_async.outbox.postgres.place import read_place

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from leadconnector_async.outbox.durable import DurableOutbox
    from leadconnector_async.outbox.outbox_reader import OutboxReader
    from leadconnector_async.outbox.postgres.outbox import PostgresOutbox
    from leadconnector_async.outbox.postgres.reader import PostgresOutboxReader

T = TypeVar("T")

Place = str | os.PathLike[str]

_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/|postgres(ql)?:", re.IGNORECASE)
"""What a URL begins with, and no path: a drive of Windows has one letter. One without its slashes
may hold a password all the same."""


def is_url(place: Place) -> bool:
    """Tell a database from a file."""
    return _SCHEME.match(os.fspath(place)) is not None


def shown_place(place: Place) -> str:
    """A place as it may be printed: a URL without its password, a name that is no text escaped.

    Raises:
        OutboxUnusableError: it is a URL that cannot be read.
    """
    if is_url(place):
        return read_place(os.fspath(place)).shown
    return os.fsencode(place).decode(errors="backslashreplace")


def files_of(place: Place) -> Path:
    """The folder that keeps the files that came within sources: beside the outbox.

    Those of a database are kept here, in the working folder.
    """
    name = read_place(os.fspath(place)).schema if is_url(place) else os.fspath(place)
    return Path(f"{name}.files")


def exists(place: Place) -> bool:
    """Whether there may be an outbox, or something that takes its place: a server is not asked."""
    return is_url(place) or os.path.exists(place)  # noqa: PTH110 - that of a path may raise


def followed(place: Place) -> str:
    """A place as it is given, but for a link, in whose stead is where it leads."""
    name = os.fspath(place)
    return os.path.realpath(name) if os.path.islink(name) else name  # noqa: PTH114 - as above


def _check_unmoved(place: Place) -> None:
    """See that no new file takes the place of one that was moved: it would send all again.

    Raises:
        OutboxUnusableError: it would.
    """
    moved = f"{followed(place)}.moved"
    if not exists(place) and exists(moved):
        raise OutboxUnusableError(fault("moved", place=place, moved=moved))


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
        raise OutboxUnusableError(fault("no_driver")) from error
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
    _check_unmoved(place)
    if not create and not exists(place):
        raise OutboxUnusableError(fault("missing", place=place))
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
    _check_unmoved(place)
    from leadconnector_async.outbox.sqlite.reader import SqliteOutboxReader  # noqa: PLC0415 - only if used

    return SqliteOutboxReader(place)


async def server_of(place: str) -> str:
    """The version of the server that a URL names.

    Raises:
        OutboxError: it cannot be reached, or used for an outbox.
    """
    database_stores()
    from leadconnector_async.outbox.postgres import connection as server  # noqa: PLC0415 - only if used

    where = read_place(place)
    async with server.opened(where, server.WRITING) as connection:
        await server.check_server(where, connection)
        return str(await connection.fetchval("SHOW server_version"))


async def read_outbox(place: Place, work: Callable[[OutboxReader], Awaitable[T]]) -> T:
    """Let ``work`` read an outbox, and close it.

    Raises:
        OutboxError: it does not exist, or cannot be read.
    """
    async with await open_reader(place) as reader:
        return await work(reader)


async def write_outbox(place: Place, work: Callable[[DurableOutbox], Awaitable[T]]) -> T:
    """Let ``work`` change an outbox that exists, and close it.

    Raises:
        OutboxError: it does not exist, is in use, or cannot be written.
    """
    async with await open_outbox(place, create=False) as outbox:
        return await work(outbox)


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
        try:
            async with await open_outbox(copy) as rehearsed:
                yield rehearsed
        except OutboxUnusableError as error:
            raise OutboxUnusableError(str(error).replace(copy, os.fspath(place or copy))) from error
