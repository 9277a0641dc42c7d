"""Opening an outbox where its user says that it is: which store is behind a place.

A place is the path of a file, for `SqliteOutbox`.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from leadconnector_async.errors import OutboxUnusableError

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterator, Awaitable, Callable

    from leadconnector_async.outbox.durable import DurableOutbox
    from leadconnector_async.outbox.reader import OutboxReader
    from leadconnector_async.outbox.shared import SharedOutbox

    Place = str | os.PathLike[str]

T = TypeVar("T")


def exists(place: Place) -> bool:
    """Whether there is an outbox, or something that takes its place."""
    return Path(place).exists()


async def open_outbox(place: Place, *, create: bool = True) -> DurableOutbox:
    """Open an outbox to write, and own it until it is closed.

    It is made if it does not exist, unless ``create`` is False.

    Raises:
        OutboxBusyError: another process, or this one, has it open.
        OutboxUnusableError: it is no outbox, is damaged, is of another version, or does not exist.
        OutboxWriteError: it cannot be written.
    """
    if not create and not exists(place):
        raise OutboxUnusableError(f"{place} does not exist: give the outbox of an earlier import")
    from leadconnector_async.outbox.sqlite.outbox import SqliteOutbox  # noqa: PLC0415 - only if used

    return await SqliteOutbox.open(place)


async def open_shared(place: str, *, destination: str) -> SharedOutbox:
    """Open an outbox in a database, to send from beside others; it has to be there.

    Raises:
        OutboxError: as `open_outbox` does; or it is for another API than ``destination``.
    """
    from leadconnector_async.outbox.postgres.outbox import PostgresOutbox  # noqa: PLC0415 - an extra

    outbox = await PostgresOutbox.open(place, create=False)
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
    from leadconnector_async.outbox.sqlite.reader import SqliteOutboxReader  # noqa: PLC0415 - only if used

    return SqliteOutboxReader(place)


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
    from leadconnector_async.outbox.sqlite.rehearsal import copy_of  # noqa: PLC0415 - only if used

    with copy_of(place if place and exists(place) else None) as copy:
        async with await open_outbox(copy) as outbox:
            yield outbox
