"""What is done over the connection that holds the leases, which is made for the first one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from leadconnector_async.outbox.base import NO_BOUND
from leadconnector_async.outbox.call_batcher import CallBatcher
from leadconnector_async.outbox.postgres import lookups
from leadconnector_async.outbox.postgres.announcements import WORK, listen
from leadconnector_async.outbox.postgres.connection import ALONE, WRITING, JobRunner, connect
from leadconnector_async.outbox.postgres.counters import Numbers
from leadconnector_async.outbox.postgres.leases import Leases, writes_once
from leadconnector_async.outbox.postgres.requeue import Requeuer
from leadconnector_async.outbox.postgres.tenure import Tenure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
    from typing import TypeVar

    from leadconnector_async.errors import RefusedError
    from leadconnector_async.outbox.base import Acquired, Claim, Lease, Settlement
    from leadconnector_async.outbox.durable import ReadMark, Share
    from leadconnector_async.outbox.postgres.staging_jobs import StagingJobs
    from leadconnector_async.quota.limits import QuotaSnapshot

    T = TypeVar("T")


class LeaseCalls:
    """The part of `PostgresOutbox` that owns locations.

    ``own_connection``: whether leases have one of their own, beside the one that stages.
    """

    def __init__(self, staging: StagingJobs, *, own_connection: bool) -> None:
        self._staging = staging
        self._where = staging.runner.place
        self._own_connection = own_connection
        self._leases: Leases | None = None
        self._tenure: Tenure | None = None
        self._requeuer: Requeuer | None = None
        self._leasing: JobRunner | None = None
        self._opening = asyncio.Lock()
        self._acquisitions: CallBatcher[str, Acquired] = CallBatcher(
            lambda names: self._under_lease(lambda leases: leases.acquire(names))
        )

    async def _held(self) -> tuple[JobRunner, Leases]:
        """Connect, so as to hold leases, unless that is done."""
        async with self._opening:
            if self._leasing is None or self._leases is None:
                staging = self._staging.runner
                if not self._own_connection or staging.closed:
                    self._leasing = staging
                else:
                    self._leasing = JobRunner(self._where, await connect(self._where, WRITING))
                self._leases = Leases(self._leasing, Numbers(self._leasing))
                self._requeuer = Requeuer(self._leasing, self._leases)
            return self._leasing, self._leases

    async def _under_lease(
        self, work: Callable[[Leases], Awaitable[T]], *, begin: str = "BEGIN"
    ) -> T:
        runner, leases = await self._held()
        return await runner.run(lambda _: work(leases), begin=begin)

    async def acquire(self, location: str) -> Acquired:
        """See `Outbox.acquire`.

        Raises:
            OutboxBusyError: another process has a lease of it, or of its shard.
        """
        return await self._acquisitions.call(location)

    def may_send(self, lease: Lease) -> Callable[[], bool]:
        """See `Outbox.may_send`. A lease ends with the connection that holds its shard's lock."""
        leases, tenure = self._leases, self._tenure
        if leases is None:
            return lambda: False
        if tenure is None:
            return lambda: leases.holds(lease)
        return lambda: leases.holds(lease) and tenure.may_send()

    async def join(self, lease_s: float, told: Callable[[str], None] = lambda _: None) -> None:
        """See `SharedOutbox.join`."""
        runner, leases = await self._held()
        self._tenure = Tenure(runner, leases, lease_s)
        await self._tenure.join()
        await runner.run(lambda connection: listen(self._where, connection, WORK, told))

    def owns(self, location: str) -> bool:
        """See `SharedOutbox.owns`."""
        return self._joined.owns(location)

    async def share(self, own: Collection[str] | None = None) -> Share:
        """See `SharedOutbox.share`."""
        return await self._joined.share(own)

    async def hand_over(self) -> None:
        """See `SharedOutbox.hand_over`."""
        await self._joined.hand_over()
        await self._remove_files()

    async def _remove_files(self) -> None:
        """Remove the files of what was sent, but for those that others need."""
        if self._leases is not None and self._leases.unused_files:
            unused, self._leases.unused_files = self._leases.unused_files, set()
            await self._staging.remove_files(list(unused))

    def give_away(self, location: str) -> None:
        """See `SharedOutbox.give_away`."""
        self._joined.give_away(location)

    @property
    def _joined(self) -> Tenure:
        if self._tenure is None:
            raise RuntimeError("join the outbox first")
        return self._tenure

    async def claim(
        self, wants: Sequence[tuple[Lease, int]], room: int = NO_BOUND
    ) -> list[list[Claim]]:
        """See `Outbox.claim`."""
        return await self._under_lease(lambda leases: leases.claim(wants, room), begin=ALONE)

    async def settle(
        self, settlements: Sequence[Settlement], quotas: Sequence[tuple[Lease, QuotaSnapshot]]
    ) -> None:
        """See `Outbox.settle`."""
        begin = ALONE if writes_once(settlements) else "BEGIN"
        await self._under_lease(lambda leases: leases.settle(settlements, quotas), begin=begin)

    async def get_lookups(self, lease: Lease, names: Sequence[str]) -> dict[str, str]:
        """See `Outbox.get_lookups`."""
        return await self._under_lease(lambda leases: leases.get_lookups(lease, names))

    async def put_lookups(self, lease: Lease, lookups: Mapping[str, str]) -> None:
        """See `Outbox.put_lookups`."""
        await self._under_lease(lambda leases: leases.put_lookups(lease, lookups))

    async def finished(self, lease: Lease) -> list[ReadMark]:
        """See `DurableOutbox.finished`."""
        runner, _ = await self._held()
        return await runner.run(lambda connection: lookups.finished(connection, lease.number))

    async def forget_lookups(self, lease: Lease, names: Collection[str]) -> None:
        """See `DurableOutbox.forget_lookups`."""
        await self._under_lease(lambda leases: leases.forget_lookups(lease, names))

    async def stored(self, claim: Claim) -> set[str]:
        """See `Outbox.stored`."""
        return await self._under_lease(lambda leases: leases.stored(claim))

    async def stop(self, lease: Lease, error: RefusedError | None) -> None:
        """See `SharedOutbox.stop`."""
        await self._under_lease(lambda leases: leases.stop(lease, error))
