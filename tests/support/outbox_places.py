"""The stores of the outbox, as the conformance suite makes, opens and crashes each.

A store takes part once its class of `Place` stands in `STORES`.
"""

from __future__ import annotations

import asyncio
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Final

from outbox_kit import crashed
from postgres_kit import cut_off, running_server

from leadconnector_async.outbox.memory import MemoryOutbox
from leadconnector_async.outbox.postgres.outbox import PostgresOutbox
from leadconnector_async.outbox.postgres.reader import PostgresOutboxReader
from leadconnector_async.outbox.sqlite.outbox import SqliteOutbox
from leadconnector_async.outbox.sqlite.reader import SqliteOutboxReader

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from leadconnector_async.outbox.base import Outbox
    from leadconnector_async.outbox.durable import DurableOutbox
    from leadconnector_async.outbox.outbox_reader import OutboxReader


class Place(ABC):
    """Where one outbox is; nothing is there at first. ``folder`` is empty, and its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @abstractmethod
    async def open(self) -> Outbox:
        """Open the outbox. Whoever asks closes it."""


class DurablePlace(Place):
    """Where an outbox is that outlives its process."""

    @abstractmethod
    async def open(self) -> DurableOutbox:
        """Open the outbox, made if it does not exist. Whoever asks closes it."""

    @abstractmethod
    async def reader(self) -> OutboxReader:
        """Open it to be read. Whoever asks closes it."""

    @abstractmethod
    async def crashed(self) -> DurableOutbox:
        """Open what a crash at this moment leaves. What was open before is only closed then."""


class MemoryPlace(Place):
    """Nowhere."""

    async def open(self) -> MemoryOutbox:
        """A new one each time."""
        return MemoryOutbox()


class SqlitePlace(DurablePlace):
    """A file; after a crash, the copy of it that was made at that moment."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._path = folder / "o.db"

    async def open(self) -> SqliteOutbox:
        """Open the file."""
        return await SqliteOutbox.open(self._path)

    async def reader(self) -> SqliteOutboxReader:
        """Open the file beside its owner."""
        return SqliteOutboxReader(self._path)

    async def crashed(self) -> SqliteOutbox:
        """Open a copy of the files as they are."""
        self._path = crashed(self._path)
        return await self.open()


class PostgresServerPlace(DurablePlace):
    """A schema of its own; after a crash, the same one, without those who were connected."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._url = running_server().outbox()

    async def open(self) -> PostgresOutbox:
        """Open the schema."""
        return await PostgresOutbox.open(self._url)

    async def reader(self) -> PostgresOutboxReader:
        """Open the schema beside whoever writes it."""
        return await PostgresOutboxReader.open(self._url)

    async def crashed(self) -> PostgresOutbox:
        """End the server's sides of all connections, and open the schema again."""
        await cut_off(self._url)
        return await self.open()


STORES: Final[tuple[type[Place], ...]] = (MemoryPlace, SqlitePlace, PostgresServerPlace)


def in_store(store: type[Place], work: Callable[[Outbox], Awaitable[None]]) -> None:
    """Work with an outbox of its own, in a loop of its own: for one example of a property."""

    async def main(folder: str) -> None:
        outbox = await store(Path(folder)).open()
        try:
            await work(outbox)
        finally:
            await outbox.close()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(folder))
