"""Which locations are claimed for next, and how many records of each: by what claims weigh.

Plain decisions; nothing here awaits. In scarce room few locations get much each, one after the
other: what is read, written and asked for a location is so for many of its records.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from leadconnector_async.delivery.workers import WORKERS
from leadconnector_async.outbox.base import CLAIM_BYTES, Claim, Lease

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from leadconnector_async.delivery.scheduler import LocationState

    Want = tuple[LocationState, int]

CLAIMED_BYTES: Final = 12 << 20
"""What claims may take in memory, those that are settled and not written included."""

ROOM_BYTES: Final = CLAIMED_BYTES // 4
"""What has to be free of it where locations want more than fits. What those claims take whose fates
are written at once: so room is made, and taken, in a few large commits."""

LEAST: Final = 16
"""Records that a location is taken to have at least: of more locations, too much would be read."""

STUCK_S: Final = 1.0
"""A location that has to wait so long gives its claims back where others have no room for any."""


@dataclass(slots=True, eq=False, repr=False)
class ClaimPlan:
    """What is claimed and not written, by its weight, and who wants more."""

    weight: int = 0
    wanting: dict[Lease, LocationState] = field(default_factory=dict)
    """Locations that have room for more, the one first that has wanted it longest."""
    locations: dict[Lease, LocationState] = field(default_factory=dict)
    """All that ever wanted any, and were not let go of."""
    is_scarce: bool = False
    """Whether more was wanted than fitted, when it was last asked."""
    _typical: int = 2 * CLAIM_BYTES
    _each: int = LEAST
    """What a claim weighed lately, and how many a location had."""
    _searched_at: float = 0.0

    @property
    def room(self) -> int:
        """How many bytes more may be claimed."""
        return CLAIMED_BYTES - self.weight

    @property
    def waits(self) -> bool:
        """Whether claims have to wait until fates are written."""
        return self.weight > CLAIMED_BYTES - (ROOM_BYTES if self.is_scarce else 1)

    def want(self, state: LocationState) -> bool:
        """Note that a location wants more, if it has room for any."""
        if state.prefetch:
            self.wanting[state.lease] = self.locations[state.lease] = state
            return True
        return False

    def choose(self, now: float) -> list[Want]:
        """Whom to claim for, and how many; where not all fits, of those that can go on soon.

        None gets more than the part of one in as many as there can be requests in flight.
        """
        whole, fit = CLAIMED_BYTES // self._typical, -(-self.room // self._typical)
        share = max(whole // max(1, min(len(self.wanting), WORKERS)), 1)
        wants = list(self._within(fit, self._wants(share)))
        self.is_scarce = len(wants) < len(self.wanting)
        if self.waits:
            return []
        if self.is_scarce:
            soon = now + STUCK_S
            ready = (want for want in self._wants(share) if want[0].quota.ready_at(now) <= soon)
            wants = list(self._within(fit, ready))
        for state, _ in wants:
            del self.wanting[state.lease]
        return wants

    def _within(self, fit: int, wants: Iterable[Want]) -> Iterator[Want]:
        for want in wants:
            if fit <= 0:
                return
            yield want
            fit -= min(want[1], max(self._each, LEAST))

    def _wants(self, share: int) -> Iterator[Want]:
        for state in list(self.wanting.values()):
            if count := min(state.prefetch, share):
                yield state, count
            else:
                del self.wanting[state.lease]

    def hold(self, batches: Iterable[Sequence[Claim]]) -> int:
        """Weigh what was claimed of locations. Returns its weight."""
        taken = [claims for claims in batches if claims]
        weight = sum(claim.weight for claims in taken for claim in claims)
        self.weight += weight
        if count := sum(map(len, taken)):
            self._typical = (self._typical + weight // count) // 2
            self._each = (self._each + count // len(taken)) // 2
        return weight

    def forget(self, state: LocationState) -> None:
        """Let go of a location, with what it still holds."""
        self.weight -= sum(c.weight for lane in state.lanes.values() for c in lane.claims)
        self.wanting.pop(state.lease, None)
        self.locations.pop(state.lease, None)

    def stuck(self, now: float) -> list[LocationState]:
        """Those that cannot go on, and so are to give back what they hold. Asks at times.

        When a location is to be considered next tells of nearly all that they can.
        """
        if now < self._searched_at + STUCK_S / 2:
            return []
        self._searched_at, soon = now, now + STUCK_S
        return [
            state
            for state in self.locations.values()
            if state.claimed
            and (
                state.error is not None
                or (state.queued_at > soon and state.quota.ready_at(now) > soon)
            )
            and not any(lane.busy for lane in state.lanes.values())
        ]
