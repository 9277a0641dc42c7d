"""The outbox without a file: what streams through and is gone with the process.

It is bounded by whoever fills it. A record is forgotten when it is settled, but for its number
among equal ones and its message's id, which are remembered for a while: what is looked for must
not be mistaken for another one's message.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final, TypeVar

from msgspec.structs import replace

from leadconnector_async.errors import LeaseLostError
from leadconnector_async.outbox import base
from leadconnector_async.outbox.durable import check_settled
from leadconnector_async.records.deferred import content_digest, numbered, reused_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from leadconnector_async.outbox.source_pass import SourcePass
    from leadconnector_async.quota.limits import QuotaSnapshot
    from leadconnector_async.records.draft import Draft

MAX_LOOKUPS: Final = 20_000
"""The latest records whose number or message is remembered, and the latest lookups."""

_K = TypeVar("_K")

_V = TypeVar("_V")


def _remember(known: OrderedDict[_K, _V], key: _K, value: _V) -> None:
    """Note the latest, and forget the oldest."""
    known[key] = value
    known.move_to_end(key)
    if len(known) > MAX_LOOKUPS:
        known.popitem(last=False)


class _MemoryLocation:
    """One location: its lanes that have something to claim, each a heap in date order."""

    __slots__ = ("claimed", "claims", "lanes", "lease", "ready", "snapshot")

    def __init__(self, number: int, name: str) -> None:
        self.lease = base.Lease(name, 0, number)
        self.claimed: dict[int, base.Claim] = {}
        self.claims: dict[bytes, base.Claim] = {}
        self.lanes: dict[int, list[tuple[int, int, base.Claim]]] = {}
        self.ready: deque[int] = deque()
        self.snapshot: QuotaSnapshot | None = None

    def put(self, claim: base.Claim) -> None:
        entry = claim.date, claim.seq, claim
        lane = self.lanes.get(claim.lane)
        if lane is None:
            self.lanes[claim.lane] = [entry]
            self.ready.append(claim.lane)
        else:
            heappush(lane, entry)

    def take(self, at_most: int) -> list[base.Claim]:
        """Take one record of each lane in turn, as often as it takes."""
        taken: list[base.Claim] = []
        while self.ready and len(taken) < at_most:
            number = self.ready.popleft()
            lane = self.lanes[number]
            taken.append(heappop(lane)[2])
            if lane:
                self.ready.append(number)
            else:
                del self.lanes[number]
        return [self.hand(claim) for claim in taken]

    def hand(self, claim: base.Claim) -> base.Claim:
        """Note as claimed under this lease; an earlier holder's claim stays under its own."""
        if claim.lease is not self.lease:
            claim = replace(claim, lease=self.lease)
        self.claimed[claim.seq] = claim
        return claim


def _says_same(known: base.Claim, draft: Draft) -> bool:
    if draft.payload is None or (known.payload, known.deferred) == (draft.payload, draft.deferred):
        return True
    said = content_digest(draft.payload, draft.deferred)
    return said == content_digest(known.payload, known.deferred)


class MemoryOutbox(base.Outbox):
    """`Outbox` in memory. What is staged can be claimed at once, published or not.

    The same id twice is one record only while the first is here. Refused records are counted and
    not kept.
    """

    is_shared = False

    def __init__(self) -> None:
        self._locations: list[_MemoryLocation] = []
        self._by_name: dict[str, _MemoryLocation] = {}
        self._numbers: OrderedDict[tuple[int, bytes], int] = OrderedDict()
        self._stored: deque[tuple[int, int, int, str]] = deque(maxlen=MAX_LOOKUPS)
        self._lookups: OrderedDict[tuple[int, str], str] = OrderedDict()
        self._last = 0

    async def stage(self, drafts: Sequence[Draft], source_pass: SourcePass) -> base.Staged:
        """See `Outbox.stage`."""
        staged = refused = copies = 0
        reused: list[Draft] = []
        first = self._last + 1
        for draft in drafts:
            if draft.payload is None:
                staged += 1
                refused += draft.problem is not None
                continue
            place = self._location(draft.location)
            key = self._numbered(place, draft.key) if draft.counted else draft.key
            known = place.claims.get(key)
            if known is None:
                self._put(place, draft, key, draft.payload)
                staged += 1
            elif _says_same(known, draft):
                copies += 1
            else:
                reused.append(replace(draft, payload=None, problem=str(reused_id(""))))
        source_pass.newest = range(first, self._last + 1)
        more = len(reused)
        return base.Staged(staged + more, copies, refused + more, copies, tuple(reused))

    def _location(self, name: str) -> _MemoryLocation:
        place = self._by_name.get(name)
        if place is None:
            place = self._by_name[name] = _MemoryLocation(len(self._locations), name)
            self._locations.append(place)
        return place

    def _numbered(self, memory_location: _MemoryLocation, key: bytes) -> bytes:
        place = memory_location.lease.number, key
        while True:
            number = self._numbers.get(place, 0) + 1
            _remember(self._numbers, place, number)
            free = numbered(key, number)
            if free not in memory_location.claims:
                return free

    def _put(self, place: _MemoryLocation, draft: Draft, key: bytes, payload: bytes) -> None:
        self._last += 1
        where = draft.lane, draft.date, self._last
        claim = base.Claim(place.lease, *where, key, payload, 0, draft.deferred, trace=draft.trace)
        place.claims[key] = claim
        place.put(claim)

    async def submit(self, draft: Draft) -> base.Submission:
        """See `Outbox.submit`."""
        place = self._location(draft.location)
        known = place.claims.get(draft.key)
        problem = draft.problem
        if known is not None and draft.payload is not None and not draft.counted:
            problem = None if _says_same(known, draft) else str(reused_id(""))
        if draft.payload is None or problem is not None:
            self._last += 1
            state = base.State.LEFT_OUT if problem is None else base.State.REJECTED
            refusal = base.StoredOutcome(draft.key, state, reason=problem or draft.left_out)
            return base.Submission(self._last, state, refusal)
        if known is None:
            self._put(place, draft, draft.key, draft.payload)
            return base.Submission(self._last, base.State.PENDING, None, is_new=True)
        state = base.State.CLAIMED if known.seq in place.claimed else base.State.PENDING
        return base.Submission(known.seq, state, None)

    async def publish(self) -> None:
        """See `Outbox.publish`. There is nothing to do."""

    @property
    def left(self) -> dict[str, int]:
        """Records without an end, by location."""
        return {place.lease.location: len(place.claims) for place in self._locations}

    async def locations(self) -> list[str]:
        """See `Outbox.locations`."""
        return [place.lease.location for place in self._locations if place.lanes or place.claimed]

    async def acquire(self, location: str) -> base.Acquired:
        """See `Outbox.acquire`. What an earlier holder claimed is unknown, in lane order."""
        place = self._location(location)
        lease = place.lease = place.lease._replace(token=place.lease.token + 1)
        held = sorted(place.claimed.values(), key=lambda c: (c.lane, c.date, c.seq))
        return base.Acquired(lease, [place.hand(claim) for claim in held], place.snapshot)

    def _held(self, lease: base.Lease) -> _MemoryLocation:
        place = self._locations[lease.number]
        if place.lease.token != lease.token:
            raise LeaseLostError(f"location {lease.location} was taken over: write nothing")
        return place

    async def claim(
        self,
        wants: base.Wants,
        room: int = base.NO_BOUND,  # noqa: ARG002 - they are in memory already
    ) -> list[list[base.Claim]]:
        """See `Outbox.claim`."""
        places = [self._held(lease) for lease, _ in wants]
        return [place.take(at_most) for place, (_, at_most) in zip(places, wants, strict=True)]

    async def settle(self, settlements: Sequence[base.Settlement], quotas: base.Quotas) -> None:
        """See `Outbox.settle`."""
        claims = [fate.claim for fate in settlements]
        held = {claim.seq for claim in claims if claim.seq in self._held(claim.lease).claimed}
        check_settled(settlements, held)
        spent = [(self._held(lease), snapshot) for lease, snapshot in quotas]
        for claim, state, _, attempts, message_id, *_, lookups in settlements:
            number = claim.lease.number
            place = self._locations[number]
            del place.claimed[claim.seq]
            for name, value in (lookups or {}).items():
                if (number, name) not in self._lookups:
                    _remember(self._lookups, (number, name), value)
            if state is base.State.PENDING:
                claim.attempts = attempts
                place.put(claim)
                continue
            place.claims.pop(claim.key, None)
            if message_id is not None:
                self._stored.append((number, claim.lane, claim.seq, message_id))
        for place, snapshot in spent:
            place.snapshot = snapshot

    async def get_lookups(self, lease: base.Lease, names: Sequence[str]) -> dict[str, str]:
        """See `Outbox.get_lookups`. Knows the latest only: what is forgotten is asked for again."""
        known, of = self._lookups, lease.number
        return {name: known[of, name] for name in names if (of, name) in known}

    async def put_lookups(self, lease: base.Lease, lookups: Mapping[str, str]) -> None:
        """See `Outbox.put_lookups`. Nothing is durable here."""
        self._held(lease)
        for name, value in lookups.items():
            _remember(self._lookups, (lease.number, name), value)

    async def stored(self, claim: base.Claim) -> set[str]:
        """See `Outbox.stored`. Knows the latest only."""
        return {
            message_id
            for location, lane, seq, message_id in self._stored
            if lane == claim.lane and location == claim.lease.number and seq != claim.seq
        }

    async def close(self) -> None:
        """See `Outbox.close`."""

    def __repr__(self) -> str:
        return f"<MemoryOutbox {sum(len(place.claims) for place in self._locations)} records>"
