"""Staging: what becomes of drafts, in whatever store; and of those that come one by one.

What is unchanged since it was read before comes in runs, and is only met. New ones are inserted
with all others of their batch. The keys of the rest are taken: they are known
records, mended ones, or others that equal them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from leadconnector_async.outbox.base import Staged, State, StoredOutcome, Submission
from leadconnector_async.outbox.deduplicator import Deduplicator
from leadconnector_async.outbox.refused_lines import RefusedLineMatcher
from leadconnector_async.outbox.sameness import is_same, mend, why_refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leadconnector_async.outbox.base import SourcePass
    from leadconnector_async.outbox.record_store import (
        ExistingRecord,
        NewRecord,
        RecordStore,
        SubmitStore,
    )
    from leadconnector_async.records.draft import Draft

_AT_A_TIME: Final = 512

_AT_LEAST: Final = 16
"""Drafts to store, or to meet one by one, before a run of unchanged ones is looked for again."""


async def stage(store: RecordStore, drafts: Sequence[Draft], source_pass: SourcePass) -> Staged:
    """Write a batch of one pass down."""
    if not source_pass.kin:
        await _introduce(store, source_pass)
    drafts = await RefusedLineMatcher(store).recognise(drafts, source_pass)
    deduplicator = Deduplicator(store, source_pass)
    created = refused = at = 0
    step = _AT_LEAST
    while at < len(drafts):
        unchanged = await store.unchanged(drafts[at:], source_pass.kin)
        if known := source_pass.meet_all(unchanged or ()):
            deduplicator.known += known
            at, step = at + known, _AT_LEAST
            continue
        step = len(drafts) if unchanged is None else step
        new = await _stage(store, drafts[at : at + step], source_pass, deduplicator)
        created, refused = created + new[0], refused + new[1]
        at, step = at + step, step * _AT_LEAST
    await deduplicator.finish()
    refused += await store.enter(deduplicator.created, source_pass.source)
    return Staged(
        created + len(deduplicator.created) + deduplicator.mended,
        deduplicator.known + deduplicator.copies,
        refused + deduplicator.refused_again,
        deduplicator.copies,
        tuple(deduplicator.reused),
    )


async def _stage(
    store: RecordStore,
    drafts: Sequence[Draft],
    source_pass: SourcePass,
    deduplicator: Deduplicator,
) -> tuple[int, int]:
    """Insert what is new. Returns how many that are, and how many of them are refused."""
    created, rest = await store.insert(drafts)
    if created and created[-1].seq - created[0].seq == len(created) - 1:
        source_pass.meet_new(created[0].seq, created[-1].seq + 1)
    else:  # with numbers in between that are another's, or of the rest
        for record in created:
            source_pass.meet(record.seq)
    refused = await store.enter(created, source_pass.source)
    for at in range(0, len(rest), _AT_A_TIME):
        await deduplicator.meet(rest[at : at + _AT_A_TIME])
    return len(created), refused


async def _introduce(store: RecordStore, source_pass: SourcePass) -> None:
    """Tell a pass under which numbers its source is known."""
    kin = await store.kin(source_pass.source)
    source_pass.name = kin.get(source_pass.source, "")
    source_pass.kin = frozenset({source_pass.source, *kin})


async def submit(store: SubmitStore, drafts: Sequence[Draft]) -> list[Submission]:
    """Stage records and make them claimable; say what is known of each."""
    created, rest = await store.insert(drafts)
    await store.enter(created, source=0)
    if created:
        await store.publish_ahead(created)
    if traced := [(seq, *of.trace) for seq, _, of in created if of.trace and of.payload]:
        await store.add_traces(traced)
    answers = {
        seq: await _known(store, seq)
        if draft.payload is None
        else Submission(seq, State.PENDING, None)
        for seq, _, draft in created
    }
    for record in rest:
        key = record.location, record.draft.key
        known = (await store.known([key]))[key]
        if await mend(store, record, known, source=0) or await _is_same(store, record, known):
            answers[record.seq] = await _known(store, known.seq)
        else:
            reason = await why_refused(store, record.draft, known)
            refusal = StoredOutcome(record.draft.key, State.REJECTED, reason=reason)
            answers[record.seq] = Submission(known.seq, State.REJECTED, refusal)
    return [answers[slot] for slot in sorted(answers)]


async def _is_same(store: RecordStore, record: NewRecord, known: ExistingRecord) -> bool:
    draft = record.draft
    if draft.counted or draft.payload is None:
        return True
    return await is_same(store, draft, known)


async def _known(store: SubmitStore, seq: int) -> Submission:
    end = await store.end_of(seq)
    if end is None:
        return Submission(seq, await store.publish_known(seq), None)
    return Submission(seq, end.state, end)
