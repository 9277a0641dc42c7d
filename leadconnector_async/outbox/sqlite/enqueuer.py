"""The queue: staged records put in, in the order of lanes; failed ones back; others left out."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from leadconnector_async.api.enrichment import conversation_lookup, forgettable, person_lookups
from leadconnector_async.outbox.durable import MAX_UNKNOWN, Requeued
from leadconnector_async.outbox.reader import gist
from leadconnector_async.outbox.sqlite.connection import fetch_rows, run_rows
from leadconnector_async.outbox.sqlite.counters import DISMISSED, PENDING, REJECTED, UNRESOLVED
from leadconnector_async.records.deferred import Trait, answers_last

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from sqlite3 import Connection

    from leadconnector_async.outbox.sqlite.claims import Claims
    from leadconnector_async.outbox.sqlite.counters import Counters, Lookups

    QueuePlace = tuple[int, int, int, int]
    """Location, lane, date, seq: the order of the queue."""

_TAKE: Final = """UPDATE queue SET location = -location
    WHERE location = -? AND lane = ? AND date = ? AND seq = ?"""

_TWO_NAMES: Final = """SELECT location, late FROM record
    WHERE seq > ? AND seq <= ? AND payload IS NOT NULL AND traits & ? ORDER BY seq"""

_MAILS: Final = """SELECT location, lane, date, seq, late FROM record
    WHERE seq > ? AND seq <= ? AND traits & ? AND payload IS NOT NULL
        AND seq NOT IN (SELECT seq FROM early)
    ORDER BY location, lane, date, seq"""

_MOVE: Final = "UPDATE record SET date = ? WHERE seq = ?"


MAX_PER_TRANSACTION: Final = 1_000_000
"""Records in one transaction: the log grows by some 40 bytes for each."""

_ENQUEUE: Final = "INSERT OR FAIL INTO queue (location, lane, date, seq, attempts)"

_PUBLISHED_AHEAD: Final = "INSERT INTO early (seq)"

_PUBLISH: Final = """INSERT OR FAIL INTO queue (location, lane, date, seq, attempts)
    SELECT location, lane, date, seq, 0 FROM record
    WHERE seq > ? AND seq <= ? AND payload IS NOT NULL AND seq NOT IN (SELECT seq FROM early)
    ORDER BY location, lane, date, seq"""


class Enqueuer:
    """Lives in the writer's thread."""

    def __init__(
        self,
        connection: Connection,
        claims: Claims,
        lookups: Lookups,
        at_most: int = MAX_PER_TRANSACTION,
    ) -> None:
        self._connection = connection
        self._lookups = lookups
        self._claims = claims
        self._at_most = at_most
        self.reload()

    def reload(self) -> None:
        """Read how far records are published."""
        (self._published,) = self._connection.execute("SELECT seq FROM sealed").fetchone()

    def publish(self) -> bool:
        """Put the next lot of staged records in. False if there may be more."""
        (last,) = self._connection.execute("SELECT coalesce(max(seq), 0) FROM record").fetchone()
        if last <= self._published:
            return True
        up_to = min(last, self._published + self._at_most)
        self._note_persons(up_to)
        mails = self._connection.execute(_MAILS, (self._published, up_to, int(Trait.MAIL)))
        self._connection.executemany(_MOVE, list(answers_last(mails)))
        self._connection.execute(_PUBLISH, (self._published, up_to))
        self._connection.execute("DELETE FROM early WHERE seq <= ?", (up_to,))
        self._mark(up_to)
        self._claims.arrived(None)
        return bool(up_to == last)

    def _note_persons(self, up_to: int) -> None:
        """Note as lookups who records name by number and address both.

        The first record of a person counts: a number that several addresses go with is rare.
        """
        values = self._published, up_to, int(Trait.TWO_NAMES)
        for location, deferred in self._connection.execute(_TWO_NAMES, values).fetchall():
            self._lookups.add(location, person_lookups(deferred))

    def publish_ahead(self, seqs: Sequence[int], places: Sequence[QueuePlace]) -> None:
        """Publish new records, ahead of others that are only staged; put some of them in."""
        between = "SELECT 1 FROM record WHERE seq > ? AND seq < ? LIMIT 1"
        if self._connection.execute(between, (self._published, seqs[0])).fetchone() is None:
            self._mark(seqs[-1])
        else:
            run_rows(self._connection, _PUBLISHED_AHEAD, [(seq,) for seq in seqs])
        self._enqueue(places)

    def publish_known(self, place: QueuePlace) -> None:
        """Put a record in that an earlier run staged and did not publish, or left for later."""
        if not self.is_published(place[3]):
            run_rows(self._connection, _PUBLISHED_AHEAD, [(place[3],)])
            self._enqueue([place])
        elif self._connection.execute(_TAKE, place).rowcount:  # it was left for later
            self._claims.arrived(place[0])

    def put_back(self, place: QueuePlace) -> None:
        """Put a record in whose end was taken back. One that is not published yet has to wait."""
        if self.is_published(place[3]):
            self._claims.index.tidy()
            self._enqueue([place])

    def is_published(self, seq: int) -> bool:
        """Tell whether a record has had its turn to be put in."""
        if seq <= self._published:
            return True
        row = self._connection.execute("SELECT 1 FROM early WHERE seq = ?", (seq,)).fetchone()
        return row is not None

    def _enqueue(self, places: Sequence[QueuePlace]) -> None:
        run_rows(self._connection, _ENQUEUE, [(*place, 0) for place in places])
        for place in places:
            self._claims.arrived(place[0])

    def _mark(self, seq: int) -> None:
        self._connection.execute("UPDATE sealed SET seq = ?", (seq,))
        self._published = seq


_FAILED: Final = "SELECT seq FROM outcome WHERE state > 2 AND state = ? ORDER BY seq"

_CHOSEN: Final = """SELECT r.location, r.lane, r.date, r.seq, o.state, r.payload IS NULL
    FROM record r CROSS JOIN outcome o USING (location, lane, seq)
    WHERE o.state > 2 AND r.seq IN ("""

_LATE: Final = """SELECT location, lane, payload, late FROM record
    WHERE late IS NOT NULL AND seq IN ("""

_UNRESOLVED_IN: Final = """SELECT 1 FROM outcome
    WHERE location = ? AND lane = ? AND state = ? LIMIT 1"""

_TAKE_BACK: Final = "DELETE FROM outcome WHERE (location, lane, seq) IN (SELECT * FROM ("
_REASONS: Final = """SELECT DISTINCT outcome.reason, text
    FROM outcome LEFT JOIN reason ON reason.id = outcome.reason WHERE state > 2 AND state < 5"""

_OF_REASON: Final = """SELECT seq FROM outcome
    WHERE state > 2 AND state < 5 AND outcome.reason IS ?"""

_BY_KEY: Final = """SELECT seq FROM record
    WHERE location IN (SELECT id FROM location WHERE ? IN ('', name)) AND key = ?"""

_FAILED_FOR_REASONS: Final = """SELECT outcome.location, state, outcome.id FROM record
    JOIN outcome USING (location, lane, seq) WHERE state > 2 AND state < 5 AND record.seq IN ("""

_DISMISS: Final = "UPDATE outcome SET state = ? WHERE id = ?"


@dataclass(eq=False, repr=False)
class Requeuer:
    """Takes failed records back, or gives them up for good. Lives in the writer's thread."""

    _connection: Connection
    _counters: Counters
    _claims: Claims
    _lookups: Lookups

    def failed(self) -> tuple[Sequence[int], int]:
        """Return the numbers of the records to try again, and how many have to wait."""
        rejected, unresolved = (
            array("q", chain.from_iterable(self._connection.execute(_FAILED, (state,))))
            for state in (REJECTED, UNRESOLVED)
        )
        left = max(len(unresolved) - MAX_UNKNOWN, 0)
        return rejected + unresolved[:MAX_UNKNOWN], left

    def requeue(self, seqs: Sequence[int]) -> Requeued:
        """Take the ends of these records back."""
        self._claims.index.tidy()
        rows = list(fetch_rows(self._connection, _CHOSEN, [(seq,) for seq in seqs], ")"))
        rejected = [row[:4] for row in rows if row[4] == REJECTED and not row[5]]
        unresolved = [row[:4] for row in rows if row[4] == UNRESOLVED]
        self._forget([row[3] for row in rejected])
        places = rejected + unresolved
        run_rows(self._connection, _TAKE_BACK, [(a, b, seq) for a, b, _, seq in places], "))")
        run_rows(self._connection, _ENQUEUE, [(*place, 0) for place in places])
        if unresolved:
            self._claims.index.add([(place[0], place[1], place[3]) for place in unresolved])
        self._claims.arrived(None)
        self._count(rejected, REJECTED)
        self._count(unresolved, UNRESOLVED)
        return Requeued(len(rejected), len(unresolved), len(rows) - len(places))

    def _forget(self, seqs: Sequence[int]) -> None:
        """Let the contacts of rejected records be looked up again: they may have been deleted.

        Not where a record of the same lane may be stored: it is looked for with what was known.
        """
        rows = list(fetch_rows(self._connection, _LATE, [(seq,) for seq in seqs], ")"))
        places = {(location, lane) for location, lane, *_ in rows}
        in_doubt = {place for place in places if self._is_in_doubt(*place)}
        for location, names in forgettable(rows, in_doubt).items():
            contacts = self._lookups.known(location, list(names)).values()
            names |= {conversation_lookup(contact) for contact in contacts}
            self._lookups.forget(location, names)

    def _is_in_doubt(self, location: int, lane: int) -> bool:
        if self._claims.index.lanes.get(location, {}).get(lane):
            return True
        place = location, lane, UNRESOLVED
        return self._connection.execute(_UNRESOLVED_IN, place).fetchone() is not None

    def _count(self, places: Sequence[tuple[Any, ...]], state: int) -> None:
        totals = Counter([place[0] for place in places])
        self._counters.add({(location, state): -n for location, n in totals.items()})
        self._counters.add({(location, PENDING): n for location, n in totals.items()})

    def of_gists(self, gists: Collection[str]) -> list[int]:
        """Return the numbers of the records that failed for these reasons."""
        execute = self._connection.execute
        chosen = [number for number, text in execute(_REASONS) if gist(text or "") in gists]
        return [seq for number in chosen for (seq,) in execute(_OF_REASON, (number,))]

    def of_keys(self, keys: Iterable[tuple[bytes, str]]) -> list[int]:
        """Return the numbers of the records of these keys and locations, "" for any location."""
        execute = self._connection.execute
        return [seq for key, name in keys for (seq,) in execute(_BY_KEY, (name, key))]

    def dismiss(self, seqs: Collection[int]) -> int:
        """Give up those of the records that failed or are unresolved. Returns how many did."""
        rows = list(
            fetch_rows(self._connection, _FAILED_FOR_REASONS, [(seq,) for seq in seqs], ")")
        )
        for _, _, number in rows:
            self._connection.execute(_DISMISS, (DISMISSED, number))
        before = Counter([(location, state) for location, state, _ in rows])
        self._counters.add({place: -n for place, n in before.items()})
        self._counters.add(Counter([(location, DISMISSED) for location, _, _ in rows]))
        return len(rows)
