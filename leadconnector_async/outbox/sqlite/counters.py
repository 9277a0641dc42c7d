"""The counters: how many records stand where, when they were settled, and how much quota is used.

Totals are kept in the transaction that changes them, so that a report never counts a million rows.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from leadconnector_async.outbox.base import SPAN_MS, Lease, State
from leadconnector_async.outbox.database import statements
from leadconnector_async.outbox.sqlite.connection import run_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from sqlite3 import Connection

    from leadconnector_async.quota.limits import QuotaSnapshot

PENDING, SENT = int(State.PENDING), int(State.SENT)
REJECTED, UNRESOLVED = int(State.REJECTED), int(State.UNRESOLVED)
"""Plain integers: SQLite's adapter takes a slower path for any subclass."""

_SQL: Final = statements(__package__, "counters")


class Counters:
    """Lives in the writer's thread."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, changes: Mapping[tuple[int, int], int]) -> None:
        """Add to the totals of each (location, state)."""
        # In the order of the table: from one to the next is half as far.
        rows = [(*place, n, None, None) for place, n in sorted(changes.items()) if n]
        run_rows(self._connection, _SQL["add"], rows)

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
        run_rows(self._connection, _SQL["add"], sorted(rows))
        if state == SENT:
            span = first // SPAN_MS
            spans = {span: len(ends)}  # nearly always
            if last // SPAN_MS > span:
                spans = Counter([at // SPAN_MS for at in moments])
            run_rows(self._connection, _SQL["pace"], list(spans.items()))

    def quotas(self, quotas: Iterable[tuple[Lease, QuotaSnapshot]]) -> None:
        """Note how much of each quota is used."""
        rows = [(lease.number, *snapshot) for lease, snapshot in quotas]
        run_rows(self._connection, _SQL["spend"], sorted(rows))
