"""Taking ends back, so that failed records are tried again."""

from __future__ import annotations

from array import array
from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from leadconnector_async._api.completing import conversation_fact, place_facts
from leadconnector_async._api.late import read_late
from leadconnector_async._outbox.books import PENDING, REJECTED, UNRESOLVED
from leadconnector_async._outbox.rows import fetch_rows, run_rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from sqlite3 import Connection

    from leadconnector_async._outbox.books import Books
    from leadconnector_async._outbox.claims import Claims
    from leadconnector_async._outbox.facts import Facts

MOST_UNKNOWN: Final = 20_000
"""Unresolved records to take back at once: a location gets all of its own in one list."""

_FAILED: Final = "SELECT seq FROM outcome WHERE state > 2 AND state = ? ORDER BY seq"
_CHOSEN: Final = """SELECT r.location, r.lane, r.date, r.seq, o.state, r.payload IS NULL
    FROM record r CROSS JOIN outcome o USING (location, lane, seq)
    WHERE o.state > 2 AND r.seq IN ("""
_LATE: Final = """SELECT location, lane, payload, late FROM record
    WHERE late IS NOT NULL AND seq IN ("""
_UNRESOLVED_IN: Final = """SELECT 1 FROM outcome
    WHERE location = ? AND lane = ? AND state = ? LIMIT 1"""
_TAKE_BACK: Final = "DELETE FROM outcome WHERE (location, lane, seq) IN (SELECT * FROM ("
_ENQUEUE: Final = "INSERT INTO queue (location, lane, date, seq, attempts)"


class Retried(NamedTuple):
    """What became of the failed records."""

    pending: int = 0
    """Were rejected by the API; will be sent again."""
    unknown: int = 0
    """Were unresolved; will be looked for, and sent if they are not there."""
    refused: int = 0
    """Were refused by validation: only a mended record helps. They stay as they are."""
    left: int = 0
    """Unresolved ones beyond `MOST_UNKNOWN`: they stay until the next time."""


class Retrying:
    """Lives in the writer's thread."""

    def __init__(self, connection: Connection, books: Books, claims: Claims, facts: Facts) -> None:
        self._connection = connection
        self._books = books
        self._claims = claims
        self._facts = facts

    def failed(self) -> tuple[Sequence[int], int]:
        """Return the numbers of the records to try again, and how many have to wait."""
        rejected, unresolved = (
            array("q", chain.from_iterable(self._connection.execute(_FAILED, (state,))))
            for state in (REJECTED, UNRESOLVED)
        )
        left = max(len(unresolved) - MOST_UNKNOWN, 0)
        return rejected + unresolved[:MOST_UNKNOWN], left

    def retry(self, seqs: Sequence[int]) -> Retried:
        """Take the ends of these records back."""
        self._claims.held.tidy()
        rows = list(fetch_rows(self._connection, _CHOSEN, [(seq,) for seq in seqs], ")"))
        rejected = [row[:4] for row in rows if row[4] == REJECTED and not row[5]]
        unresolved = [row[:4] for row in rows if row[4] == UNRESOLVED]
        self._forget([row[3] for row in rejected])
        places = rejected + unresolved
        run_rows(self._connection, _TAKE_BACK, [(a, b, seq) for a, b, _, seq in places], "))")
        run_rows(self._connection, _ENQUEUE, [(*place, 0) for place in places])
        if unresolved:
            self._claims.held.add([(place[0], place[1], place[3]) for place in unresolved])
        self._claims.arrived(None)
        self._count(rejected, REJECTED)
        self._count(unresolved, UNRESOLVED)
        return Retried(len(rejected), len(unresolved), len(rows) - len(places))

    def _forget(self, seqs: Sequence[int]) -> None:
        """Let the contacts of rejected records be looked up again: they may have been deleted.

        Not where a record of the same lane may be stored: it is looked for with what was known.
        """
        by_location: dict[int, set[str]] = {}
        rows = list(fetch_rows(self._connection, _LATE, [(seq,) for seq in seqs], ")"))
        places = {(location, lane) for location, lane, *_ in rows}
        in_doubt = {place for place in places if self._is_in_doubt(*place)}
        for location, lane, payload, late in rows:
            if (location, lane) not in in_doubt:
                names = by_location.setdefault(location, set())
                names |= place_facts(payload, read_late(late))
        for location, names in by_location.items():
            contacts = self._facts.known(location, list(names)).values()
            names |= {conversation_fact(contact) for contact in contacts}
            self._facts.forget(location, names)

    def _is_in_doubt(self, location: int, lane: int) -> bool:
        if self._claims.held.lanes.get(location, {}).get(lane):
            return True
        place = location, lane, UNRESOLVED
        return self._connection.execute(_UNRESOLVED_IN, place).fetchone() is not None

    def _count(self, places: Sequence[tuple[Any, ...]], state: int) -> None:
        totals = Counter([place[0] for place in places])
        self._books.add({(location, state): -n for location, n in totals.items()})
        self._books.add({(location, PENDING): n for location, n in totals.items()})
