"""The outbox in a database: `Outbox` over PostgreSQL, for any number of processes and machines.

One connection stages, submits and publishes, where these take turns over all processes; another one
holds the leases, once there is one. Neither is shared through a pool: their locks are theirs.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final, Self

from leadconnector_async.errors import OutboxError
from leadconnector_async.outbox.durable import DurableOutbox
from leadconnector_async.outbox.postgres import stored_files, upkeep
from leadconnector_async.outbox.postgres.announcements import ENDS, listen, stopped
from leadconnector_async.outbox.postgres.connection import (
    REHEARSING,
    WRITING,
    JobRunner,
    check_server,
    opened,
)
from leadconnector_async.outbox.postgres.counters import MARKING
from leadconnector_async.outbox.postgres.jobs import LeaseCalls, enlist
from leadconnector_async.outbox.postgres.place import PostgresPlace, read_place
from leadconnector_async.outbox.postgres.queueing import TAKE_ALL, Requeuer, chosen, dismiss, select
from leadconnector_async.outbox.postgres.reader import PostgresOutboxReader
from leadconnector_async.outbox.postgres.schema import check_in, check_unmoved, prepare
from leadconnector_async.outbox.postgres.summary import unsettled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TypeVar

    from leadconnector_async.outbox.base import StoppedLocation
    from leadconnector_async.outbox.durable import Requeued, Unsettled
    from leadconnector_async.outbox.selection import Selection

    T = TypeVar("T")

_RETRIES: Final = 5_000
"""Records to put back, give up or forget in one transaction."""

_LOCATIONS: Final = """SELECT name FROM location
    WHERE EXISTS (SELECT FROM queue WHERE queue.location = location.id) ORDER BY id"""

_UNSENT: Final = """SELECT name, n FROM (
        SELECT location, sum(n)::bigint FROM (
            SELECT location, n FROM tally WHERE state = 0
            UNION ALL SELECT location, pending FROM tenure
            UNION ALL SELECT -location, -count(*) FROM queue WHERE location < 0
                GROUP BY location) AS parts
        GROUP BY location) AS of (id, n) JOIN location USING (id)
    WHERE n > 0 ORDER BY id"""


class PostgresOutbox(LeaseCalls, DurableOutbox):
    """Open it with `open`; it is bound to the event loop that does.

    A call that is cancelled is done all the same: what it claimed is then held, and is handed back
    as unknown with the location's next lease.
    """

    is_shared = True

    def __init__(self, runner: JobRunner, stager: int, part: int = 0) -> None:
        super().__init__(runner, stager, part)
        self._folder: TemporaryDirectory[str] | None = None
        self._fetched = count()

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
        settings = REHEARSING if rehearsing else WRITING
        async with opened(where, settings, keep=True) as connection:
            await check_server(where, connection)
            if rehearsing:
                await connection.transaction().start()
            if create:
                await check_unmoved(where, connection)
            await prepare(where, connection, create=create)
            runner = JobRunner(where, connection, transactions=not rehearsing)
            stager, process = await runner.run(lambda _: enlist(where, connection))
            await check_in(where, connection)
        return cls(runner, stager, part=process if rehearsing else 0)

    async def select(self, selection: Selection | None) -> None:
        """See `DurableOutbox.select`."""
        if selection is None:
            await self._runner.run(lambda connection: connection.execute(TAKE_ALL))
        else:
            await self._under_lease(lambda leases: select(leases, selection))

    async def _fetch(self, query: str) -> list[tuple[Any, ...]]:
        rows = await self._runner.run(lambda connection: connection.fetch(query))
        return [tuple(row) for row in rows]

    async def locations(self) -> list[str]:
        """See `Outbox.locations`."""
        return [name for (name,) in await self._fetch(_LOCATIONS)]

    async def listen(self, ended: Callable[[int], None]) -> None:
        """Have ``ended`` called with each record that is waited for and has an end; not surely."""
        await self._runner.run(
            lambda connection: listen(self._where, connection, ENDS, lambda seq: ended(int(seq)))
        )

    @property
    def is_lost(self) -> bool:
        """Whether no call can succeed any more: it has to be opened again."""
        return self._runner.failed

    async def unsent(self) -> dict[str, int]:
        """See `DurableOutbox.unsent`."""
        return dict(await self._fetch(_UNSENT))

    async def stopped(self) -> dict[str, StoppedLocation]:
        """See `DurableOutbox.stopped`."""
        return await self._runner.run(stopped)

    async def unsettled(self, met: bytes | None) -> dict[str, Unsettled]:
        """How the records stand, by location, that `SourcePass.all_met` tells; None for all."""
        return await self._runner.run(lambda connection: unsettled(connection, met))

    async def sender(self) -> PostgresOutbox:
        """Open this same outbox once more, to send from. Whoever asks closes it."""
        return await PostgresOutbox.open(self._where, create=False)

    async def fetch_file(self, digest: str) -> str | None:
        """See `Outbox.fetch_file`. Whoever asks removes it."""
        if self._folder is None:
            self._folder = TemporaryDirectory(prefix="leadconnector-")
        path = Path(self._folder.name) / f"{next(self._fetched)}"
        found = await stored_files.fetch(self._runner, digest, path)
        if not found:
            path.unlink()
        return str(path) if found else None

    def cut_off(self) -> None:
        """End all connections at once: whatever waits for the store fails."""
        for runner in self._runners:
            runner.connection.terminate()

    async def marking(self) -> list[str]:
        """See `DurableOutbox.marking`."""
        return [name for (name,) in await self._fetch(MARKING)]

    async def requeue(self) -> Requeued:
        """See `DurableOutbox.requeue`.

        Raises:
            OutboxBusyError: another process sends for one of the locations, and is no worker, which
                would hand it over for a moment.
        """
        return await Requeuer(await self._held()).requeue_all(_RETRIES)

    async def dismiss(
        self, *, keys: Iterable[tuple[bytes, str]] = (), gists: Iterable[str] = ()
    ) -> int:
        """See `DurableOutbox.dismiss`."""
        run, reasons = self._runner.run, set(gists)
        seqs = await run(lambda connection: chosen(connection, keys, reasons))
        done = 0
        for at in range(0, len(seqs), _RETRIES):
            lot = seqs[at : at + _RETRIES]
            done += await run(lambda connection: dismiss(connection, self._counters, lot))  # noqa: B023 - awaited here
        if done:
            await self._run(lambda _: stored_files.remove_unused(self._runner.connection))
        return done

    async def forget_texts(self) -> int:
        """See `DurableOutbox.forget_texts`."""
        return await upkeep.forget_texts(self._runner, _RETRIES)

    async def reader(self) -> PostgresOutboxReader:
        """See `DurableOutbox.reader`."""
        if self._rehearsing:
            return PostgresOutboxReader(self._runner, owned=False)
        return await PostgresOutboxReader.open(self._where)

    async def close(self) -> None:
        """See `Outbox.close`. It may be called again, and goes on if it is cancelled."""
        with suppress(OutboxError):
            if not self.is_lost:
                await self._remove_files()
        if self._folder is not None:
            self._folder.cleanup()
        for runner in self._runners:
            await runner.close()

    def __repr__(self) -> str:
        state = "closed" if self._runner.closed else "open"
        return f"<PostgresOutbox {self.place} {state}>"
