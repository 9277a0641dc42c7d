"""What the dispatcher holds in memory: a state for each location, a lane for each contact in it.

Plain data and plain decisions; nothing here awaits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache, partial
from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, Final
from weakref import WeakValueDictionary

from leadconnector_async import errors
from leadconnector_async.delivery.lane import Enrichment, Lane

if TYPE_CHECKING:
    from collections.abc import Callable

    from leadconnector_async.errors import LeadConnectorError
    from leadconnector_async.outbox.base import Claim, Lease
    from leadconnector_async.quota.quota import Quota
    from leadconnector_async.transport.base import MaySend

AHEAD: Final = 2.0
"""Seconds of a location's quota that are claimed ahead: more would have to be looked for after a
crash, less would leave the location waiting for a commit."""

MIN_AHEAD: Final = 8

MAX_AHEAD: Final = 1024

MAX_HELD: Final = 2048
"""Claims of one location in memory, those that wait in doubt included."""

AGAIN_AFTER_S: Final = 60.0
"""Seconds after which a location is tried again that the API refused."""

TURN: Final = 16
"""Requests of a location in a row, where it has so many that may leave: what is written of a
location with a commit, and read to decide, is so for several records at once."""

BEAT: Final = 1 / 200
"""Of an interval: locations that wait for their turns go on together, with the next beat of the
loop's clock. A program that wakes for each has to fetch all that it works with anew."""

MAX_BEAT_S: Final = 0.05
"""An interval may be a day."""

FAILING: Final = 3
"""Records that a provider must fail, each again after it was proven not to be stored, to be told
from a server that has trouble for a while."""

_PROVIDER: Final = b'"conversationProviderId":"'


def provider_of(payload: bytes) -> bytes | None:
    """The conversation provider that an encoded message names."""
    at = payload.find(_PROVIDER)  # `partition` would copy all of a mail
    if at < 0:
        return None
    begin = at + len(_PROVIDER)
    return payload[begin : payload.index(b'"', begin)]


_NONE: Final[frozenset[bytes]] = frozenset()


@lru_cache(maxsize=1024)
def _with(some: frozenset[bytes], one: bytes) -> tuple[frozenset[bytes], bytes]:
    """One more, and how a message names it: the same set for all locations."""
    return some | {one}, _PROVIDER + one + b'"'


@dataclass(slots=True, eq=False, repr=False)
class LocationState:
    """One location: its quota, its lanes, and what of them can move."""

    lease: Lease
    quota: Quota
    may_send: MaySend | None = None
    name: str = field(init=False)
    lanes: dict[int, Lane] = field(default_factory=dict)
    ready: list[Lane] = field(default_factory=list)
    """In the order of their turn: few. An empty deque takes 760 bytes."""
    claimed: int = 0
    resting: int = 0
    more: bool = True
    error: LeadConnectorError | None = None
    stopped_at: float = 0.0
    """When it got this error, by the loop's time."""
    queued_at: float = math.inf
    turn: int = 0
    """How many more requests of its turn it has, which is due ``since`` this time."""
    since: float = math.inf
    unreachable: dict[tuple[str | None, str | None], str] = field(default_factory=dict)
    """Why contacts, by number and address, could not be had in this run."""
    working: frozenset[bytes] = _NONE
    """Conversation providers of which a record was stored in this run."""
    _last_working: bytes = b"\0"
    failing: dict[bytes, set[int]] | None = None
    """Records that were answered 500 again and again, by their provider."""
    _rate: float = math.nan
    _ahead: int = 0
    _learning: WeakValueDictionary[str, Enrichment] | None = None

    def __post_init__(self) -> None:
        self.name = self.lease.location

    @property
    def learning(self) -> WeakValueDictionary[str, Enrichment]:
        """Lookups that lanes share, and the enrichment that is about to learn each.

        With its record an enrichment is gone from here too: a location can have a file for each of
        a million records.
        """
        if self._learning is None:
            self._learning = WeakValueDictionary()
        return self._learning

    @property
    def prefetch(self) -> int:
        """How many more records to claim now."""
        if self.error is not None or not self.more:
            return 0
        rate = self.quota.rate
        if rate != self._rate:
            self._rate = rate
            self._ahead = max(math.ceil(min(rate * AHEAD, MAX_AHEAD)), MIN_AHEAD)
        moving = self.claimed - self.resting
        if moving > self._ahead // 2:
            return 0
        return max(min(self._ahead - moving, MAX_HELD - self.claimed), 0)

    def is_worth_a_try(self, now: float) -> bool:
        """Whether what stopped it may be over: then it is tried once."""
        match self.error:
            case errors.LeaseLostError():
                return self.may_send is not None and self.may_send()
            case errors.DailyQuotaSpentError():  # which ends with its day
                return False
            case errors.ThrottledError():
                return True
            case errors.RefusedError():
                return now - self.stopped_at >= AGAIN_AFTER_S
        return False

    @property
    def at_rest(self) -> bool:
        """Whether nothing of it can move any more."""
        return self.error is not None or not (self.claimed or self.more)

    @property
    def runs_dry(self) -> bool:
        """Whether what is claimed may be sent before claims that are gathered have come."""
        return self.claimed - self.resting <= self._ahead // 4

    def take_in(self, claims: list[Claim]) -> None:
        """Add claims behind those that their lanes hold."""
        for claim in claims:
            lane = self.lanes.get(claim.lane)
            if lane is None:
                lane = self.lanes[claim.lane] = Lane(claim.lane)
                self.ready.append(lane)
            lane.claims.append(claim)
            self.resting += lane.waiting
        self.claimed += len(claims)

    def take_out(self, lane: Lane, claim: Claim) -> None:
        """Take a record out whose fate is known: nearly always the lane's first."""
        if lane.claims[0] is claim:
            del lane.claims[0]
        else:
            lane.claims.remove(claim)
        if lane.doubts:
            lane.doubts.pop(claim.seq, None)
        if lane.enrichment is not None:
            lane.enrichment.start_over()
            lane.enrichment = None
        self.claimed -= 1

    def works(self, claim: Claim) -> None:
        """Note that the record's provider stores what it is given: nearly always a known one."""
        if claim.payload.find(self._last_working) < 0:
            provider = provider_of(claim.payload)
            if provider is not None:
                self.working, self._last_working = _with(self.working, provider)

    def fails(self, claim: Claim) -> str | None:
        """The record's provider, where a few records were answered 500 and none was stored."""
        provider = provider_of(claim.payload)
        if provider is None or provider in self.working:
            return None
        self.failing = self.failing or {}
        records = self.failing.setdefault(provider, set())
        records.add(claim.seq)
        return provider.decode() if len(records) >= FAILING else None

    def go_on(self, lane: Lane) -> None:
        """Let the lane's next record move, if there is one."""
        if lane.claims:
            self.ready.append(lane)
        else:
            del self.lanes[lane.id]
            if not self.lanes:
                self.lanes = {}  # one that had many keeps room for them

    def rest(self, lane: Lane) -> None:
        """Let a lane wait: its records do not count as work that is there to be done."""
        lane.waiting = True
        self.resting += len(lane.claims)

    def rested(self, lane: Lane) -> None:
        """The lane has waited long enough."""
        lane.waiting = False
        self.resting -= len(lane.claims)
        if lane.claims:
            self.ready.append(lane)

    def wake(self) -> None:
        """After an interruption: every lane that neither waits nor has a request out is ready."""
        lanes = self.lanes.values()
        self.ready = [lane for lane in lanes if not (lane.waiting or lane.busy)]

    def drain(self) -> list[Claim]:
        """Take out every claim that provably was not sent, to give it back."""
        given = []
        for lane in list(self.lanes.values()):
            kept = 1 if lane.busy else 0
            while len(lane.claims) > kept and lane.claims[-1].seq not in lane.doubts:
                given.append(lane.claims.pop())
                self.resting -= lane.waiting
            if not lane.claims:
                del self.lanes[lane.id]
        self.claimed -= len(given)
        self._learning = None
        self.wake()
        return given

    def __repr__(self) -> str:
        state = "stopped" if self.error else "running"
        return f"<LocationState {self.name} {state} {self.claimed} held, {len(self.ready)} ready>"


class Scheduler:
    """Which location moves next: the one whose turn has been due longest.

    ``freed`` is told when a slot is free for a location that had to wait for one, and ``spent``
    where its day is. Slot and last request may have been another's, who has the same client.
    """

    def __init__(
        self,
        freed: Callable[[LocationState], None] = lambda _: None,
        spent: Callable[[LocationState], object] = lambda _: None,
    ) -> None:
        self._freed, self._spent = freed, spent
        self._heap: list[tuple[float, int, LocationState]] = []
        self._turns: list[tuple[float, int, LocationState]] = []
        """Those whose turn goes on, and so is due longer than any other's: few."""
        self._ties = count()

    def add(self, state: LocationState, when: float) -> None:
        """Consider the location at ``when``, or earlier where it was to be considered earlier."""
        if when < state.queued_at:
            state.queued_at = when
            heappush(self._heap, (when, next(self._ties), state))

    def add_again(self, state: LocationState, now: float) -> None:
        """Consider a location that has made a request: before others, until its turn ends."""
        if not state.turn:
            self.add(state, now)
        elif state.since < state.queued_at:
            state.queued_at = state.since
            heappush(self._turns, (state.since, next(self._ties), state))

    def due_at(self, now: float) -> float:
        """When a lane may send a request: not after ``now`` if one may already.

        Infinity if something else has to happen first.
        """
        while (heap := self._turns or self._heap) and heap[0][0] <= now:
            when, _, state = heap[0]
            is_considered = when == state.queued_at and bool(state.ready) and state.error is None
            ready_at = state.quota.ready_at(now) if is_considered else math.inf
            if ready_at <= now:
                return now
            heappop(heap)
            if when == state.queued_at:
                state.queued_at = math.inf
            if is_considered:
                self._wait(state, ready_at)
        return self.next_at

    def due_count(self, now: float) -> int:
        """How many locations are to be considered by ``now``."""
        heap, due = self._heap, [0]
        for at in due:  # those below one that is not due are not either
            if at < len(heap) and heap[at][0] <= now:
                due += (2 * at + 1, 2 * at + 2)
        return len(due) // 2 + len(self._turns)

    def _wait(self, state: LocationState, ready_at: float) -> None:
        """Consider a location when it has a slot; else when its day ends, or one is freed.

        What waits for an answer of its own, as for the first one, goes on with its turn after it.
        """
        if ready_at == math.inf and state.quota.day.spent:
            ready_at = state.quota.day.ends
            self._spent(state)
        if ready_at < math.inf:
            state.turn = 0
            beat = min(state.quota.limit.interval * BEAT, MAX_BEAT_S)
            self.add(state, max(ready_at, math.ceil(ready_at / beat) * beat))
        else:
            state.quota.when_freed(state, partial(self._freed, state))

    def pop(self, now: float) -> tuple[LocationState, Lane] | None:
        """The next lane that may send a request now. The caller takes the slot at once."""
        if self.due_at(now) > now:
            return None
        when, _, state = heappop(self._turns or self._heap)
        state.queued_at = math.inf
        if not state.turn:
            state.turn, state.since = TURN, when
        state.turn -= 1
        lane = state.ready.pop(0)
        if state.ready:
            self.add_again(state, now)
        return state, lane

    @property
    def next_at(self) -> float:
        """When to ask again; infinity if something else has to happen first."""
        heap = self._turns or self._heap
        return heap[0][0] if heap else math.inf
