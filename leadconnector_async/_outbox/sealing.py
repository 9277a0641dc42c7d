"""Putting staged records into the queue, in the order of their lanes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from leadconnector_async._outbox.people import note_persons
from leadconnector_async._outbox.rows import run_rows
from leadconnector_async._outbox.threads import put_answers_last

if TYPE_CHECKING:
    from collections.abc import Sequence
    from sqlite3 import Connection

    from leadconnector_async._outbox.claims import Claims

    Place = tuple[int, int, int, int]
    """Location, lane, date, seq: the order of the queue."""

AT_MOST: Final = 1_000_000
"""Records in one transaction: the log grows by some 40 bytes for each."""

_ENQUEUE: Final = "INSERT INTO queue (location, lane, date, seq, attempts)"
_EARLY: Final = "INSERT INTO early (seq)"
_SEAL: Final = """INSERT INTO queue (location, lane, date, seq, attempts)
    SELECT location, lane, date, seq, 0 FROM record
    WHERE seq > ? AND seq <= ? AND payload IS NOT NULL AND seq NOT IN (SELECT seq FROM early)
    ORDER BY location, lane, date, seq"""


class Sealing:
    """Lives in the writer's thread."""

    def __init__(self, connection: Connection, claims: Claims, at_most: int = AT_MOST) -> None:
        self._connection = connection
        self._claims = claims
        self._at_most = at_most
        self.reload()

    def reload(self) -> None:
        """Read how far records are sealed."""
        (self._sealed,) = self._connection.execute("SELECT seq FROM sealed").fetchone()

    def seal(self) -> bool:
        """Put the next lot of staged records in. False if there may be more."""
        (last,) = self._connection.execute("SELECT coalesce(max(seq), 0) FROM record").fetchone()
        if last <= self._sealed:
            return True
        up_to = min(last, self._sealed + self._at_most)
        note_persons(self._connection, self._sealed, up_to)
        put_answers_last(self._connection, self._sealed, up_to)
        self._connection.execute(_SEAL, (self._sealed, up_to))
        self._connection.execute("DELETE FROM early WHERE seq <= ?", (up_to,))
        self._mark(up_to)
        self._claims.arrived(None)
        return bool(up_to == last)

    def admit(self, seqs: Sequence[int], places: Sequence[Place]) -> None:
        """Seal new records, ahead of others that are staged and not sealed; put some of them in."""
        between = "SELECT 1 FROM record WHERE seq > ? AND seq < ? LIMIT 1"
        if self._connection.execute(between, (self._sealed, seqs[0])).fetchone() is None:
            self._mark(seqs[-1])
        else:
            run_rows(self._connection, _EARLY, [(seq,) for seq in seqs])
        self._enqueue(places)

    def admit_known(self, place: Place) -> None:
        """Put a record in that an earlier run staged and did not seal."""
        if not self.is_sealed(place[3]):
            run_rows(self._connection, _EARLY, [(place[3],)])
            self._enqueue([place])

    def put_back(self, place: Place) -> None:
        """Put a record in whose end was taken back. One that is not sealed yet has to wait."""
        if self.is_sealed(place[3]):
            self._claims.held.tidy()
            self._enqueue([place])

    def is_sealed(self, seq: int) -> bool:
        """Tell whether a record has had its turn to be put in."""
        if seq <= self._sealed:
            return True
        row = self._connection.execute("SELECT 1 FROM early WHERE seq = ?", (seq,)).fetchone()
        return row is not None

    def _enqueue(self, places: Sequence[Place]) -> None:
        run_rows(self._connection, _ENQUEUE, [(*place, 0) for place in places])
        for place in places:
            self._claims.arrived(place[0])

    def _mark(self, seq: int) -> None:
        self._connection.execute("UPDATE sealed SET seq = ?", (seq,))
        self._sealed = seq
