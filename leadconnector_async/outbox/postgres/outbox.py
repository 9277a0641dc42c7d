"""The outbox in a database: `Outbox` over PostgreSQL, for any number of processes and machines.

One connection stages, submits and publishes, where these take turns over all processes; another one
holds the leases, once there is one. Neither is shared through a pool: their locks are theirs.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Self

from leadconnector_async.errors import OutboxError, OutboxWriteError, RefusedError
from leadconnector_async.outbox.base import NO_BOUND, Acquired, Claim, Lease, Settlement
from leadconnector_async.outbox.call_batcher import CallBatcher
from leadconnector_async.outbox.database import T, fault, stored
from leadconnector_async.outbox.durable import DurableOutbox, Requeued, Share
from leadconnector_async.outbox.postgres import connection as server, stored_files, upkeep
from leadconnector_async.outbox.postgres.announcements import WORK, listen, stop
from leadconnector_async.outbox.postgres.counters import ServerDatabase
from leadconnector_async.outbox.postgres.jobs import StagingJobs, enlist
from leadconnector_async.outbox.postgres.leases import Leases, writes_once
from leadconnector_async.outbox.postgres.place import PostgresPlace, read_place
from leadconnector_async.outbox.postgres.queueing import TAKE_ALL, give_up, requeue, select
from leadconnector_async.outbox.postgres.reader import PostgresOutboxReader
from leadconnector_async.outbox.postgres.schema import check_in, check_unmoved, prepare
from leadconnector_async.outbox.postgres.tenure import Tenure
from leadconnector_async.outbox.requeueing import chosen, in_lots, in_pages

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence

    from leadconnector_async.outbox.base import Quotas, Wants
    from leadconnector_async.outbox.durable import Keys
    from leadconnector_async.outbox.lookups import ReadMark
    from leadconnector_async.outbox.selection import Selection


class PostgresOutbox(StagingJobs, DurableOutbox):
    """Open it with `open`; it is bound to the event loop that does.

    A call that is cancelled is done all the same: what it claimed is then held, and is handed back
    as unknown with the location's next lease.
    """

    is_shared = True

    def __init__(self, runner: server.JobRunner, stager: int, part: int = 0) -> None:
        super().__init__(runner, stager, part)
        self._leases: Leases | None = None
        self._tenure: Tenure | None = None
        self._opening = asyncio.Lock()
        self._acquisitions: CallBatcher[str, Acquired] = CallBatcher(
            lambda names: self._leased(lambda leases: leases.acquire(names))
        )
        self._folder: TemporaryDirectory[str] | None = None
        self._fetched = count()
        self._closing: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls, place: str | PostgresPlace, *, create: bool = True, rehearsing: bool = False
    ) -> Self:
        """Open an outbox, made if it does not exist and ``create`` is not False.

        With ``rehearsing``, all that is done is undone when it is closed.

        Raises:
            OutboxBusyError: the server takes no more connections.
            OutboxUnusableError: there is no such server or database, this user has no right to it,
                or the schema holds something else, or is of another version.
            OutboxWriteError: it cannot be written.
        """
        where = read_place(place) if isinstance(place, str) else place
        settings = server.REHEARSING if rehearsing else server.WRITING
        async with server.opened(where, settings, keep=True) as connection:
            await server.check_server(where, connection)
            if rehearsing:
                await connection.transaction().start()
            if create:
                await check_unmoved(where, connection)
            await prepare(where, connection, create=create)
            runner = server.JobRunner(where, connection, transactions=not rehearsing)
            stager, process = await runner.run(lambda _: enlist(where, connection))
            await check_in(where, connection)
        return cls(runner, stager, part=process if rehearsing else 0)

    async def select(self, selection: Selection | None) -> None:
        """See `DurableOutbox.select`."""
        if selection is None:
            await self._runner.run(lambda connection: connection.execute(TAKE_ALL))
        else:
            await self._leased(lambda leases: select(leases, selection))

    async def sender(self) -> PostgresOutbox:
        """Open this same outbox once more, to send from. Whoever asks closes it."""
        return await PostgresOutbox.open(self._where, create=False)

    async def fetch_file(self, digest: str) -> str | None:
        """See `Outbox.fetch_file`. Whoever asks removes it."""
        try:
            if self._folder is None:
                self._folder = TemporaryDirectory(prefix="leadconnector-")
            path = Path(self._folder.name) / f"{next(self._fetched)}"
            found = await stored_files.fetch(self._runner, digest, path)
        except OSError as error:
            raise OutboxWriteError(fault("unread_files", error=error.strerror)) from error
        if not found:
            path.unlink()
        return str(path) if found else None

    def cut_off(self) -> None:
        """End all connections at once: whatever waits for the store fails."""
        for runner in self._runners:
            runner.connection.terminate()

    @property
    def _runners(self) -> list[server.JobRunner]:
        """Those of its connections."""
        return [self._runner] if self._leases is None else [self._leases.runner, self._runner]

    async def _held(self) -> Leases:
        """Connect, so as to hold leases, unless that is done."""
        async with self._opening:
            if self._leases is None:
                runner = self._runner
                if not self._rehearsing and not runner.closed:
                    own = await server.connect(self._where, server.WRITING)
                    runner = server.JobRunner(self._where, own)
                self._leases = Leases(runner)
            return self._leases

    async def _leased(self, work: Callable[[Leases], Awaitable[T]], *, begin: str = "BEGIN") -> T:
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
            unused, self._leases.unused_files = list(self._leases.unused_files), set()
            await self._run(lambda _: stored_files.remove_unused(self._runner.connection, unused))

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

    async def claim(self, wants: Wants, room: int = NO_BOUND) -> list[list[Claim]]:
        """See `Outbox.claim`."""
        return await self._leased(lambda leases: leases.claim(wants, room), begin=server.ALONE)

    async def settle(self, settlements: Sequence[Settlement], quotas: Quotas) -> None:
        """See `Outbox.settle`."""
        begin = server.ALONE if writes_once(settlements) else "BEGIN"
        await self._leased(lambda leases: leases.settle(settlements, quotas), begin=begin)

    async def _fenced(self, lease: Lease, work: Callable[[Leases], Awaitable[None]]) -> None:
        """Write in one transaction, in which the lease is held."""

        async def job(leases: Leases) -> None:
            await leases.fence(lease)
            await work(leases)

        await self._leased(job)

    async def get_lookups(self, lease: Lease, names: Sequence[str]) -> dict[str, str]:
        """See `Outbox.get_lookups`."""
        return await self._leased(lambda of: of.lookups.known(lease.number, names))

    async def put_lookups(self, lease: Lease, lookups: Mapping[str, str]) -> None:
        """See `Outbox.put_lookups`."""
        await self._fenced(lease, lambda of: of.lookups.put(lease.number, lookups))

    async def finished(self, lease: Lease) -> list[ReadMark]:
        """See `DurableOutbox.finished`."""
        return await self._leased(lambda of: of.lookups.finished(lease.number))

    async def forget_lookups(self, lease: Lease, names: Collection[str]) -> None:
        """See `DurableOutbox.forget_lookups`."""
        await self._fenced(lease, lambda of: of.lookups.forget(lease.number, names))

    async def stored(self, claim: Claim) -> set[str]:
        """See `Outbox.stored`."""
        return await self._leased(lambda leases: stored(leases.database, claim))

    async def stop(self, lease: Lease, error: RefusedError | None) -> None:
        """Write down why a location cannot go on, for `stopped`; with None, that it does."""
        await self._fenced(lease, lambda of: stop(of.connection, lease.number, error))

    async def requeue(self) -> Requeued:
        """See `DurableOutbox.requeue`.

        Raises:
            OutboxBusyError: another process sends for one of the locations, and is no worker, which
                would hand it over for a moment.
        """
        return await requeue(await self._held())

    async def dismiss(self, *, keys: Keys = (), gists: Iterable[str] = ()) -> int:
        """See `DurableOutbox.dismiss`."""
        run, reasons = self._runner.run, set(gists)
        seqs = await run(lambda connection: chosen(ServerDatabase(connection), keys, reasons))
        dismiss = partial(give_up, part=self._part)
        done = sum(await in_lots(seqs, lambda lot: run(partial(dismiss, seqs=lot))))
        if done:
            await self._run(lambda _: stored_files.remove_unused(self._runner.connection))
        return done

    async def forget_texts(self) -> int:
        """See `DurableOutbox.forget_texts`."""
        run = self._runner.run
        return await in_pages(lambda after: run(partial(upkeep.forget_texts, after=after)))

    async def reader(self) -> PostgresOutboxReader:
        """See `DurableOutbox.reader`."""
        if self._rehearsing:
            return PostgresOutboxReader(self._runner, owned=False)
        return await PostgresOutboxReader.open(self._where)

    async def close(self) -> None:
        """See `Outbox.close`. It may be called again, and goes on if it is cancelled."""
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        try:
            with suppress(OutboxError):
                if not self.is_lost:
                    await self._remove_files()
            if self._folder is not None:
                self._folder.cleanup()
            async with self._opening:  # nobody else would close what is opened meanwhile
                for runner in self._runners:
                    await runner.close()
        finally:  # also where the loop ends amid this
            self.cut_off()

    def __repr__(self) -> str:
        return f"<PostgresOutbox {self.place} {'closed' if self._runner.closed else 'open'}>"
