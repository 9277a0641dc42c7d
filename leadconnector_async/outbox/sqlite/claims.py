"""Choosing what is sent next.

A location's lanes are walked in their order, a few records of each, over a stretch of lanes at a
time: the pages of a stretch stay in memory until its lanes are done, and enough lanes are open for
the requests that can be in flight at once.
"""

from __future__ import annotations

from collections import defaultdict
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from leadconnector_async.outbox import base
from leadconnector_async.outbox.base import LOWEST, NO_BOUND, STRETCH, Claim, Lease, QueueEntry
from leadconnector_async.outbox.database import statements
from leadconnector_async.outbox.sqlite.claim_index import ClaimIndex
from leadconnector_async.outbox.sqlite.connection import RowCollector, fetch_rows

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence, Set as AbstractSet
    from sqlite3 import Connection

    from leadconnector_async.outbox.record_store import NewRecord
    from leadconnector_async.records.draft import Draft

HIGHEST: Final = (1 << 63) - 1

LOOK: Final = 8
"""Rows of the queue to read at once, times the depth. A row takes half a microsecond and a seek
five, so what is passed over costs no more than what is taken, however long a lane is."""

SMALL: Final = 64
"""A location with so few records in the queue is read whole, together with so many others."""

FOR_EACH: Final = 4
"""And so is one with so few for each that is wanted. A seek costs as much as ten rows or more, but
where lanes have a record each, `LOOK` of them share one."""

MODEST: Final = 512
"""But no larger one than that: the rows of many locations stand in memory."""

_SQL: Final = statements(__package__, "claims")


class Claims:
    """Lives in the writer's thread."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._collector = RowCollector(connection)
        self.index: ClaimIndex = ClaimIndex(connection)
        self._waiting: dict[int, int] = {}
        self._walks: dict[int, tuple[int, int]] = {}
        self._fresh: dict[int, dict[int, Draft]] = defaultdict(dict)
        """What this transaction has put into the queue, by location and number."""

    def reload(self) -> None:
        """Read again what is held."""
        self.index.reload()
        self._waiting.clear()
        self._walks.clear()
        self._fresh.clear()

    def arrived(self, location: int | None) -> None:
        """Note that the queue has one more record of a location; for None, any number of all."""
        if location is None:
            self._waiting.clear()
        elif location in self._waiting:
            self._waiting[location] += 1

    def submitted(self, records: Iterable[NewRecord]) -> None:
        """Note new records that are in the queue: they may be claimed in the same transaction."""
        for record in records:
            self._fresh[record.location][record.seq] = record.draft
            self.arrived(record.location)

    def unknown(self, lease: Lease) -> list[Claim]:
        """Return what is held of a location, in the order of its lanes."""
        held = [(seq,) for seqs in self.index.lanes.get(lease.number, {}).values() for seq in seqs]
        claims = [Claim(lease, *row) for row in fetch_rows(self._connection, _SQL["held"], held)]
        return sorted(claims, key=lambda claim: (claim.lane, claim.date, claim.seq))

    def claim(self, wants: base.Wants, room: int = NO_BOUND) -> list[list[Claim]]:
        """Take the next records of each (lease, at most how many), until they weigh ``room``."""
        waiting, held = self._waiting, self.index.count
        new = [(lease.number,) for lease, _ in wants if lease.number not in waiting]
        for number, queued in fetch_rows(self._connection, _SQL["counted"], new):
            waiting[number] = queued - held(number)
        catches = [_LocationClaim(lease, min(n, waiting[lease.number])) for lease, n in wants]
        if len({catch.location for catch in catches}) < len(catches):
            raise ValueError("a claim names each location once")
        few = []
        for catch in catches:
            queued = waiting[catch.location] + held(catch.location)
            fresh = self._fresh.get(catch.location, {})
            if fresh and len(fresh) == waiting[catch.location]:  # then nothing else waits there
                rows = sorted((of.lane, of.date, seq, 0) for seq, of in fresh.items())
                catch.choose(rows, self.index.lanes.get(catch.location, {}))
            elif queued > max(SMALL, min(FOR_EACH * catch.wanted, MODEST)):
                self._fill(catch)
            elif catch.wanted:
                few.append(catch)
        for at in range(0, len(few), SMALL):
            self._choose(few[at : at + SMALL])
        claims = self._claims(catches, room)
        taken = [(of.lease.number, of.lane, of.seq) for some in claims for of in some]
        if taken:
            self.index.add(taken)
        return claims

    def _choose(self, catches: Sequence[_LocationClaim]) -> None:
        """Choose of whole queues."""
        queues: dict[int, list[QueueEntry]] = {catch.location: [] for catch in catches}
        for row in fetch_rows(self._collector, _SQL["whole"], [(location,) for location in queues]):
            queues[row[4]].append(row[:4])
        for catch in catches:
            catch.choose(queues[catch.location], self.index.lanes.get(catch.location, {}))

    def _claims(self, catches: Iterable[_LocationClaim], room: int) -> list[list[Claim]]:
        fresh = self._fresh
        taken: list[tuple[int]] = []
        for catch in catches:
            known = fresh.get(catch.location, ())
            taken += [(place[2],) for place in catch.places if place[2] not in known]
        rows = fetch_rows(self._collector, _SQL["taken"], taken)
        claims = []
        for catch in catches:
            fresh_here = fresh.get(catch.location, {})
            of_location: list[Claim] = []
            for lane, date, seq, attempts in catch.places:
                if room <= 0:
                    break
                new = fresh_here.get(seq)
                key, payload, deferred = (new.key, new.payload, new.deferred) if new else next(rows)
                if payload is None:
                    (payload,) = self._connection.execute(_SQL["body"], (seq,)).fetchone()
                claim = Claim(catch.lease, lane, date, seq, key, payload, attempts, deferred)
                room -= claim.weight
                of_location.append(claim)
            if len(of_location) < len(catch.places):  # the walk has passed what is left here
                self._walks.pop(catch.location, None)
            self._waiting[catch.location] -= len(of_location)
            claims.append(of_location)
        fresh.clear()
        return claims

    def _fill(self, catch: _LocationClaim) -> None:
        lane, walked = self._walks.get(catch.location, (LOWEST, 0))
        if walked >= max(STRETCH, 2 * catch.wanted):
            lane = LOWEST
        if catch.short:
            self._walk(catch, lane)
        if catch.short and lane > LOWEST:
            self._walk(catch, LOWEST)
        if catch.short:
            self._deepen(catch)

    def _walk(self, catch: _LocationClaim, began: int) -> None:
        """Walk from a lane on, past lanes that have records in hand; note where to go on."""
        catch.set_out(self.index.lanes.get(catch.location, ()))
        look = LOOK * catch.depth
        behind = (began - 1, HIGHEST, HIGHEST) if began > LOWEST else (LOWEST, LOWEST, LOWEST)
        while catch.short:
            rows = self._collector.execute(_SQL["queued"], (catch.location, *behind, look))
            is_done = catch.meet(rows)
            if len(rows) < look:
                break
            lane, date, seq, _ = rows[-1]
            behind = (lane, HIGHEST, HIGHEST) if is_done else (lane, date, seq)
        if not catch.places or catch.places[-1][0] == HIGHEST:
            self._walks.pop(catch.location, None)
        else:
            walked = self._walks.get(catch.location, (LOWEST, 0))[1] if began > LOWEST else 0
            self._walks[catch.location] = catch.places[-1][0] + 1, walked + len(catch.lanes)

    def _deepen(self, catch: _LocationClaim) -> None:
        """Every lane has records in hand: take more of them behind those."""
        in_hand = self.index.lanes.get(catch.location, {})
        lanes = sorted(in_hand.keys() | catch.lanes)
        while catch.short and lanes:
            share = -(-catch.short // len(lanes))
            lanes = [lane for lane in lanes if self._deepen_lane(catch, lane, share)]

    def _deepen_lane(self, catch: _LocationClaim, lane: int, share: int) -> bool:
        """Take up to ``share`` more of one lane. False if there were no more."""
        in_hand = {place[2] for place in catch.places if place[0] == lane}
        in_hand |= self.index.lanes.get(catch.location, {}).get(lane, set())
        wanted = min(share, catch.short)
        limit = len(in_hand) + wanted
        rows = self._collector.execute(_SQL["of_lane"], (catch.location, lane, limit))
        more = [row for row in rows if row[2] not in in_hand]
        catch.places += more[:wanted]  # those in hand may come later than what arrived since
        return len(rows) == limit


class _LocationClaim(base.LocationClaim):
    """What one location has given to one claim so far."""

    def __init__(self, lease: Lease, wanted: int) -> None:
        super().__init__(lease, wanted)
        self._passed: Collection[int] = ()
        self._lane: int | None = None
        self._taken = 0

    def choose(self, queue: Sequence[QueueEntry], in_hand: Mapping[int, AbstractSet[int]]) -> None:
        """Take of a whole queue, of each lane in turn, those with fewest in hand first."""
        turns: list[tuple[int, QueueEntry]] = []
        lane, turn = None, 0
        held: Collection[int] = ()
        for row in queue:
            if row[0] != lane:
                lane = row[0]
                held = in_hand.get(lane, ())
                turn = len(held)
            if row[2] not in held:
                turn += 1
                turns.append((turn, row))
        if len(turns) > self.wanted:
            turns.sort(key=itemgetter(0))
        self.places = [row for _, row in turns[: self.wanted]]

    def set_out(self, busy: Collection[int]) -> None:
        """Begin a walk, which passes lanes that have records in hand."""
        self._passed = {*busy, *self.lanes} if self.lanes else busy
        self._lane = None

    def meet(self, rows: Iterable[QueueEntry]) -> bool:
        """Take what may be taken. True where nothing more of the last row's lane may be."""
        places, wanted, depth = self.places, self.wanted, self.depth
        lane, taken = self._lane, self._taken
        for row in rows:
            if row[0] != lane:
                if len(places) == wanted:
                    break
                lane = row[0]
                taken = depth if lane in self._passed else 0
                if not taken:
                    self.lanes.add(lane)
            if taken < depth and len(places) < wanted:
                places.append(row)
                taken += 1
        self._lane, self._taken = lane, taken
        return taken >= depth
