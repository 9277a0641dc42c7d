"""What the API's answers taught of a location, by name: ids, URLs, threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from leadconnector_async._outbox.rows import fetch_rows, run_rows

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from sqlite3 import Connection

# Where pairs are IN a list, SQLite searches for them by their location alone, and reads all facts
# of it: there is one for each contact, file and mail.
_KNOWN: Final = "SELECT name, value FROM ("
_OF_NAMES: Final = ") CROSS JOIN fact ON location = column1 AND name = column2"
_ADD: Final = "INSERT OR IGNORE INTO fact (location, name, value)"
_FORGET: Final = "DELETE FROM fact WHERE location = ? AND name = ?"
_PUT: Final = "INSERT OR REPLACE INTO fact (location, name, value)"


class Facts:
    """Lives in the writer's thread."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def known(self, location: int, names: Sequence[str]) -> dict[str, str]:
        """Return those of the facts that are known."""
        rows = [(location, name) for name in names]
        return dict(fetch_rows(self._connection, _KNOWN, rows, _OF_NAMES))

    def add(self, location: int, facts: Mapping[str, str]) -> None:
        """Note facts, unless they are known."""
        run_rows(self._connection, _ADD, [(location, *fact) for fact in facts.items()])

    def forget(self, location: int, names: Collection[str]) -> None:
        """Let facts be asked for again."""
        for name in names:
            self._connection.execute(_FORGET, (location, name))

    def put(self, location: int, facts: Mapping[str, str]) -> None:
        """Note facts, over what was known."""
        run_rows(self._connection, _PUT, [(location, *fact) for fact in facts.items()])
