"""Lines that were refused as they stood, and are read again with what they lacked.

A refused record without an id has the key of its line, a sound one that of its content. With
another option, or once a file lies where it belongs, the same line is sound: then it is the record
that was refused. As a new one it would be sent, and the old one would stay on the list of failed
ones, to be mended and sent a second time. So it is with a location that was not given at first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from leadconnector_async.outbox.sqlite.connection import fetch_rows
from leadconnector_async.outbox.sqlite.counters import DISMISSED, LEFT_OUT, REJECTED
from leadconnector_async.records.draft import BY_LINE, line_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from sqlite3 import Connection

    from leadconnector_async.outbox.base import SourcePass
    from leadconnector_async.outbox.sqlite.counters import Counters
    from leadconnector_async.records.draft import Draft

NOWHERE: Final = ""
"""The location of records that name none, all of which are refused."""

_NUMBERS: Final = b"\xff" * 5

_HAS: Final = """SELECT EXISTS (SELECT 1 FROM record JOIN location ON location.id = record.location
    WHERE name = ? AND key >= ? AND key < ?)"""

_FIND: Final = "SELECT location, key, seq, lane, state FROM ("

_OF_KEYS: Final = """) AS wanted CROSS JOIN record ON location = column1 AND key = column2
    LEFT JOIN outcome USING (location, lane, seq)"""

_LAST: Final = """SELECT location, seq, lane, state FROM record
    LEFT JOIN outcome USING (location, lane, seq) WHERE location = ? AND key >= ? AND key < ?
    ORDER BY length(key) DESC, key DESC LIMIT 1"""

_ENDED: Final = (REJECTED, LEFT_OUT)
"""Records in these states were not sent, and can be sound when they are read again."""

_FAULTS: Final = """SELECT location, seq, lane, state FROM record
    JOIN outcome USING (location, lane, seq)
    WHERE location IN (SELECT id FROM location) AND key >= ? AND key < ?"""

LineKey = tuple[int, bytes]


class KnownLine(NamedTuple):
    """A record that is in the outbox already."""

    location: int
    seq: int
    lane: int
    state: int | None


class RefusedLineMatcher:
    """Lives in the writer's thread."""

    def __init__(self, connection: Connection, counters: Counters) -> None:
        self._connection = connection
        self._counters = counters

    def recognise(self, drafts: Sequence[Draft], source_pass: SourcePass) -> Sequence[Draft]:
        """Give drafts the keys of the lines that they are, where earlier readings refused these.

        The first batch of a reading tells whether a location has any: nearly none has, and then
        nothing is looked up.
        """
        wanted = [
            (at, self._counters.location(draft.location), _refused_key(draft))
            for at, draft in enumerate(drafts)
            if self._is_wanted(draft, source_pass)
        ]
        if not wanted:
            return drafts
        places = [(location, key) for _, location, key in wanted]
        nowhere = self._counters.location(NOWHERE) if self._has(NOWHERE, source_pass) else -1
        found = self._find([*places, *((nowhere, key) for _, key in places)])
        if not found:
            return drafts
        drafts = list(drafts)
        own = self._find((location, drafts[at].key) for at, location, _ in wanted)
        met: set[LineKey] = set()
        for at, location, key in wanted:
            equal = own.get(place := (location, drafts[at].key))
            if place in met or (equal is not None and source_pass.has_met(equal.seq)):
                equal = None  # two equal records in one reading are two
            here, homeless = found.get((location, key)), found.get((nowhere, key))
            if here is not None or homeless is not None:
                drafts[at] = self._known(drafts[at], key, equal, here)
            if homeless is not None:
                self._leave(nowhere, key, drafts[at])
            met.add(place)
        return drafts

    def forget_unmet(self, source_pass: SourcePass, prefix: bytes) -> None:
        """Forget the records whose keys begin so that a reading, which is at its end, has not met.

        The fault of a file is over when the file has been read without it.
        """
        bounds = prefix, prefix + b"\xff" * 16
        for row in self._connection.execute(_FAULTS, bounds).fetchall():
            if not source_pass.has_met(row[1]):
                self._forget(KnownLine(*row), states=(REJECTED, DISMISSED))

    def _is_wanted(self, draft: Draft, source_pass: SourcePass) -> bool:
        if draft.location == NOWHERE or draft.raw is None:
            return False
        return self._has(draft.location, source_pass) or self._has(NOWHERE, source_pass)

    def _has(self, location: str, source_pass: SourcePass) -> bool:
        known = source_pass.refused_lines.get(location)
        if known is None:
            bounds = (b"", b"z") if location == NOWHERE else (BY_LINE, BY_LINE + _NUMBERS)
            (has,) = self._connection.execute(_HAS, (location, *bounds)).fetchone()
            known = source_pass.refused_lines[location] = bool(has)
        return known

    def _find(self, places: Iterable[LineKey]) -> dict[LineKey, KnownLine]:
        rows = fetch_rows(self._connection, _FIND, list(dict.fromkeys(places)), _OF_KEYS)
        return {(location, key): KnownLine(location, *found) for location, key, *found in rows}

    def _known(
        self, draft: Draft, key: bytes, equal: KnownLine | None, here: KnownLine | None
    ) -> Draft:
        """Take the line's key, unless another source gave an equal record: then it is that one."""
        if not draft.counted or key == draft.key:
            return draft
        if equal is None or (here is not None and here.state not in _ENDED):
            return draft._replace(key=key)
        if here is not None:
            self._forget(here)
        return draft

    def _leave(self, nowhere: int, key: bytes, draft: Draft) -> None:
        """Take a record that has a location now from those that have none.

        Of lines that are equal, the last one: the others are met later in this reading.
        """
        end = key + _NUMBERS if draft.counted else key + b"\0"
        row = self._connection.execute(_LAST, (nowhere, key, end)).fetchone()
        if row is not None:
            self._forget(KnownLine(*row))

    def _forget(self, refused: KnownLine, states: tuple[int, ...] = _ENDED) -> None:
        location, seq, lane, state = refused
        if state not in states:
            return
        place = (location, lane, seq)
        execute = self._connection.execute
        execute("DELETE FROM outcome WHERE location = ? AND lane = ? AND seq = ?", place)
        execute("DELETE FROM origin WHERE seq = ?", (seq,))
        execute("DELETE FROM record WHERE seq = ?", (seq,))
        for table in ("copy", "former", "reused"):
            execute(f"DELETE FROM {table} WHERE seq = ?", (seq,))  # noqa: S608 - our own names
        self._counters.add({(location, state): -1})
        execute("DELETE FROM tally WHERE location = ? AND n = 0", (location,))


def _refused_key(draft: Draft) -> bytes:
    """The key that a draft had, or would have had, when it was refused."""
    if draft.counted and draft.raw is not None:
        return line_key(draft.raw)
    return draft.key
