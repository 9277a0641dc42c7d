"""What is left to do for the records of an outbox, counted by SQLite: memory stays flat."""

from __future__ import annotations

from contextlib import closing
from typing import Final, NamedTuple

from leadconnector_async.outbox.sqlite.connection import open_to_read

_RECORDS: Final = """SELECT name, count(*) FROM queue JOIN location ON location.id = location
    GROUP BY location ORDER BY location"""

# Names of lookups: see _api/completing.py. A person with number and address is one contact.
_LATE: Final = """WITH item AS (
    SELECT record.location, late, json_extract(CAST(payload AS TEXT), '$.contactId') AS contact,
        json_extract(CAST(payload AS TEXT), '$.conversationId') AS conversation,
        coalesce(json_extract(late, '$.contact.phone'),
            json_extract(late, '$.contact.email')) AS handle,
        EXISTS (SELECT 1 FROM json_each(late, '$.attachments') WHERE type = 'object') AS files
    FROM queue JOIN record USING (seq) WHERE late IS NOT NULL),
late AS (
    SELECT item.*, known.value AS found, person.value AS person,
        coalesce(json_extract(person.value, '$.phone'), handle) AS who
    FROM item
        LEFT JOIN fact AS known
            ON known.location = item.location AND known.name = 'contact:' || handle
        LEFT JOIN fact AS person
            ON person.location = item.location AND person.name = 'person:' || handle)
"""

_UNKNOWN: Final = "NOT EXISTS (SELECT 1 FROM fact WHERE location = late.location AND name ="

_HANDLES: Final = f"""{_LATE} SELECT name, count(*), count(DISTINCT who), sum(ways) FROM (
        SELECT DISTINCT location, handle, who, 1 + (person IS NOT NULL) AS ways FROM late
        WHERE handle IS NOT NULL AND found IS NULL AND contact IS NULL AND conversation IS NULL)
    JOIN location ON location.id = location GROUP BY location"""  # noqa: S608 - constants

_FILES: Final = f"""{_LATE} SELECT location.name,
        count(DISTINCT json_extract(part.value, '$.digest'))
    FROM late JOIN location ON location.id = late.location,
        json_each(late.late, '$.attachments') AS part
    WHERE part.type = 'object'
        AND {_UNKNOWN} 'file:' || json_extract(part.value, '$.digest'))
    GROUP BY late.location"""  # noqa: S608 - constants

_CONVERSATIONS: Final = f"""{_LATE} SELECT location.name,
        count(DISTINCT coalesce(contact, found, who))
    FROM late JOIN location ON location.id = late.location
    WHERE conversation IS NULL AND (files OR json_extract(late, '$.outbound_call'))
        AND {_UNKNOWN} 'conversation:' || coalesce(contact, found, ''))
    GROUP BY late.location"""  # noqa: S608 - constants

_OWNERS: Final = f"""{_LATE} SELECT location.name, count(DISTINCT conversation)
    FROM late JOIN location ON location.id = late.location
    WHERE conversation IS NOT NULL AND contact IS NULL AND files
        AND {_UNKNOWN} 'owner:' || conversation)
    GROUP BY late.location"""  # noqa: S608 - constants


class Work(NamedTuple):
    """What is left to do in a location.

    ``handles`` are the numbers and addresses whose contact is not known yet, ``ways`` how many
    look-ups can find them, ``owners`` the conversations whose contact has to be asked for.
    """

    records: int
    handles: int = 0
    contacts: int = 0
    ways: int = 0
    files: int = 0
    conversations: int = 0
    owners: int = 0


def work_left(path: str) -> dict[str, Work]:
    """Count it, by the names of locations.

    Raises:
        OutboxError: the file cannot be read.
    """
    with closing(open_to_read(path)) as connection:
        found = {name: Work(count) for name, count in connection.execute(_RECORDS)}
        for name, handles, contacts, ways in connection.execute(_HANDLES):
            found[name] = found[name]._replace(handles=handles, contacts=contacts, ways=ways)
        for field, query in (
            ("files", _FILES),
            ("conversations", _CONVERSATIONS),
            ("owners", _OWNERS),
        ):
            for name, count in connection.execute(query):
                found[name] = found[name]._replace(**{field: count})
    return found
