"""What stands in the queue: staged records put in, in the order of lanes; failed ones back.

Some of it is left for later, and what failed may be given up.

What a process stages stands in ranges of numbers, until that process publishes them: nobody
publishes what another one has read half of. A process that has ended publishes nothing any more,
so whoever publishes next takes its ranges in.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from leadconnector_async.outbox.base import State
from leadconnector_async.outbox.database import statements
from leadconnector_async.outbox.durable import MAX_UNKNOWN, Requeued
from leadconnector_async.outbox.lookups import Lookups
from leadconnector_async.outbox.postgres.connection import Connection
from leadconnector_async.outbox.postgres.counters import ServerDatabase, columns, count
from leadconnector_async.outbox.postgres.leases import Leases, shard_of
from leadconnector_async.outbox.postgres.stored_files import unuse
from leadconnector_async.outbox.record_store import QueuePlace
from leadconnector_async.outbox.requeueing import FailedRow, Requeuer, dismiss, in_lots
from leadconnector_async.outbox.selection import Selection, SelectionPass
from leadconnector_async.records.deferred import Trait, answers_last

_AT_A_TIME: Final = 5_000

TAKE_ALL: Final = "UPDATE queue SET location = -location WHERE location < 0"

_SQL: Final = statements(__package__, "queueing")


async def select(leases: Leases, selection: Selection) -> None:
    """See `DurableOutbox.select`."""
    await leases.lock_all()
    connection: Connection = leases.connection
    await connection.execute(TAKE_ALL)
    walk = SelectionPass(selection, {seq for (seq,) in await connection.fetch(_SQL["held"])})
    candidates = await connection.cursor(_SQL["candidates"], bool(selection.only))
    while page := await candidates.fetch(_AT_A_TIME):
        left = [(row[1], row[2], row[4], row[0]) for row in page if not walk.takes(row)]
        if left:
            await connection.execute(_SQL["leave"], *columns(left))
    walk.check()


MAX_RANGES: Final = 256
"""Ranges that are published in one transaction: a million records at most."""


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
        return bool(await self._connection.fetchval(_SQL["orphans"], *self._locks))

    async def publish(self) -> bool:
        """Put the next lot of staged records in. False if there may be more."""
        taken = await self._connection.fetch(_SQL["take"], *self._locks, self._stager, MAX_RANGES)
        if not taken:
            return True
        ranges = columns(sorted(tuple(row) for row in taken))
        named = await self._connection.fetch(_SQL["two_names"], *ranges, int(Trait.TWO_NAMES))
        await self._lookups.note_persons(named)
        mails = await self._connection.fetch(_SQL["mails"], *ranges, int(Trait.MAIL))
        moved = list(answers_last(tuple(mail) for mail in mails))
        if moved:
            await self._connection.execute(_SQL["move"], *columns(moved))
        await self._connection.execute(_SQL["publish"], *ranges)
        return len(taken) < MAX_RANGES

    async def enqueue(self, places: Sequence[QueuePlace]) -> None:
        """Put records in."""
        if places:
            await self._connection.execute(_SQL["enqueue"], *columns(places))

    async def is_published(self, seq: int) -> bool:
        """Tell whether a record has had its turn to be put in."""
        return bool(await self._connection.fetchval(_SQL["is_published"], seq))

    async def publish_known(self, seq: int) -> State:
        """Put a record in that was staged and not published, or left for later.

        Tells whether it is held.
        """
        execute = self._connection.execute
        found = await self._connection.fetchrow(_SQL["split"], seq)
        if found is None:
            await execute(_SQL["take_in"], seq)
            is_held = await self._connection.fetchval(_SQL["is_held"], seq)
            return State.CLAIMED if is_held else State.PENDING
        first, end, stager = found
        for begins, ends in ((first, seq), (seq + 1, end)):
            if begins < ends:
                await execute("INSERT INTO unpublished VALUES ($1, $2, $3)", begins, ends, stager)
        await self.enqueue([tuple(await self._connection.fetchrow(_SQL["place"], seq))])
        return State.PENDING


_UNRESOLVED: Final = int(State.UNRESOLVED)


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
    rejected = await connection.fetch(_SQL["failed"], int(State.REJECTED))
    unresolved = await connection.fetch(_SQL["failed"], _UNRESOLVED)
    by_shard: dict[int, tuple[str, list[int]]] = {}
    for seq, name in rejected + unresolved[:MAX_UNKNOWN]:
        by_shard.setdefault(shard_of(name), (name, []))[1].append(seq)
    return dict(by_shard.values()), max(len(unresolved) - MAX_UNKNOWN, 0)


@dataclass(eq=False, repr=False)
class _PostgresRequeuer(Requeuer):
    _leases: Leases

    async def _is_in_doubt(self, location: int, lane: int) -> bool:
        return bool(await self._leases.connection.fetchval(_SQL["in_doubt"], location, lane))

    async def _took_back(self, rows: Sequence[FailedRow]) -> None:
        counts = [(row[0], row[3], row[4]) for row in rows]
        await self._database.fetch_for(_SQL["hold_again"], "int bigint smallint", counts)
        held = [(row[0], row[1], row[3]) for row in rows if row[4] == _UNRESOLVED]
        self._leases.runner.committed.append(lambda: self._leases.hold(held))


async def give_up(connection: Connection, part: int, seqs: Sequence[int]) -> int:
    """Give up those of the records that failed or are unresolved. Returns how many did."""
    given_up, changes = await dismiss(ServerDatabase(connection), seqs)
    await unuse(connection, given_up)
    await count(connection, part, changes)
    return len(given_up)
