"""The outbox without a file: what streams through and is gone with the process.

It is bounded by whoever fills it. A record is forgotten when it is settled, but for its number
among equal ones and its message's id, which are remembered for a while: what is looked for must
not be mistaken for another one's message.
"""

from __future__ import annotations

import time
from collections import deque
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from leadconnector_async._outbox.content import content_digest
from leadconnector_async._outbox.interface import (
    Admission,
    Claim,
    Epoch,
    Settlement,
    Staged,
    State,
)
from leadconnector_async._outbox.meeting import numbered
from leadconnector_async._outbox.sameness import reused_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from leadconnector_async._outbox.interface import Draft, Reading, Spend

REMEMBERED: Final = 20_000
"""The latest records whose number or message is remembered, and the latest facts, at least."""


_K = TypeVar("_K")
_V = TypeVar("_V")


class _Recent(Generic[_K, _V]):
    """A dict that forgets: of two halves, the older goes as the newer is full."""

    def __init__(self) -> None:
        self._new: dict[_K, _V] = {}
        self._old: dict[_K, _V] = {}

    def get(self, key: _K) -> _V | None:
        found = self._new.get(key)
        return self._old.get(key) if found is None else found

    def put(self, key: _K, value: _V) -> None:
        self._new[key] = value
        if len(self._new) >= REMEMBERED:
            self._old, self._new = self._new, {}


class _Site:
    """One location: its lanes that have something to claim, each a heap in date order."""

    __slots__ = ("claims", "epoch", "held", "lanes", "name", "number", "ready", "spend")

    def __init__(self, number: int, name: str) -> None:
        self.number = number
        self.name = name
        self.epoch = 0
        self.held = 0
        self.claims: dict[bytes, Claim] = {}
        self.lanes: dict[int, list[tuple[int, int, Claim]]] = {}
        self.ready: deque[int] = deque()
        self.spend: Spend | None = None

    def put(self, claim: Claim) -> None:
        entry = claim.date, claim.seq, claim
        lane = self.lanes.get(claim.lane)
        if lane is None:
            self.lanes[claim.lane] = [entry]
            self.ready.append(claim.lane)
        else:
            heappush(lane, entry)

    def take(self, at_most: int) -> list[Claim]:
        """Take one record of each lane in turn, as often as it takes."""
        taken: list[Claim] = []
        while self.ready and len(taken) < at_most:
            number = self.ready.popleft()
            lane = self.lanes[number]
            taken.append(heappop(lane)[2])
            if lane:
                self.ready.append(number)
            else:
                del self.lanes[number]
        self.held += len(taken)
        return taken


def _says_same(known: Claim, draft: Draft) -> bool:
    if draft.payload is None or (known.payload, known.late) == (draft.payload, draft.late):
        return True
    return content_digest(known.payload, known.late) == content_digest(draft.payload, draft.late)


class MemoryOutbox:
    """`Outbox` in memory. What is staged can be claimed at once, sealed or not.

    The same id twice is one record only while the first is here. Refused records are counted and
    not kept.
    """

    def __init__(self) -> None:
        self._sites: list[_Site] = []
        self._by_name: dict[str, _Site] = {}
        self._numbers: _Recent[tuple[int, bytes], int] = _Recent()
        self._stored: deque[tuple[int, int, int, str]] = deque(maxlen=REMEMBERED)
        self._facts: _Recent[tuple[int, str], str] = _Recent()
        self._last = 0

    async def stage(self, drafts: Sequence[Draft], reading: Reading) -> Staged:  # noqa: ARG002 - a stream has one reading
        """See `Outbox.stage`."""
        staged = refused = copies = 0
        reused: list[Draft] = []
        for draft in drafts:
            if draft.payload is None:
                refused += 1
                continue
            site = self._site(draft.location)
            key = self._numbered(site, draft.key) if draft.counted else draft.key
            known = site.claims.get(key)
            if known is None:
                self._put(site, draft, key, draft.payload)
                staged += 1
            elif _says_same(known, draft):
                copies += 1
            else:
                reused.append(draft._replace(payload=None, problem=str(reused_id(""))))
        refused += len(reused)
        return Staged(staged + refused, copies, refused, copies, tuple(reused))

    def _site(self, name: str) -> _Site:
        site = self._by_name.get(name)
        if site is None:
            site = self._by_name[name] = _Site(len(self._sites), name)
            self._sites.append(site)
        return site

    def _numbered(self, site: _Site, key: bytes) -> bytes:
        place = site.number, key
        while True:
            number = (self._numbers.get(place) or 0) + 1
            self._numbers.put(place, number)
            free = numbered(key, number)
            if free not in site.claims:
                return free

    def _put(self, site: _Site, draft: Draft, key: bytes, payload: bytes) -> None:
        self._last += 1
        late = draft.late
        claim = Claim(site.number, draft.lane, draft.date, self._last, key, payload, 0, late)
        site.claims[key] = claim
        site.put(claim)

    async def admit(self, draft: Draft) -> Admission:
        """See `Outbox.admit`."""
        site = self._site(draft.location)
        known = site.claims.get(draft.key)
        problem = draft.problem
        if known is not None and draft.payload is not None and not draft.counted:
            problem = None if _says_same(known, draft) else str(reused_id(""))
        if draft.payload is None or problem is not None:
            self._last += 1
            at = time.time_ns() // 1_000_000
            claim = Claim(site.number, draft.lane, draft.date, self._last, draft.key, b"", 0)
            refusal = Settlement(claim, State.REJECTED, at, 0, reason=problem)
            return Admission(self._last, State.REJECTED, refusal)
        if known is None:
            self._put(site, draft, draft.key, draft.payload)
            return Admission(self._last, State.PENDING, None)
        return Admission(known.seq, State.PENDING, None)

    async def seal(self) -> None:
        """See `Outbox.seal`. There is nothing to do."""

    async def locations(self) -> list[str]:
        """See `Outbox.locations`."""
        return [site.name for site in self._sites if site.lanes or site.held]

    async def begin(self, location: str) -> Epoch:
        """See `Outbox.begin`. No one was here before: nothing is unknown."""
        site = self._site(location)
        site.epoch += 1
        return Epoch(site.number, location, site.epoch, [], site.spend)

    async def claim(self, wants: Sequence[tuple[int, int]]) -> list[list[Claim]]:
        """See `Outbox.claim`."""
        return [self._sites[location].take(at_most) for location, at_most in wants]

    async def settle(self, settlements: Sequence[Settlement], spends: Sequence[Spend]) -> None:
        """See `Outbox.settle`."""
        for claim, state, _, attempts, message_id, *_, facts in settlements:
            site = self._sites[claim.location]
            site.held -= 1
            for name, value in (facts or {}).items():
                if self._facts.get((claim.location, name)) is None:
                    self._facts.put((claim.location, name), value)
            if state is State.PENDING:
                claim.attempts = attempts
                site.put(claim)
                continue
            site.claims.pop(claim.key, None)
            if message_id is not None:
                self._stored.append((claim.location, claim.lane, claim.seq, message_id))
        for spend in spends:
            self._sites[spend.location].spend = spend

    async def recall(self, location: int, names: Sequence[str]) -> dict[str, str]:
        """See `Outbox.recall`. Knows the latest only: what is forgotten is asked for again."""
        found = ((name, self._facts.get((location, name))) for name in names)
        return {name: value for name, value in found if value is not None}

    async def remember(self, location: int, facts: Mapping[str, str]) -> None:
        """See `Outbox.remember`. Nothing is durable here."""
        for name, value in facts.items():
            self._facts.put((location, name), value)

    async def stored(self, claim: Claim) -> set[str]:
        """See `Outbox.stored`. Knows the latest only."""
        return {
            message_id
            for location, lane, seq, message_id in self._stored
            if lane == claim.lane and location == claim.location and seq != claim.seq
        }

    async def close(self) -> None:
        """See `Outbox.close`."""

    def __repr__(self) -> str:
        return f"<MemoryOutbox {sum(len(site.claims) for site in self._sites)} records>"
