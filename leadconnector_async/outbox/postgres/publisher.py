"""Putting staged records into the queue, in the order of their lanes; leaving some of it for later.

What a process stages stands in ranges of numbers, until that process publishes them: nobody
publishes what another one has read half of. A process that has ended publishes nothing any more,
so whoever publishes next takes its ranges in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from leadconnector_async.api.enrichment import PERSON
from leadconnector_async.outbox.base import State
from leadconnector_async.outbox.postgres.counters import add_lookups, columns
from leadconnector_async.outbox.postgres.schema import LOCK_STAGER
from leadconnector_async.outbox.selection import SelectionPass
from leadconnector_async.records.deferred import Trait, answers_last, two_names_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leadconnector_async.outbox.postgres.connection import Connection
    from leadconnector_async.outbox.postgres.place import PostgresPlace
    from leadconnector_async.outbox.selection import Selection

    QueuePlace = tuple[int, int, int, int]
    """Location, lane, date, seq: the order of the queue."""

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


async def select(connection: Connection, selection: Selection) -> None:
    """See `DurableOutbox.select`."""
    await connection.execute(TAKE_ALL)
    held = {seq for (seq,) in await connection.fetch(_HELD)}
    walk = SelectionPass(selection, held)
    candidates = await connection.cursor(_CANDIDATES, selection.reads)
    while page := await candidates.fetch(_AT_A_TIME):
        rows = [tuple(row) for row in page]
        left = [(location, lane, date, seq) for seq, location, lane, _, date, *_ in rows]
        left = [place for row, place in zip(rows, left, strict=True) if not walk.takes(row)]
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


class Publisher:
    """Publishes what ``stager`` has staged, and what processes have left that are gone."""

    def __init__(self, place: PostgresPlace, connection: Connection, stager: int) -> None:
        self._connection = connection
        self._stager = stager
        key = place.lock_key(LOCK_STAGER)
        self._locks = key >> 32 & 0xFFFFFFFF, key & 0xFFFFFFFF

    async def has_orphans(self) -> bool:
        """Tell whether there are records of processes that are gone."""
        return bool(await self._connection.fetchval(_ORPHANS, *self._locks))

    async def publish(self) -> bool:
        """Put the next lot of staged records in. False if there may be more."""
        taken = await self._connection.fetch(_TAKE, *self._locks, self._stager, MAX_RANGES)
        if not taken:
            return True
        ranges = columns(sorted(tuple(row) for row in taken))
        await self._note_persons(ranges)
        mails = await self._connection.fetch(_MAILS, *ranges, int(Trait.MAIL))
        moved = list(answers_last(tuple(mail) for mail in mails))
        if moved:
            await self._connection.execute(_MOVE, *columns(moved))
        await self._connection.execute(_PUBLISH, *ranges)
        return len(taken) < MAX_RANGES

    async def _note_persons(self, ranges: Sequence[tuple[object, ...]]) -> None:
        """Note as lookups who records name by number and address both.

        The first record of a person counts: a number that several addresses go with is rare.
        """
        rows = await self._connection.fetch(_TWO_NAMES, *ranges, int(Trait.TWO_NAMES))
        persons: dict[tuple[int, str], str] = {}
        for location, deferred in rows:
            if (found := two_names_of(deferred)) is not None:
                contact = msgspec.json.encode(found[0]).decode()
                for name in found[1]:
                    persons.setdefault((location, f"{PERSON}{name}"), contact)
        await add_lookups(self._connection, [(*who, value) for who, value in persons.items()])

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
        row = await self._connection.fetchrow(_PLACE, seq)
        assert row is not None  # noqa: S101 - it is known
        await self.enqueue([tuple(row)])
        return State.PENDING
