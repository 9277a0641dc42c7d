"""An outbox file that is opened to be read, beside its owner if it has one.

Nothing here writes, or waits for the owner. No reading transaction outlives a page, so that the
owner can cut its log back; but for what is asked `at_one_moment`, some five seconds for a million
records, in which the log only grows.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Final

from leadconnector_async.cancellation import undisturbed
from leadconnector_async.outbox.base import State
from leadconnector_async.outbox.database import Database, T, at_once, statements
from leadconnector_async.outbox.outbox_reader import OutboxReader
from leadconnector_async.outbox.reader import FailedRecord, HistoryRecord, KindOf, kind_of
from leadconnector_async.outbox.sqlite import connection as file
from leadconnector_async.outbox.sqlite.counters import PENDING
from leadconnector_async.outbox.sqlite.source_form import FORM, WITH_SHAPE, restored

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
    from sqlite3 import Connection


_PAGE: Final = 1_024

_FAILED_BYTES: Final = 256 << 10
"""A page of failed records ends beyond so many: one can be as long as a mail."""

_SQL: Final = statements(__package__, "reader", form=FORM, shape=WITH_SHAPE)


class SqliteOutboxReader(OutboxReader):
    """`OutboxReader` over a file. Its calls follow one another; each runs in a thread.

    Raises:
        OutboxUnusableError: there is no such file, or it is no outbox.
    """

    _store = __package__
    _queries = _SQL

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path: str = os.fspath(path)
        self._connection = file.open_to_read(self.path)
        self._unwanted = False
        # Asked each tenth of a millisecond or so. `interrupt` would hold for what comes next too,
        # such as a rollback, as long as a cursor is open.
        self._connection.set_progress_handler(lambda: self._unwanted, 10_000)

    async def _read(self, work: Callable[[Connection], T]) -> T:
        explains, loop = self._explained()(work), asyncio.get_running_loop()
        reading = loop.run_in_executor(None, explains, self._connection)
        try:
            return await asyncio.shield(reading)
        except asyncio.CancelledError:  # to close it under the thread would end the process
            self._unwanted = True
            # It fails as asked for; unread, the loop would print that.
            reading.add_done_callback(lambda end: end.cancelled() or end.exception())
            try:
                await undisturbed(asyncio.wait([reading]))
            finally:
                self._unwanted = False
            raise

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, ValueError, *file.DAMAGE) as error:
            raise file.explained(self.path, error) from error

    async def __aexit__(self, *why: object) -> None:
        try:
            if isinstance(why[1], (ValueError, *file.DAMAGE)):
                await self._read(_check_pages)  # it may come of what was read
        finally:
            await self.close()

    @asynccontextmanager
    async def at_one_moment(self) -> AsyncIterator[None]:
        """See `OutboxReader.at_one_moment`."""
        if self._connection.in_transaction:
            yield
            return
        await self._read(lambda connection: connection.execute("BEGIN"))
        try:
            yield
        finally:
            self._connection.rollback()

    async def _totals(self) -> dict[str, list[int]]:
        with self._explained():
            found = await super()._totals()
            for name in await self._read(_claimed):
                found[name][State.PENDING] -= 1
                found[name][State.CLAIMED] += 1
        return found

    async def _ask(self, work: Callable[[Database], Coroutine[Any, Any, T]]) -> T:
        return await self._read(lambda connection: at_once(work(file.FileDatabase(connection))))

    async def failed(self) -> AsyncIterator[list[FailedRecord]]:
        """See `OutboxReader.failed`."""
        seqs = await self._read(lambda connection: file.numbers(connection, _SQL["failed"]))
        at = 0
        while at < len(seqs):
            page = seqs[at : at + _PAGE]
            read, found = await self._read(lambda connection: _failed(connection, page))  # noqa: B023 - awaited here
            at += read
            if found:
                yield found

    async def records(self, kind_of_refused: KindOf) -> AsyncIterator[list[HistoryRecord]]:
        """See `OutboxReader.records`."""
        async with self.at_one_moment():
            pages = await self._read(lambda connection: _histories(connection, kind_of_refused))
            while page := await self._read(lambda _: next(pages)):
                yield page

    async def broken(self) -> dict[str, int]:
        """See `OutboxReader.broken`."""
        (sound,) = (await self._rows("PRAGMA quick_check(1)"))[0]
        found = {} if sound == "ok" else {f"pages of the file ({sound})": 1}
        return found | await super().broken()

    async def close(self) -> None:
        """See `OutboxReader.close`."""
        self._connection.close()

    def __repr__(self) -> str:
        return f"<SqliteOutboxReader {self.path}>"


def _failed(connection: Connection, seqs: Sequence[int]) -> tuple[int, list[FailedRecord]]:
    """Read a page of those that have failed. Tells how many of the numbers it has seen to."""
    found: list[FailedRecord] = []
    size = 0
    for seq, *row in file.fetch_rows(connection, _SQL["failed_pages"], [(seq,) for seq in seqs]):
        *form, state, reason, detail, source, written, line, late = row
        (payload, key, location), raw = form[2:], restored(*form)
        end = State(state), reason, detail
        found.append(FailedRecord(key, location, *end, source, written, line, raw, payload, late))
        size += len(raw or b"") + len(payload or b"")
        if size > _FAILED_BYTES:
            return seqs.index(seq) + 1, found
    return len(seqs), found  # one that is not found was put back meanwhile


def _claimed(connection: Connection) -> list[str]:
    """The location of each record that is claimed."""
    batches = connection.execute("SELECT seqs FROM claimed").fetchall()
    claimed = {(seq,) for (stored,) in batches for seq in file.unpacked(stored)}
    return [name for (name,) in file.fetch_rows(connection, _SQL["claimed"], list(claimed))]


def _check_pages(connection: Connection) -> None:
    """Raise where pages are not what they are to be: some seconds for a million records."""
    (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if found != "ok":
        raise ValueError


_HISTORY_PAGE: Final = 1_000

_FOUND: Final = 8
"""A bit beside the state's. A record that was found by looking is sent, with a reason."""


def _histories(connection: Connection, kind_of_refused: KindOf) -> Iterator[list[HistoryRecord]]:
    """Yield pages of records, and at the end empty ones."""
    names = dict(connection.execute("SELECT id, name FROM location"))
    states = _states(connection)
    rows = connection.execute(_SQL["records"])
    while True:
        page = []
        for seq, location, date, payload in rows.fetchmany(_HISTORY_PAGE):
            if payload is None:
                said = connection.execute(_SQL["said"], (seq,)).fetchone()
                what = kind_of_refused(said[0], restored(*said[1:])) if said else (None,) * 3
            else:
                what = kind_of(payload, date)
            state = states[seq]
            page.append(HistoryRecord(names[location], *what, state & ~_FOUND, state >= _FOUND))
        yield page


def _states(connection: Connection) -> bytearray:
    """The state of each record by its number: joining the tables takes twice as long."""
    (last,) = connection.execute("SELECT coalesce(max(seq), 0) FROM record").fetchone()
    states = bytearray([PENDING]) * (int(last) + 1)
    for seq, state, found in connection.execute(_SQL["ends"]):
        states[seq] = state | _FOUND if found else state
    return states
