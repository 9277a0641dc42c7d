"""What an outbox holds, apart from how a store keeps it: for moving it from one store to another.

A store reads each relation and writes it, in this order; what it counts for its own use it counts
anew. Numbers of records, locations, sources and reasons stay as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from leadconnector_async.outbox.database import Rows

RELATIONS: Final = {
    "location": "id name",
    "source": "id name form",
    "reason": "id text",
    "record": "seq location lane date key payload late traits source line raw",
    "queue": "location lane date seq attempts",
    "held": "location seq",
    "outcome": "location lane seq state at attempts message_id conversation_id email_message_id"
    " reason detail",
    "lookup": "location name value",
    "copy": "source seq n met source_pass line",
    "former": "seq line",
    "reused": "seq content",
    "quota": "location day_used day_ends window_used window_ends day_limit",
    "pace": "span sent",
    "trail": "seq at what trace",
    "trace": "seq parent state",
    "owner": "location at worker",
    "file": "digest n content",
}
"""Names and columns. ``held``: claimed and not settled. A location is negative in ``queue`` where
its record is left for later. ``file``: pieces of files that a database keeps for its records."""

BATCH: Final = 2_000
"""Rows that are moved at a time."""


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
