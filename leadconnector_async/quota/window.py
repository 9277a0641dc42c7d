"""The slots of one location.

A slot is in use from the moment it is taken until one interval after its request was *answered*.
So all that a server counts together was in use together, and it never counts more than the limit:

    Of the requests that it counts together at some arrival, let the last-sent one leave at time t.
    The others left before t. They arrived after t - interval, else they would be forgotten, and
    were answered later still. So at t none of them had been released.

That holds whatever the jitter, for fixed windows and for sliding ones, and so for a bucket, which
holds the limit and refills in an interval. It costs a round trip per interval: the rate is
limit / (interval + round trip).
"""

from __future__ import annotations

from array import array
from math import inf
from typing import Final

from msgspec import Struct

GRAINS: Final = 500
"""Slots given back within 1/500 of an interval are released together, with the last of them: memory
and work stay flat however large the limit is, for at most 0.2 % of it."""

SAMPLES: Final = 20
"""How many points of the release curve `Window.evenly_free_at` looks at."""


class Slot(Struct, gc=False):
    """The right to send one request, with what was known when it was taken.

    An answer's figures are those of some moment between ``taken_at`` and the answer. So whatever
    was settled at ``taken_at`` was settled for the server too.
    """

    number: int
    """How many slots had been taken, this one included."""
    used: int
    """How many slots were in use, this one included."""
    settled: int
    """How many requests could no longer arrive: answered, given up, or never sent."""
    mark: float
    """See `OtherConsumers.mark`."""
    taken_at: float
    waited: float = 0.0
    """Seconds from when a request was first to be made until there was this slot for it."""
    open: bool = True


class Window:
    """Which slots are in use: in flight, or held for ``interval`` seconds after the answer."""

    __slots__ = ("_held", "_opened", "_released", "_returned", "in_flight", "interval", "taken")

    def __init__(self, interval: float) -> None:
        self.interval: float = interval
        self.taken: int = 0
        self.in_flight: int = 0
        self._returned = 0
        self._released = 0
        self._opened = -inf
        self._held = array("d")
        """When slots were given back, and how many had been by then, in turn; oldest first.

        So a pair takes 16 bytes, and not a hundred.
        """

    @property
    def used(self) -> int:
        """How many slots are in use."""
        return self.in_flight + self._returned - self._released

    def take(self, now: float, mark: float, waited: float = 0.0) -> Slot:
        """Use one more slot. Whether there is one is for the caller to know."""
        self.taken += 1
        self.in_flight += 1
        return Slot(self.taken, self.used, self.taken - self.in_flight, mark, now, waited)

    def give_back(self, slot: Slot, now: float) -> None:
        """Hold a slot whose request was answered, or given up."""
        self.unused(slot)
        self._hold(now, 1)

    def unused(self, slot: Slot) -> None:
        """Free a slot whose request was never sent."""
        if not slot.open:
            raise RuntimeError(f"slot {slot.number} was given back before")
        slot.open = False
        self.in_flight -= 1

    def expire(self, now: float) -> None:
        """Release what was given back an interval ago."""
        held, interval = self._held, self.interval
        while held and held[0] + interval <= now:
            self._released = int(held[1])
            del held[:2]

    def next_release(self) -> float:
        """When the next held slot is released; infinity where none is held."""
        return self._held[0] + self.interval if self._held else inf

    def evenly_free_at(self, now: float) -> float:
        """When all slots would be free, if they were released evenly over one interval.

        As late as it takes for none to be released early. So this and `used` are all that another
        process needs to go on. Those in flight count as answered now.
        """
        used = self.used
        if not used:
            return now
        step = len(self._held) // 2 // SAMPLES + 1
        ends, counts = self._held[2 * step - 2 :: 2 * step], self._held[2 * step - 1 :: 2 * step]
        points = [*zip(ends, counts, strict=True), (now, self._returned)]
        free_at, before = now, float(self._released)
        for at, returned in points:
            behind = used - (before - self._released)
            if behind:
                free_at = max(free_at, at + self.interval * (1 + behind / used))
            before = returned
        return free_at

    def inherit(self, used: int, free_at: float, now: float) -> None:
        """Go on from another window's `used` and `evenly_free_at`.

        Whatever that says, all is free an interval from now: it was given back before now.
        """
        steps = min(used, GRAINS)
        done = 0
        for step in range(1, steps + 1):
            upto = used * step // steps
            release = free_at - (used - upto) * self.interval / used
            if release > now:
                self._hold(min(release - self.interval, now), upto - done)
            done = upto

    def _hold(self, at: float, count: int) -> None:
        self._returned += count
        if self._held and at < self._opened + self.interval / GRAINS:
            at = max(at, self._held[-2])
            del self._held[-2:]
        else:
            self._opened = at
        self._held.extend((at, self._returned))
