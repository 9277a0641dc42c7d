"""Names and reasons by number, numbers of records, and what is counted beside the owners."""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

from leadconnector_async.outbox.postgres.schema import BLOCK, MAX_INDEXED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from leadconnector_async.outbox.database import Rows
    from leadconnector_async.outbox.postgres.connection import Connection, JobRunner

_MAX_REMEMBERED: Final = 10_000
"""Reasons in memory: a source of a million different complaints must not fill it."""

_FIND: Final = "SELECT id FROM {table} WHERE md5({column}) = md5($1) AND {column} = $1"

_FIND_LOCATIONS: Final = """SELECT name, id FROM unnest($1::text[]) AS of (asked)
    JOIN location ON md5(name) = md5(asked) AND name = asked"""

_INSERT: Final = "INSERT INTO {table} ({column}) VALUES ($1) ON CONFLICT DO NOTHING"

_ADD: Final = """INSERT INTO tally (location, state, part, n)
    SELECT * FROM unnest($1::int[], $2::smallint[], $3::int[], $4::bigint[])
    ON CONFLICT (location, state, part) DO UPDATE SET n = tally.n + excluded.n"""


def storable(text: str) -> str:
    """A text without the one character that PostgreSQL keeps in no text."""
    return text.replace("\0", "\ufffd") if "\0" in text else text


class Numbers:
    """The numbers of locations and reasons, which are made where there are none."""

    def __init__(self, runner: JobRunner) -> None:
        self._connection = runner.connection
        self._locations: dict[str, int] = {}
        self._reasons: dict[str, int] = {}
        runner.undone.append(self.forget)

    def forget(self) -> None:
        """Forget what may have been undone."""
        self._locations.clear()
        self._reasons.clear()

    async def location(self, name: str) -> int:
        """Number of a location, new if it has none."""
        number = self._locations.get(name)
        if number is None:
            number = self._locations[name] = await self._number("location", "name", name)
        return number

    async def locations(self, names: Sequence[str]) -> dict[str, int]:
        """Numbers of locations, new where they have none."""
        unknown = [storable(name) for name in names if name not in self._locations]
        if len(unknown) > 1:
            found = await self._connection.fetch(_FIND_LOCATIONS, unknown)
            self._locations.update((name, number) for name, number in found)
        return {name: await self.location(name) for name in names}

    async def reason(self, text: str | None) -> int | None:
        """Number of a reason, new if it has none."""
        if text is None:
            return None
        number = self._reasons.get(text)
        if number is None:
            if len(self._reasons) >= _MAX_REMEMBERED:
                self._reasons.clear()
            number = self._reasons[text] = await self._number("reason", "text", text)
        return number

    async def _number(self, table: str, column: str, text: str) -> int:
        text = storable(text)
        find = _FIND.format(table=table, column=column)
        number = await self._connection.fetchval(find, text)
        if number is None:
            await self._connection.execute(_INSERT.format(table=table, column=column), text)
            number = await self._connection.fetchval(find, text)
        return int(number)


async def count(connection: Connection, part: int, changes: Mapping[tuple[int, int], int]) -> None:
    """Add to the totals of each (location, state) that its owner does not count, in some rows."""
    rows = sorted((*place, part, n) for place, n in changes.items() if n)
    if rows:
        await connection.execute(_ADD, *columns(rows))


class NumberBlocks:
    """Numbers for new records, in blocks, each noted as not published where ``stager`` is given."""

    def __init__(self, runner: JobRunner, stager: int | None = None) -> None:
        self._connection = runner.connection
        self._stager = stager
        self._next = self._end = 0
        runner.undone.append(self.drop)

    def drop(self) -> None:
        """Begin a new block: this one was published, or what was noted of it is undone."""
        self._next = self._end = 0

    async def take(self, n: int) -> list[int]:
        """Give the next numbers, in their order."""
        taken: list[int] = []
        while len(taken) < n:
            if self._next == self._end:
                await self._begin()
            end = min(self._end, self._next + n - len(taken))
            taken += range(self._next, end)
            self._next = end
        return taken

    async def _begin(self) -> None:
        self._next = await self._connection.fetchval("SELECT nextval('record_number')")
        self._end = self._next + BLOCK
        if self._stager is not None:
            values = self._next, self._end, self._stager
            await self._connection.execute("INSERT INTO unpublished VALUES ($1, $2, $3)", *values)


def columns(rows: Sequence[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """Rows as the columns that ``unnest`` takes. There is one row at least."""
    return list(zip(*rows, strict=True))


@lru_cache(maxsize=128)
def _over_arrays(query: str, types: str) -> str:
    arrays = ", ".join(f"${n}::{of}[]" for n, of in enumerate(types.split(), 1))
    return query.replace("{rows}", f"SELECT * FROM unnest({arrays})")  # noqa: S608 - our own words


class ServerDatabase:
    """`Database` over a connection, whose names are those of a schema."""

    for_update: str = " FOR UPDATE OF o"

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def fetch(self, query: str, *values: object) -> Sequence[Any]:
        """See `Database.fetch`."""
        rows: Sequence[Any] = await self._connection.fetch(query, *values)
        return rows

    async def fetch_for(self, query: str, types: str, rows: Rows) -> Sequence[Any]:
        """See `Database.fetch_for`."""
        return await self.fetch(_over_arrays(query, types), *columns(rows)) if rows else []

    async def write(self, head: str, rows: Rows, tail: str = "") -> None:
        """See `Database.write`."""
        if rows:
            values = ", ".join(f"${n + 1}" for n in range(len(rows[0])))
            await self._connection.executemany(f"{head} VALUES ({values}){tail}", rows)

    def text(self, text: str) -> str:
        """See `Database.text`: without the one character that PostgreSQL keeps in no text."""
        return storable(text)

    def name(self, name: str) -> str:
        """See `Database.name`: a long one is known by its digest."""
        name = storable(name)
        if len(name) <= MAX_INDEXED:
            return name
        return f"~{blake2b(name.encode(), digest_size=20).hexdigest()}"
