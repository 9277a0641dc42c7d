"""The outbox in a file: `Outbox` over SQLite, with one owner."""

from __future__ import annotations

import sqlite3
import warnings
from functools import partial
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, Self

from leadconnector_async.outbox.database import T, at_once
from leadconnector_async.outbox.durable import DurableOutbox, Requeued
from leadconnector_async.outbox.requeueing import chosen, in_lots, in_pages
from leadconnector_async.outbox.sqlite import upkeep
from leadconnector_async.outbox.sqlite.connection import Connect, FileDatabase
from leadconnector_async.outbox.sqlite.jobs import SqliteStore, open_store
from leadconnector_async.outbox.sqlite.reader import SqliteOutboxReader
from leadconnector_async.outbox.sqlite.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Sequence

    from leadconnector_async.outbox.base import Acquired, Lease, Submission
    from leadconnector_async.outbox.durable import Keys
    from leadconnector_async.outbox.lookups import ReadMark
    from leadconnector_async.records.draft import Draft


P = ParamSpec("P")


def _in_thread(
    job: Callable[Concatenate[SqliteStore, P], T],
) -> Callable[Concatenate[SqliteOutbox, P], Coroutine[Any, Any, T]]:
    """The method of the outbox that gives this job of the store to the thread."""

    async def run(outbox: SqliteOutbox, /, *args: P.args, **options: P.kwargs) -> T:
        return await outbox._writer.run(lambda store: job(store, *args, **options))  # noqa: SLF001 - its own

    return run


class SqliteOutbox(DurableOutbox):
    """Open it with `open`; it is bound to the event loop that does.

    A call that is cancelled is done all the same: what it claimed is then held, and is handed back
    as unknown with the location's next lease.
    """

    is_shared = False

    def __init__(self, place: str, writer: Writer[SqliteStore]) -> None:
        self.place = place
        self._writer = writer

    @classmethod
    async def open(cls, path: str | PathLike[str], *, connect: Connect = sqlite3.connect) -> Self:
        """Open an outbox, made if it does not exist, and own it until `close`.

        Raises:
            OutboxBusyError: another process, or this one, has it open.
            OutboxUnusableError: it is no outbox, is damaged, or is of another version.
            OutboxWriteError: it cannot be written.
        """
        name = fspath(path)
        writer = Writer(name, partial(open_store, name, connect))
        await writer.start()
        return cls(name, writer)

    async def dedicate(
        self, destination: str, *, name: str | None = None, may_move: bool = False
    ) -> None:
        """See `DurableOutbox.dedicate`."""
        shown = name or self.place
        await self._writer.run(lambda store: store.dedicate(destination, shown, may_move=may_move))

    source: Final = _in_thread(SqliteStore.source)
    stage: Final = _in_thread(SqliteStore.stage)
    end: Final = _in_thread(SqliteStore.end)
    select: Final = _in_thread(SqliteStore.select)
    locations: Final = _in_thread(SqliteStore.locations)
    unsent: Final = _in_thread(SqliteStore.unsent)
    take_in: Final = _in_thread(SqliteStore.take_in)
    claim: Final = _in_thread(SqliteStore.claim)
    settle: Final = _in_thread(SqliteStore.settle)
    stored: Final = _in_thread(SqliteStore.stored)
    put_lookups: Final = _in_thread(SqliteStore.put_lookups)
    forget_lookups: Final = _in_thread(SqliteStore.forget_lookups)

    async def submit(self, draft: Draft) -> Submission:
        """See `Outbox.submit`."""
        (submission,), _ = await self.take_in([draft])
        return submission

    async def publish(self) -> None:
        """See `Outbox.publish`."""
        while not await self._writer.run(lambda store: store.enqueuer.publish()):
            pass

    async def acquire(self, location: str) -> Acquired:
        """See `Outbox.acquire`."""
        (acquired,) = await self.acquire_all([location])
        return acquired

    async def acquire_all(self, locations: Sequence[str]) -> list[Acquired]:
        """See `Outbox.acquire_all`."""
        return await self._writer.run(lambda store: store.acquire(locations))

    async def get_lookups(self, lease: Lease, names: Sequence[str]) -> dict[str, str]:
        """See `Outbox.get_lookups`."""
        return await self._writer.run(lambda of: at_once(of.lookups.known(lease.number, names)))

    async def finished(self, lease: Lease) -> list[ReadMark]:
        """See `DurableOutbox.finished`."""
        return await self._writer.run(lambda store: at_once(store.lookups.finished(lease.number)))

    async def marking(self) -> list[str]:
        """See `DurableOutbox.marking`."""
        return await self._writer.run(lambda store: at_once(store.lookups.marking()))

    async def requeue(self) -> Requeued:
        """See `DurableOutbox.requeue`."""
        run = self._writer.run
        seqs, left = await run(lambda store: store.requeuer.failed())
        done = await in_lots(seqs, lambda lot: run(lambda of: at_once(of.requeuer.requeue(lot))))
        return Requeued(*map(sum, zip(Requeued(left=left), *done, strict=True)))

    async def dismiss(self, *, keys: Keys = (), gists: Iterable[str] = ()) -> int:
        """See `DurableOutbox.dismiss`."""
        run, reasons = self._writer.run, frozenset(gists)
        seqs = await run(lambda of: at_once(chosen(FileDatabase(of.connection), keys, reasons)))
        return sum(await in_lots(seqs, lambda lot: run(lambda of: of.requeuer.dismiss(lot))))

    async def forget_texts(self) -> int:
        """See `DurableOutbox.forget_texts`."""
        run, forget = self._writer.run, upkeep.forget_texts
        done = await in_pages(lambda after: run(lambda store: forget(store.connection, after)))
        await self._writer.run(lambda store: store.reload())
        return done

    async def reader(self) -> SqliteOutboxReader:
        """See `DurableOutbox.reader`."""
        return SqliteOutboxReader(self.place)

    async def close(self) -> None:
        """See `Outbox.close`. It may be called again, and goes on if it is cancelled."""
        await self._writer.close()

    def __del__(self) -> None:
        if not self._writer.stopped:
            warnings.warn(f"{self!r} was not closed", ResourceWarning, source=self, stacklevel=2)
            self._writer.stop()

    def __repr__(self) -> str:
        return f"<SqliteOutbox {self.place} {'closed' if self._writer.stopped else 'open'}>"
