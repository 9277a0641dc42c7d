"""Whether a record whose key is known is the known one, a mended one, or another that has its id.

The same line is the same record, however it is read now, and whatever it was mended to.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Final

from leadconnector_async.outbox.base import State
from leadconnector_async.outbox.record_store import end_of, why
from leadconnector_async.records.sameness import content_digest, reused_digest, reused_id

if TYPE_CHECKING:
    from leadconnector_async.outbox.base import SourcePass
    from leadconnector_async.outbox.record_store import (
        ExistingRecord,
        NewRecord,
        Origin,
        RecordStore,
    )
    from leadconnector_async.records.draft import Draft

_NOT_SENT: Final = frozenset({State.REJECTED, State.LEFT_OUT, State.DISMISSED})


async def is_same(
    store: RecordStore,
    draft: Draft,
    known: ExistingRecord,
    source_pass: SourcePass | None = None,
) -> bool:
    """Tell whether a draft is the known record, or a copy of it.

    ``source_pass`` is given where it is the first that this has met of the record.
    """
    if draft.payload is not None and known.equals(draft):
        return True
    if await _is_line(store, draft, known):
        return True
    origin = await store.origin(known.seq)
    if draft.mail and draft.line == origin.line and _is_from(origin, known, source_pass):
        return True  # read otherwise than before, by an option or another version
    if draft.payload is None or known.payload is None:
        return False
    mine = content_digest(draft.payload, draft.deferred, mail=draft.mail)
    return mine == content_digest(known.payload, known.deferred, mail=draft.mail)


async def _is_line(store: RecordStore, draft: Draft, known: ExistingRecord) -> bool:
    """Tell whether a draft is the line that the known record is or was."""
    if draft.raw is None:
        return False
    is_now = draft.raw == (await store.origin(known.seq)).raw
    return is_now or await store.was(known.seq, draft.raw)


def _is_from(origin: Origin, known: ExistingRecord, source_pass: SourcePass | None) -> bool:
    """Tell whether a record came from the file that is being read, and from no other."""
    if source_pass is None or source_pass.was_met_before(known.seq):
        return False
    name = PurePath(origin.source).name
    return known.source in source_pass.kin or name == PurePath(source_pass.name).name


async def takes_the_place(
    store: RecordStore, record: NewRecord, known: ExistingRecord, source_pass: SourcePass
) -> bool:
    """Tell whether a draft takes the place of a record that failed, by what its file says.

    A list names the record by its key. Else it is the record if it comes from its file: another
    file may count its own records from 1. So may one that this run has read before.
    """
    if record.draft.own is not None:
        return True
    ended = await store.ended(record.location, known)
    if ended is None or ended[0] not in _NOT_SENT:
        return False
    return _is_from(await store.origin(known.seq), known, source_pass)


async def is_unmended(store: RecordStore, draft: Draft, known: ExistingRecord) -> bool:
    """Tell whether a list brings a record back as it was refused, with the id of another."""
    if not draft.own or draft.payload is None:
        return False
    digest = reused_digest(draft.own, draft.payload, draft.deferred)
    return digest == await store.reused(known.seq)


async def why_refused(store: RecordStore, draft: Draft, known: ExistingRecord) -> str:
    """Say that the id of a draft is another record's."""
    origin = await store.origin(known.seq)
    place = f"{origin.source}:{origin.line}" if origin.source else ""
    return str(reused_id(place, listed=draft.own is not None))


async def mend(store: RecordStore, record: NewRecord, known: ExistingRecord, source: int) -> bool:
    """Replace a record that was not sent by a draft that differs. False: it is to stay."""
    draft = record.draft
    if draft.payload is not None and known.equals(draft):
        return False
    state, reason = await store.ended(record.location, known) or (State.PENDING, None)
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
