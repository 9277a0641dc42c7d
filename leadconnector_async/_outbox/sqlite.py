"""The outbox in a file: `Outbox` over SQLite, with one owner."""

from __future__ import annotations

import os
import sqlite3
import warnings
from functools import partial
from typing import TYPE_CHECKING, Final, Self

from leadconnector_async._outbox.admissions import Admissions
from leadconnector_async._outbox.retrying import Retried
from leadconnector_async._outbox.store import Store, open_store
from leadconnector_async._outbox.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from types import TracebackType

    from leadconnector_async._outbox.interface import (
        Admission,
        Claim,
        Draft,
        Epoch,
        Reading,
        Settlement,
        Spend,
        Staged,
    )
    from leadconnector_async._outbox.opening import Connect

_RETRIES: Final = 5_000
"""Records to put back in one transaction."""


class SqliteOutbox:
    """Open it with `open`; it is bound to the event loop that does.

    A call that is cancelled is done all the same: what it claimed is then held, and is handed back
    as unknown when the location's next epoch begins.
    """

    def __init__(self, path: str, writer: Writer[Store]) -> None:
        self.path = path
        self._writer = writer
        self._admissions = Admissions(writer)

    @classmethod
    async def open(
        cls, path: str | os.PathLike[str], *, connect: Connect = sqlite3.connect
    ) -> Self:
        """Open an outbox, made if it does not exist, and own it until `close`.

        Raises:
            OutboxBusy: another process, or this one, has it open.
            OutboxUnusable: it is no outbox, is damaged, or is of another version.
            OutboxWriteFailed: it cannot be written.
        """
        name = os.fspath(path)
        writer = Writer(name, partial(open_store, name, connect))
        await writer.start()
        return cls(name, writer)

    async def source(self, name: str, form: bytes) -> int:
        """Number of a source, for `Reading`. The same name and form have the same number."""
        return await self._writer.run(lambda store: store.source(name, form))

    async def stage(self, drafts: Sequence[Draft], reading: Reading) -> Staged:
        """See `Outbox.stage`."""
        return await self._writer.run(lambda store: store.staging.stage(drafts, reading))

    async def end(self, reading: Reading, prefix: bytes) -> None:
        """Forget faults of a source that was read to its end, whose keys begin with ``prefix``."""
        await self._writer.run(lambda store: store.staging.end(reading, prefix))

    async def admit(self, draft: Draft) -> Admission:
        """See `Outbox.admit`."""
        return await self._admissions.admit(draft)

    async def seal(self) -> None:
        """See `Outbox.seal`."""
        while not await self._writer.run(lambda store: store.sealing.seal()):
            pass

    async def locations(self) -> list[str]:
        """See `Outbox.locations`."""
        return await self._writer.run(lambda store: store.locations())

    async def unsent(self) -> dict[str, int]:
        """How many records of each location have no end yet, sealed or not."""
        return await self._writer.run(lambda store: store.unsent())

    async def begin(self, location: str) -> Epoch:
        """See `Outbox.begin`."""
        return await self._writer.run(lambda store: store.begin(location))

    async def claim(self, wants: Sequence[tuple[int, int]]) -> list[list[Claim]]:
        """See `Outbox.claim`."""
        return await self._writer.run(lambda store: store.claims.claim(wants))

    async def settle(self, settlements: Sequence[Settlement], spends: Sequence[Spend]) -> None:
        """See `Outbox.settle`."""
        await self._writer.run(lambda store: store.settling.settle(settlements, spends))

    async def recall(self, location: int, names: Sequence[str]) -> dict[str, str]:
        """See `Outbox.recall`."""
        return await self._writer.run(lambda store: store.facts.known(location, names))

    async def remember(self, location: int, facts: Mapping[str, str]) -> None:
        """See `Outbox.remember`."""
        await self._writer.run(lambda store: store.facts.put(location, facts))

    async def stored(self, claim: Claim) -> set[str]:
        """See `Outbox.stored`."""
        return await self._writer.run(lambda store: store.settling.stored(claim))

    async def retry(self) -> Retried:
        """Put failed records back: rejected ones to be sent, unresolved ones to be looked for."""
        seqs, left = await self._writer.run(lambda store: store.retrying.failed())
        total = Retried(left=left)
        for at in range(0, len(seqs), _RETRIES):
            done = await self._retry(seqs[at : at + _RETRIES])
            total = Retried(*(a + b for a, b in zip(total, done, strict=True)))
        return total

    async def _retry(self, seqs: Sequence[int]) -> Retried:
        return await self._writer.run(lambda store: store.retrying.retry(seqs))

    async def dismiss(
        self, *, keys: Iterable[tuple[bytes, str]] = (), gists: Iterable[str] = ()
    ) -> int:
        """Give up for good what failed: by keys and locations, or by reasons. Returns how many."""
        chosen = frozenset(gists)
        seqs = await self._writer.run(
            lambda store: [*store.dismissing.of_keys(keys), *store.dismissing.of_gists(chosen)]
        )
        done = 0
        for at in range(0, len(seqs), _RETRIES):
            done += await self._dismiss(seqs[at : at + _RETRIES])
        return done

    async def _dismiss(self, seqs: Sequence[int]) -> int:
        return await self._writer.run(lambda store: store.dismissing.dismiss(seqs))

    async def close(self) -> None:
        """See `Outbox.close`. It may be called again, and goes on if it is cancelled."""
        await self._writer.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def __del__(self) -> None:
        if not self._writer.stopped:
            warnings.warn(f"{self!r} was not closed", ResourceWarning, source=self, stacklevel=2)
            self._writer.stop()

    def __repr__(self) -> str:
        return f"<SqliteOutbox {self.path} {'closed' if self._writer.stopped else 'open'}>"
