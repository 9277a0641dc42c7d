"""Records whose keys are known: told apart from mended ones, and from others that have their id.

The same line is the same record, however it is read now, and whatever it was mended to.
"""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace

from leadconnector_async.outbox.base import State, end_of, why
from leadconnector_async.outbox.database import fault
from leadconnector_async.outbox.record_store import Copy, Origin
from leadconnector_async.records import deferred
from leadconnector_async.records.keys import line_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leadconnector_async.outbox.record_store import ExistingRecord, NewRecord, RecordStore
    from leadconnector_async.outbox.source_pass import SourcePass
    from leadconnector_async.records.draft import Draft

_NOT_SENT: Final = frozenset({State.REJECTED, State.LEFT_OUT, State.DISMISSED})

_BETWEEN: Final = re.compile(rb"[,;\t|{}\n]+")
"""What is between the cells of a row, or the members of an object."""

_MENDED: Final = 2
"""Cells that are mended at the most: in short records, what all have in common is most of them."""

OTHERWISE: Final = fault("read_otherwise")

_UNSENT: Final = {"lane": 0, "date": 0, "payload": None, "deferred": None, "traits": 0}
"""What a draft has that validation refused."""


async def is_same(
    store: RecordStore, draft: Draft, known: ExistingRecord, source_pass: SourcePass | None = None
) -> bool:
    """Tell whether a draft is the known record, or a copy of it.

    ``source_pass`` is given where it is the first that this has met of the record.
    """
    if draft.payload is not None and known.equals(draft):
        return True
    if await _is_line(store, draft, known):
        return True
    origin = await store.origin(known.seq)
    if draft.mail and draft.line == origin.line and _is_from(origin, known, source_pass, draft):
        return True  # read otherwise than before, by an option or another version
    if draft.payload is None or known.payload is None:
        return False
    mine = deferred.content_digest(draft.payload, draft.deferred, mail=draft.mail)
    return mine == deferred.content_digest(known.payload, known.deferred, mail=draft.mail)


async def _is_line(store: RecordStore, draft: Draft, known: ExistingRecord) -> bool:
    """Tell whether a draft is the line that the known record is or was."""
    if draft.raw is None:
        return False
    is_now = draft.raw == (await store.origin(known.seq)).raw
    return is_now or await store.was(known.seq, draft.raw)


def _is_from(
    origin: Origin, known: ExistingRecord, source_pass: SourcePass | None, draft: Draft
) -> bool:
    """Tell whether a record came from the file that is being read, and from no other.

    A file of the same name elsewhere may be that one, moved and mended, or quite another export:
    then what it says under an id resembles what was there.
    """
    if source_pass is None or source_pass.was_met_before(known.seq):
        return False
    if known.source in source_pass.kin:
        return True
    if PurePath(origin.source).name != PurePath(source_pass.name).name:
        return False
    before, now = origin.raw, draft.raw
    if not (before and now):
        before, now = known.payload, draft.payload
    return before is not None and now is not None and _resembles(before, now)


def _resembles(before: bytes, now: bytes) -> bool:
    """Tell whether a record is as before but for a cell or two, less than half of it."""
    cells = [{*_BETWEEN.split(record)} for record in (before, now)]
    shared = sum(map(len, cells[0] & cells[1]))
    changed = min(len(cells[0] - cells[1]), len(cells[1] - cells[0]))
    return changed <= _MENDED and 2 * shared > min(sum(map(len, of)) for of in cells)


def is_same_line(before: bytes, now: bytes, *, is_near: bool = False) -> bool:
    """Tell whether a line is another one, read otherwise: no cell of it is another.

    A form with the API's names, as of chats, depends on how the line is read: where the dates are
    ``near``, its text tells.
    """
    if not (before and now):
        return False
    cells = [{*_BETWEEN.split(line.strip(b"[]"))} for line in (before, now)]
    if cells[0] <= cells[1] or cells[1] <= cells[0]:
        return True
    texts = [_text(line) for line in (before, now)]
    return is_near and texts[0] is not None and texts[0] == texts[1]


def _text(line: bytes) -> object:
    try:
        record = msgspec.json.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return record.get("message") if isinstance(record, dict) else None


async def _takes_the_place(
    store: RecordStore, record: NewRecord, known: ExistingRecord, source_pass: SourcePass
) -> bool:
    """Tell whether a draft takes the place of a record that failed, by what its file says.

    A list names the record by its key. Else it is the record if it comes from its file: another
    file may count its own records from 1. So may one that this run has read before.
    """
    if record.draft.own is not None:
        return True
    end = await store.end_of(known.seq)
    if end is None or end.state not in _NOT_SENT:
        return False
    return _is_from(await store.origin(known.seq), known, source_pass, record.draft)


async def _is_unmended(store: RecordStore, draft: Draft, known: ExistingRecord) -> bool:
    """Tell whether a list brings a record back as it was refused, though it was well-formed."""
    if draft.own is None or draft.payload is None:
        return False
    end = await store.end_of(known.seq)
    if end is not None and end.reason == OTHERWISE:
        return is_same_line((await store.origin(known.seq)).raw or b"", draft.raw or b"")
    if not draft.own:
        return False
    digest = deferred.reused_key(draft.own, deferred.content_digest(draft.payload, draft.deferred))
    return digest == await store.reused(known.seq)


async def why_refused(store: RecordStore, draft: Draft, known: ExistingRecord) -> str:
    """Say that the id of a draft is another record's."""
    origin = await store.origin(known.seq)
    place = f"{origin.source}:{origin.line}" if origin.source else ""
    return str(deferred.reused_id(place, listed=draft.own is not None))


def as_refused(draft: Draft, problem: str) -> Draft:
    """A draft that is not to be sent, known by its line."""
    raw = draft.raw
    if raw is None:
        contact = deferred.read_deferred(draft.deferred).contact if draft.deferred else None
        raw = deferred.with_contact(draft.payload or b"{}", contact)
    return replace(draft, **_UNSENT, key=line_key(raw), raw=raw, problem=problem)


async def mend(store: RecordStore, record: NewRecord, known: ExistingRecord, source: int) -> bool:
    """Replace a record that was not sent by a draft that differs. False: it is to stay."""
    draft = record.draft
    if draft.payload is not None and known.equals(draft):
        return False
    end = await store.end_of(known.seq)
    state, reason = (State.PENDING, None) if end is None else (end.state, end.reason)
    if state is State.DISMISSED:
        is_mended = await _is_back(store, draft, known)
    elif state in _NOT_SENT:
        is_mended = not known.equals(draft) or (end_of(draft), why(draft)) != (state, reason)
    else:
        is_mended = False
    if is_mended:
        await store.replace(record, known, state, source)
    return is_mended


async def _is_back(store: RecordStore, draft: Draft, known: ExistingRecord) -> bool:
    """Tell whether a record that was given up is mended. What may be stored is not."""
    if known.payload is not None or draft.payload is None:
        return False
    return draft.own is not None or not await _is_line(store, draft, known)


class Deduplicator:
    """What becomes of the drafts of a batch whose keys are known, in the order of the source."""

    def __init__(self, store: RecordStore, source_pass: SourcePass) -> None:
        self._store = store
        self._pass = source_pass
        self._copies: list[Copy] = []
        self._digests: list[tuple[int, bytes]] = []
        self.created: list[NewRecord] = []
        self.reused: list[Draft] = []
        self.mended: int = 0
        self.refused_again: int = 0
        self.known: int = 0

    @property
    def copies(self) -> int:
        """How many of them equal a record that stands elsewhere."""
        return len(self._copies)

    async def meet(self, records: Sequence[NewRecord]) -> None:
        """Tell a record that is known from a second one that equals it, and from a mended one."""
        known_by_key = await self._store.known([(one.location, one.draft.key) for one in records])
        for record in records:
            key = record.location, record.draft.key
            known = known_by_key[key]
            is_changed = False
            if not record.draft.counted:
                is_changed = await self._meet_named(record, known)
            elif self._pass.meet(known.seq):
                is_changed = await self._meet_first(record, known)
            else:
                await self._number(record)
            if is_changed:
                known_by_key.update(await self._store.known([key]))

    async def finish(self) -> None:
        """Write the copies down."""
        await self._store.add_copies(self._copies)
        await self._store.add_reused(self._digests)

    async def _meet_named(self, record: NewRecord, known: ExistingRecord) -> bool:
        """Meet a record that has an id. True if the known one is another one now."""
        draft, store = record.draft, self._store
        is_first = self._pass.meet(known.seq)
        if is_first and await _is_unmended(store, draft, known):
            self.known += 1
            return False
        same = await is_same(store, draft, known, self._pass if is_first else None)
        if is_first and (same or await _takes_the_place(store, record, known, self._pass)):
            return await self._meet_first(record, known)
        if same:
            self._copy(record, known)
        else:
            await self._set_apart(record, known)
        return False

    async def _meet_first(self, record: NewRecord, known: ExistingRecord) -> bool:
        draft = record.draft
        is_mended = await mend(self._store, record, known, self._pass.source)
        if is_mended:
            self.mended += 1
            self.refused_again += draft.problem is not None
        elif (
            known.source in self._pass.kin
            or draft.own is not None
            or (draft.raw is not None and await self._store.was(known.seq, draft.raw))
        ):
            self.known += 1
        else:
            self._copy(record, known)
        return is_mended

    def _copy(self, record: NewRecord, known: ExistingRecord) -> None:
        source = min(self._pass.kin)
        self._copies.append(Copy(source, known.seq, self._pass.number, record.draft.line))

    async def _set_apart(self, record: NewRecord, known: ExistingRecord) -> None:
        """Make a record of its own of a draft whose id is another's: a refused one, but of mails.

        A draft that is refused or left out already stays so.
        """
        draft = record.draft
        if draft.payload is None:
            apart = replace(draft, key=line_key(draft.raw or b""))
        elif draft.mail:
            content = deferred.content_digest(draft.payload, draft.deferred, mail=True)
            apart = replace(draft, key=deferred.BY_MAIL + deferred.reused_key(draft.key, content))
        else:
            apart = as_refused(draft, await why_refused(self._store, draft, known))
            self.reused.append(apart)
        await self._meet_apart(replace(record, draft=apart), draft)

    async def _meet_apart(self, record: NewRecord, draft: Draft) -> None:
        key = record.location, record.draft.key
        found = (await self._store.known([key])).get(key)
        if found is None:
            await self._add(record, record.draft.key)
        elif self._pass.meet(found.seq):
            await self._meet_first(record, found)
        else:
            self._copy(record, found)
        if draft.payload is not None and not draft.mail:
            content = deferred.content_digest(draft.payload, draft.deferred)
            digest = deferred.reused_key(draft.own or draft.key, content)
            self._digests.append((record.seq if found is None else found.seq, digest))

    async def _add(self, record: NewRecord, key: bytes) -> None:
        await self._store.insert_again(record, key)
        self._pass.meet(record.seq)
        self.created.append(record)

    async def _number(self, record: NewRecord) -> None:
        """Take the first number among equal records that this pass has not met.

        Those it has met are 1, 2, … n without a gap, so doubling and halving finds n + 1.
        """
        met, unmet = 1, 2
        while await self._has_met(record, unmet):
            met, unmet = unmet, unmet * 2
        while unmet - met > 1:
            middle = (met + unmet) // 2
            if await self._has_met(record, middle):
                met = middle
            else:
                unmet = middle
        known = await self._numbered(record, unmet)
        if known is None:
            await self._add(record, deferred.numbered(record.draft.key, unmet))
        else:
            self._pass.meet(known.seq)
            await self._meet_first(record, known)

    async def _has_met(self, record: NewRecord, number: int) -> bool:
        known = await self._numbered(record, number)
        return known is not None and self._pass.has_met(known.seq)

    async def _numbered(self, record: NewRecord, number: int) -> ExistingRecord | None:
        key = record.location, deferred.numbered(record.draft.key, number)
        return (await self._store.known([key])).get(key)
