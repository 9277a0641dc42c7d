"""Putting staged records into the queue, in the order of their lanes.

Two things are known only when all is staged. One file knows a person's number, another the
address: a record that names both joins their lanes. And mails go out after those that they answer,
whatever their writers' clocks said.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Final

from leadconnector_async.api.enrichment import PERSON
from leadconnector_async.outbox.sqlite.connection import run_rows
from leadconnector_async.records.deferred import read_deferred

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from sqlite3 import Connection

    from leadconnector_async.outbox.sqlite.claims import Claims

# The first record of a person counts: a number that several addresses go with is rare.
_PERSONS: Final = """INSERT OR IGNORE INTO fact (location, name, value)
    SELECT location, ? || json_extract(late, ?), json_extract(late, '$.contact') FROM record
    WHERE seq > ? AND seq <= ? AND payload IS NOT NULL AND late LIKE '%"email"%'
        AND json_extract(late, '$.contact.phone') IS NOT NULL
        AND json_extract(late, '$.contact.email') IS NOT NULL
    ORDER BY seq"""


def note_persons(connection: Connection, after: int, up_to: int) -> None:
    """Note as lookups who these records name by number and address both."""
    for part in ("$.contact.phone", "$.contact.email"):
        connection.execute(_PERSONS, (PERSON, part, after, up_to))


_MAILS: Final = """SELECT location, lane, date, seq, late FROM record
    WHERE seq > ? AND seq <= ? AND late LIKE '%"mail"%' AND payload IS NOT NULL
        AND seq NOT IN (SELECT seq FROM early)
    ORDER BY location, lane, date, seq"""

_MOVE: Final = "UPDATE record SET date = ? WHERE seq = ?"


def put_answers_last(connection: Connection, after: int, up_to: int) -> None:
    """Move the mails among these records that stand before one that they answer."""
    mails = connection.execute(_MAILS, (after, up_to))
    for _, lane in groupby(mails, key=lambda row: row[:2]):
        moves = list(_moved(row[2:] for row in lane))
        connection.executemany(_MOVE, moves)


def _moved(rows: Iterable[tuple[int, int, str]]) -> Iterator[tuple[int, int]]:
    """Yield the new date and the number of each mail of one lane that has to move."""
    mails = [(date, seq, read_deferred(deferred)) for date, seq, deferred in rows]
    places = {deferred.mail: place for place, (_, _, deferred) in enumerate(mails) if deferred.mail}
    dates = [date for date, _, _ in mails]
    answered = [
        [places[name] for name in deferred.answers if name in places] for _, _, deferred in mails
    ]
    for place in _answered_first(answered):
        dates[place] = max([dates[place], *(dates[other] + 1 for other in answered[place])])
    yield from (
        (after, seq)
        for after, (before, seq, _) in zip(dates, mails, strict=True)
        if after != before
    )


def _answered_first(answered: list[list[int]]) -> Iterator[int]:
    """Yield each place once, after those that it answers, and drop what would close a circle.

    One pass, whatever the order: a mailbox is not trusted to be a tree, nor to be a shallow one.
    """
    state = [_UNSEEN] * len(answered)
    for root in range(len(answered)):
        path = [root]
        while path:
            place = path[-1]
            if state[place] == _UNSEEN:
                state[place] = _OPEN
                answered[place] = [other for other in answered[place] if state[other] != _OPEN]
                path += [other for other in answered[place] if state[other] == _UNSEEN]
                continue
            path.pop()
            if state[place] == _OPEN:
                state[place] = _DONE
                yield place


_UNSEEN, _OPEN, _DONE = range(3)

if TYPE_CHECKING:
    QueuePlace = tuple[int, int, int, int]
    """Location, lane, date, seq: the order of the queue."""

MAX_PER_TRANSACTION: Final = 1_000_000
"""Records in one transaction: the log grows by some 40 bytes for each."""

_ENQUEUE: Final = "INSERT INTO queue (location, lane, date, seq, attempts)"

_PUBLISHED_AHEAD: Final = "INSERT INTO early (seq)"

_PUBLISH: Final = """INSERT INTO queue (location, lane, date, seq, attempts)
    SELECT location, lane, date, seq, 0 FROM record
    WHERE seq > ? AND seq <= ? AND payload IS NOT NULL AND seq NOT IN (SELECT seq FROM early)
    ORDER BY location, lane, date, seq"""


class Enqueuer:
    """Lives in the writer's thread."""

    def __init__(
        self, connection: Connection, claims: Claims, at_most: int = MAX_PER_TRANSACTION
    ) -> None:
        self._connection = connection
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
        note_persons(self._connection, self._published, up_to)
        put_answers_last(self._connection, self._published, up_to)
        self._connection.execute(_PUBLISH, (self._published, up_to))
        self._connection.execute("DELETE FROM early WHERE seq <= ?", (up_to,))
        self._mark(up_to)
        self._claims.arrived(None)
        return bool(up_to == last)

    def publish_ahead(self, seqs: Sequence[int], places: Sequence[QueuePlace]) -> None:
        """Publish new records, ahead of others that are only staged; put some of them in."""
        between = "SELECT 1 FROM record WHERE seq > ? AND seq < ? LIMIT 1"
        if self._connection.execute(between, (self._published, seqs[0])).fetchone() is None:
            self._mark(seqs[-1])
        else:
            run_rows(self._connection, _PUBLISHED_AHEAD, [(seq,) for seq in seqs])
        self._enqueue(places)

    def publish_known(self, place: QueuePlace) -> None:
        """Put a record in that an earlier run staged and did not publish."""
        if not self.is_published(place[3]):
            run_rows(self._connection, _PUBLISHED_AHEAD, [(place[3],)])
            self._enqueue([place])

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
