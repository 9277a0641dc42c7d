"""Names and reasons by number, numbers of records, what is counted beside the owners; lookups.

Lookups are what the API's answers taught of a location, by name: ids, URLs, threads.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from leadconnector_async.outbox.durable import ReadMark, read_mark
from leadconnector_async.outbox.postgres.schema import BLOCK, MAX_INDEXED

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from leadconnector_async.outbox.postgres.connection import Connection, JobRunner

    Lookup = tuple[int, str, str]
    """Number of a location, name and value."""

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


def indexed(name: str) -> str:
    """A name that fits into an index; a long one is known by its digest."""
    name = storable(name)
    if len(name) <= MAX_INDEXED:
        return name
    return f"~{blake2b(name.encode(), digest_size=20).hexdigest()}"


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


_KNOWN: Final = """SELECT lookup.name, value FROM unnest($2::text[]) AS wanted (name)
    JOIN lookup ON lookup.location = $1 AND lookup.name = wanted.name COLLATE "C\""""

_NOTE: Final = """INSERT INTO lookup
    SELECT * FROM unnest($1::int[], $2::text[], $3::text[]) ON CONFLICT DO NOTHING"""

_PUT: Final = """INSERT INTO lookup SELECT * FROM unnest($1::int[], $2::text[], $3::text[])
    ON CONFLICT (location, name) DO UPDATE SET value = excluded.value"""

_FORGET: Final = 'DELETE FROM lookup WHERE location = $1 AND name = ANY ($2::text[] COLLATE "C")'

# A mark's name goes on with its lane, and then the conversation.
_FINISHED: Final = """SELECT name, value, (SELECT conversation_id FROM outcome o
        WHERE o.location = l.location AND o.lane = split_part(name, ':', 2)::bigint
            AND state = 2 AND conversation_id IS NOT NULL LIMIT 1)
    FROM lookup l WHERE location = $1 AND name >= 'mark:' AND name < 'mark;' AND NOT EXISTS (
        SELECT FROM queue q WHERE q.location = l.location
            AND q.lane = split_part(name, ':', 2)::bigint)"""

MARKING: Final = """SELECT name FROM location WHERE EXISTS (SELECT FROM lookup l
    WHERE l.location = id AND l.name >= 'mark:' AND l.name < 'mark;') ORDER BY id"""


async def known_lookups(
    connection: Connection, location: int, names: Sequence[str]
) -> dict[str, str]:
    """Return those of the lookups that are known."""
    kept = {indexed(name): name for name in names}
    rows = await connection.fetch(_KNOWN, location, list(kept))
    return {kept[name]: value for name, value in rows}


async def note_lookups(
    connection: Connection, lookups: Iterable[Lookup], *, over: bool = False
) -> None:
    """Note lookups, unless they are known; or ``over`` what was known."""
    # In one order in all processes, so that none waits for another that waits for it.
    rows = sorted((place, indexed(name), storable(value)) for place, name, value in lookups)
    if rows:
        await connection.execute(_PUT if over else _NOTE, *columns(rows))


async def finished_marks(connection: Connection, location: int) -> list[ReadMark]:
    """See `DurableOutbox.finished`."""
    return [read_mark(*row) for row in await connection.fetch(_FINISHED, location)]


async def forget_lookups(connection: Connection, location: int, names: Collection[str]) -> None:
    """Let lookups be asked for again."""
    await connection.execute(_FORGET, location, [indexed(name) for name in names])
