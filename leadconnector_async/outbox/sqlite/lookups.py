"""What the API's answers taught of a location, by name: ids, URLs, threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from leadconnector_async.outbox.durable import read_mark
from leadconnector_async.outbox.sqlite.connection import fetch_rows, run_rows

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from sqlite3 import Connection

    from leadconnector_async.outbox.durable import ReadMark

# Where pairs are IN a list, SQLite searches for them by their location alone, and reads all lookups
# of it: there is one for each contact, file and mail.
_KNOWN: Final = "SELECT name, value FROM ("

_OF_NAMES: Final = ") CROSS JOIN fact ON location = column1 AND name = column2"

# A mark's name goes on with its lane, and then the conversation.
_FINISHED: Final = """SELECT name, value, (SELECT conversation_id FROM outcome
        WHERE outcome.location = fact.location AND lane = CAST(substr(name, 6) AS INTEGER)
            AND state = 2 AND conversation_id IS NOT NULL LIMIT 1)
    FROM fact WHERE location = ? AND name >= 'mark:' AND name < 'mark;' AND NOT EXISTS (
        SELECT 1 FROM queue WHERE queue.location = fact.location
            AND lane = CAST(substr(name, 6) AS INTEGER))"""

_MARKING: Final = """SELECT name FROM location WHERE EXISTS (SELECT 1 FROM fact
    WHERE location = id AND fact.name >= 'mark:' AND fact.name < 'mark;') ORDER BY id"""

_ADD: Final = "INSERT OR IGNORE INTO fact (location, name, value)"

_FORGET: Final = "DELETE FROM fact WHERE location = ? AND name = ?"

_PUT: Final = "INSERT OR REPLACE INTO fact (location, name, value)"


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
        run_rows(self._connection, _ADD, [(location, *lookup) for lookup in lookups.items()])

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
