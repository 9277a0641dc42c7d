"""Records whose keys are known: told apart from mended ones, and from others that equal them."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple

from leadconnector_async._api.late import read_late, with_contact
from leadconnector_async._outbox.content import content_digest, reused_digest
from leadconnector_async._outbox.lines import line_key
from leadconnector_async._outbox.rows import run_rows
from leadconnector_async._outbox.sameness import Known

if TYPE_CHECKING:
    from collections.abc import Sequence
    from sqlite3 import Connection

    from leadconnector_async._outbox.interface import Draft, Reading
    from leadconnector_async._outbox.sameness import Sameness
    from leadconnector_async._outbox.staging import Staging

_SHORT_NUMBERS: Final = 0xFFFF
BY_MAIL: Final = b"m"
"""What the key of a mail begins with whose Message-ID is that of another one."""
_NUMBERED: Final = """SELECT record.seq, lane, date, payload, late, coalesce(source, 0)
    FROM record LEFT JOIN origin USING (seq) WHERE location = ? AND key = ?"""
_COPY: Final = "INSERT INTO copy (source, seq, n, met, reading, line)"
_TO_COPIES: Final = """ ON CONFLICT (source, seq) DO UPDATE SET
    met = iif(reading = excluded.reading, met + 1, 1),
    n = max(n, iif(reading = excluded.reading, met + 1, 1)),
    line = iif(reading = excluded.reading, line, excluded.line), reading = excluded.reading"""
_REUSED: Final = "INSERT OR REPLACE INTO reused (seq, content)"


class Fresh(NamedTuple):
    """A draft that has become a record, under a number that was free."""

    seq: int
    location: int
    draft: Draft


class Meeting:
    """What becomes of the drafts of a batch whose keys are known, in the order of the source."""

    def __init__(
        self, staging: Staging, sameness: Sameness, connection: Connection, reading: Reading
    ) -> None:
        self._staging = staging
        self._sameness = sameness
        self._connection = connection
        self._reading = reading
        self._copies: list[tuple[int, int, int, int, int, int]] = []
        self._contents: list[tuple[int, bytes]] = []
        self.fresh: list[Fresh] = []
        self.reused: list[Draft] = []
        self.mended = self.refused_again = self.known = 0

    @property
    def copies(self) -> int:
        """How many of them equal a record that stands elsewhere."""
        return len(self._copies)

    def meet(self, records: Sequence[Fresh]) -> None:
        """Tell a record that is known from a second one that equals it, and from a mended one."""
        known_by_key = self._staging.known(records)
        for record in records:
            place = record.location, record.draft.key
            known = known_by_key[place]
            if record.draft.counted:
                is_changed = self._meet_counted(record, known)
            else:
                is_changed = self._meet_named(record, known)
            if is_changed:
                known_by_key.update(self._staging.known([record]))

    def finish(self) -> None:
        """Write the copies down."""
        run_rows(self._connection, _COPY, self._copies, _TO_COPIES)
        run_rows(self._connection, _REUSED, self._contents)

    def _meet_counted(self, record: Fresh, known: Known) -> bool:
        if self._reading.meet(known.seq):
            return self._meet_first(record, known)
        return self._number(record)

    def _meet_named(self, record: Fresh, known: Known) -> bool:
        """Meet a record that has an id. True if the known one is another one now."""
        draft = record.draft
        is_first = self._reading.meet(known.seq)
        if is_first and self._sameness.is_unmended(draft, known):
            self.known += 1
            return False
        same = self._sameness.is_same(draft, known, self._reading if is_first else None)
        if is_first and (same or self._sameness.is_mended(draft, known, self._reading)):
            return self._meet_first(record, known)
        if same:
            self._copy(record, known)
        else:
            self._set_apart(record, known)
        return False

    def _meet_first(self, record: Fresh, known: Known) -> bool:
        is_mended = self._staging.mend(record, known, self._reading.source)
        if is_mended:
            self.mended += 1
            self.refused_again += record.draft.problem is not None
        elif (
            known.source in self._reading.kin
            or record.draft.own is not None
            or self._sameness.was(known.seq, record.draft)
        ):
            self.known += 1
        else:
            self._copy(record, known)
        return is_mended

    def _copy(self, record: Fresh, known: Known) -> None:
        reading = self._reading
        source = min(reading.kin)
        self._copies.append((source, known.seq, 1, 1, reading.number, record.draft.line))

    def _set_apart(self, record: Fresh, known: Known) -> None:
        """Make a record of its own of a draft whose id is another's: a refused one, but of mails.

        A draft that is refused or left out already stays so.
        """
        draft = record.draft
        if draft.payload is None:
            apart = draft._replace(key=line_key(draft.raw or b""))
        elif draft.mail:
            content = content_digest(draft.payload, draft.late, mail=True)
            apart = draft._replace(key=BY_MAIL + reused_key(draft.key, content))
        else:
            contact = read_late(draft.late).contact if draft.late else None
            raw = draft.raw or with_contact(draft.payload, contact)
            apart = draft._replace(
                key=line_key(raw),
                raw=raw,
                lane=0,
                date=0,
                payload=None,
                late=None,
                problem=self._sameness.reason(draft, known),
            )
            self.reused.append(apart)
        self._meet_apart(Fresh(record.seq, record.location, apart), draft)

    def _meet_apart(self, record: Fresh, draft: Draft) -> None:
        found = self._staging.known([record]).get((record.location, record.draft.key))
        if found is None:
            self._add(record, record.draft.key)
        elif self._reading.meet(found.seq):
            self._meet_first(record, found)
        else:
            self._copy(record, found)
        if draft.payload is not None and not draft.mail:
            content = reused_digest(draft.own or draft.key, draft.payload, draft.late)
            self._contents.append((record.seq if found is None else found.seq, content))

    def _add(self, record: Fresh, key: bytes) -> None:
        self._staging.insert_again(record, key)
        self._reading.meet(record.seq)
        self.fresh.append(record)

    def _number(self, record: Fresh) -> bool:
        """Take the first number among equal records that this reading has not met.

        Those it has met are 1, 2, … n without a gap, so doubling and halving finds n + 1.
        """
        met, unmet = 1, 2
        while self._has_met(record, unmet):
            met, unmet = unmet, unmet * 2
        while unmet - met > 1:
            middle = (met + unmet) // 2
            if self._has_met(record, middle):
                met = middle
            else:
                unmet = middle
        known = self._numbered(record, unmet)
        if known is None:
            self._add(record, numbered(record.draft.key, unmet))
        else:
            self._reading.meet(known.seq)
            self._meet_first(record, known)
        return False

    def _has_met(self, record: Fresh, number: int) -> bool:
        known = self._numbered(record, number)
        return known is not None and self._reading.has_met(known.seq)

    def _numbered(self, record: Fresh, number: int) -> Known | None:
        place = record.location, numbered(record.draft.key, number)
        row = self._connection.execute(_NUMBERED, place).fetchone()
        return None if row is None else Known(*row)


def reused_key(key: bytes, content: bytes) -> bytes:
    """Digest a key that several records share, with what one of them says."""
    return blake2b(key + b"\0" + content, digest_size=16).digest()


def numbered(key: bytes, number: int) -> bytes:
    """The key of one among equal records: the first has the key itself."""
    if number == 1:
        return key
    return key + number.to_bytes(2 if number <= _SHORT_NUMBERS else 4, "big")
