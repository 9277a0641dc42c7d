"""The queue: staged records put in, in the order of lanes; failed ones back; others left out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from leadconnector_async.outbox.database import at_once, statements
from leadconnector_async.outbox.durable import MAX_UNKNOWN
from leadconnector_async.outbox.requeueing import Requeuer, dismiss
from leadconnector_async.outbox.sqlite.connection import numbers, run_rows
from leadconnector_async.outbox.sqlite.counters import PENDING, REJECTED, UNRESOLVED, Counters
from leadconnector_async.records.deferred import Trait, answers_last

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from sqlite3 import Connection

    from leadconnector_async.outbox.lookups import Lookups
    from leadconnector_async.outbox.record_store import NewRecord, QueuePlace
    from leadconnector_async.outbox.requeueing import FailedRow
    from leadconnector_async.outbox.sqlite.claims import Claims

_SQL: Final = statements(__package__, "enqueuer")

MAX_PER_TRANSACTION: Final = 1_000_000
"""Records in one transaction: the log grows by some 40 bytes for each."""


@dataclass(eq=False, repr=False)
class Enqueuer:
    """Lives in the writer's thread."""

    _connection: Connection
    _claims: Claims
    _lookups: Lookups
    at_most: int = MAX_PER_TRANSACTION

    def __post_init__(self) -> None:
        self.reload()

    def reload(self) -> None:
        """Read how far records are published."""
        (self._published,) = self._connection.execute("SELECT seq FROM sealed").fetchone()
        (last,) = self._connection.execute(_SQL["last"]).fetchone()
        self.traits_staged: bool = last > self._published
        """Whether any may have traits that are staged: else none are looked for among all."""

    def publish(self) -> bool:
        """Put the next lot of staged records in. False if there may be more."""
        (last,) = self._connection.execute(_SQL["last"]).fetchone()
        if last <= self._published:
            return True
        up_to = min(last, self._published + self.at_most)
        if self.traits_staged:
            named = self._published, up_to, int(Trait.TWO_NAMES)
            persons = self._connection.execute(_SQL["two_names"], named).fetchall()
            at_once(self._lookups.note_persons(persons))
            mailed = self._published, up_to, int(Trait.MAIL)
            mails = self._connection.execute(_SQL["mails"], mailed)
            self._connection.executemany(_SQL["move"], list(answers_last(mails)))
        self._connection.execute(_SQL["publish"], (self._published, up_to))
        self._connection.execute("DELETE FROM early WHERE seq <= ?", (up_to,))
        self._mark(up_to)
        self._claims.arrived(None)
        self.traits_staged = self.traits_staged and up_to < last
        return bool(up_to == last)

    def publish_ahead(self, created: Sequence[NewRecord]) -> None:
        """Publish new records, ahead of others that are only staged; put the sound ones in."""
        first, last = created[0].seq, created[-1].seq
        begin, query = self._published + 1, _SQL["are_staged"]
        if begin < first and self._connection.execute(query, (begin, first)).fetchone():
            run_rows(self._connection, _SQL["publish_ahead"], [(record.seq,) for record in created])
        else:
            self._mark(last)
        sound = [record for record in created if record.draft.payload is not None]
        self._enqueue([(of.location, of.draft.lane, of.draft.date, of.seq) for of in sound])
        self._claims.submitted(sound)

    def publish_known(self, place: QueuePlace) -> None:
        """Put a record in that an earlier run staged and did not publish, or left for later."""
        if not self.is_published(place[3]):
            run_rows(self._connection, _SQL["publish_ahead"], [(place[3],)])
            self._put_in(place)
        elif self._connection.execute(_SQL["take"], place).rowcount:  # it was left for later
            self._claims.arrived(place[0])

    def put_back(self, place: QueuePlace) -> None:
        """Put a record in whose end was taken back. One that is not published yet has to wait."""
        if self.is_published(place[3]):
            self._claims.index.tidy()
            self._put_in(place)

    def is_published(self, seq: int) -> bool:
        """Tell whether a record has had its turn to be put in."""
        if seq <= self._published:
            return True
        row = self._connection.execute("SELECT 1 FROM early WHERE seq = ?", (seq,)).fetchone()
        return row is not None

    def _put_in(self, place: QueuePlace) -> None:
        self._enqueue([place])
        self._claims.arrived(place[0])

    def _enqueue(self, places: Sequence[QueuePlace]) -> None:
        run_rows(self._connection, _SQL["enqueue"], [(*place, 0) for place in places])

    def _mark(self, seq: int) -> None:
        self._connection.execute("UPDATE sealed SET seq = ?", (seq,))
        self._published = seq


@dataclass(eq=False, repr=False)
class SqliteRequeuer(Requeuer):
    """Lives in the writer's thread."""

    _connection: Connection
    _counters: Counters
    _claims: Claims

    def failed(self) -> tuple[Sequence[int], int]:
        """Return the numbers of the records to try again, and how many have to wait."""
        rejected = numbers(self._connection, _SQL["failed"], (REJECTED,))
        unresolved = numbers(self._connection, _SQL["failed"], (UNRESOLVED,))
        return rejected + unresolved[:MAX_UNKNOWN], max(len(unresolved) - MAX_UNKNOWN, 0)

    async def _is_in_doubt(self, location: int, lane: int) -> bool:
        if self._claims.index.lanes.get(location, {}).get(lane):
            return True
        place = location, lane, UNRESOLVED
        return self._connection.execute(_SQL["unresolved_in"], place).fetchone() is not None

    async def _took_back(self, rows: Sequence[FailedRow]) -> None:
        self._claims.index.tidy()
        held = [(row[0], row[1], row[3]) for row in rows if row[4] == UNRESOLVED]
        if held:
            self._claims.index.add(held)
        self._claims.arrived(None)
        changes = Counter([(row[0], PENDING) for row in rows])
        changes.subtract([(row[0], row[4]) for row in rows])
        self._counters.add(changes)

    def dismiss(self, seqs: Collection[int]) -> int:
        """Give up those of the records that failed or are unresolved. Returns how many did."""
        given_up, changes = at_once(dismiss(self._database, seqs))
        self._counters.add(changes)
        return len(given_up)
