"""The outbox in a file: `Outbox` over SQLite, with one owner."""

from __future__ import annotations

import os
import sqlite3
import warnings
from functools import partial
from operator import add
from typing import TYPE_CHECKING, Final, Self

from leadconnector_async.outbox.base import NO_BOUND
from leadconnector_async.outbox.call_batcher import CallBatcher
from leadconnector_async.outbox.durable import DurableOutbox, Requeued
from leadconnector_async.outbox.sqlite import upkeep
from leadconnector_async.outbox.sqlite.jobs import SqliteStore, open_store
from leadconnector_async.outbox.sqlite.reader import SqliteOutboxReader
from leadconnector_async.outbox.sqlite.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from leadconnector_async.outbox.base import (
        Acquired,
        Claim,
        Lease,
        Settlement,
        SourcePass,
        Staged,
        Submission,
    )
    from leadconnector_async.outbox.durable import ReadMark
    from leadconnector_async.outbox.selection import Selection
    from leadconnector_async.outbox.sqlite.connection import Connect
    from leadconnector_async.quota.limits import QuotaSnapshot
    from leadconnector_async.records.draft import Draft


_RETRIES: Final = 5_000
"""Records to put back, give up or forget in one transaction."""


class SqliteOutbox(DurableOutbox):
    """Open it with `open`; it is bound to the event loop that does.

    A call that is cancelled is done all the same: what it claimed is then held, and is handed back
    as unknown with the location's next lease.
    """

    is_shared = False

    def __init__(self, place: str, writer: Writer[SqliteStore]) -> None:
        self.place = place
        self._writer = writer
        self._submissions: CallBatcher[Draft, Submission] = CallBatcher(
            lambda drafts: writer.run(lambda store: store.submit(drafts))
        )
        self._leases: CallBatcher[str, Acquired] = CallBatcher(
            lambda names: writer.run(lambda store: [store.acquire(name) for name in names])
        )

    @classmethod
    async def open(
        cls, path: str | os.PathLike[str], *, connect: Connect = sqlite3.connect
    ) -> Self:
        """Open an outbox, made if it does not exist, and own it until `close`.

        Raises:
            OutboxBusyError: another process, or this one, has it open.
            OutboxUnusableError: it is no outbox, is damaged, or is of another version.
            OutboxWriteError: it cannot be written.
        """
        name = os.fspath(path)
        writer = Writer(name, partial(open_store, name, connect))
        await writer.start()
        return cls(name, writer)

    async def dedicate(self, destination: str, *, name: str | None = None) -> None:
        """See `DurableOutbox.dedicate`."""
        shown = name or self.place
        await self._writer.run(lambda store: store.dedicate(destination, shown))

    async def source(self, name: str, form: bytes) -> int:
        """See `DurableOutbox.source`."""
        return await self._writer.run(lambda store: store.source(name, form))

    async def stage(self, drafts: Sequence[Draft], source_pass: SourcePass) -> Staged:
        """See `Outbox.stage`."""
        return await self._writer.run(lambda store: store.stage(drafts, source_pass))

    async def end(self, source_pass: SourcePass, prefix: bytes) -> None:
        """See `DurableOutbox.end`."""
        await self._writer.run(lambda store: store.end(source_pass, prefix))

    async def select(self, selection: Selection | None) -> None:
        """See `DurableOutbox.select`."""
        await self._writer.run(lambda store: store.select(selection))

    async def locations(self) -> list[str]:
        """See `Outbox.locations`."""
        return await self._writer.run(lambda store: store.locations())

    async def unsent(self) -> dict[str, int]:
        """See `DurableOutbox.unsent`."""
        return await self._writer.run(lambda store: store.unsent())

    async def claim(
        self, wants: Sequence[tuple[Lease, int]], room: int = NO_BOUND
    ) -> list[list[Claim]]:
        """See `Outbox.claim`."""
        return await self._writer.run(lambda store: store.claim(wants, room))

    async def settle(
        self, settlements: Sequence[Settlement], quotas: Sequence[tuple[Lease, QuotaSnapshot]]
    ) -> None:
        """See `Outbox.settle`."""
        await self._writer.run(lambda store: store.settle(settlements, quotas))

    async def stored(self, claim: Claim) -> set[str]:
        """See `Outbox.stored`."""
        return await self._writer.run(lambda store: store.stored(claim))

    async def put_lookups(self, lease: Lease, lookups: Mapping[str, str]) -> None:
        """See `Outbox.put_lookups`."""
        await self._writer.run(lambda store: store.put_lookups(lease, lookups))

    async def forget_lookups(self, lease: Lease, names: Collection[str]) -> None:
        """See `DurableOutbox.forget_lookups`."""
        await self._writer.run(lambda store: store.forget_lookups(lease, names))

    async def submit(self, draft: Draft) -> Submission:
        """See `Outbox.submit`."""
        return await self._submissions.call(draft)

    async def publish(self) -> None:
        """See `Outbox.publish`."""
        while not await self._writer.run(lambda store: store.enqueuer.publish()):
            pass

    async def acquire(self, location: str) -> Acquired:
        """See `Outbox.acquire`."""
        return await self._leases.call(location)

    async def get_lookups(self, lease: Lease, names: Sequence[str]) -> dict[str, str]:
        """See `Outbox.get_lookups`."""
        return await self._writer.run(lambda store: store.lookups.known(lease.number, names))

    async def finished(self, lease: Lease) -> list[ReadMark]:
        """See `DurableOutbox.finished`."""
        return await self._writer.run(lambda store: store.lookups.finished(lease.number))

    async def marking(self) -> list[str]:
        """See `DurableOutbox.marking`."""
        return await self._writer.run(lambda store: store.lookups.marking())

    async def requeue(self) -> Requeued:
        """See `DurableOutbox.requeue`."""
        seqs, left = await self._writer.run(lambda store: store.requeuer.failed())
        total = Requeued(left=left)
        for at in range(0, len(seqs), _RETRIES):
            page = seqs[at : at + _RETRIES]
            done = await self._writer.run(lambda store: store.requeuer.requeue(page))  # noqa: B023 - awaited here
            total = Requeued(*map(add, total, done))
        return total

    async def dismiss(
        self, *, keys: Iterable[tuple[bytes, str]] = (), gists: Iterable[str] = ()
    ) -> int:
        """See `DurableOutbox.dismiss`."""
        chosen = frozenset(gists)
        seqs = await self._writer.run(
            lambda store: [*store.requeuer.of_keys(keys), *store.requeuer.of_gists(chosen)]
        )
        done = 0
        for at in range(0, len(seqs), _RETRIES):
            page = seqs[at : at + _RETRIES]
            done += await self._writer.run(lambda store: store.requeuer.dismiss(page))  # noqa: B023 - awaited here
        return done

    async def forget_texts(self) -> int:
        """See `DurableOutbox.forget_texts`."""
        total, last, end = 0, -2, -1
        while end != last:
            last = end
            done, end = await self._writer.run(
                lambda store: upkeep.forget_texts(store.connection, last, _RETRIES)  # noqa: B023 - awaited here
            )
            total += done
        await self._writer.run(lambda store: store.reload())
        return total

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
