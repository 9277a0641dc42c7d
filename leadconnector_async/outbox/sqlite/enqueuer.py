"""Putting staged records into the queue, in the order of their lanes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from leadconnector_async.api.enrichment import PERSON
from leadconnector_async.outbox.sqlite.connection import run_rows
from leadconnector_async.outbox.sqlite.selecting import take
from leadconnector_async.records.deferred import Trait
from leadconnector_async.records.lane_order import answers_last, two_names_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from sqlite3 import Connection

    from leadconnector_async.outbox.sqlite.claims import Claims
    from leadconnector_async.outbox.sqlite.lookups import Lookups

_TWO_NAMES: Final = """SELECT location, late FROM record
    WHERE seq > ? AND seq <= ? AND payload IS NOT NULL AND traits & ? ORDER BY seq"""

_MAILS: Final = """SELECT location, lane, date, seq, late FROM record
    WHERE seq > ? AND seq <= ? AND traits & ? AND payload IS NOT NULL
        AND seq NOT IN (SELECT seq FROM early)
    ORDER BY location, lane, date, seq"""

_MOVE: Final = "UPDATE record SET date = ? WHERE seq = ?"

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
            if (found := two_names_of(deferred)) is not None:
                contact = msgspec.json.encode(found[0]).decode()
                self._lookups.add(location, {f"{PERSON}{name}": contact for name in found[1]})

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
        elif take(self._connection, place):
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
