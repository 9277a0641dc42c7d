"""The counters: how many records stand where, when they were settled, and how much quota is used.

Totals are kept in the transaction that changes them, so that a report never counts a million rows.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from leadconnector_async.outbox.base import SPAN_MS, Lease, State
from leadconnector_async.outbox.sqlite.connection import run_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from sqlite3 import Connection

    from leadconnector_async.quota.limits import QuotaSnapshot

PENDING: Final = int(State.PENDING)

SENT: Final = int(State.SENT)

REJECTED: Final = int(State.REJECTED)

UNRESOLVED: Final = int(State.UNRESOLVED)

DISMISSED: Final = int(State.DISMISSED)
"""Plain integers: SQLite's adapter takes a slower path for any subclass."""

_ADD: Final = "INSERT INTO tally (location, state, n, first_at, last_at)"

_TO_TOTALS: Final = """ ON CONFLICT (location, state) DO UPDATE SET n = n + excluded.n,
    first_at = coalesce(min(first_at, excluded.first_at), first_at, excluded.first_at),
    last_at = coalesce(max(last_at, excluded.last_at), last_at, excluded.last_at)"""

_PACE: Final = "INSERT INTO pace (span, sent)"

_TO_PACE: Final = " ON CONFLICT (span) DO UPDATE SET sent = sent + excluded.sent"

_SPEND: Final = (
    "INSERT OR REPLACE INTO quota"
    " (location, day_used, day_ends, window_used, window_ends, day_limit)"
)


class Counters:
    """Lives in the writer's thread."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, changes: Mapping[tuple[int, int], int], at: int | None = None) -> None:
        """Add to the totals of each (location, state); ``at`` is when it came to that."""
        # In the order of the table: from one to the next is half as far.
        rows = [(*place, n, at, at) for place, n in sorted(changes.items()) if n]
        if rows:
            run_rows(self._connection, _ADD, rows, _TO_TOTALS)

    def settled(self, state: int, ends: Sequence[tuple[Any, ...]]) -> None:
        """Count records that came to a state: of each its location, lane, number, and when.

        Their times are noted to the batch.
        """
        moments = [end[3] for end in ends]
        first, last = min(moments), max(moments)
        totals = Counter([end[0] for end in ends])
        rows: list[tuple[int, int, int, int | None, int | None]]
        rows = [(location, state, n, first, last) for location, n in totals.items()]
        rows += [(location, PENDING, -n, None, None) for location, n in totals.items()]
        run_rows(self._connection, _ADD, sorted(rows), _TO_TOTALS)
        if state == SENT:
            span = first // SPAN_MS
            spans = {span: len(ends)}  # nearly always
            if last // SPAN_MS > span:
                spans = Counter([at // SPAN_MS for at in moments])
            run_rows(self._connection, _PACE, list(spans.items()), _TO_PACE)

    def quotas(self, quotas: Iterable[tuple[Lease, QuotaSnapshot]]) -> None:
        """Note how much of each quota is used."""
        rows = [(lease.number, *snapshot) for lease, snapshot in quotas]
        run_rows(self._connection, _SPEND, sorted(rows))
