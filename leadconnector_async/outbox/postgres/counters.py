"""A server as a `Database`; numbers for new records, and what is counted beside the owners."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final

from leadconnector_async.outbox.database import Rows, statements
from leadconnector_async.outbox.postgres.connection import Connection, JobRunner
from leadconnector_async.outbox.postgres.schema import BLOCK, MAX_INDEXED

_SQL: Final = statements(__package__, "counters")


def storable(text: str) -> str:
    """A text without the one character that PostgreSQL keeps in no text."""
    return text.replace("\0", "\ufffd") if "\0" in text else text


async def count(connection: Connection, part: int, changes: Mapping[tuple[int, int], int]) -> None:
    """Add to the totals of each (location, state) that its owner does not count, in some rows."""
    rows = sorted((*place, part, n) for place, n in changes.items() if n)
    if rows:
        await connection.execute(_SQL["add"], *columns(rows))


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

    async def write(self, query: str, rows: Rows) -> None:
        """See `Database.write`."""
        if rows:
            values = ", ".join(f"${n + 1}" for n in range(len(rows[0])))
            await self._connection.executemany(query.replace("{rows}", f"VALUES ({values})"), rows)

    async def number(self, table: str, **values: str | bytes) -> int:
        """See `Database.number`. The first value is a text, which is found by its digest."""
        given = [storable(v) if isinstance(v, str) else v for v in values.values()]
        names, marks = ", ".join(values), ", ".join(f"${n + 1}" for n in range(len(given)))
        same = f"md5({next(iter(values))}) = md5($1::text) AND ({names}) = ({marks})"
        find = f"SELECT id FROM {table} WHERE {same}"  # noqa: S608 - our own names
        number = await self._connection.fetchval(find, *given)
        if number is None:
            insert = f"INSERT INTO {table} ({names}) VALUES ({marks})"  # noqa: S608 - the same
            await self._connection.execute(f"{insert} ON CONFLICT DO NOTHING", *given)
            number = await self._connection.fetchval(find, *given)
        return int(number)

    def text(self, text: str) -> str:
        """See `Database.text`: without the one character that PostgreSQL keeps in no text."""
        return storable(text)

    def name(self, name: str) -> str:
        """See `Database.name`: a long one is known by its digest."""
        name = storable(name)
        if len(name) <= MAX_INDEXED:
            return name
        return f"~{blake2b(name.encode(), digest_size=20).hexdigest()}"
