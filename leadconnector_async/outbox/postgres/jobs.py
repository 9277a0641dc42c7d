"""The part of the outbox in a database that stages, submits and publishes.

Those who stage take turns over all processes: two that have the same keys would else wait for each
other.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from itertools import chain
from typing import Any, Final

from leadconnector_async.outbox.base import Staged, StoppedLocation, StoredOutcome, Submission
from leadconnector_async.outbox.call_batcher import CallBatcher
from leadconnector_async.outbox.database import LOCATIONS, Numbers, T, statements
from leadconnector_async.outbox.durable import Unsettled, dedicate
from leadconnector_async.outbox.lookups import Lookups
from leadconnector_async.outbox.postgres import announcements, stored_files
from leadconnector_async.outbox.postgres.connection import Connection, JobRunner
from leadconnector_async.outbox.postgres.counters import NumberBlocks, ServerDatabase
from leadconnector_async.outbox.postgres.place import PostgresPlace
from leadconnector_async.outbox.postgres.queueing import Publisher
from leadconnector_async.outbox.postgres.reader import unsettled
from leadconnector_async.outbox.postgres.records import PostgresRecords
from leadconnector_async.outbox.postgres.schema import LOCK_STAGER, LOCK_STAGING
from leadconnector_async.outbox.source_pass import SourcePass
from leadconnector_async.outbox.staging import forget_unmet, stage, submit
from leadconnector_async.records.draft import Draft

Work = Callable[[PostgresRecords], Awaitable[T]]

_SQL: Final = statements(__package__, "jobs")

_MAX_STAGERS: Final = 1 << 24


class StagingJobs:
    """The part of `PostgresOutbox` that stages. ``part`` is a rehearsal's; 0 for none."""

    def __init__(self, runner: JobRunner, stager: int, part: int) -> None:
        connection = runner.connection
        self._runner = runner
        self._where = runner.place
        self.place: str = self._where.shown
        self._rehearsing = part != 0
        self._database = ServerDatabase(connection)
        numbers = Numbers(self._database)
        runner.undone.append(numbers.forget)
        self._part = part
        self._lookups = Lookups(self._database)
        locks = runner.place.lock_key(LOCK_STAGER)
        self._publisher = Publisher(connection, self._lookups, stager, locks)
        self._blocks = NumberBlocks(runner, stager)
        parts = self._database, numbers, connection, part
        self._staged = PostgresRecords(*parts, self._blocks, self._publisher)
        self._submitted = PostgresRecords(*parts, NumberBlocks(runner), self._publisher)
        self._submissions = CallBatcher(self._submit, asyncio.Lock())
        self._begin = f"BEGIN; SELECT pg_advisory_xact_lock({self._where.lock_key(LOCK_STAGING)})"

    async def _run(
        self, work: Work[T], *, source: int = 0, records: PostgresRecords | None = None
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
        *counts, reused = zip(*found, strict=True)
        staged, skipped, refused, copies = map(sum, counts)
        return Staged(staged, skipped, refused, copies, tuple(chain.from_iterable(reused)))

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
            pairs = zip(answers, drafts, strict=True)
            open_ = {one.seq: draft.location for one, draft in pairs if one.end is None}
            if open_:
                connection, names = self._runner.connection, open_.values()
                await announcements.announce(self._where, connection, names, list(open_))
            return answers

        return await self._run(job, records=self._submitted)

    async def ends(self, seqs: Sequence[int]) -> dict[int, tuple[str, StoredOutcome]]:
        """What became of records, whoever settled them, and in which location: those with an end.

        Who submits a record without an end, or asks for it by `await_ends`, is told: see `listen`.
        """
        return await self._runner.run(lambda _: self._submitted.ends_of(seqs))

    async def await_ends(self, seqs: Sequence[int]) -> dict[int, str]:
        """Which of these records are to be sent and have no end, and in which location."""
        return await self._run(lambda _: announcements.await_open(self._runner.connection, seqs))

    async def publish(self) -> None:
        """See `Outbox.publish`."""

        async def job(_: PostgresRecords) -> bool:
            self._blocks.drop()
            await announcements.announce(self._where, self._runner.connection, [""])
            return await self._publisher.publish()

        while not await self._run(job):
            pass

    async def adopt(self) -> None:
        """Publish what processes have staged that are gone, and nothing of those that live."""
        if await self._runner.run(lambda _: self._publisher.has_orphans()):
            await self.publish()

    async def _fetch(self, query: str) -> list[tuple[Any, ...]]:
        return await self._runner.run(lambda connection: connection.fetch(query))

    async def locations(self) -> list[str]:
        """See `Outbox.locations`."""
        return [name for (name,) in await self._fetch(LOCATIONS)]

    async def listen(self, ended: Callable[[int], None]) -> None:
        """Have ``ended`` called with each record that is waited for and has an end; not surely."""
        listening = partial(announcements.listen, self._where, of=announcements.ENDS)
        await self._runner.run(partial(listening, told=lambda seq: ended(int(seq))))

    @property
    def is_lost(self) -> bool:
        """Whether no call can succeed any more: it has to be opened again."""
        return self._runner.failed

    async def unsent(self) -> dict[str, int]:
        """See `DurableOutbox.unsent`."""
        return dict(await self._fetch(_SQL["unsent"]))

    async def stopped(self) -> dict[str, StoppedLocation]:
        """The locations that cannot go on, whoever owns them.

        One whose token is refused may go on at once in another process, which has another token.
        """
        return await self._runner.run(announcements.stopped)

    async def unsettled(self, met: bytes | None) -> dict[str, Unsettled]:
        """How the records stand, by location, that `SourcePass.all_met` tells; None for all."""
        return await self._runner.run(lambda connection: unsettled(connection, met))

    async def marking(self) -> list[str]:
        """See `DurableOutbox.marking`."""
        return await self._runner.run(lambda _: self._lookups.marking())

    async def source(self, name: str, form: bytes) -> int:
        """See `DurableOutbox.source`."""
        return await self._run(lambda _: self._database.number("source", name=name, form=form))

    async def dedicate(
        self, destination: str, *, name: str | None = None, may_move: bool = False
    ) -> None:
        """See `DurableOutbox.dedicate`."""
        shown = name or self.place
        await self._run(lambda _: dedicate(self._database, destination, shown, may_move=may_move))


async def enlist(place: PostgresPlace, connection: Connection) -> tuple[int, int]:
    """Take a number as one who stages, and hold its lock: it tells others that this one lives."""
    stager = int(await connection.fetchval("SELECT nextval('stager_number')")) % _MAX_STAGERS
    await connection.execute(f"SELECT pg_advisory_lock({place.lock_key(LOCK_STAGER, stager)})")
    return stager, int(await connection.fetchval("SELECT pg_backend_pid()"))
