"""Lines that were refused as they stood, and are read again with what they lacked.

A refused record without an id has the key of its line, a sound one that of its content. With
another option, or once a file lies where it belongs, the same line is sound: then it is the record
that was refused. As a new one it would be sent, and the old one would stay on the list of failed
ones, to be mended and sent a second time. So it is with a location that was not given at first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from leadconnector_async.outbox.base import State
from leadconnector_async.records.draft import BY_LINE, line_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leadconnector_async.outbox.base import SourcePass
    from leadconnector_async.outbox.record_store import KnownLine, LineKey, RecordStore
    from leadconnector_async.records.draft import Draft

NOWHERE: Final = ""
"""The location of records that name none, all of which are refused."""

_NUMBERS: Final = b"\xff" * 5

_ENDED: Final = (State.REJECTED, State.LEFT_OUT)
"""Records in these states were not sent, and can be sound when they are read again."""


class RefusedLineMatcher:
    """Finds them among the drafts of one batch."""

    def __init__(self, store: RecordStore) -> None:
        self._store = store

    async def recognise(self, drafts: Sequence[Draft], source_pass: SourcePass) -> Sequence[Draft]:
        """Give drafts the keys of the lines that they are, where earlier passes refused these.

        The first batch of a pass tells whether a location has any: nearly none has, and then
        nothing is looked up.
        """
        places = {draft.location for draft in drafts} - {NOWHERE}
        if not await self._has(NOWHERE, source_pass):
            places = {place for place in places if await self._has(place, source_pass)}
        wanted = [
            (at, await self._store.location(draft.location), _refused_key(draft))
            for at, draft in enumerate(drafts)
            if draft.location in places and draft.raw is not None
        ]
        if not wanted:
            return drafts
        keys = [(location, key) for _, location, key in wanted]
        nowhere = -1
        if await self._has(NOWHERE, source_pass):
            nowhere = await self._store.location(NOWHERE)
        found = await self._store.lines([*keys, *((nowhere, key) for _, key in keys)])
        if not found:
            return drafts
        drafts = list(drafts)
        own = await self._store.lines((location, drafts[at].key) for at, location, _ in wanted)
        met: set[LineKey] = set()
        for at, location, key in wanted:
            equal = own.get(place := (location, drafts[at].key))
            if place in met or (equal is not None and source_pass.has_met(equal.seq)):
                equal = None  # two equal records in one pass are two
            here, homeless = found.get((location, key)), found.get((nowhere, key))
            if here is not None or homeless is not None:
                drafts[at] = await self._known(drafts[at], key, equal, here)
            if homeless is not None:
                await self._leave(nowhere, key, drafts[at])
            met.add(place)
        return drafts

    async def _has(self, location: str, source_pass: SourcePass) -> bool:
        known = source_pass.refused_lines.get(location)
        if known is None:
            bounds = (b"", b"z") if location == NOWHERE else (BY_LINE, BY_LINE + _NUMBERS)
            known = await self._store.has_keys(location, *bounds)
            source_pass.refused_lines[location] = known
        return known

    async def _known(
        self, draft: Draft, key: bytes, equal: KnownLine | None, here: KnownLine | None
    ) -> Draft:
        """Take the line's key, unless another source gave an equal record: then it is that one."""
        if not draft.counted or key == draft.key:
            return draft
        if equal is None or (here is not None and here.state not in _ENDED):
            return draft._replace(key=key)
        if here is not None:
            await self._forget(here)
        return draft

    async def _leave(self, nowhere: int, key: bytes, draft: Draft) -> None:
        """Take a record that has a location now from those that have none.

        Of lines that are equal, the last one: the others are met later in this pass.
        """
        end = key + _NUMBERS if draft.counted else key + b"\0"
        line = await self._store.last_line(nowhere, key, end)
        if line is not None:
            await self._forget(line)

    async def _forget(self, line: KnownLine) -> None:
        if line.state in _ENDED:
            await self._store.forget(line)


async def forget_unmet(store: RecordStore, source_pass: SourcePass, prefix: bytes) -> None:
    """Forget the records whose keys begin so that a pass, which is at its end, has not met.

    The fault of a file is over when the file has been read without it.
    """
    for line in await store.faults(prefix, prefix + b"\xff" * 16):
        if not source_pass.has_met(line.seq) and line.state in (State.REJECTED, State.DISMISSED):
            await store.forget(line)


def _refused_key(draft: Draft) -> bytes:
    """The key that a draft had, or would have had, when it was refused."""
    if draft.counted and draft.raw is not None:
        return line_key(draft.raw)
    return draft.key
