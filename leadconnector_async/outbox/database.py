"""What the rules of an outbox ask of its database, in SQL that each one understands.

All of it is within one job's transaction. They are coroutines, so that a server can answer later.
A file answers at once: it never suspends them, and `at_once` runs them to their end.
"""

from __future__ import annotations

import re
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, TypeVar

from leadconnector_async.data_files import read_toml

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Sequence

    from leadconnector_async.outbox.base import Claim, Settlement

Rows: TypeAlias = "Sequence[tuple[Any, ...]]"

T = TypeVar("T")


def statements(package: str, name: str, **within: str) -> dict[str, str]:
    """What a file of SQL holds, each by the comment above it, which follows an empty line.

    ``within`` goes in where the names stand in braces.
    """
    text = files(package).joinpath(f"{name}.sql").read_text("utf-8")
    for part, sql in within.items():
        text = text.replace(f"{{{part}}}", sql)
    _, *parts = re.split(r"(?:\A|\n\n)-- (.*)\n", text)
    return dict(zip(parts[::2], map(str.strip, parts[1::2]), strict=True))


def formats(package: str) -> list[str]:
    """What each format of a store's tables has that the one before it has not."""
    tables = files(package).joinpath("tables.sql").read_text("utf-8")
    return re.split("(?m)^-- Format .*$", tables)


_SQL: Final = statements(__package__, "database")

LOCATIONS: Final = _SQL["locations"]
"""Those that have records in the queue, oldest first."""


def fault(name: str, /, **facts: object) -> str:
    """What is wrong with an outbox, as ``faults.toml`` has it under that name."""
    return str(read_toml(__package__, "faults")[name]).format(**facts)


class Database(Protocol):
    """A file, or a schema on a server."""

    for_update: str
    """Keeps others from changing the ends ``o`` that a query has read: appended to it."""

    async def fetch(self, query: str, *values: object) -> Sequence[Any]:
        """The rows that a query, or a change, gives. Its values are ``$1``, ``$2`` and so on."""

    async def fetch_for(self, query: str, types: str, rows: Rows) -> Sequence[Any]:
        """The rows that a query gives which has ``{rows}`` in it, of values of these types."""

    async def write(self, query: str, rows: Rows) -> None:
        """Execute a statement for each row, which stands for ``{rows}`` in it, in their order."""

    async def number(self, table: str, **values: str | bytes) -> int:
        """The number of the row of a table that has these values, new if there is none."""

    def text(self, text: str) -> str:
        """A text as it can be stored."""

    def name(self, name: str) -> str:
        """A name as it can be stored in an index."""


_MAX_REMEMBERED: Final = 10_000
"""Reasons in memory: a source of a million different complaints must not fill it."""


class Numbers:
    """The numbers of locations and reasons, which are made where there are none."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.locations: dict[str, int] = {}
        """Those that are known."""
        self._reasons: dict[str, int] = {}

    def forget(self) -> None:
        """Forget what may have been undone."""
        self.locations.clear()
        self._reasons.clear()

    async def location(self, name: str) -> int:
        """Number of a location, new if it has none."""
        number = self.locations.get(name)
        if number is None:
            number = self.locations[name] = await self._database.number("location", name=name)
        return number

    async def reason(self, text: str | None) -> int | None:
        """Number of a reason, new if it has none."""
        if text is None:
            return None
        number = self._reasons.get(text)
        if number is None:
            if len(self._reasons) >= _MAX_REMEMBERED:
                self._reasons.clear()
            number = self._reasons[text] = await self._database.number("reason", text=text)
        return number


async def stored(database: Database, claim: Claim) -> set[str]:
    """See `Outbox.stored`."""
    rows = await database.fetch(_SQL["stored"], claim.lease.number, claim.lane, claim.seq)
    return {message_id for (message_id,) in rows}


async def add_trails(database: Database, settlements: Iterable[Settlement]) -> None:
    """Write the trails of claims down, in the transaction that settles them."""
    text = database.text
    rows = [
        (fate[0].seq, event.at, text(event.what), event.trace and text(event.trace))
        for fate in settlements
        for event in fate[0].trail or ()
    ]
    await database.write(_SQL["trail"], rows)


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine over a database that answers at once."""
    try:
        work.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    raise RuntimeError("a database that answers at once was waited for")
