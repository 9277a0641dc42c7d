"""An outbox file that is opened to be read, beside its owner if it has one.

Nothing here writes, or waits for the owner. No reading transaction outlives a page, so that the
owner can cut its log back; but for what is asked `at_one_moment`, some five seconds for a million
records, in which the log only grows.
"""

from __future__ import annotations

import asyncio
import os
import re
import sqlite3
from array import array
from contextlib import asynccontextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from leadconnector_async.errors import OutboxUnusableError
from leadconnector_async.outbox.base import State
from leadconnector_async.outbox.outbox_reader import OutboxReader
from leadconnector_async.outbox.reader import FailedRecord, grouped
from leadconnector_async.outbox.sqlite.connection import explained, fetch_rows, open_to_read
from leadconnector_async.outbox.sqlite.counters import Lookups
from leadconnector_async.outbox.sqlite.history import QUERIES, REASONS, counts_of, history_pages
from leadconnector_async.outbox.sqlite.source_form import FORM, WITH_SHAPE, restored
from leadconnector_async.outbox.sqlite.upkeep import INVARIANTS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from sqlite3 import Connection

    from leadconnector_async.outbox.reader import Group, HistoryRecord, KindOf, RecordCounts

T = TypeVar("T")

_PLACE: Final = re.compile(r"\$\d")

_PAGE: Final = 1_024

_FAILED_BYTES: Final = 256 << 10
"""A page of failed records ends beyond so many: one can be as long as a mail."""

_FAILED: Final = """SELECT seq FROM outcome LEFT JOIN origin USING (seq)
    WHERE state > 2 AND state < 5 ORDER BY source, line, seq"""

_FAILED_OF: Final = f"""SELECT r.seq, {FORM}, o.state, reason.text, o.detail,
        coalesce(source.name, ''), source.form, coalesce(line, 0), late
    FROM ("""  # noqa: S608 - our own names

_WITH_SEQS: Final = f""") AS wanted CROSS JOIN record r ON r.seq = column1
        CROSS JOIN outcome o USING (location, lane, seq)
        JOIN location ON location.id = r.location
        LEFT JOIN reason ON reason.id = o.reason
        LEFT JOIN origin ON origin.seq = r.seq LEFT JOIN source ON source.id = origin.source
        {WITH_SHAPE}
    WHERE o.state > 2 AND o.state < 5"""


class SqliteOutboxReader(OutboxReader):
    """`OutboxReader` over a file. Its calls follow one another; each runs in a thread.

    Raises:
        OutboxUnusableError: there is no such file, or it is no outbox.
    """

    _queries = QUERIES
    _invariants = INVARIANTS

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path: str = os.fspath(path)
        self._connection = open_to_read(self.path)

    async def _read(self, work: Callable[[Connection], T]) -> T:
        return await asyncio.to_thread(self._explaining, work)

    def _explaining(self, work: Callable[[Connection], T]) -> T:
        try:
            return work(self._connection)
        except sqlite3.Error as error:
            raise explained(self.path, error) from error
        except (msgspec.DecodeError, LookupError) as error:
            fix = "restore it from a copy"
            raise OutboxUnusableError(f"{self.path} is damaged ({error}): {fix}") from error

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

    async def _counts(self) -> dict[str, RecordCounts]:
        return await self._read(counts_of)

    async def _groups(self) -> list[Group]:
        return await self._read(lambda connection: grouped(connection.execute(REASONS)))

    async def lookups(self, location: str, names: Sequence[str]) -> dict[str, str]:
        """See `OutboxReader.lookups`."""
        found = await self._rows(QUERIES.location, location)
        return await self._read(
            lambda connection: Lookups(connection).known(found[0][0], names) if found else {}
        )

    async def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        asked = _PLACE.sub("?", query)
        return await self._read(lambda connection: connection.execute(asked, values).fetchall())

    async def failed(self) -> AsyncIterator[list[FailedRecord]]:
        """See `OutboxReader.failed`."""
        seqs = await self._read(
            lambda connection: array("q", chain.from_iterable(connection.execute(_FAILED)))
        )
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
            pages = await self._read(lambda connection: history_pages(connection, kind_of_refused))
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
    for seq, *row in fetch_rows(connection, _FAILED_OF, [(seq,) for seq in seqs], _WITH_SEQS):
        *form, state, reason, detail, source, written, line, late = row
        (payload, key, location), raw = form[2:], restored(*form)
        end = State(state), reason, detail
        found.append(FailedRecord(key, location, *end, source, written, line, raw, payload, late))
        size += len(raw or b"") + len(payload or b"")
        if size > _FAILED_BYTES:
            return seqs.index(seq) + 1, found
    return len(seqs), found  # one that is not found was put back meanwhile
