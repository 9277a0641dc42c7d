"""What is done over the connection that stages, and over the one that holds the leases.

Those who stage take turns over all processes: two that have the same keys would else wait for each
other. The connection of the leases is made for the first one.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

from leadconnector_async.outbox.base import NO_BOUND, Staged
from leadconnector_async.outbox.call_batcher import CallBatcher
from leadconnector_async.outbox.durable import DESTINATION, check_destination
from leadconnector_async.outbox.postgres import stored_files
from leadconnector_async.outbox.postgres.announcements import WORK, announce, await_open, listen
from leadconnector_async.outbox.postgres.connection import ALONE, WRITING, JobRunner, connect
from leadconnector_async.outbox.postgres.counters import (
    Counters,
    NumberBlocks,
    Numbers,
    finished_marks,
    storable,
)
from leadconnector_async.outbox.postgres.leases import Leases, writes_once
from leadconnector_async.outbox.postgres.queueing import Publisher
from leadconnector_async.outbox.postgres.records import PostgresRecords
from leadconnector_async.outbox.postgres.schema import LOCK_STAGER, LOCK_STAGING
from leadconnector_async.outbox.postgres.tenure import Tenure
from leadconnector_async.outbox.staging import forget_unmet, stage, submit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
    from typing import TypeVar

    from leadconnector_async.errors import RefusedError
    from leadconnector_async.outbox.base import (
        Acquired,
        Claim,
        Lease,
        Settlement,
        SourcePass,
        StoredOutcome,
        Submission,
    )
    from leadconnector_async.outbox.durable import ReadMark, Share
    from leadconnector_async.outbox.postgres.connection import Connection
    from leadconnector_async.outbox.postgres.place import PostgresPlace
    from leadconnector_async.quota.limits import QuotaSnapshot
    from leadconnector_async.records.draft import Draft

    T = TypeVar("T")

_SOURCE: Final = "SELECT id FROM source WHERE md5(name) = md5($1) AND md5(form) = md5($2::bytea)"

_NEW_SOURCE: Final = "INSERT INTO source (name, form) VALUES ($1, $2) ON CONFLICT DO NOTHING"

_DESTINATIONS: Final = "SELECT name FROM source WHERE starts_with(name, $1) AND form = ''"

_MAX_STAGERS: Final = 1 << 24


class StagingJobs:
    """The part of `PostgresOutbox` that stages. ``part`` is a rehearsal's; 0 for none."""

    def __init__(self, runner: JobRunner, stager: int, part: int) -> None:
        connection = runner.connection
        self._runner = runner
        self._where = runner.place
        self.place: str = self._where.shown
        self._rehearsing = part != 0
        numbers = Numbers(runner)
        self._counters = Counters(connection, part)
        self._publisher = Publisher(runner.place, connection, stager)
        self._blocks = NumberBlocks(runner, stager)
        parts = connection, numbers, self._counters
        self._staged = PostgresRecords(*parts, self._blocks, self._publisher)
        self._submitted = PostgresRecords(*parts, NumberBlocks(runner), self._publisher)
        self._submissions = CallBatcher(self._submit, asyncio.Lock())
        self._begin = f"BEGIN; SELECT pg_advisory_xact_lock({self._where.lock_key(LOCK_STAGING)})"

    async def _run(
        self,
        work: Callable[[PostgresRecords], Awaitable[T]],
        *,
        source: int = 0,
        records: PostgresRecords | None = None,
    ) -> T:
        records = records or self._staged

        async def job(_: Connection) -> T:
            records.begin(source)
            return await work(records)

        return await self._runner.run(job, begin=self._begin)

    async def stage(self, drafts: Sequence[Draft], source_pass: SourcePass) -> Staged:
        """See `Outbox.stage`. Files go with their records, some in each transaction."""
        found = [
            await self._run(partial(self._stage, lot, source_pass), source=source_pass.source)
            for lot in stored_files.lots(drafts)
        ]
        return Staged(
            sum(of.staged for of in found),
            sum(of.skipped for of in found),
            sum(of.refused for of in found),
            sum(of.copies for of in found),
            tuple(draft for of in found for draft in of.reused),
        )

    async def _stage(
        self, drafts: Sequence[Draft], source_pass: SourcePass, records: PostgresRecords
    ) -> Staged:
        staged = await stage(records, drafts, source_pass)
        if not self._rehearsing:
            await stored_files.keep(self._runner.connection, records.files)
        return staged

    async def end(self, source_pass: SourcePass, prefix: bytes) -> None:
        """See `DurableOutbox.end`."""
        await self._run(lambda records: forget_unmet(records, source_pass, prefix))

    async def submit(self, draft: Draft) -> Submission:
        """See `Outbox.submit`."""
        return await self._submissions.call(draft)

    async def _submit(self, drafts: Sequence[Draft]) -> list[Submission]:
        async def job(records: PostgresRecords) -> list[Submission]:
            answers = await submit(records, drafts)
            open_ = {
                answer.seq: draft.location
                for answer, draft in zip(answers, drafts, strict=True)
                if answer.end is None
            }
            if open_:
                await announce(self._where, self._runner.connection, open_.values(), list(open_))
            return answers

        return await self._run(job, records=self._submitted)

    async def ends(self, seqs: Sequence[int]) -> dict[int, tuple[str, StoredOutcome]]:
        """What became of records, whoever settled them, and in which location: those with an end.

        Who submits a record without an end, or asks for it by `await_ends`, is told: see `listen`.
        """
        return await self._runner.run(lambda _: self._submitted.ends_of(seqs))

    async def await_ends(self, seqs: Sequence[int]) -> dict[int, str]:
        """Which of these records are to be sent and have no end, and in which location."""
        return await self._run(lambda _: await_open(self._runner.connection, seqs))

    async def publish(self) -> None:
        """See `Outbox.publish`."""

        async def job(_: PostgresRecords) -> bool:
            self._blocks.drop()
            await announce(self._where, self._runner.connection, [""])
            return await self._publisher.publish()

        while not await self._run(job):
            pass

    async def adopt(self) -> None:
        """Publish what processes have staged that are gone, and nothing of those that live."""
        if await self._runner.run(lambda _: self._publisher.has_orphans()):
            await self.publish()

    async def source(self, name: str, form: bytes) -> int:
        """See `DurableOutbox.source`."""
        work = partial(_source, name=name, form=form)
        return await self._runner.run(work, begin=self._begin)

    async def dedicate(self, destination: str, *, name: str | None = None) -> None:
        """See `DurableOutbox.dedicate`."""

        async def job(connection: Connection) -> None:
            found = await connection.fetch(_DESTINATIONS, DESTINATION)
            known = [kept.removeprefix(DESTINATION) for (kept,) in found]
            check_destination(name or self.place, known, destination)
            if not known:
                await _source(connection, DESTINATION + destination, b"")

        await self._runner.run(job, begin=self._begin)


async def _source(connection: Connection, name: str, form: bytes) -> int:
    name = storable(name)
    number = await connection.fetchval(_SOURCE, name, form)
    if number is None:
        await connection.execute(_NEW_SOURCE, name, form)
        number = await connection.fetchval(_SOURCE, name, form)
    return int(number)


async def enlist(place: PostgresPlace, connection: Connection) -> tuple[int, int]:
    """Take a number as one who stages, and hold its lock: it tells others that this one lives."""
    stager = int(await connection.fetchval("SELECT nextval('stager_number')")) % _MAX_STAGERS
    key = place.lock_key(LOCK_STAGER, stager)
    await connection.execute(f"SELECT pg_advisory_lock({key})")
    return stager, int(await connection.fetchval("SELECT pg_backend_pid()"))


class LeaseCalls(StagingJobs):
    """The part of `PostgresOutbox` that owns locations.

    Leases have a connection of their own, beside the one that stages; but for a rehearsal.
    """

    def __init__(self, runner: JobRunner, stager: int, part: int) -> None:
        super().__init__(runner, stager, part)
        self._leases: Leases | None = None
        self._tenure: Tenure | None = None
        self._opening = asyncio.Lock()
        self._acquisitions: CallBatcher[str, Acquired] = CallBatcher(
            lambda names: self._under_lease(lambda leases: leases.acquire(names))
        )

    @property
    def _runners(self) -> list[JobRunner]:
        """Those of its connections."""
        return [self._runner] if self._leases is None else [self._leases.runner, self._runner]

    async def _held(self) -> Leases:
        """Connect, so as to hold leases, unless that is done."""
        async with self._opening:
            if self._leases is None:
                runner = self._runner
                if not self._rehearsing and not runner.closed:
                    runner = JobRunner(self._where, await connect(self._where, WRITING))
                self._leases = Leases(runner)
            return self._leases

    async def _under_lease(
        self, work: Callable[[Leases], Awaitable[T]], *, begin: str = "BEGIN"
    ) -> T:
        leases = await self._held()
        return await leases.runner.run(lambda _: work(leases), begin=begin)

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
        """Become one of those that share the locations.

        From then on a lease holds as long as the store has been heard of within ``lease_s``
        seconds: see `Outbox.may_send`. Whoever joined calls `share` several times in that.
        ``told`` is called with a location that has something to send, or "" for any; not surely.
        """
        leases = await self._held()
        self._tenure = Tenure(leases, lease_s)
        await self._tenure.join()
        await leases.runner.run(lambda connection: listen(self._where, connection, WORK, told))

    def owns(self, location: str) -> bool:
        """Whether a location is this process's, and is to stay so, as `share` has told last."""
        return self._joined.owns(location)

    async def share(self, own: Collection[str] | None = None) -> Share:
        """Take what is free of a fair share, and tell what this process owns.

        ``own`` are the locations that it may send for; None for all. While others have something to
        send, a process with locations of its own has no share, and takes what is free of those.
        """
        return await self._joined.share(own)

    async def hand_over(self) -> None:
        """Let others have the surplus that `share` told, whose leases end here."""
        await self._joined.hand_over()
        await self._remove_files()

    async def _remove_files(self) -> None:
        """Remove the files of what was sent, but for those that others need."""
        if self._leases is not None and self._leases.unused_files:
            unused, self._leases.unused_files = self._leases.unused_files, set()
            await self._run(
                lambda _: stored_files.remove_unused(self._runner.connection, list(unused))
            )

    def give_away(self, location: str) -> None:
        """Count a location as surplus, where there are others: it may go on in one of them.

        This process has it again in a minute, or before that if nobody takes it.
        """
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
        runner = (await self._held()).runner
        return await runner.run(lambda connection: finished_marks(connection, lease.number))

    async def forget_lookups(self, lease: Lease, names: Collection[str]) -> None:
        """See `DurableOutbox.forget_lookups`."""
        await self._under_lease(lambda leases: leases.forget_lookups(lease, names))

    async def stored(self, claim: Claim) -> set[str]:
        """See `Outbox.stored`."""
        return await self._under_lease(lambda leases: leases.stored(claim))

    async def stop(self, lease: Lease, error: RefusedError | None) -> None:
        """Write down why a location cannot go on, for `stopped`; with None, that it does."""
        await self._under_lease(lambda leases: leases.stop(lease, error))
