"""The leases of locations: who may send, what it claims, and what becomes of that.

A process owns the locations of a shard as long as one connection of its own holds the shard's lock.
The same connection makes all claims and settlements, so that nothing can be committed once its
locks are gone; and each of them is written only where the location's row still has the lease's
fencing token.
"""

from __future__ import annotations

import time
from collections import Counter
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

from asyncpg.exceptions import DivisionByZeroError, LockNotAvailableError

from leadconnector_async.errors import LeaseLostError, OutboxBusyError
from leadconnector_async.outbox.base import SPAN_MS, Acquired, Lease, State
from leadconnector_async.outbox.database import Numbers, add_trails, statements
from leadconnector_async.outbox.durable import check_settled
from leadconnector_async.outbox.lookups import Lookups
from leadconnector_async.outbox.postgres import stored_files
from leadconnector_async.outbox.postgres.announcements import ENDS
from leadconnector_async.outbox.postgres.claims import Claims
from leadconnector_async.outbox.postgres.counters import ServerDatabase, columns, storable
from leadconnector_async.outbox.postgres.schema import LOCK_GUEST, LOCK_MEMBER, LOCK_SHARD
from leadconnector_async.quota.limits import QuotaSnapshot

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from leadconnector_async.outbox.base import Claim, Quotas, Settlement, Wants
    from leadconnector_async.outbox.postgres.connection import Connection, JobRunner

SHARDS: Final = 64
"""Locks for all locations together, however many there are."""

BORROW_MS: Final = 15_000
"""Milliseconds that a worker has to hand over what another process asks for."""

_SQL: Final = statements(__package__, "leases")

_NO_QUOTA: Final = (None,) * 5


@lru_cache(100_000)
def shard_of(location: str) -> int:
    """The shard of a location: the same in all processes and versions."""
    return blake2b(location.encode(), digest_size=1).digest()[0] % SHARDS


def writes_once(settlements: Iterable[Settlement]) -> bool:
    """Whether these are settled in one statement: no trail, file or lookup goes with any."""
    return not any(
        fate.lookups or fate.claim.trail or stored_files.local_files(fate.claim.deferred)
        for fate in settlements
    )


class Leases:
    """The leases that one connection holds."""

    def __init__(self, runner: JobRunner) -> None:
        self.runner = runner
        self.connection: Connection = runner.connection
        self.database: ServerDatabase = ServerDatabase(runner.connection)
        self._numbers = Numbers(self.database)
        runner.undone.append(self._numbers.forget)
        self.shards: set[int] = set()
        self.names: dict[str, int] = {}
        """Locations that have a lease here, and their numbers."""
        self._tokens: dict[int, int] = {}
        self.unused_files: set[str] = set()
        """Digests of files whose records were sent: others may need them."""
        self.claims: Claims = Claims(runner.connection)
        self.lookups: Lookups = Lookups(self.database)

    async def lock(self, names: Iterable[str]) -> None:
        """Become the owner of locations' shards.

        Raises:
            OutboxBusyError: another process is.
        """
        for name in names:
            if not await self._own(shard_of(name)):
                raise self._busy(name)

    async def lock_all(self) -> None:
        """Become the owner of all shards.

        Raises:
            OutboxBusyError: another process is one of some.
        """
        for shard in range(SHARDS):
            if not await self._own(shard):
                why = "another process sends, and would send what is not selected"
                raise OutboxBusyError(f"{self.runner.place.shown}: {why}: end it, or wait")

    async def _own(self, shard: int) -> bool:
        key = self.runner.place.lock_key(LOCK_SHARD, shard)
        if shard not in self.shards:
            if not await self.connection.fetchval("SELECT pg_try_advisory_lock($1)", key):
                return False
            self.shards.add(shard)
        return True

    def _busy(self, name: str) -> OutboxBusyError:
        why = f"another process sends for location {name}"
        return OutboxBusyError(f"{self.runner.place.shown}: {why}: end it, or wait")

    async def borrow(self, name: str) -> None:
        """Become the owner of a location's shard, which a worker that owns it hands over.

        Raises:
            OutboxBusyError: its owner is no worker, or one that does not answer.
        """
        shard, key_of = shard_of(name), self.runner.place.lock_key
        key, *sharing = key_of(LOCK_SHARD, shard), key_of(LOCK_MEMBER), key_of(LOCK_GUEST)
        fetchval = self.connection.fetchval
        if shard not in self.shards and await fetchval(_SQL["is_shared"], key, *sharing):
            await self.connection.execute(f"SET LOCAL lock_timeout = {BORROW_MS}")
            try:
                await self.connection.execute(f"SELECT pg_advisory_lock({key})")
            except LockNotAvailableError:
                raise self._busy(name) from None
            self.shards.add(shard)
        await self.lock([name])

    async def give_back(self, name: str) -> None:
        """Let its shard's owner have it again."""
        self.drop({shard_of(name)})
        key = self.runner.place.lock_key(LOCK_SHARD, shard_of(name))
        await self.connection.execute(f"SELECT pg_advisory_unlock({key})")

    async def acquire(self, names: Sequence[str]) -> list[Acquired]:
        """See `Outbox.acquire`, for several at once."""
        await self.lock(names)
        numbers = await self._numbered(names)
        # In an order that all have, against deadlocks.
        values = sorted(set(numbers.values())), time.time_ns() // 1_000_000
        rows = {row[0]: row for row in await self.connection.fetch(_SQL["acquire"], *values)}
        return [await self._acquired(name, *rows[numbers[name]]) for name in names]

    async def _numbered(self, names: Sequence[str]) -> dict[str, int]:
        """Numbers of locations, new where they have none."""
        known = self._numbers.locations
        unknown = [storable(name) for name in names if name not in known]
        if len(unknown) > 1:
            known.update(dict(await self.connection.fetch(_SQL["find_locations"], unknown)))
        return {name: await self._numbers.location(name) for name in names}

    async def _acquired(
        self, name: str, location: int, token: int, held: Sequence[int], *quota: int | None
    ) -> Acquired:
        lease = Lease(name, token, location)
        unknown = await self.claims.unknown(lease, held) if held else []

        def begin() -> None:
            self._tokens[location] = token
            self.names[name] = location
            self.claims.forget(location)
            self.claims.hold(location, [(claim.lane, claim.seq) for claim in unknown])

        self.runner.committed.append(begin)
        used = None if quota[0] is None else QuotaSnapshot(*quota)  # type: ignore[arg-type]
        return Acquired(lease, unknown, used)

    def drop(self, shards: Collection[int]) -> None:
        """End the leases of these shards' locations, whose locks are about to be let go of."""
        for name in [name for name in self.names if shard_of(name) in shards]:
            self._tokens.pop(self.names.pop(name), None)
        self.shards.difference_update(shards)

    def holds(self, lease: Lease) -> bool:
        """Tell whether a lease is held, as far as is known here."""
        return not self.connection.is_closed() and self._tokens.get(lease.number) == lease.token

    def _check(self, leases: Iterable[Lease]) -> None:
        for lease in leases:
            if self._tokens.get(lease.number) != lease.token:
                raise _lost([lease])

    async def claim(self, wants: Wants, room: int) -> list[list[Claim]]:
        """See `Outbox.claim`."""
        leases = [lease for lease, _ in wants]
        self._check(leases)
        if len({lease.number for lease in leases}) < len(leases):
            raise ValueError("a claim names each location once")
        claims = await self.claims.choose(wants, room)
        if len(claims) < len(wants):
            raise _lost(leases)
        self.runner.committed.append(lambda: self.claims.took(wants, claims))
        return claims

    async def settle(self, settlements: Sequence[Settlement], quotas: Quotas) -> None:
        """See `Outbox.settle`."""
        used = dict(quotas)
        leases = list({fate.claim.lease for fate in settlements} | used.keys())
        if not leases:
            return
        self._check(leases)
        check_settled(settlements, self.claims.held)
        told = {fate.reason for fate in settlements}
        reasons = {why: await self._numbers.reason(why) for why in told}
        rows = columns([_row(fate, reasons) for fate in settlements]) or [()] * _FATE_COLUMNS
        # Where an array is shorter than others, there are NULLs: those need not be sent.
        fates = [() if row.count(None) == len(row) else row for row in rows]
        fences = [(of.number, of.token, *(used.get(of) or _NO_QUOTA)) for of in sorted(leases)]
        values = *fates, *columns(fences), SPAN_MS, self.runner.place.channel(ENDS)
        try:
            await self.connection.fetchrow(_SQL["settle"], *values)
        except DivisionByZeroError:
            raise _lost(leases) from None
        await add_trails(self.database, settlements)
        if ended := [of.claim.seq for of in settlements if of.claim.trace and of.state]:
            await self.connection.execute("DELETE FROM trace WHERE seq = ANY($1)", ended)
        sent = [fate.claim for fate in settlements if fate.state is State.SENT]
        done = [of.seq for of in sent if stored_files.local_files(of.deferred)]
        unused = await stored_files.unuse(self.connection, done)
        await self.lookups.learn(settlements)

        def drop() -> None:
            self.unused_files.update(unused)
            for fate in settlements:
                self.claims.drop(fate.claim.lease.number, fate.claim.seq)

        self.runner.committed.append(drop)

    async def fence(self, lease: Lease) -> None:
        """See that what is written next, in the same transaction, is written under the lease."""
        self._check([lease])
        if await self.connection.fetchrow(_SQL["fence"], lease.number, lease.token) is None:
            raise _lost([lease])

    def hold(self, places: Iterable[tuple[int, int, int]]) -> None:
        """Note in memory (location, lane, seq) that the location's row says is held."""
        for location, lane, seq in places:
            if location in self._tokens:
                self.claims.hold(location, [(lane, seq)])


_FATE_COLUMNS: Final = 12


def _row(fate: Settlement, reasons: Mapping[str | None, int | None]) -> tuple[Any, ...]:
    claim, state, at, attempts, *ids, why, detail, _ = fate
    place = claim.lease.number, claim.lane, claim.date, claim.seq
    kept = [id_ and storable(id_) for id_ in ids]
    return *place, state, at, attempts, *kept, reasons[why], detail


def _lost(leases: Sequence[Lease]) -> LeaseLostError:
    names = ", ".join(Counter(lease.location for lease in leases))
    return LeaseLostError(f"location {names} was taken over: write nothing")
