"""Giving failed records up for good."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from leadconnector_async._outbox.books import DISMISSED
from leadconnector_async._outbox.reasons import gist
from leadconnector_async._outbox.rows import fetch_rows

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from sqlite3 import Connection

    from leadconnector_async._outbox.books import Books

_REASONS: Final = """SELECT DISTINCT outcome.reason, text
    FROM outcome LEFT JOIN reason ON reason.id = outcome.reason WHERE state > 2 AND state < 5"""
_OF_REASON: Final = """SELECT seq FROM outcome
    WHERE state > 2 AND state < 5 AND outcome.reason IS ?"""
_BY_KEY: Final = """SELECT seq FROM record
    WHERE location IN (SELECT id FROM location WHERE ? IN ('', name)) AND key = ?"""
_FAILED: Final = """SELECT outcome.location, state, outcome.id FROM record
    JOIN outcome USING (location, lane, seq) WHERE state > 2 AND state < 5 AND record.seq IN ("""
_DISMISS: Final = "UPDATE outcome SET state = ? WHERE id = ?"


class Dismissing:
    """Lives in the writer's thread."""

    def __init__(self, connection: Connection, books: Books) -> None:
        self._connection = connection
        self._books = books

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
        rows = list(fetch_rows(self._connection, _FAILED, [(seq,) for seq in seqs], ")"))
        for _, _, number in rows:
            self._connection.execute(_DISMISS, (DISMISSED, number))
        before = Counter([(location, state) for location, state, _ in rows])
        self._books.add({place: -n for place, n in before.items()})
        self._books.add(Counter([(location, DISMISSED) for location, _, _ in rows]))
        return len(rows)
