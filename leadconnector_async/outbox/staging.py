"""Staging: what becomes of drafts, in whatever store; and of those that come one by one.

What is unchanged since it was read before comes in runs, and is only met. New ones are inserted
with all others of their batch. The keys of the rest are taken: they are known
records, mended ones, or others that equal them.

A refused record without an id has the key of its line, a sound one that of its content. With
another option, or once a file lies where it belongs, the same line is sound: then it is the record
that was refused. As a new one it would be sent, and the old one would stay on the list of failed
ones, to be mended and sent a second time. So it is with a location that was not given at first.
"""

from collections.abc import Sequence
from itertools import product
from typing import Final

from msgspec.structs import replace

from leadconnector_async.outbox import deduplicator as deduplication
from leadconnector_async.outbox.base import Staged, State, StoredOutcome, Submission
from leadconnector_async.outbox.deduplicator import Deduplicator
from leadconnector_async.outbox.record_store import KnownLine, LineKey, RecordStore
from leadconnector_async.outbox.source_pass import SourcePass
from leadconnector_async.records.draft import Draft
from leadconnector_async.records.keys import BY_LINE, former_line, line_key

_NOWHERE: Final = ""
"""The location of records that name none, all of which are refused."""

_NUMBERS: Final = b"\xff" * 5

_ENDED: Final = (State.REJECTED, State.LEFT_OUT)
"""Records in these states were not sent, and can be sound when they are read again."""


async def recognise(
    store: RecordStore, drafts: Sequence[Draft], source_pass: SourcePass
) -> Sequence[Draft]:
    """Give drafts the keys of the lines that they are, where earlier passes refused these.

    The first batch of a pass tells whether a location has any: nearly none has, and then nothing is
    looked up.
    """
    drafts = await _as_formerly(store, drafts, source_pass)
    wanted = await _perhaps_refused(store, drafts, source_pass)
    if not wanted:
        return drafts
    keys = [(location, key) for _, location, key in wanted]
    nowhere = -1
    if await _has_refused(store, _NOWHERE, source_pass):
        nowhere = await store.location(_NOWHERE)
    found = await store.lines([*keys, *((nowhere, key) for _, key in keys)])
    if not found:
        return drafts
    drafts = list(drafts)
    own = await store.lines((location, drafts[at].key) for at, location, _ in wanted)
    met: set[LineKey] = set()
    for at, location, key in wanted:
        equal = own.get(place := (location, drafts[at].key))
        if place in met or (equal is not None and source_pass.has_met(equal.seq)):
            equal = None  # two equal records in one pass are two
        here, homeless = found.get((location, key)), found.get((nowhere, key))
        if here is not None and here.state in _ENDED and source_pass.has_met(here.seq):
            here = None  # it is still refused, or left out
        if here is not None or homeless is not None:
            drafts[at] = await _recognised(store, drafts[at], key, equal, here)
        if homeless is not None:
            await _leave(store, nowhere, key, drafts[at])
        met.add(place)
    return drafts


async def _perhaps_refused(
    store: RecordStore, drafts: Sequence[Draft], source_pass: SourcePass
) -> list[tuple[int, int, bytes]]:
    """Which drafts may be lines that were refused: their places, locations, and keys as such."""
    places = {draft.location for draft in drafts} - {_NOWHERE}
    if not await _has_refused(store, _NOWHERE, source_pass):
        perhaps = [name for name in places if source_pass.refused_lines.get(name, True)]
        places = {name for name in perhaps if await _has_refused(store, name, source_pass)}
    if not places:
        return []
    # A source's own form may lack what tells a record that is left out from one that is not.
    unsound = {draft.key for draft in drafts if draft.payload is None}
    return [
        (at, await store.location(draft.location), key)
        for at, draft in enumerate(drafts)
        if draft.location in places and draft.raw is not None
        # The key that a draft had, or would have had, when it was refused.
        for key in (line_key(draft.raw) if draft.counted else draft.key,)
        if key == draft.key or key not in unsound
    ]


async def _as_formerly(
    store: RecordStore, drafts: Sequence[Draft], source_pass: SourcePass
) -> Sequence[Draft]:
    """Give lines the form, and so the key, in which an earlier version refused them, if it did."""
    names = {*(draft.location for draft in drafts), _NOWHERE}
    places = {
        name: await store.location(name)
        for name in names
        if await _has_refused(store, name, source_pass)
    }
    former: dict[int, bytes] = {}
    for at, draft in enumerate(drafts if places else ()):
        if draft.raw is not None and (was := former_line(draft.raw)) != draft.raw:
            former[at] = was
    if not former:
        return drafts
    found = await store.lines(product(places.values(), map(line_key, former.values())))
    told = list(drafts)
    for at, was in former.items():
        draft, key = drafts[at], line_key(was)
        if {(places.get(name), key) for name in (draft.location, _NOWHERE)} & found.keys():
            is_by_line = draft.key == line_key(draft.raw or b"")
            told[at] = replace(draft, raw=was, key=key if is_by_line else draft.key)
    return told


async def _has_refused(store: RecordStore, location: str, source_pass: SourcePass) -> bool:
    known = source_pass.refused_lines.get(location)
    if known is None:
        bounds = (b"", b"z") if location == _NOWHERE else (BY_LINE, BY_LINE + _NUMBERS)
        known = await store.has_keys(location, *bounds)
        source_pass.refused_lines[location] = known
    return known


async def _recognised(
    store: RecordStore, draft: Draft, key: bytes, equal: KnownLine | None, here: KnownLine | None
) -> Draft:
    """Take the line's key, unless another source gave an equal record: then it is that one."""
    if not draft.counted or key == draft.key:
        return draft
    if equal is None or (here is not None and here.state not in _ENDED):
        return replace(draft, key=key)
    if here is not None:  # and has ended
        await store.forget(here)
    return draft


async def _leave(store: RecordStore, nowhere: int, key: bytes, draft: Draft) -> None:
    """Take a record that has a location now from those that have none.

    Of lines that are equal, the last one: the others are met later in this pass.
    """
    line = await store.last_line(nowhere, key, key + (_NUMBERS if draft.counted else b"\0"))
    if line is not None and line.state in _ENDED:
        await store.forget(line)


async def forget_unmet(store: RecordStore, source_pass: SourcePass, prefix: bytes) -> None:
    """Forget the records whose keys begin so that a pass, which is at its end, has not met.

    The fault of a file is over when the file has been read without it.
    """
    for line in await store.faults(prefix, prefix + b"\xff" * 16):
        if not source_pass.has_met(line.seq) and line.state in (State.REJECTED, State.DISMISSED):
            await store.forget(line)


async def refuse_other_readings(
    store: RecordStore, drafts: Sequence[Draft], source_pass: SourcePass
) -> Sequence[Draft]:
    """Refuse new records whose lines were taken in as others, when options read them otherwise."""
    others = source_pass.kin - {source_pass.source}
    if not others:
        return drafts
    places = [(await store.location(draft.location), draft.key) for draft in drafts]
    known = await store.lines(places)
    new = [
        at
        for at, (draft, place) in enumerate(zip(drafts, places, strict=True))
        if draft.payload is not None and draft.own is None and place not in known
    ]
    if new and source_pass.readings is None:
        source_pass.readings = await store.readings(others)
    readings = source_pass.readings
    taken, told = {of.seq for of in known.values()}, list(drafts)
    for at in new:
        draft, location = drafts[at], places[at][0]
        found = [] if readings is None else readings.find(location, draft.line, draft.date)
        for seq, is_near in found:
            if seq in taken or source_pass.has_met(seq):
                continue
            before = (await store.origin(seq)).raw or b""
            if deduplication.is_same_line(before, draft.raw or b"", is_near=is_near):
                taken.add(seq)
                told[at] = deduplication.as_refused(draft, deduplication.OTHERWISE)
                break
        else:
            if await _was_refused_otherwise(store, draft, location, source_pass):
                told[at] = deduplication.as_refused(draft, deduplication.OTHERWISE)
    return told


async def _was_refused_otherwise(
    store: RecordStore, draft: Draft, location: int, source_pass: SourcePass
) -> bool:
    """Tell whether an earlier pass refused it, in another line of the file."""
    if draft.raw is None or not await _has_refused(store, draft.location, source_pass):
        return False
    key = location, line_key(draft.raw)
    line = (await store.lines([key])).get(key)
    if line is None or line.state != State.REJECTED:
        return False
    end = await store.end_of(line.seq)
    return end is not None and end.reason == deduplication.OTHERWISE


_AT_A_TIME: Final = 512

_AT_LEAST: Final = 16
"""Drafts to store, or to meet one by one, before a run of unchanged ones is looked for again."""


async def stage(store: RecordStore, drafts: Sequence[Draft], source_pass: SourcePass) -> Staged:
    """Write a batch of one pass down."""
    if not source_pass.kin:
        kin = await store.kin(source_pass.source)
        source_pass.name = kin.get(source_pass.source, "")
        source_pass.kin = frozenset({source_pass.source, *kin})
    read = await refuse_other_readings(store, drafts, source_pass)
    otherwise = [now for now, was in zip(read, drafts, strict=True) if now is not was]
    drafts = await recognise(store, read, source_pass)
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
        (*otherwise, *deduplicator.reused),
    )


async def _stage(
    store: RecordStore, drafts: Sequence[Draft], source_pass: SourcePass, deduplicator: Deduplicator
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


async def submit(store: RecordStore, drafts: Sequence[Draft]) -> list[Submission]:
    """Stage records and make them claimable; say what is known of each."""
    created, rest = await store.insert(drafts)
    await store.enter(created, source=0)
    if created:
        await store.publish_ahead(created)
    traces = [(one.seq, *of) for one in created if (of := one.draft.trace) and one.draft.payload]
    if traces:
        await store.add_traces(traces)
    answers = {one.seq: Submission(one.seq, State.PENDING, None, is_new=True) for one in created}
    for one in created:
        if one.draft.payload is None:
            answers[one.seq] = await _known(store, one.seq)
    for record in rest:
        draft = record.draft
        key = record.location, draft.key
        known = (await store.known([key]))[key]
        mended = await deduplication.mend(store, record, known, source=0)
        is_known = mended or draft.counted or draft.payload is None
        if is_known or await deduplication.is_same(store, draft, known):
            answers[record.seq] = (await _known(store, known.seq))._replace(is_new=mended)
        else:
            reason = await deduplication.why_refused(store, draft, known)
            refusal = StoredOutcome(draft.key, State.REJECTED, reason=reason)
            answers[record.seq] = Submission(known.seq, State.REJECTED, refusal)
    return [answers[slot] for slot in sorted(answers)]


async def _known(store: RecordStore, seq: int) -> Submission:
    end = await store.end_of(seq)
    if end is None:
        return Submission(seq, await store.publish_known(seq), None)
    return Submission(seq, end.state, end)
