"""Looking after an outbox, wherever it is: forgetting, copying, moving."""

import asyncio
import os
import time
from contextlib import AsyncExitStack
from functools import partial
from typing import Final

from leadconnector_async.errors import OutboxUnusableError
from leadconnector_async.outbox import open as stores
from leadconnector_async.outbox.base import Settlement, State
from leadconnector_async.outbox.durable import DurableOutbox
from leadconnector_async.outbox.requeueing import RETRIES
from leadconnector_async.outbox.sqlite.transfer import moving_from, moving_to
from leadconnector_async.outbox.sqlite.upkeep import backup, compact, empty_files as empty_folder
from leadconnector_async.outbox.transfer import StoreTransfer, transfer

GIVEN_UP: Final = "given up before it was sent"

_ROOM: Final = 1 << 24
"""Bytes that are given up at once."""


async def forget_texts(place: stores.Place) -> int:
    """Forget what the records of an outbox say that are settled, and free what they took.

    Returns how many there were: see `DurableOutbox.forget_texts`.

    Raises:
        OutboxError: the outbox does not exist, is in use, or cannot be written.
    """
    done = await stores.write_outbox(place, lambda outbox: outbox.forget_texts())
    await empty_files(place)
    if stores.is_url(place):
        from leadconnector_async.outbox.postgres import upkeep  # noqa: PLC0415 - only if used

        await upkeep.compact(os.fspath(place))
    else:
        await asyncio.to_thread(compact, os.fspath(place))
    return done


async def give_up(place: stores.Place, location: str) -> int:
    """Reject what is pending in a location, so that it is listed as failed. Returns how many.

    What may be stored stays, to be looked for; in a database, what is left for later too, and what
    an import is reading yet.

    Raises:
        OutboxError: the outbox does not exist, is in use, or cannot be written; or a worker owns
            the location.
    """

    async def reject(outbox: DurableOutbox) -> int:
        await outbox.publish()
        if not outbox.is_shared:  # else others would send the rest
            await outbox.select(None)
        if location not in await outbox.unsent():
            return 0
        lease, count = (await outbox.acquire(location)).lease, 0
        while claims := (await outbox.claim([(lease, RETRIES)], _ROOM))[0]:
            at = time.time_ns() // 1_000_000
            end = partial(Settlement, state=State.REJECTED, at=at, reason=GIVEN_UP)
            await outbox.settle([end(of, attempts=of.attempts) for of in claims], [])
            count += len(claims)
        return count

    return await stores.write_outbox(place, reject)


async def empty_files(place: stores.Place) -> None:
    """Delete the files beside an outbox that came within sources, where no record needs them.

    Raises:
        OutboxError: the outbox cannot be read.
    """
    if not stores.is_url(place) and (folder := stores.files_of(place)).is_dir():
        await asyncio.to_thread(empty_folder, os.fspath(place), folder)


async def move_outbox(place: str, target: str) -> tuple[int, str]:
    """Move an outbox from a file to a database, or back.

    Returns the number of its records, and the name under which the old one is kept: nobody may go
    on with both.

    Raises:
        OutboxError: both are files, or databases; one is in use, cannot be used, or the target
            exists already. All stays as it was.
    """
    if stores.is_url(place) is stores.is_url(target):
        raise OutboxUnusableError("give a file and a URL: an outbox moves from one to the other")
    place = stores.followed(place)  # or the link alone would have another name
    await stores.write_outbox(place, lambda outbox: outbox.publish())
    stores.database_stores()  # or what is missing is told
    from leadconnector_async.outbox.postgres.upkeep import moving  # noqa: PLC0415 - only if used

    async with AsyncExitStack() as stack:
        source: StoreTransfer
        to: StoreTransfer
        if stores.is_url(place):
            source = await stack.enter_async_context(moving(place, new=False))
            to = stack.enter_context(moving_to(target))
        else:
            source = stack.enter_context(moving_from(place))
            to = await stack.enter_async_context(moving(target, new=True))
        return await transfer(source, to), await source.retire()


async def back_up(place: stores.Place, target: str) -> None:
    """Copy an outbox to a file, beside whoever writes it, and its folder of files with it.

    Raises:
        OutboxError: it is in a database, cannot be read, or the copy cannot be written.
    """
    if stores.is_url(place):
        fix = "copy it with pg_dump --schema, or move it"
        raise OutboxUnusableError(f"{stores.shown_place(place)} is in a database: {fix}")
    files, copies = stores.files_of(place), stores.files_of(target)
    await asyncio.to_thread(backup, os.fspath(place), target, files, copies)
