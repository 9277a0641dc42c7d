"""Failed records: taken back, to be sent or looked for, or given up for good."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from leadconnector_async.outbox.base import State
from leadconnector_async.outbox.database import ENDS
from leadconnector_async.outbox.durable import Requeued
from leadconnector_async.outbox.reader import gist

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence

    from leadconnector_async.outbox.database import Database
    from leadconnector_async.outbox.durable import Keys
    from leadconnector_async.outbox.lookups import Lookups

    FailedRow = Sequence[Any]
    """Location, lane, date, seq and state of a record, and whether validation refused it."""

T = TypeVar("T")

RETRIES: Final = 5_000
"""Records to put back, give up or forget in one transaction."""

_REJECTED, _UNRESOLVED, _DISMISSED = map(int, (State.REJECTED, State.UNRESOLVED, State.DISMISSED))

_OF_KEY: Final = """SELECT seq FROM location CROSS JOIN record r
    WHERE r.location = id AND r.key = $2 AND $1 IN ('', name)"""

_REASONS: Final = """SELECT DISTINCT o.reason, text FROM outcome o
    LEFT JOIN reason ON reason.id = o.reason WHERE state > 2 AND state IN (3, 4)"""

_OF_REASON: Final = """SELECT seq FROM outcome WHERE state > 2 AND state IN (3, 4)
    AND (reason = $1 OR CAST($1 AS int) IS NULL AND reason IS NULL)"""

_FAILED: Final = f"""WITH w (seq) AS ({{rows}})
    SELECT r.location, r.lane, r.date, r.seq, o.state, r.payload IS NULL
    FROM w CROSS JOIN record r JOIN {ENDS} WHERE r.seq = w.seq AND o.state IN (3, 4)
    ORDER BY r.seq"""  # noqa: S608 - our own names

_DISMISS: Final = """WITH w (location, lane, seq) AS ({rows}) UPDATE outcome SET state = 6
    WHERE (location, lane, seq) IN (SELECT * FROM w)"""

_TAKE_BACK: Final = """WITH w (location, lane, seq) AS ({rows}) DELETE FROM outcome
    WHERE (location, lane, seq) IN (SELECT * FROM w)"""

_PUT_BACK: Final = """WITH w (location, lane, date, seq) AS ({rows})
    INSERT INTO queue (location, lane, date, seq, attempts) SELECT location, lane, date, seq, 0
    FROM w"""

_LATE: Final = """WITH w (seq) AS ({rows}) SELECT location, lane, payload, late
    FROM w CROSS JOIN record r WHERE r.seq = w.seq AND late IS NOT NULL"""


async def in_lots(seqs: Sequence[int], work: Callable[[Sequence[int]], Awaitable[T]]) -> list[T]:
    """What work gives that does some records in each transaction."""
    return [await work(seqs[at : at + RETRIES]) for at in range(0, len(seqs), RETRIES)]


async def chosen(database: Database, keys: Keys, gists: Collection[str]) -> list[int]:
    """The numbers of the records of these keys and locations ("" for any), or of these reasons."""
    fetch = database.fetch
    seqs = [seq for key, name in keys for (seq,) in await fetch(_OF_KEY, database.text(name), key)]
    if gists:
        for number, text in await fetch(_REASONS):
            if gist(text or "") in gists:
                seqs += [seq for (seq,) in await fetch(_OF_REASON, number)]
    return seqs


async def _failed(database: Database, seqs: Iterable[int]) -> Sequence[FailedRow]:
    query = _FAILED + database.for_update
    return await database.fetch_for(query, "bigint", [(seq,) for seq in seqs])


async def dismiss(
    database: Database, seqs: Collection[int]
) -> tuple[list[int], Counter[tuple[int, int]]]:
    """Give up those of the records that failed or are unresolved.

    Returns their numbers, and by how much each (location, state) has more now.
    """
    rows = await _failed(database, seqs)
    places = [(row[0], row[1], row[3]) for row in rows]
    await database.fetch_for(_DISMISS, "int bigint bigint", places)
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
        await self._database.fetch_for(_TAKE_BACK, "int bigint bigint", ends)
        places = [tuple(row[:4]) for row in back]
        await self._database.fetch_for(_PUT_BACK, "int bigint bigint bigint", places)
        await self._took_back(back)
        return Requeued(len(rejected), len(unresolved), len(rows) - len(back))

    async def _forget(self, seqs: Sequence[tuple[int]]) -> None:
        """Let it be asked again where they belong, but where a record of a lane may be stored."""
        rows = await self._database.fetch_for(_LATE, "bigint", seqs)
        lanes = {(location, lane) for location, lane, *_ in rows}
        in_doubt = {lane for lane in lanes if await self._is_in_doubt(*lane)}
        await self._lookups.forget_places(rows, in_doubt)

    @abstractmethod
    async def _is_in_doubt(self, location: int, lane: int) -> bool:
        """Whether a record of a lane is held or unresolved."""

    @abstractmethod
    async def _took_back(self, rows: Sequence[FailedRow]) -> None:
        """Count what is back, and hold what may be stored."""
