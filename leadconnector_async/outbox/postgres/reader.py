"""An outbox in a database that is opened to be read, beside whoever writes it.

Nothing here writes or waits. Rows come in pages, each found by where the last one ended: no old
snapshot is held between them, which would keep the server from clearing dead rows away, but for
what is asked `at_one_moment`.
"""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import msgspec

from leadconnector_async.errors import OutboxUnusableError
from leadconnector_async.outbox.base import State
from leadconnector_async.outbox.outbox_reader import OutboxReader, StoreQueries, kind_of
from leadconnector_async.outbox.postgres.announcements import stopped
from leadconnector_async.outbox.postgres.connection import READING, JobRunner, check_server, opened
from leadconnector_async.outbox.postgres.counters import known_lookups, storable
from leadconnector_async.outbox.postgres.place import PostgresPlace, read_place
from leadconnector_async.outbox.postgres.schema import check_schema
from leadconnector_async.outbox.postgres.summary import summary
from leadconnector_async.outbox.postgres.upkeep import INVARIANTS
from leadconnector_async.outbox.reader import FailedRecord, HistoryRecord, OutboxSummary

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from leadconnector_async.outbox.base import StoppedLocation
    from leadconnector_async.outbox.postgres.connection import Connection
    from leadconnector_async.outbox.reader import KindOf

T = TypeVar("T")

_RECORDS_PAGE: Final = 1_000

_FAILED_PAGE: Final = 16
"""A failed record comes with the text of its source, which can be as long as a mail."""

_FAILED: Final = """SELECT seq FROM outcome o JOIN record r USING (seq)
    WHERE state > 2 AND state IN (3, 4) ORDER BY source NULLS FIRST, line NULLS FIRST, seq"""

_FAILED_PAGES: Final = """SELECT r.key, location.name, o.state, text, o.detail,
        coalesce(source.name, ''), source.form, coalesce(line, 0), raw, payload, late
    FROM unnest($1::bigint[]) WITH ORDINALITY AS chosen (seq, place) JOIN record r USING (seq)
        JOIN outcome o ON (o.location, o.lane, o.seq) = (r.location, r.lane, r.seq)
        JOIN location ON location.id = r.location
        LEFT JOIN reason ON reason.id = o.reason
        LEFT JOIN source ON source.id = r.source
    WHERE o.state IN (3, 4) ORDER BY place"""

_RECORDS: Final = """SELECT r.seq, location.name, r.date, payload, coalesce(o.state, 0),
        o.state = 2 AND o.reason IS NOT NULL, form, CASE WHEN payload IS NULL THEN raw END
    FROM (SELECT * FROM record WHERE seq > $1 ORDER BY seq LIMIT $2) AS r
        JOIN location ON location.id = r.location
        LEFT JOIN outcome o ON (o.location, o.lane, o.seq) = (r.location, r.lane, r.seq)
        LEFT JOIN source ON source.id = r.source AND payload IS NULL
    ORDER BY r.seq"""

_MOMENT: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

_QUERIES: Final = StoreQueries(
    location="SELECT id FROM location WHERE md5(name) = md5($1)",
    quotas="""SELECT name, day_used, day_ends, window_used, window_ends, day_limit
        FROM tenure JOIN location ON id = location WHERE day_used IS NOT NULL""",
    contacts="""SELECT count(*) FILTER (WHERE name >= 'contact:' AND name < 'contact;'),
        count(*) FILTER (WHERE name >= 'made:' AND name < 'made;') FROM lookup""",
    forms="""SELECT DISTINCT form FROM outcome JOIN record r USING (seq)
        LEFT JOIN source ON source.id = r.source WHERE state > 2 AND state IN (3, 4)""",
    by_line="""SELECT DISTINCT seq FROM (SELECT source, line, seq FROM record
                UNION ALL SELECT source, line, seq FROM copy) AS place
            JOIN source ON source.id = place.source
        WHERE line = $2 AND ($1 IN ('', name) OR right(name, length($1) + 1) = '/' || $1)
        ORDER BY seq""",
    by_text="""SELECT seq FROM record
        WHERE convert_from(payload, 'UTF8') ILIKE $1 OR late ILIKE $1 ORDER BY date, seq""",
    origin="LEFT JOIN source ON source.id = r.source",
    positions="""SELECT name, line FROM (
            SELECT 0 AS place, source, line FROM record WHERE seq = $1
            UNION ALL SELECT 1, source, line FROM copy WHERE seq = $1) AS found
        JOIN source ON source.id = source ORDER BY place, name, line""",
    trail="SELECT at, what, trace FROM trail WHERE seq = $1 ORDER BY id",
    owner="""SELECT worker FROM owner WHERE location = $1 AND at <= $2
        ORDER BY at DESC LIMIT 1""",
)


class PostgresOutboxReader(OutboxReader):
    """`OutboxReader` over a connection, which is closed with it if it is ``owned``."""

    _queries = _QUERIES
    _invariants = INVARIANTS

    def __init__(self, runner: JobRunner, *, owned: bool = True) -> None:
        self._runner = runner
        self._owned = owned
        self._is_at_one_moment = not owned

    @classmethod
    async def open(cls, place: str | PostgresPlace) -> Self:
        """Open an outbox beside whoever writes it.

        Raises:
            OutboxError: there is none, or it cannot be read.
        """
        where = read_place(place) if isinstance(place, str) else place
        async with opened(where, READING, keep=True) as connection:
            await check_server(where, connection, to_read=True)
            await check_schema(where, connection)
        return cls(JobRunner(where, connection, transactions=False))

    async def _read(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        try:
            return await self._runner.run(work)
        except (msgspec.DecodeError, LookupError) as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> OutboxUnusableError:
        shown = self._runner.place.shown
        return OutboxUnusableError(f"{shown} is damaged ({error}): restore it from a copy")

    async def _rows(self, query: str, *values: object) -> list[Any]:
        kept = [storable(value) if isinstance(value, str) else value for value in values]
        return await self._read(lambda connection: connection.fetch(query, *kept))

    @asynccontextmanager
    async def at_one_moment(self) -> AsyncIterator[None]:
        """See `OutboxReader.at_one_moment`."""
        if self._is_at_one_moment:
            yield
            return
        await self._read(lambda connection: connection.execute(_MOMENT))
        self._is_at_one_moment = True
        try:
            yield
        finally:
            self._is_at_one_moment = False
            if not self._runner.closed:
                await self._read(lambda connection: connection.execute("ROLLBACK"))

    async def summary(self, *, lately_s: float = 60.0, now_ms: int | None = None) -> OutboxSummary:
        """See `OutboxReader.summary`."""
        now = time.time_ns() // 1_000_000 if now_ms is None else now_ms
        async with self.at_one_moment():
            return await self._read(
                lambda connection: summary(
                    connection, self._runner.place, now, round(lately_s * 1000)
                )
            )

    async def stopped(self) -> dict[str, StoppedLocation]:
        """See `OutboxReader.stopped`."""
        return await self._read(stopped)

    async def lookups(self, location: str, names: Sequence[str]) -> dict[str, str]:
        """See `OutboxReader.lookups`."""
        found = await self._rows(_QUERIES.location, location)
        if not found:
            return {}
        return await self._read(lambda connection: known_lookups(connection, found[0][0], names))

    async def failed(self) -> AsyncIterator[list[FailedRecord]]:
        """See `OutboxReader.failed`."""
        seqs = [seq for (seq,) in await self._rows(_FAILED)]
        for at in range(0, len(seqs), _FAILED_PAGE):
            rows = await self._rows(_FAILED_PAGES, seqs[at : at + _FAILED_PAGE])
            yield [
                FailedRecord(key, location, State(state), *rest)
                for key, location, state, *rest in rows
            ]

    async def records(self, kind_of_refused: KindOf) -> AsyncIterator[list[HistoryRecord]]:
        """See `OutboxReader.records`."""
        last = 0
        async with self.at_one_moment():
            while rows := await self._rows(_RECORDS, last, _RECORDS_PAGE):
                try:
                    page = [_history_record(row, kind_of_refused) for row in rows]
                except msgspec.DecodeError as error:
                    raise self._damaged(error) from error
                yield page
                last = rows[-1][0]

    async def close(self) -> None:
        """See `OutboxReader.close`."""
        if self._owned:
            await self._runner.close()

    def __repr__(self) -> str:
        return f"<PostgresOutboxReader {self._runner.place.shown}>"


def _history_record(row: Sequence[Any], kind_of_refused: KindOf) -> HistoryRecord:
    _, location, date, payload, state, found, form, raw = row
    kind = kind_of_refused(form, raw) if payload is None else kind_of(payload, date)
    return HistoryRecord(location, *kind, state, bool(found))
