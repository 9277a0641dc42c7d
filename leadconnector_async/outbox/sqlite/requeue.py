"""Taking failed records' outcomes back: to be tried again, or given up for good."""

from __future__ import annotations

from array import array
from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from leadconnector_async.api.enrichment import conversation_lookup, place_lookups
from leadconnector_async.outbox.durable import Requeued
from leadconnector_async.outbox.reasons import gist
from leadconnector_async.outbox.sqlite.connection import fetch_rows, run_rows
from leadconnector_async.outbox.sqlite.counters import DISMISSED, PENDING, REJECTED, UNRESOLVED
from leadconnector_async.records.deferred import read_deferred

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from sqlite3 import Connection

    from leadconnector_async.outbox.sqlite.claims import Claims
    from leadconnector_async.outbox.sqlite.counters import Counters
    from leadconnector_async.outbox.sqlite.lookups import Lookups

MAX_UNKNOWN: Final = 20_000
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


class Requeuer:
    """Lives in the writer's thread."""

    def __init__(
        self, connection: Connection, counters: Counters, claims: Claims, lookups: Lookups
    ) -> None:
        self._connection = connection
        self._counters = counters
        self._claims = claims
        self._lookups = lookups

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
        by_location: dict[int, set[str]] = {}
        rows = list(fetch_rows(self._connection, _LATE, [(seq,) for seq in seqs], ")"))
        places = {(location, lane) for location, lane, *_ in rows}
        in_doubt = {place for place in places if self._is_in_doubt(*place)}
        for location, lane, payload, deferred in rows:
            if (location, lane) not in in_doubt:
                names = by_location.setdefault(location, set())
                names |= place_lookups(payload, read_deferred(deferred))
        for location, names in by_location.items():
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


_REASONS: Final = """SELECT DISTINCT outcome.reason, text
    FROM outcome LEFT JOIN reason ON reason.id = outcome.reason WHERE state > 2 AND state < 5"""

_OF_REASON: Final = """SELECT seq FROM outcome
    WHERE state > 2 AND state < 5 AND outcome.reason IS ?"""

_BY_KEY: Final = """SELECT seq FROM record
    WHERE location IN (SELECT id FROM location WHERE ? IN ('', name)) AND key = ?"""

_FAILED_FOR_REASONS: Final = """SELECT outcome.location, state, outcome.id FROM record
    JOIN outcome USING (location, lane, seq) WHERE state > 2 AND state < 5 AND record.seq IN ("""

_DISMISS: Final = "UPDATE outcome SET state = ? WHERE id = ?"


class Dismissing:
    """Lives in the writer's thread."""

    def __init__(self, connection: Connection, counters: Counters) -> None:
        self._connection = connection
        self._counters = counters

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
