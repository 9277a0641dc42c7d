"""The figures of an outbox in a database, as of one moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from leadconnector_async.outbox.base import State
from leadconnector_async.outbox.durable import Unsettled
from leadconnector_async.outbox.postgres.connection import told_name
from leadconnector_async.outbox.postgres.leases import SPAN_MS, shard_of
from leadconnector_async.outbox.postgres.schema import LOCK_MEMBER, LOCK_SHARD
from leadconnector_async.outbox.reader import (
    MAX_PLACES,
    OutboxSummary,
    Owner,
    ReasonGroup,
    RecordCounts,
    SourcePosition,
)
from leadconnector_async.outbox.reasons import grouped

if TYPE_CHECKING:
    from collections.abc import Iterable

    from leadconnector_async.outbox.postgres.connection import Connection
    from leadconnector_async.outbox.postgres.place import PostgresPlace
    from leadconnector_async.outbox.reasons import Group

_TOTALS: Final = """SELECT name, state, sum(n)::bigint FROM (
        SELECT location, state::int, n FROM tally
        UNION ALL SELECT location, p.state, p.n FROM tenure CROSS JOIN LATERAL (VALUES
            (0, pending - cardinality(held)), (1, cardinality(held)), (2, sent), (3, rejected),
            (4, unresolved)) AS p (state, n)) AS parts
        JOIN location ON id = location
    GROUP BY id, name, state HAVING sum(n) <> 0 ORDER BY id, state"""

_MOMENTS: Final = "SELECT min(first_at), max(last_at) FROM tenure"

_REASONS: Final = """SELECT state, o.reason, text, count(*) AS n, min(seq)
    FROM outcome o LEFT JOIN reason ON reason.id = o.reason
    WHERE state > 2 GROUP BY state, o.reason, text ORDER BY n DESC, min(seq)"""

_PLACES: Final = """SELECT seq, coalesce(name, ''), coalesce(line, 0)
    FROM outcome o JOIN record r USING (seq) LEFT JOIN source ON source.id = r.source
    WHERE state > 2 AND state = $1 AND (reason = $2 OR $2::int IS NULL AND reason IS NULL)
    ORDER BY seq LIMIT $3"""

_KEPT: Final = "SELECT count(*), (SELECT coalesce(sum(n), 0)::bigint FROM copy) FROM record"

_COPIES: Final = """SELECT name, line FROM copy JOIN source ON source.id = copy.source
    ORDER BY source, line LIMIT $1"""

_PACE: Final = """SELECT count(DISTINCT span),
    coalesce(sum(sent) FILTER (WHERE span >= $1), 0)::bigint FROM pace"""

_OWNERS: Final = """SELECT application_name, number, coalesce((
        SELECT sum(sent) FROM pace WHERE part = pid AND span >= $2), 0)::bigint
    FROM (SELECT pid, array_agg(objid::bigint) AS number FROM pg_locks
        WHERE locktype = 'advisory' AND granted AND classid::bigint = $1 & 4294967295
            AND objid::bigint >> 24 = ANY ($3::int[])
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        GROUP BY pid) AS of JOIN pg_stat_activity USING (pid) ORDER BY backend_start, pid"""

_OF_THEM: Final = """CASE WHEN $1::bytea IS NULL THEN true
    WHEN seq >= $2::bigint AND seq < $2 + 8 * length($1) THEN get_bit($1, seq - $2) = 1
    ELSE false END"""

_UNSETTLED: Final = f"""SELECT name, sum(unsettled)::bigint, sum(rejected)::bigint,
        sum(unresolved)::bigint FROM (
    SELECT location, count(*) AS unsettled, 0 AS rejected, 0 AS unresolved
        FROM queue WHERE {_OF_THEM} GROUP BY location
    UNION ALL SELECT location, count(*), 0, 0
        FROM unpublished JOIN record ON seq >= first AND seq < "end"
        WHERE payload IS NOT NULL AND {_OF_THEM} GROUP BY location
    UNION ALL SELECT location, 0, count(*) FILTER (WHERE state = 3),
            count(*) FILTER (WHERE state = 4)
        FROM outcome WHERE state > 2 AND state IN (3, 4) AND {_OF_THEM} GROUP BY location) AS parts
    JOIN location ON id = location GROUP BY id, name ORDER BY id"""  # noqa: S608 - our own words


async def unsettled(connection: Connection, met: bytes | None) -> dict[str, Unsettled]:
    """See `PostgresOutbox.unsettled`. It reads the whole queue's index, and no records."""
    begins = 0
    if met is not None:  # the numbers of earlier imports are many, and not wanted
        begins, met = len(met) - len(met.lstrip(b"\0")), met.strip(b"\0")
    rows = await connection.fetch(_UNSETTLED, met, 8 * begins)
    return {name: Unsettled(*counts) for name, *counts in rows}


_LATER: Final = """SELECT name, count(*) FROM queue JOIN location ON id = -location
    WHERE location < 0 GROUP BY id, name"""


async def summary(
    connection: Connection, place: PostgresPlace, now_ms: int, lately_ms: int
) -> OutboxSummary:
    """Count everything, within the caller's transaction."""
    since = (now_ms - lately_ms) // SPAN_MS
    first_at, last_at = await _row(connection, _MOMENTS)
    spans, sent_lately = await _row(connection, _PACE, since)
    records, copies = await _row(connection, _KEPT)
    reasons = grouped(map(tuple, await connection.fetch(_REASONS)), MAX_PLACES)
    counts = await _counts(connection)
    values = place.lock_key(0) >> 32, since, [LOCK_SHARD, LOCK_MEMBER]
    return OutboxSummary(
        counts,
        [
            ReasonGroup(State(of.state), of.reason, of.count, await _first(connection, of))
            for of in reasons
        ],
        first_at,
        last_at,
        sent_lately,
        (now_ms - since * SPAN_MS) / 1000,
        records,
        copies,
        [SourcePosition(*place) for place in await connection.fetch(_COPIES, MAX_PLACES)],
        spans * SPAN_MS,
        {name: n for name, n in await connection.fetch(_LATER)},  # noqa: C416 - rows are no pairs
        _owners(await connection.fetch(_OWNERS, *values), counts),
    )


def _owners(
    rows: Iterable[tuple[str, list[int], int]], locations: Iterable[str]
) -> tuple[Owner, ...]:
    by_lock: dict[int, list[str]] = {}
    for name in locations:
        by_lock.setdefault(LOCK_SHARD << 24 | shard_of(name), []).append(name)
    return tuple(
        Owner(
            *told_name(application),
            joined=any(lock >> 24 == LOCK_MEMBER for lock in locks),
            locations=frozenset(name for lock in locks for name in by_lock.get(lock, ())),
            sent_lately=sent,
        )
        for application, locks, sent in rows
    )


async def _row(connection: Connection, query: str, *values: int) -> Any:  # noqa: ANN401 - a row
    return await connection.fetchrow(query, *values)


async def _counts(connection: Connection) -> dict[str, RecordCounts]:
    found: dict[str, list[int]] = {}
    for name, state, n in await connection.fetch(_TOTALS):
        found.setdefault(name, [0] * len(State))[state] = n
    return {name: RecordCounts(*counts) for name, counts in found.items()}


async def _first(connection: Connection, group: Group) -> list[SourcePosition]:
    """Where the first records of a group stand: they are among the first of each reason."""
    found = [
        tuple(row)
        for _, reason in group.sources
        for row in await connection.fetch(_PLACES, group.state, reason, MAX_PLACES)
    ]
    return [SourcePosition(name, line) for _, name, line in sorted(found)[:MAX_PLACES]]
