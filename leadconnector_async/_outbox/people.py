"""One file knows a person's number, another the address: a record that names both joins them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from leadconnector_async._api.completing import PERSON

if TYPE_CHECKING:
    from sqlite3 import Connection

# The first record of a person counts: a number that several addresses go with is rare.
_PERSONS: Final = """INSERT OR IGNORE INTO fact (location, name, value)
    SELECT location, ? || json_extract(late, ?), json_extract(late, '$.contact') FROM record
    WHERE seq > ? AND seq <= ? AND payload IS NOT NULL AND late LIKE '%"email"%'
        AND json_extract(late, '$.contact.phone') IS NOT NULL
        AND json_extract(late, '$.contact.email') IS NOT NULL
    ORDER BY seq"""


def note_persons(connection: Connection, after: int, up_to: int) -> None:
    """Note as facts who these records name by number and address both."""
    for part in ("$.contact.phone", "$.contact.email"):
        connection.execute(_PERSONS, (PERSON, part, after, up_to))
