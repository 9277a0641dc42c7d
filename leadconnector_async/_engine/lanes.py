"""What the engine holds in memory: a site for each location, a lane for each contact in it.

Plain data and plain decisions; nothing here awaits.
"""

from __future__ import annotations

import math
from collections import deque
from functools import partial
from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, Final
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from collections.abc import Callable

    from leadconnector_async._api.search import Search
    from leadconnector_async._engine.unsettled import Doubt, Errand
    from leadconnector_async._errors import LeadConnectorError
    from leadconnector_async._outbox.interface import Claim, Epoch
    from leadconnector_async._quota import Quota

AHEAD: Final = 2.0
"""Seconds of a location's quota that are claimed ahead: more would have to be looked for after a
crash, less would leave the location waiting for a commit."""
LEAST_AHEAD: Final = 8
MOST_AHEAD: Final = 1024
MOST_HELD: Final = 2048
"""Claims of one location in memory, those that wait in doubt included."""


class Lane:
    """Records of one contact or conversation, in date order, of which only the first moves."""

    __slots__ = (
        "busy",
        "claims",
        "doubts",
        "errand",
        "facts",
        "id",
        "renewals",
        "search",
        "waiting",
    )

    def __init__(self, id_: int) -> None:
        self.id = id_
        self.claims: deque[Claim] = deque()
        self.doubts: dict[int, Doubt] = {}
        self.search: Search | None = None
        self.errand: Errand | None = None
        self.facts: dict[str, str] = {}
        self.busy = False
        self.waiting = False
        self.renewals = 0

    def __repr__(self) -> str:
        flags = [name for name in ("busy", "waiting") if getattr(self, name)]
        return f"<Lane {self.id:x} {len(self.claims)} claims {' '.join(flags)}>"


class Site:
    """One location: its quota, its lanes, and what of them can move."""

    __slots__ = (
        "_ahead",
        "_rate",
        "error",
        "held",
        "lanes",
        "learning",
        "more",
        "name",
        "number",
        "queued_at",
        "quota",
        "ready",
        "resting",
        "strangers",
    )

    def __init__(self, epoch: Epoch, quota: Quota) -> None:
        self.number = epoch.location
        self.name = epoch.name
        self.quota = quota
        self.lanes: dict[int, Lane] = {}
        self.ready: deque[Lane] = deque()
        self.held = 0
        self.resting = 0
        self.more = True
        self.error: LeadConnectorError | None = None
        self.queued_at = math.inf
        self._rate = math.nan
        self._ahead = 0
        self.strangers: dict[tuple[str | None, str | None], str] = {}
        """Why contacts, by number and address, could not be had in this run."""
        self.learning: WeakValueDictionary[str, Errand] = WeakValueDictionary()
        """Facts that lanes share, and the errand that is about to learn each. With its record an
        errand is gone from here too: a location can have a file for each of a million records."""

    @property
    def appetite(self) -> int:
        """How many more records to claim now."""
        if self.error is not None or not self.more:
            return 0
        rate = self.quota.rate
        if rate != self._rate:
            self._rate = rate
            self._ahead = max(math.ceil(min(rate * AHEAD, MOST_AHEAD)), LEAST_AHEAD)
        moving = self.held - self.resting
        if moving > self._ahead // 2:
            return 0
        return max(min(self._ahead - moving, MOST_HELD - self.held), 0)

    def take_in(self, claims: list[Claim]) -> None:
        """Add claims behind those that their lanes hold."""
        for claim in claims:
            lane = self.lanes.get(claim.lane)
            if lane is None:
                lane = self.lanes[claim.lane] = Lane(claim.lane)
                self.ready.append(lane)
            lane.claims.append(claim)
            self.resting += lane.waiting
        self.held += len(claims)

    def take_out(self, lane: Lane, claim: Claim) -> None:
        """Take a record out whose fate is known: nearly always the lane's first."""
        if lane.claims[0] is claim:
            lane.claims.popleft()
        else:
            lane.claims.remove(claim)
        lane.doubts.pop(claim.seq, None)
        if lane.errand is not None:
            lane.errand.start_over()
            lane.errand = None
        lane.renewals = 0
        self.held -= 1

    def go_on(self, lane: Lane) -> None:
        """Let the lane's next record move, if there is one."""
        if lane.claims:
            self.ready.append(lane)
        else:
            del self.lanes[lane.id]

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

    def rouse(self) -> None:
        """After an interruption: every lane that neither waits nor has a request out is ready."""
        lanes = self.lanes.values()
        self.ready = deque(lane for lane in lanes if not (lane.waiting or lane.busy))

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
        self.held -= len(given)
        self.learning.clear()
        self.rouse()
        return given

    def __repr__(self) -> str:
        state = "stopped" if self.error else "running"
        return f"<Site {self.name} {state} {self.held} held, {len(self.ready)} lanes ready>"


class Schedule:
    """Which location moves next: the one that has been due longest.

    ``freed`` is told when a slot is free for a location that had to wait for one: it may have been
    another's, who has the same client.
    """

    def __init__(self, freed: Callable[[Site], None] = lambda _: None) -> None:
        self._freed = freed
        self._heap: list[tuple[float, int, Site]] = []
        self._ties = count()

    def add(self, site: Site, when: float) -> None:
        """Consider the site at ``when``, or earlier where it was to be considered earlier."""
        if when < site.queued_at:
            site.queued_at = when
            heappush(self._heap, (when, next(self._ties), site))

    def pop(self, now: float) -> tuple[Site, Lane] | None:
        """The next lane that may send a request now. The caller takes the slot at once."""
        heap = self._heap
        while heap and heap[0][0] <= now:
            when, _, site = heappop(heap)
            if when != site.queued_at:
                continue
            site.queued_at = math.inf
            if not site.ready or site.error is not None:
                continue
            ready_at = site.quota.ready_at(now)
            if ready_at > now:
                if ready_at == math.inf and site.quota.day_spent:
                    ready_at = site.quota.day_ends
                if ready_at < math.inf:
                    self.add(site, ready_at)
                else:
                    site.quota.when_freed(site, partial(self._freed, site))
                continue
            lane = site.ready.popleft()
            if site.ready:
                self.add(site, now)
            return site, lane
        return None

    @property
    def next_at(self) -> float:
        """When to ask again; infinity if something else has to happen first."""
        return self._heap[0][0] if self._heap else math.inf
