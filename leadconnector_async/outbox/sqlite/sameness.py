"""Whether a record whose key is known is the known one, or another that has its id.

The same line is the same record, however it is read now, and whatever it was mended to.

What a record says, apart from what the options of its reading add to it.

Records of one id that say the same are one record. A provider's id comes from an option, and
``altId`` is a stamp.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from pathlib import PurePath
from typing import TYPE_CHECKING, Final, NamedTuple

import orjson

from leadconnector_async.models import Problem
from leadconnector_async.outbox.sqlite.counters import DISMISSED, LEFT_OUT, REJECTED
from leadconnector_async.records.deferred import Deferred, read_deferred
from leadconnector_async.records.draft import line_key

if TYPE_CHECKING:
    from sqlite3 import Connection

    from leadconnector_async.outbox.base import SourcePass
    from leadconnector_async.records.draft import Draft

_OF_OPTIONS: Final = re.compile(rb',"(?:conversationProviderId|altId)":"(?:[^"\\]|\\.)*"')
"""Quotes within a text are escaped, so that this finds whole fields alone."""

_TEXTS: Final = ("subject", "message", "html")

_NOTHING: Final = Deferred()


def content_digest(payload: bytes, deferred: str | None, *, mail: bool = False) -> bytes:
    """Digest what a record says.

    The copies of a ``mail`` in several folders differ in what was read of their heads: it says
    who wrote what, and which files go with it.
    """
    lacks = read_deferred(deferred) if deferred else _NOTHING
    files = [item if isinstance(item, str) else item.digest for item in lacks.attachments]
    if mail:
        body = orjson.loads(payload)
        texts = (" ".join(body.get(name, "").split()) for name in _TEXTS)
        files = sorted(files or body.get("attachments", []))
        said = orjson.dumps((body.get("emailFrom", "").lower(), *texts, *files))
    else:
        who = "" if lacks.contact is None else lacks.contact.key
        said = _OF_OPTIONS.sub(b"", payload) + "\0".join((who, *files)).encode()
    return blake2b(said, digest_size=16).digest()


def reused_digest(own: bytes, payload: bytes, deferred: str | None) -> bytes:
    """Digest what a record says together with the key of its id."""
    return blake2b(own + b"\0" + content_digest(payload, deferred), digest_size=16).digest()


_ORIGIN: Final = """SELECT coalesce(name, ''), line, raw
    FROM origin LEFT JOIN source ON source.id = source WHERE seq = ?"""

_STATE: Final = """SELECT state, text FROM record
    JOIN outcome USING (location, lane, seq) LEFT JOIN reason ON reason.id = outcome.reason
    WHERE record.seq = ?"""

_ANY_FORMER: Final = "SELECT EXISTS (SELECT 1 FROM former)"

_FORMER: Final = "SELECT 1 FROM former WHERE seq = ? AND line = ?"


class ExistingRecord(NamedTuple):
    """A record that is in the outbox already."""

    seq: int
    lane: int
    date: int
    payload: bytes | None
    deferred: str | None
    source: int = 0

    def equals(self, draft: Draft) -> bool:
        """Tell whether a draft says the same."""
        return draft.payload == self.payload and draft.deferred == self.deferred


class Origin(NamedTuple):
    """Where a record came from."""

    source: str = ""
    line: int = 0
    raw: bytes | None = None


class Sameness:
    """Lives in the writer's thread. It reads, and writes nothing."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._has_former = False

    def refresh(self) -> None:
        """See whether any record was ever mended: nearly none was, and then none is looked up."""
        (found,) = self._connection.execute(_ANY_FORMER).fetchone()
        self._has_former = bool(found)

    def origin(self, seq: int) -> Origin:
        """Return where a record came from last."""
        row = self._connection.execute(_ORIGIN, (seq,)).fetchone()
        return Origin() if row is None else Origin(*row)

    def state(self, seq: int) -> tuple[int, str | None] | None:
        """Return how a record ended and why, if it did."""
        row: tuple[int, str | None] | None
        row = self._connection.execute(_STATE, (seq,)).fetchone()
        return row

    def is_line(self, draft: Draft, known: ExistingRecord) -> bool:
        """Tell whether a draft is the line that the known record is or was."""
        if draft.raw is None:
            return False
        return draft.raw == self.origin(known.seq).raw or self.was(known.seq, draft)

    def was(self, seq: int, draft: Draft) -> bool:
        """Tell whether a record was the line of a draft before it was mended."""
        if draft.raw is None or not self._has_former:
            return False
        found = self._connection.execute(_FORMER, (seq, line_key(draft.raw))).fetchone()
        return found is not None

    def is_same(
        self, draft: Draft, known: ExistingRecord, source_pass: SourcePass | None = None
    ) -> bool:
        """Tell whether a draft is the known record, or a copy of it.

        ``reading`` is given where it is the first that this has met of the record.
        """
        if draft.payload is not None and known.equals(draft):
            return True
        if self.is_line(draft, known):
            return True
        origin = self.origin(known.seq)
        if draft.mail and draft.line == origin.line and self._is_from(origin, known, source_pass):
            return True  # read otherwise than before, by an option or another version
        if draft.payload is None or known.payload is None:
            return False
        mine = content_digest(draft.payload, draft.deferred, mail=draft.mail)
        return mine == content_digest(known.payload, known.deferred, mail=draft.mail)

    def is_mended(self, draft: Draft, known: ExistingRecord, source_pass: SourcePass) -> bool:
        """Tell whether a draft takes the place of a record that failed, by what its file says.

        A list names the record by its key. Else it is the record if it comes from its file: another
        file may count its own records from 1. So may one that this run has read before.
        """
        if draft.own is not None:
            return True
        found = self.state(known.seq)
        if found is None or found[0] not in (REJECTED, LEFT_OUT, DISMISSED):
            return False
        return self._is_from(self.origin(known.seq), known, source_pass)

    def _is_from(
        self, origin: Origin, known: ExistingRecord, source_pass: SourcePass | None
    ) -> bool:
        """Tell whether a record came from the file that is being read, and from no other."""
        if source_pass is None or source_pass.was_met_before(known.seq):
            return False
        name = PurePath(origin.source).name
        return known.source in source_pass.kin or name == PurePath(source_pass.name).name

    def is_unmended(self, draft: Draft, known: ExistingRecord) -> bool:
        """Tell whether a list brings a record back as it was refused, with the id of another."""
        if not draft.own or draft.payload is None:
            return False
        query = "SELECT content FROM reused WHERE seq = ?"
        row = self._connection.execute(query, (known.seq,)).fetchone()
        return row is not None and row[0] == reused_digest(draft.own, draft.payload, draft.deferred)

    def reason(self, draft: Draft, known: ExistingRecord) -> str:
        """Say that the id of a draft is another record's."""
        origin = self.origin(known.seq)
        place = f"{origin.source}:{origin.line}" if origin.source else ""
        return str(reused_id(place, listed=draft.own is not None))


def reused_id(place: str, *, listed: bool = False) -> Problem:
    """Name what is wrong with a record whose id is that of the one at ``place``."""
    name = place.replace('"', "'")
    quoted = f' ("{name}")' if place else ""
    if listed:
        fix = "take the key out of all but one"
        return Problem("outboxKey", f"is that of another record{quoted} with other content", fix)
    fix = "give each record an id of its own"
    return Problem("id", f"is that of another record{quoted} with other content", fix)
