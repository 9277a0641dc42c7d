"""What the API's answers taught of a location, by name: ids, URLs, threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from leadconnector_async._outbox.rows import fetch_rows, run_rows

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from sqlite3 import Connection

_KNOWN: Final = "SELECT name, value FROM fact WHERE (location, name) IN (SELECT * FROM ("
_ADD: Final = "INSERT OR IGNORE INTO fact (location, name, value)"
_FORGET: Final = "DELETE FROM fact WHERE (location, name) IN (SELECT * FROM ("
_PUT: Final = "INSERT OR REPLACE INTO fact (location, name, value)"


class Facts:
    """Lives in the writer's thread."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def known(self, location: int, names: Sequence[str]) -> dict[str, str]:
        """Return those of the facts that are known."""
        rows = [(location, name) for name in names]
        return dict(fetch_rows(self._connection, _KNOWN, rows, "))"))

    def add(self, location: int, facts: Mapping[str, str]) -> None:
        """Note facts, unless they are known."""
        run_rows(self._connection, _ADD, [(location, *fact) for fact in facts.items()])

    def forget(self, location: int, names: Collection[str]) -> None:
        """Let facts be asked for again."""
        run_rows(self._connection, _FORGET, [(location, name) for name in names], "))")

    def put(self, location: int, facts: Mapping[str, str]) -> None:
        """Note facts, over what was known."""
        run_rows(self._connection, _PUT, [(location, *fact) for fact in facts.items()])
