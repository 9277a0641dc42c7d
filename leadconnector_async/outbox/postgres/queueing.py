"""What stands in the queue: staged records put in, in the order of lanes; failed ones back.

Some of it is left for later, and what failed may be given up.

What a process stages stands in ranges of numbers, until that process publishes them: nobody
publishes what another one has read half of. A process that has ended publishes nothing any more,
so whoever publishes next takes its ranges in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from leadconnector_async.outbox.base import State
from leadconnector_async.outbox.durable import MAX_UNKNOWN, Requeued
from leadconnector_async.outbox.postgres.counters import ServerDatabase, columns, count
from leadconnector_async.outbox.postgres.leases import Leases, shard_of
from leadconnector_async.outbox.postgres.stored_files import unuse
from leadconnector_async.outbox.requeueing import Requeuer, dismiss, in_lots
from leadconnector_async.outbox.selection import Selection, SelectionPass
from leadconnector_async.records.deferred import Trait, answers_last

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leadconnector_async.outbox.lookups import Lookups
    from leadconnector_async.outbox.postgres.connection import Connection
    from leadconnector_async.outbox.record_store import QueuePlace
    from leadconnector_async.outbox.requeueing import FailedRow

_AT_A_TIME: Final = 5_000

TAKE_ALL: Final = "UPDATE queue SET location = -location WHERE location < 0"

_TAKE_IN: Final = """UPDATE queue q SET location = -q.location FROM record r
    WHERE r.seq = $1 AND (q.location, q.lane, q.date, q.seq) = (-r.location, r.lane, r.date, r.seq)
    """

_HELD: Final = "SELECT unnest(held) FROM tenure"

_CANDIDATES: Final = """SELECT seq, location, lane, coalesce(source, 0), date,
        CASE WHEN $1 THEN payload END, CASE WHEN $1 THEN late END
    FROM record WHERE payload IS NOT NULL ORDER BY date, seq"""

_LEAVE: Final = """UPDATE queue q SET location = -q.location
    FROM unnest($1::int[], $2::bigint[], $3::bigint[], $4::bigint[])
        AS p (location, lane, date, seq)
    WHERE (q.location, q.lane, q.date, q.seq) = (p.location, p.lane, p.date, p.seq)"""


async def select(leases: Leases, selection: Selection) -> None:
    """See `DurableOutbox.select`."""
    await leases.lock_all()
    connection: Connection = leases.connection
    await connection.execute(TAKE_ALL)
    held = {seq for (seq,) in await connection.fetch(_HELD)}
    walk = SelectionPass(selection, held)
    candidates = await connection.cursor(_CANDIDATES, selection.reads)
    while page := await candidates.fetch(_AT_A_TIME):
        left = [(row[1], row[2], row[4], row[0]) for row in page if not walk.takes(row)]
        if left:
            await connection.execute(_LEAVE, *columns(left))
    walk.check()


MAX_RANGES: Final = 256
"""Ranges that are published in one transaction: a million records at most."""

_IS_GONE: Final = """stager NOT IN (
        SELECT objid::bigint - $2 FROM pg_locks JOIN pg_database d ON d.oid = database
        WHERE locktype = 'advisory' AND datname = current_database()
            AND classid::bigint = $1 AND objsubid = 1)"""

_ORPHANS: Final = f"SELECT EXISTS (SELECT FROM unpublished WHERE {_IS_GONE})"  # noqa: S608 - our own words

_TAKE: Final = f"""DELETE FROM unpublished WHERE first IN (
    SELECT first FROM unpublished WHERE stager = $3 OR {_IS_GONE} ORDER BY first LIMIT $4)
    RETURNING first, "end\""""  # noqa: S608 - the same

_TWO_NAMES: Final = """SELECT location, late FROM unnest($1::bigint[], $2::bigint[]) AS u (a, z)
        JOIN record ON seq >= a AND seq < z
    WHERE payload IS NOT NULL AND traits <> 0 AND traits & $3 <> 0 ORDER BY seq"""

_MAILS: Final = """SELECT location, lane, date, seq, late
    FROM unnest($1::bigint[], $2::bigint[]) AS u (a, z) JOIN record ON seq >= a AND seq < z
    WHERE payload IS NOT NULL AND traits <> 0 AND traits & $3 <> 0
    ORDER BY location, lane, date, seq"""

_MOVE: Final = """UPDATE record SET date = moved.date
    FROM unnest($1::bigint[], $2::bigint[]) AS moved (date, seq) WHERE record.seq = moved.seq"""

_PUBLISH: Final = """INSERT INTO queue (location, lane, date, seq, attempts)
    SELECT location, lane, date, seq, 0
    FROM unnest($1::bigint[], $2::bigint[]) AS u (a, z) JOIN record ON seq >= a AND seq < z
    WHERE payload IS NOT NULL ORDER BY location, lane, date, seq"""

_ENQUEUE: Final = """INSERT INTO queue (location, lane, date, seq, attempts)
    SELECT *, 0 FROM unnest($1::int[], $2::bigint[], $3::bigint[], $4::bigint[])"""

_IS_PUBLISHED: Final = """SELECT NOT EXISTS (
    SELECT FROM unpublished WHERE first <= $1 AND "end" > $1)"""

_SPLIT: Final = """DELETE FROM unpublished WHERE first <= $1 AND "end" > $1
    RETURNING first, "end", stager"""

_PLACE: Final = "SELECT location, lane, date, seq FROM record WHERE seq = $1"

_IS_HELD: Final = """SELECT EXISTS (
    SELECT FROM record JOIN tenure USING (location) WHERE seq = $1 AND seq = ANY (held))"""


@dataclass(eq=False, repr=False)
class Publisher:
    """Publishes what a process has staged, and what processes have left that are gone."""

    _connection: Connection
    _lookups: Lookups
    _stager: int
    _key: int
    """That of the locks of those who stage."""

    def __post_init__(self) -> None:
        self._locks = self._key >> 32 & 0xFFFFFFFF, self._key & 0xFFFFFFFF

    async def has_orphans(self) -> bool:
        """Tell whether there are records of processes that are gone."""
        return bool(await self._connection.fetchval(_ORPHANS, *self._locks))

    async def publish(self) -> bool:
        """Put the next lot of staged records in. False if there may be more."""
        taken = await self._connection.fetch(_TAKE, *self._locks, self._stager, MAX_RANGES)
        if not taken:
            return True
        ranges = columns(sorted(tuple(row) for row in taken))
        named = await self._connection.fetch(_TWO_NAMES, *ranges, int(Trait.TWO_NAMES))
        await self._lookups.note_persons(named)
        mails = await self._connection.fetch(_MAILS, *ranges, int(Trait.MAIL))
        moved = list(answers_last(tuple(mail) for mail in mails))
        if moved:
            await self._connection.execute(_MOVE, *columns(moved))
        await self._connection.execute(_PUBLISH, *ranges)
        return len(taken) < MAX_RANGES

    async def enqueue(self, places: Sequence[QueuePlace]) -> None:
        """Put records in."""
        if places:
            await self._connection.execute(_ENQUEUE, *columns(places))

    async def is_published(self, seq: int) -> bool:
        """Tell whether a record has had its turn to be put in."""
        return bool(await self._connection.fetchval(_IS_PUBLISHED, seq))

    async def publish_known(self, seq: int) -> State:
        """Put a record in that was staged and not published, or left for later.

        Tells whether it is held.
        """
        execute = self._connection.execute
        found = await self._connection.fetchrow(_SPLIT, seq)
        if found is None:
            await execute(_TAKE_IN, seq)
            is_held = await self._connection.fetchval(_IS_HELD, seq)
            return State.CLAIMED if is_held else State.PENDING
        first, end, stager = found
        for begins, ends in ((first, seq), (seq + 1, end)):
            if begins < ends:
                await execute("INSERT INTO unpublished VALUES ($1, $2, $3)", begins, ends, stager)
        await self.enqueue([tuple(await self._connection.fetchrow(_PLACE, seq))])
        return State.PENDING


_UNRESOLVED: Final = int(State.UNRESOLVED)

_FAILED: Final = """SELECT seq, name FROM outcome JOIN location ON id = location
    WHERE state > 2 AND state = $1 ORDER BY seq"""

_IN_DOUBT: Final = """SELECT EXISTS (
        SELECT FROM outcome WHERE location = $1 AND lane = $2 AND state = 4)
    OR EXISTS (SELECT FROM tenure CROSS JOIN unnest(held) AS h (seq) JOIN record USING (seq)
        WHERE tenure.location = $1 AND record.lane = $2)"""

_HOLD_AGAIN: Final = """INSERT INTO tenure AS t (location, held, pending, rejected, unresolved)
    SELECT location, coalesce(array_agg(seq) FILTER (WHERE state = 4), '{}'), count(*),
        -count(*) FILTER (WHERE state = 3), -count(*) FILTER (WHERE state = 4)
    FROM ({rows}) AS b (location, seq, state)
    GROUP BY location ORDER BY location
    ON CONFLICT (location) DO UPDATE SET held = t.held || excluded.held,
        pending = t.pending + excluded.pending, rejected = t.rejected + excluded.rejected,
        unresolved = t.unresolved + excluded.unresolved"""


async def requeue(leases: Leases) -> Requeued:
    """See `DurableOutbox.requeue`. Each shard is another's again as soon as possible."""
    run, requeuer = leases.runner.run, _PostgresRequeuer(leases.database, leases.lookups, leases)
    failed, left = await run(_failed)
    total = Requeued(left=left)
    for name, seqs in failed.items():
        is_owned = shard_of(name) in leases.shards
        await run(lambda _: leases.borrow(name))  # noqa: B023 - awaited here
        done = await in_lots(seqs, lambda lot: run(lambda _: requeuer.requeue(lot)))
        total = Requeued(*map(sum, zip(total, *done, strict=True)))
        if not is_owned:
            await run(lambda _: leases.give_back(name))  # noqa: B023 - the same
    return total


async def _failed(connection: Connection) -> tuple[dict[str, list[int]], int]:
    """Return the numbers of the records to try again, and how many have to wait.

    They are told by a location of their shard. All locations are to be tried again.
    """
    await connection.execute("DELETE FROM stopped")
    rejected, unresolved = [
        await connection.fetch(_FAILED, state) for state in (int(State.REJECTED), _UNRESOLVED)
    ]
    by_shard: dict[int, tuple[str, list[int]]] = {}
    for seq, name in rejected + unresolved[:MAX_UNKNOWN]:
        by_shard.setdefault(shard_of(name), (name, []))[1].append(seq)
    return dict(by_shard.values()), max(len(unresolved) - MAX_UNKNOWN, 0)


@dataclass(eq=False, repr=False)
class _PostgresRequeuer(Requeuer):
    _leases: Leases

    async def _is_in_doubt(self, location: int, lane: int) -> bool:
        return bool(await self._leases.connection.fetchval(_IN_DOUBT, location, lane))

    async def _took_back(self, rows: Sequence[FailedRow]) -> None:
        counts = [(row[0], row[3], row[4]) for row in rows]
        await self._database.fetch_for(_HOLD_AGAIN, "int bigint smallint", counts)
        held = [(row[0], row[1], row[3]) for row in rows if row[4] == _UNRESOLVED]
        self._leases.runner.committed.append(lambda: self._leases.hold(held))


async def give_up(connection: Connection, part: int, seqs: Sequence[int]) -> int:
    """Give up those of the records that failed or are unresolved. Returns how many did."""
    given_up, changes = await dismiss(ServerDatabase(connection), seqs)
    await unuse(connection, given_up)
    await count(connection, part, changes)
    return len(given_up)
