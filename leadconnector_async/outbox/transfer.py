"""What an outbox holds, apart from how a store keeps it: for moving it from one store to another.

A store reads each relation and writes it, in this order; what it counts for its own use it counts
anew. Numbers of records, locations, sources and reasons stay as they are.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Final, Protocol

from leadconnector_async.data_files import read_toml
from leadconnector_async.outbox.database import Rows

RELATIONS: Final[dict[str, list[str]]] = read_toml(__package__, "transfer")
"""Names and columns."""

BATCH: Final = 2_000
"""Rows that are moved at a time."""


def reading(relation: str, own: Mapping[str, str]) -> str:
    """What reads a relation: a store's ``own`` query, if it has one, or else its table."""
    whole = f"SELECT {', '.join(RELATIONS[relation])} FROM {relation}"  # noqa: S608 - our own names
    return own.get(f"read_{relation}", whole)


class StoreTransfer(Protocol):
    """An outbox that nobody else uses; a new one is there once it is finished."""

    def rows(self, relation: str) -> AsyncIterator[Rows]:
        """What a relation holds, some rows at a time."""

    async def retire(self) -> str:
        """Give the outbox a name under which nobody goes on with it. Returns it."""

    async def write(self, relation: str, rows: Rows) -> None:
        """Write some rows of a relation."""

    async def finish(self) -> None:
        """Count what the store counts, and make it durable."""


async def transfer(source: StoreTransfer, target: StoreTransfer) -> int:
    """Move all that an outbox holds. Returns the number of its records."""
    records = 0
    for relation in RELATIONS:
        async for rows in source.rows(relation):
            await target.write(relation, rows)
            records += len(rows) if relation == "record" else 0
    await target.finish()
    return records
