"""Failed records: taken back, to be sent or looked for, or given up for good."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from leadconnector_async.outbox.base import State
from leadconnector_async.outbox.database import Database, T, statements
from leadconnector_async.outbox.durable import Keys, Requeued
from leadconnector_async.outbox.reader import gist

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence

    from leadconnector_async.outbox.lookups import Lookups

FailedRow: TypeAlias = "Sequence[Any]"
"""Location, lane, date, seq and state of a record, and whether validation refused it."""

RETRIES: Final = 5_000
"""Records to put back, give up or forget in one transaction."""

_REJECTED, _UNRESOLVED, _DISMISSED = map(int, (State.REJECTED, State.UNRESOLVED, State.DISMISSED))

_SQL: Final = statements(__package__, "requeueing")


async def in_lots(seqs: Sequence[int], work: Callable[[Sequence[int]], Awaitable[T]]) -> list[T]:
    """What work gives that does some records in each transaction."""
    return [await work(seqs[at : at + RETRIES]) for at in range(0, len(seqs), RETRIES)]


async def in_pages(work: Callable[[int], Awaitable[tuple[int, int]]]) -> int:
    """How much work has done that does some records in each transaction, behind one by its number.

    It tells how many it did, and the number of the last one; that again where there is none.
    """
    total, after, last = 0, -2, -1
    while last != after:
        after = last
        done, last = await work(after)
        total += done
    return total


async def chosen(database: Database, keys: Keys, gists: Collection[str]) -> list[int]:
    """The numbers of the records of these keys and locations ("" for any), or of these reasons."""
    fetch, text = database.fetch, database.text
    seqs = [seq for key, name in keys for (seq,) in await fetch(_SQL["of_key"], text(name), key)]
    if gists:
        for number, reason in await fetch(_SQL["reasons"]):
            if gist(reason or "") in gists:
                seqs += [seq for (seq,) in await fetch(_SQL["of_reason"], number)]
    return seqs


async def _failed(database: Database, seqs: Iterable[int]) -> Sequence[FailedRow]:
    query = _SQL["failed"] + database.for_update
    return await database.fetch_for(query, "bigint", [(seq,) for seq in seqs])


async def dismiss(
    database: Database, seqs: Collection[int]
) -> tuple[list[int], Counter[tuple[int, int]]]:
    """Give up those of the records that failed or are unresolved.

    Returns their numbers, and by how much each (location, state) has more now.
    """
    rows = await _failed(database, seqs)
    places = [(row[0], row[1], row[3]) for row in rows]
    await database.fetch_for(_SQL["dismiss"], "int bigint bigint", places)
    changes = Counter([(location, _DISMISSED) for location, *_ in rows])
    changes.subtract([(row[0], row[4]) for row in rows])
    return [seq for *_, seq in places], changes


@dataclass(eq=False, repr=False)
class Requeuer(ABC):
    """Takes failed records back."""

    _database: Database
    _lookups: Lookups

    async def requeue(self, seqs: Iterable[int]) -> Requeued:
        """Take the ends of these records back."""
        rows = await _failed(self._database, seqs)
        rejected = [row for row in rows if row[4] == _REJECTED and not row[5]]
        unresolved = [row for row in rows if row[4] == _UNRESOLVED]
        await self._forget([(row[3],) for row in rejected])
        back = rejected + unresolved
        ends = [(row[0], row[1], row[3]) for row in back]
        await self._database.fetch_for(_SQL["take_back"], "int bigint bigint", ends)
        places = [tuple(row[:4]) for row in back]
        await self._database.fetch_for(_SQL["put_back"], "int bigint bigint bigint", places)
        await self._took_back(back)
        return Requeued(len(rejected), len(unresolved), len(rows) - len(back))

    async def _forget(self, seqs: Sequence[tuple[int]]) -> None:
        """Let it be asked again where they belong, but where a record of a lane may be stored."""
        rows = await self._database.fetch_for(_SQL["late"], "bigint", seqs)
        lanes = {(location, lane) for location, lane, *_ in rows}
        in_doubt = {lane for lane in lanes if await self._is_in_doubt(*lane)}
        await self._lookups.forget_places(rows, in_doubt)

    @abstractmethod
    async def _is_in_doubt(self, location: int, lane: int) -> bool:
        """Whether a record of a lane is held or unresolved."""

    @abstractmethod
    async def _took_back(self, rows: Sequence[FailedRow]) -> None:
        """Count what is back, and hold what may be stored."""
