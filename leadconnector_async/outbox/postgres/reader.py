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
from leadconnector_async.outbox.life import (
    OVERTAKEN,
    LifeQueries,
    ends,
    find_records,
    kind_of,
    lives,
)
from leadconnector_async.outbox.postgres.announcements import stopped
from leadconnector_async.outbox.postgres.connection import READING, JobRunner, check_server, connect
from leadconnector_async.outbox.postgres.counters import known_lookups, storable
from leadconnector_async.outbox.postgres.place import PostgresPlace, read_place
from leadconnector_async.outbox.postgres.schema import check_schema
from leadconnector_async.outbox.postgres.summary import summary
from leadconnector_async.outbox.postgres.upkeep import INVARIANTS
from leadconnector_async.outbox.reader import (
    FailedRecord,
    HistoryRecord,
    OutboxSummary,
    QueuedRecord,
    SentRecord,
    Workload,
)
from leadconnector_async.outbox.workload import workload
from leadconnector_async.quota.limits import QuotaSnapshot

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from leadconnector_async.outbox.base import StoppedLocation
    from leadconnector_async.outbox.postgres.connection import Connection
    from leadconnector_async.outbox.reader import KindOf, RecordLife

T = TypeVar("T")

_PAGE: Final = 256

_RECORDS_PAGE: Final = 1_000

_FAILED_PAGE: Final = 16
"""A failed record comes with the text of its source, which can be as long as a mail."""

_QUOTAS: Final = """SELECT name, day_used, day_ends, window_used, window_ends, day_limit
    FROM tenure JOIN location ON id = location WHERE day_used IS NOT NULL"""

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

_FORMS: Final = """SELECT DISTINCT form FROM outcome JOIN record r USING (seq)
    LEFT JOIN source ON source.id = r.source WHERE state > 2 AND state IN (3, 4)"""

_LANES: Final = """SELECT name, count(DISTINCT lane) FROM queue
    JOIN location ON location.id = location GROUP BY location.id, name"""

_CONTACTS: Final = """SELECT count(*) FILTER (WHERE name >= 'contact:' AND name < 'contact;'),
    count(*) FILTER (WHERE name >= 'made:' AND name < 'made;') FROM lookup"""

_SOURCES: Final = "SELECT name FROM source ORDER BY id"

_LOCATION: Final = "SELECT id FROM location WHERE md5(name) = md5($1)"

_SENT: Final = """SELECT o.lane, o.seq, r.key, r.date, r.payload, o.message_id, o.conversation_id
    FROM outcome o JOIN record r ON r.seq = o.seq
    WHERE o.location = $1 AND (o.lane, o.seq) > ($2, $3) AND o.state = 2
    ORDER BY o.lane, o.seq LIMIT $4"""

_QUEUED: Final = """SELECT q.location, q.lane, q.date, q.seq, location.name, payload, late
    FROM queue q JOIN record ON record.seq = q.seq JOIN location ON location.id = q.location
    WHERE (q.location, q.lane, q.date, q.seq) > ($1, $2, $3, $4) AND (late IS NOT NULL OR $5)
    ORDER BY q.location, q.lane, q.date, q.seq LIMIT $6"""

_RECORDS: Final = """SELECT r.seq, location.name, r.date, payload, coalesce(o.state, 0),
        o.state = 2 AND o.reason IS NOT NULL, form, CASE WHEN payload IS NULL THEN raw END
    FROM (SELECT * FROM record WHERE seq > $1 ORDER BY seq LIMIT $2) AS r
        JOIN location ON location.id = r.location
        LEFT JOIN outcome o ON (o.location, o.lane, o.seq) = (r.location, r.lane, r.seq)
        LEFT JOIN source ON source.id = r.source AND payload IS NULL
    ORDER BY r.seq"""

_LOWEST: Final = -(1 << 63)

_MOMENT: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

_LIFE: Final = LifeQueries(
    by_key="""SELECT seq FROM record
        WHERE location IN (SELECT id FROM location) AND key = $1 ORDER BY seq""",
    by_line="""SELECT DISTINCT seq FROM (SELECT source, line, seq FROM record
                UNION ALL SELECT source, line, seq FROM copy) AS place
            JOIN source ON source.id = place.source
        WHERE line = $2 AND ($1 IN ('', name) OR right(name, length($1) + 1) = '/' || $1)
        ORDER BY seq""",
    by_answer="""SELECT seq FROM outcome WHERE $1 IN (message_id, conversation_id)
        ORDER BY seq""",
    by_text="""SELECT seq FROM record
        WHERE convert_from(payload, 'UTF8') ILIKE $1 OR late ILIKE $1 ORDER BY date, seq""",
    records="""SELECT r.seq, key, location.name, r.location, r.date, payload,
            coalesce(source.name, ''), coalesce(line, 0), coalesce(o.state, 0), at,
            coalesce(o.attempts, q.attempts, 0), message_id, conversation_id, email_message_id,
            text, detail
        FROM record r JOIN location ON location.id = r.location
            LEFT JOIN outcome o ON (o.location, o.lane, o.seq) = (r.location, r.lane, r.seq)
            LEFT JOIN queue q ON q.location IN (r.location, -r.location)
                AND (q.lane, q.date, q.seq) = (r.lane, r.date, r.seq)
            LEFT JOIN reason ON reason.id = o.reason
            LEFT JOIN source ON source.id = r.source
        WHERE r.seq > $1 ORDER BY r.seq LIMIT $2""",
    positions="""SELECT name, line FROM (
            SELECT 0 AS place, source, line FROM record WHERE seq = $1
            UNION ALL SELECT 1, source, line FROM copy WHERE seq = $1) AS found
        JOIN source ON source.id = source ORDER BY place, name, line""",
    trail="SELECT at, what, trace FROM trail WHERE seq = $1 ORDER BY id",
    owner="""SELECT worker FROM owner WHERE location = $1 AND at <= $2
        ORDER BY at DESC LIMIT 1""",
)


class PostgresOutboxReader:
    """`OutboxReader` over a connection, which is closed with it if it is ``owned``."""

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
        connection = await connect(where, READING)
        try:
            await check_server(where, connection, to_read=True)
            await check_schema(where, connection)
        except BaseException:
            connection.terminate()
            raise
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
        return await self._read(lambda connection: connection.fetch(query, *values))

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

    async def quotas(self) -> dict[str, QuotaSnapshot]:
        """See `OutboxReader.quotas`."""
        return {name: QuotaSnapshot(*of) for name, *of in await self._rows(_QUOTAS)}

    async def stopped(self) -> dict[str, StoppedLocation]:
        """See `OutboxReader.stopped`."""
        return await self._read(stopped)

    async def workload(self) -> dict[str, Workload]:
        """See `OutboxReader.workload`."""
        return await workload(self)

    async def lanes(self) -> dict[str, int]:
        """See `OutboxReader.lanes`."""
        return {name: n for name, n in await self._rows(_LANES)}  # noqa: C416 - rows are no pairs

    async def lookups(self, location: str, names: Sequence[str]) -> dict[str, str]:
        """See `OutboxReader.lookups`."""
        found = await self._rows(_LOCATION, storable(location))
        if not found:
            return {}
        return await self._read(lambda connection: known_lookups(connection, found[0][0], names))

    async def contacts(self) -> tuple[int, int]:
        """See `OutboxReader.contacts`."""
        known, made = (await self._rows(_CONTACTS))[0]
        return known, made

    async def sources(self) -> list[str]:
        """See `OutboxReader.sources`."""
        return [name for (name,) in await self._rows(_SOURCES)]

    async def failed_forms(self) -> set[bytes | None]:
        """See `OutboxReader.failed_forms`."""
        return {form for (form,) in await self._rows(_FORMS)}

    async def failed(self) -> AsyncIterator[list[FailedRecord]]:
        """See `OutboxReader.failed`."""
        seqs = [seq for (seq,) in await self._rows(_FAILED)]
        for at in range(0, len(seqs), _FAILED_PAGE):
            rows = await self._rows(_FAILED_PAGES, seqs[at : at + _FAILED_PAGE])
            yield [
                FailedRecord(key, location, State(state), *rest)
                for key, location, state, *rest in rows
            ]

    async def sent(self, location: str) -> AsyncIterator[list[SentRecord]]:
        """See `OutboxReader.sent`."""
        found = await self._rows(_LOCATION, storable(location))
        after = _LOWEST, _LOWEST
        while found and (page := await self._rows(_SENT, found[0][0], *after, _PAGE)):
            yield [SentRecord(*tuple(row)[2:]) for row in page]
            after = page[-1][0], page[-1][1]

    async def queued(self, *, deferred_only: bool = False) -> AsyncIterator[list[QueuedRecord]]:
        """See `OutboxReader.queued`."""
        after = (0, _LOWEST, _LOWEST, _LOWEST)
        while page := await self._rows(_QUEUED, *after, not deferred_only, _PAGE):
            yield [QueuedRecord(*tuple(row)[4:]) for row in page]
            location, lane, date, seq, *_ = page[-1]
            after = location, lane, date, seq

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

    async def broken(self) -> dict[str, int]:
        """See `OutboxReader.broken`."""
        async with self.at_one_moment():
            found = {what: await self._rows(query) for what, query in INVARIANTS.items()}
        counts = {what: sum(count for (count,) in rows) for what, rows in found.items()}
        return {what: count for what, count in counts.items() if count}

    async def overtaken(self) -> int:
        """See `OutboxReader.overtaken`."""
        ((count,),) = await self._rows(OVERTAKEN)
        return int(count)

    async def find(self, text: str) -> list[int]:
        """See `OutboxReader.find`."""
        return await find_records(self._rows, _LIFE, storable(text))

    def lives(self, seqs: Sequence[int]) -> AsyncIterator[RecordLife]:
        """See `OutboxReader.lives`."""
        return lives(self._rows, _LIFE, seqs)

    def ends(self) -> AsyncIterator[list[RecordLife]]:
        """See `OutboxReader.ends`."""
        return ends(self._rows, _LIFE)

    async def close(self) -> None:
        """See `OutboxReader.close`."""
        if self._owned:
            await self._runner.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<PostgresOutboxReader {self._runner.place.shown}>"


def _history_record(row: Sequence[Any], kind_of_refused: KindOf) -> HistoryRecord:
    _, location, date, payload, state, found, form, raw = row
    kind = kind_of_refused(form, raw) if payload is None else kind_of(payload, date)
    return HistoryRecord(location, *kind, state, bool(found))
