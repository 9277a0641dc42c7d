"""Records whose keys are known: told apart from mended ones, and from others that equal them."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from leadconnector_async.outbox.sqlite.connection import run_rows
from leadconnector_async.outbox.sqlite.sameness import ExistingRecord, content_digest, reused_digest
from leadconnector_async.records.deferred import read_deferred, with_contact
from leadconnector_async.records.draft import line_key

if TYPE_CHECKING:
    from collections.abc import Sequence
    from sqlite3 import Connection

    from leadconnector_async.outbox.base import SourcePass
    from leadconnector_async.outbox.sqlite.sameness import Sameness
    from leadconnector_async.records.draft import Draft

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


class NewRecord(NamedTuple):
    """A draft that has become a record, under a number that was free."""

    seq: int
    location: int
    draft: Draft


class RecordWriter(Protocol):
    """Writes records down."""

    def insert_again(self, record: NewRecord, key: bytes) -> None:
        """Insert a record under another key than its own, which is taken."""

    def known(self, records: Sequence[NewRecord]) -> dict[tuple[int, bytes], ExistingRecord]:
        """Find the records that have these keys."""

    def mend(self, record: NewRecord, known: ExistingRecord, source: int) -> bool:
        """Replace a record that was not sent by a draft that differs. False: it is to stay."""


class Deduplicator:
    """What becomes of the drafts of a batch whose keys are known, in the order of the source."""

    def __init__(
        self,
        staging: RecordWriter,
        sameness: Sameness,
        connection: Connection,
        source_pass: SourcePass,
    ) -> None:
        self._staging = staging
        self._sameness = sameness
        self._connection = connection
        self._source_pass = source_pass
        self._copies: list[tuple[int, int, int, int, int, int]] = []
        self._contents: list[tuple[int, bytes]] = []
        self.created: list[NewRecord] = []
        self.reused: list[Draft] = []
        self.mended = self.refused_again = self.known = 0

    @property
    def copies(self) -> int:
        """How many of them equal a record that stands elsewhere."""
        return len(self._copies)

    def meet(self, records: Sequence[NewRecord]) -> None:
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

    def _meet_counted(self, record: NewRecord, known: ExistingRecord) -> bool:
        if self._source_pass.meet(known.seq):
            return self._meet_first(record, known)
        return self._number(record)

    def _meet_named(self, record: NewRecord, known: ExistingRecord) -> bool:
        """Meet a record that has an id. True if the known one is another one now."""
        draft = record.draft
        is_first = self._source_pass.meet(known.seq)
        if is_first and self._sameness.is_unmended(draft, known):
            self.known += 1
            return False
        same = self._sameness.is_same(draft, known, self._source_pass if is_first else None)
        if is_first and (same or self._sameness.is_mended(draft, known, self._source_pass)):
            return self._meet_first(record, known)
        if same:
            self._copy(record, known)
        else:
            self._set_apart(record, known)
        return False

    def _meet_first(self, record: NewRecord, known: ExistingRecord) -> bool:
        is_mended = self._staging.mend(record, known, self._source_pass.source)
        if is_mended:
            self.mended += 1
            self.refused_again += record.draft.problem is not None
        elif (
            known.source in self._source_pass.kin
            or record.draft.own is not None
            or self._sameness.was(known.seq, record.draft)
        ):
            self.known += 1
        else:
            self._copy(record, known)
        return is_mended

    def _copy(self, record: NewRecord, known: ExistingRecord) -> None:
        source_pass = self._source_pass
        source = min(source_pass.kin)
        self._copies.append((source, known.seq, 1, 1, source_pass.number, record.draft.line))

    def _set_apart(self, record: NewRecord, known: ExistingRecord) -> None:
        """Make a record of its own of a draft whose id is another's: a refused one, but of mails.

        A draft that is refused or left out already stays so.
        """
        draft = record.draft
        if draft.payload is None:
            apart = draft._replace(key=line_key(draft.raw or b""))
        elif draft.mail:
            content = content_digest(draft.payload, draft.deferred, mail=True)
            apart = draft._replace(key=BY_MAIL + reused_key(draft.key, content))
        else:
            contact = read_deferred(draft.deferred).contact if draft.deferred else None
            raw = draft.raw or with_contact(draft.payload, contact)
            apart = draft._replace(
                key=line_key(raw),
                raw=raw,
                lane=0,
                date=0,
                payload=None,
                deferred=None,
                problem=self._sameness.reason(draft, known),
            )
            self.reused.append(apart)
        self._meet_apart(NewRecord(record.seq, record.location, apart), draft)

    def _meet_apart(self, record: NewRecord, draft: Draft) -> None:
        found = self._staging.known([record]).get((record.location, record.draft.key))
        if found is None:
            self._add(record, record.draft.key)
        elif self._source_pass.meet(found.seq):
            self._meet_first(record, found)
        else:
            self._copy(record, found)
        if draft.payload is not None and not draft.mail:
            content = reused_digest(draft.own or draft.key, draft.payload, draft.deferred)
            self._contents.append((record.seq if found is None else found.seq, content))

    def _add(self, record: NewRecord, key: bytes) -> None:
        self._staging.insert_again(record, key)
        self._source_pass.meet(record.seq)
        self.created.append(record)

    def _number(self, record: NewRecord) -> bool:
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
            self._source_pass.meet(known.seq)
            self._meet_first(record, known)
        return False

    def _has_met(self, record: NewRecord, number: int) -> bool:
        known = self._numbered(record, number)
        return known is not None and self._source_pass.has_met(known.seq)

    def _numbered(self, record: NewRecord, number: int) -> ExistingRecord | None:
        place = record.location, numbered(record.draft.key, number)
        row = self._connection.execute(_NUMBERED, place).fetchone()
        return None if row is None else ExistingRecord(*row)


def reused_key(key: bytes, content: bytes) -> bytes:
    """Digest a key that several records share, with what one of them says."""
    return blake2b(key + b"\0" + content, digest_size=16).digest()


def numbered(key: bytes, number: int) -> bytes:
    """The key of one among equal records: the first has the key itself."""
    if number == 1:
        return key
    return key + number.to_bytes(2 if number <= _SHORT_NUMBERS else 4, "big")
