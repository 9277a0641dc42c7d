"""Choosing what is sent next, and taking back what became of it.

A location's lanes are walked in their order, a few records of each, over a stretch of lanes at a
time: the pages of a stretch stay in memory until its lanes are done, and enough lanes are open for
the requests that can be in flight at once.
"""

from __future__ import annotations

from itertools import islice, starmap
from typing import TYPE_CHECKING, Final

from leadconnector_async._outbox.held import Held
from leadconnector_async._outbox.interface import Claim
from leadconnector_async._outbox.rows import fetch_rows

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from sqlite3 import Connection

    Place = tuple[int, int, int, int]
    """Lane, date, seq and attempts of a record in the queue."""

LOWEST: Final = -(1 << 63)
HIGHEST: Final = (1 << 63) - 1
STRETCH: Final = 128
"""Lanes to walk before starting over, or twice as many as are asked for."""
LANES: Final = 64
"""How many lanes a claim is spread over at least, where it asks for as many records."""
DEPTH: Final = 8
"""Records to take of one lane at most, while there are others."""
LOOK: Final = 8
"""Rows of the queue to read at once, times the depth. A row takes half a microsecond and a seek
five, so what is passed over costs no more than what is taken, however long a lane is."""

_QUEUED: Final = """SELECT lane, date, seq, attempts FROM queue
    WHERE location = ? AND (lane, date, seq) > (?, ?, ?) ORDER BY lane, date, seq LIMIT ?"""
_OF_LANE: Final = """SELECT lane, date, seq, attempts FROM queue
    WHERE location = ? AND lane = ? ORDER BY date, seq LIMIT ?"""
_TAKEN: Final = "SELECT location, lane, date, seq, key, payload, column2, late FROM ("
_RECORDS: Final = ") CROSS JOIN record ON seq = column1"
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
        for catch in catches:
            self._fill(catch)
            self._waiting[catch.location] -= len(catch.places)
        taken = [
            (catch.location, place[0], place[2]) for catch in catches for place in catch.places
        ]
        if taken:
            self.held.add(taken)
        return self._claims(catches)

    def _claims(self, catches: Iterable[_Catch]) -> list[list[Claim]]:
        taken = [(seq, tries) for catch in catches for _, _, seq, tries in catch.places]
        claims = starmap(Claim, fetch_rows(self._connection, _TAKEN, taken, _RECORDS))
        return [list(islice(claims, len(catch.places))) for catch in catches]

    def _left(self, location: int) -> int:
        if location not in self._waiting:
            query = "SELECT count(*) FROM queue WHERE location = ?"
            (queued,) = self._connection.execute(query, (location,)).fetchone()
            self._waiting[location] = queued - self.held.count(location)
        return self._waiting[location]

    def _fill(self, catch: _Catch) -> None:
        lane, walked = self._walks.get(catch.location, (LOWEST, 0))
        if walked >= max(STRETCH, 2 * catch.wanted):
            lane = LOWEST
        if catch.short:
            self._walk(catch, lane)
        if catch.short and lane > LOWEST:
            self._walk(catch, LOWEST)
        if catch.short:
            self._deepen(catch)

    def _walk(self, catch: _Catch, began: int) -> None:
        """Walk a location from a lane on, past lanes that have records in hand."""
        catch.set_out(self.held.lanes.get(catch.location, ()))
        look = LOOK * catch.depth
        behind = (began - 1, HIGHEST, HIGHEST) if began > LOWEST else (LOWEST, LOWEST, LOWEST)
        while catch.short:
            query = catch.location, *behind, look
            rows = self._connection.execute(_QUEUED, query).fetchall()
            is_done = catch.meet(rows)
            if len(rows) < look:
                break
            lane, date, seq, _ = rows[-1]
            behind = (lane, HIGHEST, HIGHEST) if is_done else (lane, date, seq)
        self._note(catch, began)

    def _note(self, catch: _Catch, began: int) -> None:
        """Remember where to go on."""
        if not catch.places or catch.places[-1][0] == HIGHEST:
            self._walks.pop(catch.location, None)
            return
        walked = self._walks.get(catch.location, (LOWEST, 0))[1] if began > LOWEST else 0
        self._walks[catch.location] = catch.places[-1][0] + 1, walked + len(catch.lanes)

    def _deepen(self, catch: _Catch) -> None:
        """Every lane has records in hand: take more of them behind those."""
        in_hand = self.held.lanes.get(catch.location, {})
        lanes = sorted(in_hand.keys() | catch.lanes)
        while catch.short and lanes:
            share = -(-catch.short // len(lanes))
            lanes = [lane for lane in lanes if self._deepen_lane(catch, lane, share)]

    def _deepen_lane(self, catch: _Catch, lane: int, share: int) -> bool:
        """Take up to ``share`` more of one lane. False if there were no more."""
        in_hand = {place[2] for place in catch.places if place[0] == lane}
        in_hand |= self.held.lanes.get(catch.location, {}).get(lane, set())
        limit = len(in_hand) + min(share, catch.short)
        rows = self._connection.execute(_OF_LANE, (catch.location, lane, limit)).fetchall()
        catch.places += [row for row in rows if row[2] not in in_hand]
        return len(rows) == limit


class _Catch:
    """What one location has given to one claim so far."""

    def __init__(self, location: int, wanted: int) -> None:
        self.location = location
        self.wanted = wanted
        self.depth = max(1, min(DEPTH, wanted // LANES))
        self.places: list[Place] = []
        self.lanes: set[int] = set()
        self._passed: Collection[int] = ()
        self._lane: int | None = None
        self._taken = 0

    @property
    def short(self) -> int:
        return self.wanted - len(self.places)

    def set_out(self, busy: Collection[int]) -> None:
        """Begin a walk, which passes lanes that have records in hand."""
        self._passed = {*busy, *self.lanes} if self.lanes else busy
        self._lane = None

    def meet(self, rows: Iterable[Place]) -> bool:
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
