"""An outbox file that is opened to be read, beside its owner if it has one.

Nothing here writes, or waits for the owner. No reading transaction outlives a page, so that the
owner can cut its log back; but for what is asked `at_one_moment`, some five seconds for a million
records, in which the log only grows.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from array import array
from contextlib import asynccontextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import msgspec

from leadconnector_async.errors import OutboxUnusableError
from leadconnector_async.outbox.base import State
from leadconnector_async.outbox.life import OVERTAKEN, ends, find_records, lives
from leadconnector_async.outbox.reader import (
    FailedRecord,
    OutboxSummary,
    QueuedRecord,
    SentRecord,
    Workload,
)
from leadconnector_async.outbox.sqlite.connection import explained, fetch_rows, open_to_read
from leadconnector_async.outbox.sqlite.counters import SENT, Lookups
from leadconnector_async.outbox.sqlite.history import QUERIES, history_pages, summary_of
from leadconnector_async.outbox.sqlite.source_form import FORM, WITH_SHAPE, restored
from leadconnector_async.outbox.sqlite.upkeep import INVARIANTS
from leadconnector_async.outbox.workload import workload
from leadconnector_async.quota.limits import QuotaSnapshot

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from sqlite3 import Connection

    from leadconnector_async.outbox.base import StoppedLocation
    from leadconnector_async.outbox.reader import HistoryRecord, KindOf, RecordLife

T = TypeVar("T")

_PAGE: Final = 256

_FAILED_BYTES: Final = 256 << 10
"""A page of failed records ends beyond so many: one can be as long as a mail."""

_SPENDS: Final = """SELECT name, day_used, day_ends, window_used, window_ends, day_limit
    FROM spend JOIN location ON location.id = location"""

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

_FORMS: Final = """SELECT DISTINCT form FROM (
        SELECT DISTINCT source FROM outcome LEFT JOIN origin USING (seq)
        WHERE state > 2 AND state < 5)
    LEFT JOIN source ON source.id = source"""

_LANES: Final = """SELECT name, count(DISTINCT lane) FROM queue
    JOIN location ON location.id = location GROUP BY location"""

_CONTACTS: Final = """SELECT count(*) FILTER (WHERE name >= 'contact:' AND name < 'contact;'),
    count(*) FILTER (WHERE name >= 'made:' AND name < 'made;') FROM fact"""

_SOURCES: Final = "SELECT name FROM source ORDER BY id"

_LOCATION: Final = "SELECT id FROM location WHERE name = ?"

_SENT: Final = """SELECT o.lane, o.seq, r.key, r.date, r.payload, o.message_id, o.conversation_id
    FROM outcome o CROSS JOIN record r ON r.seq = o.seq
    WHERE o.location = ? AND (o.lane, o.seq) > (?, ?) AND o.state = ?
    ORDER BY o.lane, o.seq LIMIT ?"""

_QUEUED: Final = """SELECT q.location, q.lane, q.date, q.seq, name, payload, late
    FROM queue q CROSS JOIN record ON record.seq = q.seq
        JOIN location ON location.id = q.location
    WHERE (q.location, q.lane, q.date, q.seq) > (?, ?, ?, ?) AND (late IS NOT NULL OR ?)
    ORDER BY q.location, q.lane, q.date, q.seq LIMIT ?"""

_LOWEST: Final = -(1 << 63)


class SqliteOutboxReader:
    """`OutboxReader` over a file. Its calls follow one another; each runs in a thread.

    Raises:
        OutboxUnusableError: there is no such file, or it is no outbox.
    """

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

    async def summary(self, *, lately_s: float = 60.0, now_ms: int | None = None) -> OutboxSummary:
        """See `OutboxReader.summary`."""
        now = time.time_ns() // 1_000_000 if now_ms is None else now_ms
        async with self.at_one_moment():
            return await self._read(
                lambda connection: summary_of(connection, now, round(lately_s * 1000))
            )

    async def quotas(self) -> dict[str, QuotaSnapshot]:
        """See `OutboxReader.quotas`."""
        rows = await self._rows(_SPENDS)
        return {name: QuotaSnapshot(*of) for name, *of in rows}

    async def stopped(self) -> dict[str, StoppedLocation]:
        """See `DurableOutbox.stopped`."""
        return {}

    async def workload(self) -> dict[str, Workload]:
        """See `OutboxReader.workload`."""
        return await workload(self)

    async def lanes(self) -> dict[str, int]:
        """See `OutboxReader.lanes`."""
        return dict(await self._rows(_LANES))

    async def lookups(self, location: str, names: Sequence[str]) -> dict[str, str]:
        """See `OutboxReader.lookups`."""
        found = await self._rows(_LOCATION, location)
        return await self._read(
            lambda connection: Lookups(connection).known(found[0][0], names) if found else {}
        )

    async def contacts(self) -> tuple[int, int]:
        """See `OutboxReader.contacts`."""
        return (await self._rows(_CONTACTS))[0]

    async def sources(self) -> list[str]:
        """See `OutboxReader.sources`."""
        return [name for (name,) in await self._rows(_SOURCES)]

    async def failed_forms(self) -> set[bytes | None]:
        """See `OutboxReader.failed_forms`."""
        return {form for (form,) in await self._rows(_FORMS)}

    async def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        return await self._read(lambda connection: connection.execute(query, values).fetchall())

    async def failed(self) -> AsyncIterator[list[FailedRecord]]:
        """See `OutboxReader.failed`."""
        seqs = await self._read(
            lambda connection: array("q", chain.from_iterable(connection.execute(_FAILED)))
        )
        at = 0
        while at < len(seqs):
            page = seqs[at : at + 4 * _PAGE]
            read, found = await self._read(lambda connection: _failed(connection, page))  # noqa: B023 - awaited here
            at += read
            if found:
                yield found

    async def sent(self, location: str) -> AsyncIterator[list[SentRecord]]:
        """See `OutboxReader.sent`."""
        found = await self._rows(_LOCATION, location)
        after = _LOWEST, _LOWEST
        while found and (page := await self._rows(_SENT, *found[0], *after, SENT, _PAGE)):
            yield [SentRecord(*row[2:]) for row in page]
            after = page[-1][:2]

    async def queued(self, *, deferred_only: bool = False) -> AsyncIterator[list[QueuedRecord]]:
        """See `OutboxReader.queued`."""
        after = (0, _LOWEST, _LOWEST, _LOWEST)  # what is left for later stands before
        while page := await self._rows(_QUEUED, *after, not deferred_only, _PAGE):
            yield [QueuedRecord(*row[4:]) for row in page]
            after = page[-1][:4]

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
        async with self.at_one_moment():
            for what, query in INVARIANTS.items():
                found[what] = sum(count for (count,) in await self._rows(query))
        return {what: count for what, count in found.items() if count}

    async def overtaken(self) -> int:
        """See `OutboxReader.overtaken`."""
        ((count,),) = await self._rows(OVERTAKEN)
        return int(count)

    async def find(self, text: str) -> list[int]:
        """See `OutboxReader.find`."""
        return await find_records(self._rows, QUERIES, text)

    def lives(self, seqs: Sequence[int]) -> AsyncIterator[RecordLife]:
        """See `OutboxReader.lives`."""
        return lives(self._rows, QUERIES, seqs)

    def ends(self) -> AsyncIterator[list[RecordLife]]:
        """See `OutboxReader.ends`."""
        return ends(self._rows, QUERIES)

    async def close(self) -> None:
        """See `OutboxReader.close`."""
        self._connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

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
