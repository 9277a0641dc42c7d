"""Choosing what is sent next from the queue, and knowing what is claimed and not settled.

A location's lanes are walked in their order, a few records of each, from where the last walk ended:
enough lanes are open for the requests that can be in flight at once. Each lane's first rows are
found by a seek of the index, so that long lanes cost no more than short ones. All locations of a
call are walked together, a statement for each round. What is held stands in the location's row, and
in memory to decide by: nobody else writes it while the lease is held.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence, Set as AbstractSet
from itertools import groupby
from typing import Final

from asyncpg.exceptions import DivisionByZeroError

from leadconnector_async.outbox import base
from leadconnector_async.outbox.database import statements
from leadconnector_async.outbox.postgres.connection import Connection
from leadconnector_async.outbox.postgres.counters import columns
from leadconnector_async.records.draft import traced

_SQL: Final = statements(__package__, "claims")


class _LocationClaim(base.LocationClaim):
    """What one location has given to one claim so far."""

    def __init__(self, lease: base.Lease, wanted: int, held: dict[int, set[int]]) -> None:
        super().__init__(lease, wanted)
        self.held = held
        self.begins = self.began = base.LOWEST
        self.is_walking = True
        self.has_turned = False
        """Whether the walk goes on at the first lane, and may meet those that gave some."""

    @property
    def page(self) -> int:
        """How many lanes to read next: more where some are passed over."""
        few = -(-self.short * 3 // (2 * self.depth))  # not all are as deep
        passed = len(self.held) + (len(self.lanes) if self.has_turned else 0)
        return few + min(passed, base.STRETCH)

    def meet(self, entries: Iterable[base.QueueEntry], read: int) -> None:
        """Take what may be taken of ``read`` lanes, or fewer if there are no more."""
        met = 0
        lane = None
        for lane, of_lane in groupby(entries, key=lambda entry: entry[0]):
            met += 1
            if self.short and lane not in self.held and lane not in self.lanes:
                self.places += list(of_lane)[: self.short]
                self.lanes.add(lane)
        if not self.short:
            self.is_walking = False
        elif met < read or lane is None or lane == -base.LOWEST - 1:  # that was the last one
            self.is_walking, self.began = self.began > base.LOWEST, base.LOWEST
            self.begins, self.has_turned = base.LOWEST, True
        else:
            self.begins = lane + 1


class Claims:
    """What is claimed over one connection, which holds the leases, and what to claim next."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lanes: dict[int, dict[int, set[int]]] = {}
        """What is claimed and not settled, by location and lane."""
        self._lane_of: dict[int, int] = {}
        self._walks: dict[int, tuple[int, int]] = {}

    def forget(self, location: int) -> None:
        """Forget a location, whose lease is another now."""
        for seqs in self._lanes.pop(location, {}).values():
            for seq in seqs:
                del self._lane_of[seq]
        self._walks.pop(location, None)

    @property
    def held(self) -> AbstractSet[int]:
        """All records that are held."""
        return self._lane_of.keys()

    def hold(self, location: int, places: Iterable[tuple[int, int]]) -> None:
        """Note (lane, seq) as held."""
        lanes = self._lanes.setdefault(location, {})
        for lane, seq in places:
            lanes.setdefault(lane, set()).add(seq)
            self._lane_of[seq] = lane

    def drop(self, location: int, seq: int) -> None:
        """Note that a record is not held any more."""
        lane = self._lane_of.pop(seq)
        lanes = self._lanes[location]
        lanes[lane].remove(seq)
        if not lanes[lane]:
            del lanes[lane]

    async def unknown(self, lease: base.Lease, seqs: Sequence[int]) -> list[base.Claim]:
        """Return what is held of a location, in the order of its lanes."""
        claims = []
        for *of, parent, state in await self._connection.fetch(_SQL["held"], lease.number, seqs):
            claims.append(base.Claim(lease, *of))
            claims[-1].trace = traced(parent, state)
        return claims

    async def choose(self, wants: base.Wants, room: int = base.NO_BOUND) -> list[list[base.Claim]]:
        """Find the next records of each (lease, at most how many), and note them as held.

        What comes after some that weigh ``room`` is left.

        Returns fewer lists where a lease is not held any more.
        """
        catches = [_LocationClaim(of, n, self._lanes.get(of.number, {})) for of, n in wants]
        for catch in catches:
            begins, walked = self._walks.get(catch.location, (base.LOWEST, 0))
            if walked < max(base.STRETCH, 2 * catch.wanted):
                catch.begins = catch.began = begins
        while walking := [catch for catch in catches if catch.is_walking and catch.short > 0]:
            await self._walk(walking)
        await self._deepen(catches)
        return await self._hold(catches, room)

    async def _walk(self, walking: Sequence[_LocationClaim]) -> None:
        pages = {catch.location: catch.page for catch in walking}
        rows = [(c.location, c.begins, pages[c.location], c.depth) for c in walking]
        found: defaultdict[int, list[base.QueueEntry]] = defaultdict(list)
        for row in await self._connection.fetch(_SQL["walk"], *columns(rows)):
            found[row[0]].append(row[1:])
        for catch in walking:
            catch.meet(sorted(found[catch.location]), pages[catch.location])

    async def _deepen(self, catches: Sequence[_LocationClaim]) -> None:
        """Every lane has records in hand: take more of them behind those."""
        short = [catch for catch in catches if catch.short > 0]
        lanes = [(catch, lane) for catch in short for lane in sorted({*catch.held, *catch.lanes})]
        while lanes:
            of_location = Counter(catch.location for catch, _ in lanes)
            most = {}
            for catch, lane in lanes:
                share = -(-catch.short // of_location[catch.location])
                most[catch.location, lane] = share + len(self._in_hand(catch, lane))
            found: defaultdict[tuple[int, int], list[base.QueueEntry]] = defaultdict(list)
            rows = [(*where, n) for where, n in most.items()]
            for location, *entry in await self._connection.fetch(_SQL["deepen"], *columns(rows)):
                found[location, entry[0]].append(tuple(entry))
            for catch, lane in lanes:
                in_hand = self._in_hand(catch, lane)
                entries = sorted(found[catch.location, lane])
                more = [entry for entry in entries if entry[2] not in in_hand]
                catch.places += more[: catch.short]
            lanes = [
                (catch, lane)
                for catch, lane in lanes
                if catch.short and len(found[catch.location, lane]) == most[catch.location, lane]
            ]

    def _in_hand(self, catch: _LocationClaim, lane: int) -> set[int]:
        mine = {entry[2] for entry in catch.places if entry[0] == lane}
        return mine | catch.held.get(lane, set())

    async def _hold(self, catches: Sequence[_LocationClaim], room: int) -> list[list[base.Claim]]:
        """Write down what is claimed, under the leases; then read it."""
        seqs = [entry[2] for catch in catches for entry in catch.places]
        if not seqs:
            return [[] for _ in catches]
        leases = [(catch.location, catch.lease.token) for catch in catches if catch.places]
        values = seqs, *columns(leases), room, base.CLAIM_BYTES
        try:
            rows = await self._connection.fetch(_SQL["hold"], *values)
        except DivisionByZeroError:
            return []
        records = {seq: rest for seq, *rest in rows}
        claims = []
        for catch in catches:
            of_location = []
            for lane, date, seq, attempts in catch.places:
                if seq not in records:
                    break
                key, payload, late, *trace = records[seq]
                place, rest = (catch.lease, lane, date, seq), (key, payload, attempts, late)
                of_location.append(base.Claim(*place, *rest, trace=traced(*trace)))
            claims.append(of_location)
        return claims

    def took(self, wants: base.Wants, claims: Sequence[Sequence[base.Claim]]) -> None:
        """Note in memory what was claimed, once it is committed; and where to go on."""
        for (lease, _), of in zip(wants, claims, strict=True):
            self.hold(lease.number, [(claim.lane, claim.seq) for claim in of])
            if of:
                lanes = {claim.lane for claim in of}
                begins, walked = self._walks.get(lease.number, (base.LOWEST, 0))
                last = max(lanes)
                walked = walked + len(lanes) if last >= begins else len(lanes)
                self._walks[lease.number] = min(last + 1, -base.LOWEST - 1), walked
