"""Choosing what is sent next, and taking back what became of it.

A location's lanes are walked in their order, a few records of each, over a stretch of lanes at a
time: the pages of a stretch stay in memory until its lanes are done, and enough lanes are open for
the requests that can be in flight at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from leadconnector_async._outbox.held import Held
from leadconnector_async._outbox.interface import Claim
from leadconnector_async._outbox.rows import fetch_rows

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from sqlite3 import Connection

LOWEST: Final = -(1 << 63)
HIGHEST: Final = (1 << 63) - 1
STRETCH: Final = 128
"""Lanes to walk before starting over, or twice as many as are asked for."""
LANES: Final = 64
"""How many lanes a claim is spread over at least, where it asks for as many records."""
DEPTH: Final = 8
"""Records to take of one lane at most, while there are others."""

# Each row leads to the next: in its lane while that has given fewer than the depth, then in the
# lane behind. So what is passed over costs nothing.
_WALK: Final = """WITH RECURSIVE want (location, lane, depth, n) AS ("""
_WALKED: Final = """), walk (location, lane, date, seq, taken, depth, n) AS (
        SELECT want.location, r.lane, r.date, r.seq, 1, depth, n
        FROM want JOIN record r ON r.seq = (
            SELECT seq FROM queue q WHERE q.location = want.location AND q.lane >= want.lane
            ORDER BY q.lane, q.date, q.seq LIMIT 1)
    UNION ALL
        SELECT w.location, r.lane, r.date, r.seq,
            CASE r.lane WHEN w.lane THEN taken + 1 ELSE 1 END, depth, n - 1
        FROM walk w JOIN record r ON r.seq = coalesce(
            CASE WHEN taken < depth THEN
                (SELECT seq FROM queue q WHERE q.location = w.location AND q.lane = w.lane
                    AND (q.date, q.seq) > (w.date, w.seq)
                ORDER BY q.date, q.seq LIMIT 1) END,
            (SELECT seq FROM queue q WHERE q.location = w.location AND q.lane > w.lane
                ORDER BY q.lane, q.date, q.seq LIMIT 1))
        WHERE n > 1)
    SELECT w.location, w.lane, w.date, w.seq, r.key, r.payload, q.attempts, r.late
    FROM walk w CROSS JOIN queue q USING (location, lane, date, seq)
        CROSS JOIN record r ON r.seq = w.seq"""
_OF_LANE: Final = """SELECT q.location, q.lane, q.date, q.seq, key, payload, attempts, late
    FROM queue q CROSS JOIN record r ON r.seq = q.seq
    WHERE q.location = ? AND q.lane = ? ORDER BY q.date, q.seq LIMIT ?"""
_HELD: Final = """SELECT q.location, q.lane, q.date, q.seq, key, payload, attempts, late
    FROM record r JOIN queue q USING (location, lane, date, seq) WHERE r.seq IN ("""


class Claims:
    """Lives in the writer's thread."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.held = Held(connection)
        self._waiting: dict[int, int] = {}
        self._walks: dict[int, tuple[int, int]] = {}

    def reload(self) -> None:
        """Read again what is held."""
        self.held.reload()
        self._waiting.clear()
        self._walks.clear()

    def arrived(self, location: int | None) -> None:
        """Note that the queue has one more record of a location; for None, any number of all."""
        if location is None:
            self._waiting.clear()
        elif location in self._waiting:
            self._waiting[location] += 1

    def begin(self, location: int) -> list[Claim]:
        """Return what is held of a location, in the order of its lanes."""
        seqs = [(seq,) for seq in self.held.of(location)]
        claims = [Claim(*row) for row in fetch_rows(self._connection, _HELD, seqs, ")")]
        return sorted(claims, key=lambda claim: (claim.lane, claim.date, claim.seq))

    def claim(self, wants: Sequence[tuple[int, int]]) -> list[list[Claim]]:
        """Take the next records of each (location, at most how many)."""
        catches = [_Catch(location, min(n, self._left(location))) for location, n in wants]
        if len({catch.location for catch in catches}) < len(catches):
            raise ValueError("a claim names each location once")
        short = self._walk_on([catch for catch in catches if catch.short])
        short = self._walk_from([(catch, LOWEST) for catch in short if catch.began > LOWEST])
        for catch in catches:
            if catch.short:
                self._deepen(catch)
        taken = [claim for catch in catches for claim in catch.claims]
        if taken:
            self.held.add([(claim.location, claim.lane, claim.seq) for claim in taken])
        for catch in catches:
            self._waiting[catch.location] -= len(catch.claims)
        return [catch.claims for catch in catches]

    def _left(self, location: int) -> int:
        if location not in self._waiting:
            query = "SELECT count(*) FROM queue WHERE location = ?"
            (queued,) = self._connection.execute(query, (location,)).fetchone()
            self._waiting[location] = queued - self.held.count(location)
        return self._waiting[location]

    def _walk_on(self, catches: Iterable[_Catch]) -> list[_Catch]:
        walks = []
        for catch in catches:
            lane, walked = self._walks.get(catch.location, (LOWEST, 0))
            if walked >= max(STRETCH, 2 * catch.wanted):
                lane = LOWEST
            walks.append((catch, lane))
        return self._walk_from(walks)

    def _walk_from(self, walks: Sequence[tuple[_Catch, int]]) -> list[_Catch]:
        """Walk each location from a lane on, past lanes that have records in hand."""
        by_location = {}
        rows = []
        for catch, lane in walks:
            by_location[catch.location] = catch
            busy = self.held.lanes.get(catch.location, ())
            rows.append(catch.set_out(lane, busy))
        for row in fetch_rows(self._connection, _WALK, rows, _WALKED):
            by_location[row[0]].meet(row)
        for catch, lane in walks:
            self._note(catch, lane)
        return [catch for catch, _ in walks if catch.short]

    def _note(self, catch: _Catch, began: int) -> None:
        """Remember where to go on."""
        if not catch.claims or catch.claims[-1].lane == HIGHEST:
            self._walks.pop(catch.location, None)
            return
        walked = self._walks.get(catch.location, (LOWEST, 0))[1] if began > LOWEST else 0
        self._walks[catch.location] = catch.claims[-1].lane + 1, walked + len(catch.lanes)

    def _deepen(self, catch: _Catch) -> None:
        """Every lane has records in hand: take more of them behind those."""
        in_hand = self.held.lanes.get(catch.location, {})
        lanes = sorted(in_hand.keys() | catch.lanes)
        while catch.short and lanes:
            share = -(-catch.short // len(lanes))
            lanes = [lane for lane in lanes if self._deepen_lane(catch, lane, share)]

    def _deepen_lane(self, catch: _Catch, lane: int, share: int) -> bool:
        """Take up to ``share`` more of one lane. False if there were no more."""
        in_hand = {claim.seq for claim in catch.claims if claim.lane == lane}
        in_hand |= self.held.lanes.get(catch.location, {}).get(lane, set())
        limit = len(in_hand) + min(share, catch.short)
        rows = self._connection.execute(_OF_LANE, (catch.location, lane, limit)).fetchall()
        catch.claims += [Claim(*row) for row in rows if row[3] not in in_hand]
        return len(rows) == limit


class _Catch:
    """What one location has given to one claim so far."""

    def __init__(self, location: int, wanted: int) -> None:
        self.location = location
        self.wanted = wanted
        self.claims: list[Claim] = []
        self.lanes: set[int] = set()
        self.began = LOWEST
        self._passed: Collection[int] = ()

    @property
    def short(self) -> int:
        return self.wanted - len(self.claims)

    def set_out(self, lane: int, busy: Collection[int]) -> tuple[int, int, int, int]:
        """Begin a walk. Returns what it asks for: more, by what it will have to pass."""
        self.began = lane
        self._passed = busy if not self.lanes else {*busy, *self.lanes}
        depth = max(1, min(DEPTH, self.wanted // LANES))
        ahead = sum(passed >= lane for passed in self._passed)
        return self.location, lane, depth, self.short + ahead * depth

    def meet(self, row: tuple[Any, ...]) -> None:
        """Take a record, unless its lane has one in hand."""
        lane = row[1]
        if lane not in self._passed and self.short > 0:
            self.claims.append(Claim(*row))
            self.lanes.add(lane)
