"""Taking failed records' outcomes back: to be tried again, or given up for good."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from leadconnector_async.api.enrichment import conversation_lookup, place_lookups
from leadconnector_async.outbox.base import State
from leadconnector_async.outbox.durable import Requeued
from leadconnector_async.outbox.postgres.counters import (
    columns,
    forget_lookups,
    known_lookups,
    storable,
)
from leadconnector_async.outbox.postgres.leases import shard_of
from leadconnector_async.outbox.postgres.stored_files import unuse
from leadconnector_async.outbox.reasons import gist
from leadconnector_async.records.deferred import read_deferred

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from leadconnector_async.outbox.postgres.connection import Connection
    from leadconnector_async.outbox.postgres.counters import Counters
    from leadconnector_async.outbox.postgres.leases import Leases

MAX_UNKNOWN: Final = 20_000
"""Unresolved records to take back at once: a location gets all of its own in one list."""

_REJECTED, _UNRESOLVED, _DISMISSED = map(int, (State.REJECTED, State.UNRESOLVED, State.DISMISSED))

_FAILED: Final = """SELECT seq, name FROM outcome JOIN location ON id = location
    WHERE state > 2 AND state = $1 ORDER BY seq"""

_CHOSEN: Final = """SELECT r.location, r.lane, r.date, r.seq, o.state, r.payload IS NULL, l.name
    FROM unnest($1::bigint[]) AS chosen (seq) JOIN record r USING (seq)
        JOIN outcome o ON (o.location, o.lane, o.seq) = (r.location, r.lane, r.seq)
        JOIN location l ON l.id = r.location
    WHERE o.state IN (3, 4) ORDER BY r.seq FOR UPDATE OF o"""

_LATE: Final = """SELECT location, lane, payload, late
    FROM unnest($1::bigint[]) AS chosen (seq) JOIN record USING (seq) WHERE late IS NOT NULL"""

_IN_DOUBT: Final = """SELECT EXISTS (
        SELECT FROM outcome WHERE location = $1 AND lane = $2 AND state = 4)
    OR EXISTS (SELECT FROM tenure CROSS JOIN unnest(held) AS h (seq) JOIN record USING (seq)
        WHERE tenure.location = $1 AND record.lane = $2)"""

_TAKE_BACK: Final = """DELETE FROM outcome o
    USING unnest($1::int[], $2::bigint[], $3::bigint[]) AS t (location, lane, seq)
    WHERE (o.location, o.lane, o.seq) = (t.location, t.lane, t.seq)"""

_ENQUEUE: Final = """INSERT INTO queue (location, lane, date, seq, attempts)
    SELECT *, 0 FROM unnest($1::int[], $2::bigint[], $3::bigint[], $4::bigint[])"""

_HOLD: Final = """INSERT INTO tenure AS t (location, held, pending, rejected, unresolved)
    SELECT location, coalesce(array_agg(seq) FILTER (WHERE state = 4), '{}'), count(*),
        -count(*) FILTER (WHERE state = 3), -count(*) FILTER (WHERE state = 4)
    FROM unnest($1::int[], $2::bigint[], $3::smallint[]) AS b (location, seq, state)
    GROUP BY location ORDER BY location
    ON CONFLICT (location) DO UPDATE SET held = t.held || excluded.held,
        pending = t.pending + excluded.pending, rejected = t.rejected + excluded.rejected,
        unresolved = t.unresolved + excluded.unresolved"""


class Requeuer:
    """Puts records back, over the connection that owns their locations' shards."""

    def __init__(self, leases: Leases) -> None:
        self._runner = leases.runner
        self._connection: Connection = leases.runner.connection
        self._leases = leases

    async def requeue_all(self, at_once: int) -> Requeued:
        """See `DurableOutbox.requeue`. Each shard is another's again as soon as possible."""
        run, leases = self._runner.run, self._leases
        failed, left = await run(lambda _: self._failed())
        total = Requeued(left=left)
        for name, seqs in failed.items():
            is_owned = shard_of(name) in leases.shards
            await run(lambda _: leases.borrow(name))  # noqa: B023 - awaited here
            for at in range(0, len(seqs), at_once):
                lot = seqs[at : at + at_once]
                done = await run(lambda _: self._requeue(lot))  # noqa: B023 - the same
                total = Requeued(*map(sum, zip(total, done, strict=True)))
            if not is_owned:
                await run(lambda _: leases.give_back(name))  # noqa: B023 - the same
        return total

    async def _failed(self) -> tuple[dict[str, list[int]], int]:
        """Return the numbers of the records to try again, and how many have to wait.

        They are told by a location of their shard. All locations are to be tried again.
        """
        await self._connection.execute("DELETE FROM stopped")
        rejected, unresolved = [
            await self._connection.fetch(_FAILED, state) for state in (_REJECTED, _UNRESOLVED)
        ]
        by_shard: dict[int, tuple[str, list[int]]] = {}
        for seq, name in rejected + unresolved[:MAX_UNKNOWN]:
            by_shard.setdefault(shard_of(name), (name, []))[1].append(seq)
        return dict(by_shard.values()), max(len(unresolved) - MAX_UNKNOWN, 0)

    async def _requeue(self, seqs: Sequence[int]) -> Requeued:
        """Take the ends of these records back."""
        rows = [tuple(row) for row in await self._connection.fetch(_CHOSEN, seqs)]
        rejected = [row for row in rows if row[4] == _REJECTED and not row[5]]
        unresolved = [row for row in rows if row[4] == _UNRESOLVED]
        await self._forget([row[3] for row in rejected])
        places = rejected + unresolved
        if places:
            execute = self._connection.execute
            await execute(_TAKE_BACK, *columns([(row[0], row[1], row[3]) for row in places]))
            await execute(_ENQUEUE, *columns([row[:4] for row in places]))
            await execute(_HOLD, *columns([(row[0], row[3], row[4]) for row in places]))
        held = [(row[0], row[1], row[3]) for row in unresolved]
        self._runner.committed.append(lambda: self._leases.hold(held))
        return Requeued(len(rejected), len(unresolved), len(rows) - len(places))

    async def _forget(self, seqs: Sequence[int]) -> None:
        """Let the contacts of rejected records be looked up again: they may have been deleted.

        Not where a record of the same lane may be stored: it is looked for with what was known.
        """
        by_location: dict[int, set[str]] = {}
        rows = await self._connection.fetch(_LATE, seqs)
        lanes = {(location, lane) for location, lane, *_ in rows}
        in_doubt = {lane for lane in lanes if await self._connection.fetchval(_IN_DOUBT, *lane)}
        for location, lane, payload, deferred in rows:
            if (location, lane) not in in_doubt:
                names = by_location.setdefault(location, set())
                names |= place_lookups(payload, read_deferred(deferred))
        for location, names in by_location.items():
            contacts = (await known_lookups(self._connection, location, list(names))).values()
            names |= {conversation_lookup(contact) for contact in contacts}
            await forget_lookups(self._connection, location, names)


_REASONS: Final = """SELECT DISTINCT o.reason, text FROM outcome o
    LEFT JOIN reason ON reason.id = o.reason WHERE state > 2 AND state IN (3, 4)"""

_OF_REASON: Final = """SELECT seq FROM outcome
    WHERE state > 2 AND state IN (3, 4) AND reason IS NOT DISTINCT FROM $1"""

_OF_KEY: Final = """SELECT seq FROM location l JOIN record r ON r.location = l.id AND r.key = $2
    WHERE $1 IN ('', l.name)"""

_DISMISS: Final = """UPDATE outcome o SET state = $2 FROM (
        SELECT r.location, r.lane, r.seq, f.state
        FROM unnest($1::bigint[]) AS chosen (seq) JOIN record r USING (seq)
            JOIN outcome f ON (f.location, f.lane, f.seq) = (r.location, r.lane, r.seq)
        WHERE f.state IN (3, 4) FOR UPDATE OF f) AS old
    WHERE (o.location, o.lane, o.seq) = (old.location, old.lane, old.seq)
    RETURNING o.seq, o.location, old.state"""


class Dismissing:
    """Gives failed records up."""

    def __init__(self, connection: Connection, counters: Counters) -> None:
        self._connection = connection
        self._counters = counters

    async def chosen(self, keys: Iterable[tuple[bytes, str]], gists: Collection[str]) -> list[int]:
        """Return the numbers of the records of these keys and locations, or of these reasons."""
        fetch = self._connection.fetch
        seqs = [seq for key, name in keys for (seq,) in await fetch(_OF_KEY, storable(name), key)]
        if gists:
            for number, text in await fetch(_REASONS):
                if gist(text or "") in gists:
                    seqs += [seq for (seq,) in await fetch(_OF_REASON, number)]
        return seqs

    async def dismiss(self, seqs: Sequence[int]) -> int:
        """Give up those of the records that failed or are unresolved. Returns how many did."""
        rows: list[Any] = await self._connection.fetch(_DISMISS, seqs, _DISMISSED)
        await unuse(self._connection, [seq for seq, *_ in rows])
        counts = Counter((location, _DISMISSED) for _, location, _ in rows)
        counts.subtract((location, state) for _, location, state in rows)
        await self._counters.add(counts)
        return len(rows)
