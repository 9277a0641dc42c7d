"""Which shards a process owns, as one of several, and until when it may send for them.

The locks of a session say who owns a shard, and the same session makes all claims and settlements.
The server ends a session that it has not heard of for as long as the lease, and with it its locks:
only then can another process have them. This process stops sending a second earlier, by a clock
that runs while the machine sleeps. It counts from before the last statement was sent: the server
cannot have begun to wait earlier. Where the other clock, which people set, disagrees, one of them
was stopped, and nothing is sent until the server is heard of again.

A member of the group is a session that holds a shared lock, so that no row of a dead one is left
behind, and their number tells everybody's fair share.
"""

from __future__ import annotations

import time
from random import Random
from typing import TYPE_CHECKING, Final

from leadconnector_async.errors import OutboxUnusableError
from leadconnector_async.outbox.postgres.leases import SHARDS, shard_of
from leadconnector_async.outbox.postgres.schema import LOCK_MEMBER, LOCK_SHARD
from leadconnector_async.outbox.shared import Share

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from leadconnector_async.outbox.postgres.connection import Connection, JobRunner
    from leadconnector_async.outbox.postgres.leases import Leases

MARGIN_S: Final = 1.0
"""Seconds before the lease's end in which nothing is sent any more."""

MIN_LEASE_S: Final = 3.0

_SETTINGS: Final = """SELECT set_config(name, $1, false) FROM unnest(ARRAY[
    'idle_session_timeout', 'idle_in_transaction_session_timeout', 'statement_timeout',
    'tcp_user_timeout']) AS of (name)"""

_JOIN: Final = "SELECT pg_advisory_lock_shared($1)"

_MEMBERS: Final = """SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted
    AND classid = ($1::bigint >> 32 & 4294967295)::oid AND objid = ($1 & 4294967295)::oid
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""

_TAKE: Final = """SELECT shard FROM unnest($1::int[], $2::bigint[]) AS of (shard, key)
    WHERE pg_try_advisory_lock(key) LIMIT $3"""

_UNLOCK: Final = "SELECT pg_advisory_unlock(key) FROM unnest($1::bigint[]) AS of (key)"

_BUSY: Final = """SELECT name FROM location
    WHERE EXISTS (SELECT FROM queue WHERE queue.location = location.id)
        OR EXISTS (SELECT FROM tenure WHERE tenure.location = location.id AND held <> '{}')
    ORDER BY id"""


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

    def owns(self, location: str) -> bool:
        """See `SharedOutbox.owns`."""
        return shard_of(location) in self._leases.shards - self._surplus

    async def share(self) -> Share:
        """See `SharedOutbox.share`."""
        before = self._now()
        found = await self._runner.run(self._share)
        self._heard(before)
        return found

    async def _share(self, connection: Connection) -> Share:
        place, leases = self._runner.place, self._leases
        members = int(await connection.fetchval(_MEMBERS, place.lock_key(LOCK_MEMBER)) or 1)
        fair = -(-SHARDS // members)
        owned = leases.shards
        if len(owned) < fair:
            free = [shard for shard in range(SHARDS) if shard not in owned]
            self._random.shuffle(free)
            keys = [place.lock_key(LOCK_SHARD, shard) for shard in free]
            rows = await connection.fetch(_TAKE, free, keys, fair - len(owned))
            owned.update(shard for (shard,) in rows)
        surplus = max(len(owned) - fair, 0)
        self._surplus = set(self._random.sample(sorted(owned), surplus))
        names = [name for (name,) in await connection.fetch(_BUSY)]
        kept = owned - self._surplus
        return Share(
            locations=[name for name in names if shard_of(name) in kept],
            surplus=[name for name in leases.names if shard_of(name) in self._surplus],
            members=members,
        )

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
