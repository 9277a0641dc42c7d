"""Which shards a process owns, as one of several, and until when it may send for them.

The locks of a session say who owns a shard, and the same session makes all claims and settlements.
The server ends a session that it has not heard of for as long as the lease, and with it its locks:
only then can another process have them. This process stops sending a second earlier, by a clock
that runs while the machine sleeps. It counts from before the last statement was sent: the server
cannot have begun to wait earlier. Where the other clock, which people set, disagrees, one of them
was stopped, and nothing is sent until the server is heard of again.

A member of the group is a session that holds a shared lock, so that no row of a dead one is left
behind, and their number tells everybody's fair share. A shard that stays free for two looks is
beyond the shares of all, and whoever sees it takes it; for four, also one that has given it away.
A session that waits for a shard's lock, as a retry does, has it after its owner's next look.
"""

from __future__ import annotations

import time
from collections import Counter
from random import Random
from typing import TYPE_CHECKING, Final

from leadconnector_async.errors import OutboxUnusableError
from leadconnector_async.outbox.postgres import stops
from leadconnector_async.outbox.postgres.leases import SHARDS, shard_of
from leadconnector_async.outbox.postgres.schema import LOCK_MEMBER, LOCK_SHARD
from leadconnector_async.outbox.shared import Share

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from leadconnector_async.outbox.postgres.connection import Connection, JobRunner
    from leadconnector_async.outbox.postgres.leases import Leases

MARGIN_S: Final = 1.0
"""Seconds before the lease's end in which nothing is sent any more."""

MIN_LEASE_S: Final = 3.0

LOOKS: Final = 2
"""Looks at which a shard is seen free, and which it takes to be nobody's share."""

GIVEN_AWAY_S: Final = 60.0
"""Seconds for which a shard that was given away is left to others."""

_SETTINGS: Final = """SELECT set_config(name, $1, false) FROM unnest(ARRAY[
    'idle_session_timeout', 'idle_in_transaction_session_timeout', 'statement_timeout',
    'tcp_user_timeout']) AS of (name)"""

_JOIN: Final = "SELECT pg_advisory_lock_shared($1)"

_LOCKS: Final = """SELECT objid::bigint, granted FROM pg_locks
    WHERE locktype = 'advisory' AND classid = ($1::bigint >> 32 & 4294967295)::oid AND objsubid = 1
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""

_TAKE: Final = """SELECT shard FROM unnest($1::int[], $2::bigint[]) AS of (shard, key)
    WHERE pg_try_advisory_lock(key) LIMIT $3"""

_UNLOCK: Final = "SELECT pg_advisory_unlock(key) FROM unnest($1::bigint[]) AS of (key)"

_BUSY: Final = """SELECT name FROM location
    WHERE EXISTS (SELECT FROM queue WHERE queue.location = location.id)
        OR EXISTS (SELECT FROM tenure WHERE tenure.location = location.id AND held <> '{}')
    ORDER BY id"""


_NUMBER: Final = (1 << 24) - 1


def boot_clock() -> float:
    """Seconds on a clock that runs while the machine sleeps, where the system has one."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


class Tenure:
    """One process's part in a group, over the connection that holds its leases."""

    def __init__(
        self,
        runner: JobRunner,
        leases: Leases,
        lease_s: float,
        clocks: tuple[Callable[[], float], ...] = (boot_clock, time.time),
    ) -> None:
        if lease_s < MIN_LEASE_S:
            raise OutboxUnusableError(f"a lease has {MIN_LEASE_S:.0f} s at least: give more")
        self._runner = runner
        self._leases = leases
        self._lease_s = lease_s
        self._clocks = clocks
        self._until: tuple[float, ...] = (0.0,) * len(clocks)
        self._surplus: set[int] = set()
        self._free: Counter[int] = Counter()
        """At how many looks in a row shards were free."""
        self._leaving: set[int] = set()
        self._given_away: dict[int, float] = {}
        """Until when, by the first clock."""
        self._random = Random()  # noqa: S311 - an order, no secret

    async def join(self) -> None:
        """Become a member."""
        before = self._now()
        await self._runner.run(self._join)
        self._heard(before)

    async def _join(self, connection: Connection) -> None:
        await connection.execute(_SETTINGS, str(round(self._lease_s * 1000)))
        await connection.execute(_JOIN, self._runner.place.lock_key(LOCK_MEMBER))

    def _now(self) -> tuple[float, ...]:
        return tuple(clock() for clock in self._clocks)

    def _heard(self, before: tuple[float, ...]) -> None:
        ahead = self._lease_s - MARGIN_S
        self._until = tuple(now + ahead for now in before)

    def may_send(self) -> bool:
        """Whether the leases surely are still this process's. It does not wait for anything."""
        return all(now < until for now, until in zip(self._now(), self._until, strict=True))

    async def share(self) -> Share:
        """See `SharedOutbox.share`."""
        before = self._now()
        found = await self._runner.run(self._share)
        self._heard(before)
        return found

    async def _share(self, connection: Connection) -> Share:
        leases, owned = self._leases, self._leases.shards
        locks = await connection.fetch(_LOCKS, self._runner.place.lock_key(0))
        members = max(sum(key == LOCK_MEMBER << 24 for key, _ in locks), 1)
        fair = -(-SHARDS // members)
        held, wanted = (
            {key & _NUMBER for key, granted in locks if granted is of and key >> 24 == LOCK_SHARD}
            for of in (True, False)
        )
        await self._take(connection, fair, held)
        surplus = self._random.sample(sorted(owned), max(len(owned) - fair, 0))
        self._surplus = {*surplus, *(owned & wanted)}
        if members > 1:
            self._surplus |= owned & self._leaving
        self._leaving.clear()
        names = [name for (name,) in await connection.fetch(_BUSY)]
        kept = owned - self._surplus
        return Share(
            locations=[name for name in names if shard_of(name) in kept],
            surplus=[name for name in leases.names if shard_of(name) in self._surplus],
            members=members,
            stopped=await stops.stopped(connection),
        )

    async def _take(self, connection: Connection, fair: int, held: Collection[int]) -> None:
        """Take free shards: of a fair share, and those that nobody else takes."""
        owned, now = self._leases.shards, self._clocks[0]()
        self._free = Counter({n: self._free[n] + 1 for n in range(SHARDS) if n not in held})
        left_to_others = {n for n, until in self._given_away.items() if now < until}
        nobodys = {
            n for n, looks in self._free.items() if looks >= LOOKS * (1 + (n in left_to_others))
        }
        room = max(fair - len(owned), 0)
        free = [n for n in self._free if n not in left_to_others and n not in nobodys]
        self._random.shuffle(free)
        for shards, most in ((sorted(nobodys), len(nobodys)), (free, room)):
            if shards and most:
                keys = [self._runner.place.lock_key(LOCK_SHARD, n) for n in shards]
                rows = await connection.fetch(_TAKE, shards, keys, most)
                owned.update(n for (n,) in rows)

    def give_away(self, location: str) -> None:
        """See `SharedOutbox.give_away`."""
        shard = shard_of(location)
        self._leaving.add(shard)
        self._given_away[shard] = self._clocks[0]() + GIVEN_AWAY_S

    async def hand_over(self) -> None:
        """See `SharedOutbox.hand_over`."""
        surplus, self._surplus = self._surplus, set()
        if surplus:
            self._leases.drop(surplus)
            await self._runner.run(lambda connection: self._unlock(connection, surplus))

    async def _unlock(self, connection: Connection, shards: Iterable[int]) -> None:
        place = self._runner.place
        keys = [place.lock_key(LOCK_SHARD, shard) for shard in shards]
        await connection.execute(_UNLOCK, keys)
