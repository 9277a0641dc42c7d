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

A process that may not send for all locations is a guest while others have something to send: it has
no share, and takes only shards that are free and hold its own locations.
"""

import time
from collections import Counter
from collections.abc import Collection, Iterable
from random import Random
from typing import Final

from leadconnector_async.errors import OutboxUnusableError
from leadconnector_async.outbox.database import statements
from leadconnector_async.outbox.durable import Share
from leadconnector_async.outbox.postgres.announcements import stopped
from leadconnector_async.outbox.postgres.connection import Connection
from leadconnector_async.outbox.postgres.leases import SHARDS, Leases, shard_of
from leadconnector_async.outbox.postgres.schema import LOCK_GUEST, LOCK_MEMBER, LOCK_SHARD

MARGIN_S: Final = 1.0
"""Seconds before the lease's end in which nothing is sent any more."""

MIN_LEASE_S: Final = 3.0

LOOKS: Final = 2
"""Looks at which a shard is seen free, and which it takes to be nobody's share."""

GUEST_S: Final = 10.0
"""Seconds for which a guest keeps a shard that has locations of others too."""

GIVEN_AWAY_S: Final = 60.0
"""Seconds for which a shard that was given away is left to others."""

_SQL: Final = statements(__package__, "tenure")


_NUMBER: Final = (1 << 24) - 1


def _boot_clock() -> float:
    """Seconds on a clock that runs while the machine sleeps, where the system has one."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


def _now() -> tuple[float, float]:
    return _boot_clock(), time.time()


class Tenure:
    """One process's part in a group, over the connection that holds its leases."""

    def __init__(self, leases: Leases, lease_s: float) -> None:
        if lease_s < MIN_LEASE_S:
            raise OutboxUnusableError(f"a lease has {MIN_LEASE_S:.0f} s at least: give more")
        self._runner = leases.runner
        self._leases = leases
        self._lease_s = lease_s
        self._until = 0.0, 0.0
        self._surplus: set[int] = set()
        self._free: Counter[int] = Counter()
        """At how many looks in a row shards were free."""
        self._leaving: set[int] = set()
        self._given_away: dict[int, float] = {}
        """Until when, by the clock that runs while the machine sleeps, as that of ``_since``."""
        self._since: dict[int, float] = {}
        self._is_guest = False
        self._own: Collection[str] | None = None
        self._random = Random()  # noqa: S311 - an order, no secret

    async def join(self) -> None:
        """Become a member."""
        before = _now()
        await self._runner.run(self._join)
        self._heard(before)

    async def _join(self, connection: Connection) -> None:
        await connection.execute(_SQL["settings"], str(round(self._lease_s * 1000)))
        await connection.execute(_SQL["join"], self._runner.place.lock_key(LOCK_MEMBER))

    def _heard(self, before: tuple[float, float]) -> None:
        ahead = self._lease_s - MARGIN_S
        self._until = before[0] + ahead, before[1] + ahead

    def may_send(self) -> bool:
        """Whether the leases surely are still this process's. It does not wait for anything."""
        return all(now < until for now, until in zip(_now(), self._until, strict=True))

    def owns(self, location: str) -> bool:
        """See `PostgresOutbox.owns`."""
        return shard_of(location) in self._leases.shards - self._surplus and (
            self._own is None or location in self._own
        )

    async def share(self, own: Collection[str] | None) -> Share:
        """See `PostgresOutbox.share`."""
        self._own, before = own, _now()
        found = await self._runner.run(lambda connection: self._share(connection, own))
        self._heard(before)
        return found

    async def _share(self, connection: Connection, own: Collection[str] | None) -> Share:
        owned = self._leases.shards
        busy = [name for (name,) in await connection.fetch(_SQL["busy"])]
        mine = busy if own is None else [name for name in busy if name in own]
        await self._become(connection, guest=len(mine) < len(busy))
        locks = await connection.fetch(_SQL["locks"], self._runner.place.lock_key(0))
        held, wanted = (
            {key & _NUMBER for key, granted in locks if granted is of and key >> 24 == LOCK_SHARD}
            for of in (True, False)
        )
        kinds = Counter(key >> 24 for key, granted in locks if granted)
        members, others = kinds[LOCK_MEMBER], kinds[LOCK_MEMBER] + kinds[LOCK_GUEST] - 1
        if self._is_guest:
            await self._take(connection, {shard_of(name) for name in mine} - held, room=0)
            surplus = self._given_up(mine, {*busy}.difference(mine), others)
        else:
            fair = -(-SHARDS // members)
            await self._take(connection, {*range(SHARDS)} - held, fair - len(owned))
            surplus = {*self._random.sample(sorted(owned), max(len(owned) - fair, 0))}
        self._surplus = surplus | owned & wanted | (owned & self._leaving if others else set())
        self._leaving.clear()
        kept = owned - self._surplus
        return Share(
            locations=[name for name in mine if shard_of(name) in kept],
            surplus=[name for name in self._leases.names if shard_of(name) in self._surplus],
            members=others + 1,
            stopped=await stopped(connection),
        )

    async def _become(self, connection: Connection, *, guest: bool) -> None:
        """Be a member or a guest: locked before it is unlocked, so that others see it always."""
        if guest is not self._is_guest:
            keys = [self._runner.place.lock_key(kind) for kind in (LOCK_MEMBER, LOCK_GUEST)]
            await connection.execute(_SQL["join"], keys[guest])
            await connection.execute("SELECT pg_advisory_unlock_shared($1)", keys[not guest])
            self._is_guest = guest

    async def _take(self, connection: Connection, free: Collection[int], room: int) -> None:
        """Take free shards: as many as there is room for, and all that nobody else takes."""
        now = _boot_clock()
        self._free = Counter({shard: self._free[shard] + 1 for shard in free})
        spared = {n for n, until in self._given_away.items() if now < until}
        nobodys = {n for n, looks in self._free.items() if looks >= LOOKS * (1 + (n in spared))}
        fair = list({*free} - spared - nobodys)
        self._random.shuffle(fair)
        for shards, most in ((sorted(nobodys), len(nobodys)), (fair, room)):
            if shards and most > 0:
                keys = [self._runner.place.lock_key(LOCK_SHARD, n) for n in shards]
                rows = await connection.fetch(_SQL["take"], shards, keys, most)
                self._leases.shards.update(n for (n,) in rows)
                self._since |= {n: now for (n,) in rows}

    def _given_up(self, mine: Iterable[str], theirs: Iterable[str], others: int) -> set[int]:
        """Return the shards that a guest has no use for, or has kept from others for long."""
        owned, now = self._leases.shards, _boot_clock()
        blocked = owned & {shard_of(name) for name in theirs} if others else set()
        long = {n for n in blocked if now - self._since[n] >= GUEST_S}
        self._given_away |= dict.fromkeys(long, now + GIVEN_AWAY_S)
        return owned - {shard_of(name) for name in mine} | long

    def give_away(self, location: str) -> None:
        """See `PostgresOutbox.give_away`."""
        shard = shard_of(location)
        self._leaving.add(shard)
        self._given_away[shard] = _boot_clock() + GIVEN_AWAY_S

    async def hand_over(self) -> None:
        """See `PostgresOutbox.hand_over`."""
        surplus, self._surplus = self._surplus, set()
        if surplus:
            self._leases.drop(surplus)
            keys = [self._runner.place.lock_key(LOCK_SHARD, shard) for shard in surplus]
            await self._runner.run(lambda connection: connection.execute(_SQL["unlock"], keys))
