"""What the rules of an outbox ask of its database, in SQL that each one understands.

All of it is within one job's transaction. They are coroutines, so that a server can answer later.
A file answers at once: it never suspends them, and `at_once` runs them to their end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    Rows = Sequence[tuple[Any, ...]]

T = TypeVar("T")

ENDS: Final = "outcome o ON o.location = r.location AND o.lane = r.lane AND o.seq = r.seq"
"""Joins the end of a record ``r``."""

WAITS: Final = """LEFT JOIN queue q ON q.location IN (r.location, -r.location)
    AND (q.lane, q.date, q.seq) = (r.lane, r.date, r.seq)"""


class Database(Protocol):
    """A file, or a schema on a server."""

    for_update: str
    """Keeps others from changing the ends ``o`` that a query has read: appended to it."""

    async def fetch(self, query: str, *values: object) -> Sequence[Any]:
        """The rows that a query, or a change, gives. Its values are ``$1``, ``$2`` and so on."""

    async def fetch_for(self, query: str, types: str, rows: Rows) -> Sequence[Any]:
        """The rows that a query gives which has ``{rows}`` in it, of values of these types."""

    async def write(self, head: str, rows: Rows, tail: str = "") -> None:
        """Execute ``head VALUES (…) tail`` for each row, in their order."""

    def text(self, text: str) -> str:
        """A text as it can be stored."""

    def name(self, name: str) -> str:
        """A name as it can be stored in an index."""


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine over a database that answers at once."""
    try:
        work.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    raise RuntimeError("a database that answers at once was waited for")
