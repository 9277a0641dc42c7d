"""The counters: names and reasons by number, and how many records stand where; and lookups.

Totals are kept in the transaction that changes them, so that a report never counts a million rows.
Lookups are what the API's answers taught of a location, by name: ids, URLs, threads.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from leadconnector_async.outbox.base import SPAN_MS, State
from leadconnector_async.outbox.durable import read_mark
from leadconnector_async.outbox.sqlite.connection import fetch_rows, run_rows

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from sqlite3 import Connection

    from leadconnector_async.outbox.base import Lease
    from leadconnector_async.outbox.durable import ReadMark
    from leadconnector_async.quota.limits import QuotaSnapshot

PENDING: Final = int(State.PENDING)

SENT: Final = int(State.SENT)

REJECTED: Final = int(State.REJECTED)

UNRESOLVED: Final = int(State.UNRESOLVED)

DISMISSED: Final = int(State.DISMISSED)
"""Plain integers: SQLite's adapter takes a slower path for any subclass."""

_MAX_REMEMBERED: Final = 10_000
"""Reasons in memory: a source of a million different complaints must not fill it."""

_ADD: Final = "INSERT INTO tally (location, state, n, first_at, last_at)"

_TO_TOTALS: Final = """ ON CONFLICT (location, state) DO UPDATE SET n = n + excluded.n,
    first_at = coalesce(min(first_at, excluded.first_at), first_at, excluded.first_at),
    last_at = coalesce(max(last_at, excluded.last_at), last_at, excluded.last_at)"""

_TO_PACE: Final = " ON CONFLICT (span) DO UPDATE SET sent = sent + excluded.sent"

_SPEND: Final = (
    "INSERT OR REPLACE INTO quota"
    " (location, day_used, day_ends, window_used, window_ends, day_limit)"
)


class Counters:
    """Lives in the writer's thread."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._locations: dict[str, int] = {}
        self._reasons: dict[str, int] = {}

    def reload(self) -> None:
        """Forget what may have been rolled back."""
        self._locations.clear()
        self._reasons.clear()

    def location(self, name: str) -> int:
        """Number of a location, new if it has none."""
        number = self._locations.get(name)
        if number is None:
            number = self._locations[name] = self._number("location", "name", name)
        return number

    def reason(self, text: str | None) -> int | None:
        """Number of a reason, new if it has none."""
        if text is None:
            return None
        number = self._reasons.get(text)
        if number is None:
            if len(self._reasons) >= _MAX_REMEMBERED:
                self._reasons.clear()
            number = self._reasons[text] = self._number("reason", "text", text)
        return number

    def _number(self, table: str, column: str, text: str) -> int:
        insert = f"INSERT OR IGNORE INTO {table} ({column}) VALUES (?)"  # noqa: S608 - our own names
        query = f"SELECT id FROM {table} WHERE {column} = ?"  # noqa: S608 - the same
        added = self._connection.execute(insert, (text,))
        if added.rowcount and added.lastrowid is not None:
            return added.lastrowid
        (number,) = self._connection.execute(query, (text,)).fetchone()
        return int(number)

    def add(self, changes: Mapping[tuple[int, int], int], at: int | None = None) -> None:
        """Add to the totals of each (location, state); ``at`` is when it came to that."""
        # In the order of the table: from one to the next is half as far.
        rows = [(*place, n, at, at) for place, n in sorted(changes.items()) if n]
        if rows:
            run_rows(self._connection, _ADD, rows, _TO_TOTALS)

    def settled(self, ended: Sequence[tuple[int, int, int]]) -> None:
        """Count records whose fate became known: (location, state, at).

        Their times are noted to the batch.
        """
        moments = [at for _, _, at in ended]
        first, last = min(moments), max(moments)
        totals = Counter([(location, state) for location, state, _ in ended])
        rows: list[tuple[int, int, int, int | None, int | None]]
        rows = [(*place, n, first, last) for place, n in totals.items()]
        rows += [(location, PENDING, -n, None, None) for (location, _), n in totals.items()]
        run_rows(self._connection, _ADD, sorted(rows), _TO_TOTALS)
        spans = Counter([at // SPAN_MS for _, state, at in ended if state == SENT])
        run_rows(self._connection, "INSERT INTO pace (span, sent)", list(spans.items()), _TO_PACE)

    def quotas(self, quotas: Iterable[tuple[Lease, QuotaSnapshot]]) -> None:
        """Note how much of each quota is used."""
        rows = [(lease.number, *snapshot) for lease, snapshot in quotas]
        run_rows(self._connection, _SPEND, sorted(rows))


# Where pairs are IN a list, SQLite searches for them by their location alone, and reads all lookups
# of it: there is one for each contact, file and mail.
_KNOWN: Final = "SELECT name, value FROM ("

_OF_NAMES: Final = ") CROSS JOIN lookup ON location = column1 AND name = column2"

# A mark's name goes on with its lane, and then the conversation.
_FINISHED: Final = """SELECT name, value, (SELECT conversation_id FROM outcome
        WHERE outcome.location = lookup.location AND lane = CAST(substr(name, 6) AS INTEGER)
            AND state = 2 AND conversation_id IS NOT NULL LIMIT 1)
    FROM lookup WHERE location = ? AND name >= 'mark:' AND name < 'mark;' AND NOT EXISTS (
        SELECT 1 FROM queue WHERE queue.location = lookup.location
            AND lane = CAST(substr(name, 6) AS INTEGER))"""

_MARKING: Final = """SELECT name FROM location WHERE EXISTS (SELECT 1 FROM lookup
    WHERE location = id AND lookup.name >= 'mark:' AND lookup.name < 'mark;') ORDER BY id"""

_NOTE: Final = "INSERT OR IGNORE INTO lookup (location, name, value)"

_FORGET: Final = "DELETE FROM lookup WHERE location = ? AND name = ?"

_PUT: Final = "INSERT OR REPLACE INTO lookup (location, name, value)"


class Lookups:
    """Lives in the writer's thread."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def known(self, location: int, names: Sequence[str]) -> dict[str, str]:
        """Return those of the lookups that are known."""
        rows = [(location, name) for name in names]
        return dict(fetch_rows(self._connection, _KNOWN, rows, _OF_NAMES))

    def add(self, location: int, lookups: Mapping[str, str]) -> None:
        """Note lookups, unless they are known."""
        run_rows(self._connection, _NOTE, [(location, *lookup) for lookup in lookups.items()])

    def forget(self, location: int, names: Collection[str]) -> None:
        """Let lookups be asked for again."""
        for name in names:
            self._connection.execute(_FORGET, (location, name))

    def finished(self, location: int) -> list[ReadMark]:
        """See `DurableOutbox.finished`."""
        rows = self._connection.execute(_FINISHED, (location,))
        return [read_mark(*row) for row in rows]

    def marking(self) -> list[str]:
        """See `DurableOutbox.marking`."""
        return [name for (name,) in self._connection.execute(_MARKING)]

    def put(self, location: int, lookups: Mapping[str, str]) -> None:
        """Note lookups, over what was known."""
        run_rows(self._connection, _PUT, [(location, *lookup) for lookup in lookups.items()])
