"""The counters: names and reasons by number, and how many records stand where.

Totals are kept in the transaction that changes them, so that a report never counts a million rows.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from leadconnector_async.outbox.base import SPAN_MS, State
from leadconnector_async.outbox.sqlite.connection import run_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from sqlite3 import Connection

    from leadconnector_async.outbox.base import Lease
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
