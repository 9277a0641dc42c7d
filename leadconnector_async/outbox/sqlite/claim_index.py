"""Which records are claimed and not settled: known in memory, and on disk for after a crash."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final

from leadconnector_async.outbox.database import statements
from leadconnector_async.outbox.sqlite.connection import fetch_rows, packed, run_rows, unpacked

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence, Set as AbstractSet
    from sqlite3 import Connection

    from leadconnector_async.outbox.record_store import QueuePlace

_SQL: Final = statements(__package__, "claim_index")


class ClaimIndex:
    """What is claimed and not settled: in memory to decide by, and on disk for after a crash.

    A batch of claims is one row, however many records it has. What is settled leaves the queue,
    so a row need not be written again for it: only for what goes back to the queue unsent.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.reload()

    def reload(self) -> None:
        """Read what is claimed and not settled, as after a crash."""
        self.lanes: dict[int, dict[int, set[int]]] = defaultdict(lambda: defaultdict(set))
        """Claimed records by location and lane."""
        self._left: dict[int, int] = {}
        self._batch_of: dict[int, int] = {}
        self._stale: set[int] = set()
        self._last = 0
        for batch, seqs in self._connection.execute("SELECT batch, seqs FROM claimed").fetchall():
            self._last = max(self._last, batch)
            listed = [(seq,) for seq in unpacked(seqs)]
            self._keep(batch, list(fetch_rows(self._connection, _SQL["unsettled"], listed)))
            self._stale.add(batch)
        self.tidy()

    @property
    def held(self) -> AbstractSet[int]:
        """All records that are claimed and not settled."""
        return self._batch_of.keys()

    def count(self, location: int) -> int:
        """How many records of a location are held."""
        return sum(map(len, self.lanes.get(location, {}).values()))

    def add(self, places: Sequence[tuple[int, int, int]]) -> None:
        """Note a batch of (location, lane, seq) as claimed, on disk and in memory."""
        self._last += 1
        seqs = [place[2] for place in places]
        run_rows(self._connection, _SQL["add"], [(self._last, packed(seqs))])
        self._keep(self._last, places)

    def _keep(self, batch: int, places: Sequence[tuple[int, int, int]]) -> None:
        self._left[batch] = len(places)
        self._batch_of.update(dict.fromkeys([seq for _, _, seq in places], batch))
        for location, lane, seq in places:
            self.lanes[location][lane].add(seq)

    def drop(self, places: Iterable[QueuePlace]) -> None:
        """Note in memory that each is not claimed any more."""
        lanes_of, batches = self.lanes, []
        for location, lane, _, seq in places:
            lanes = lanes_of[location]
            seqs = lanes[lane]
            seqs.remove(seq)
            if not seqs:
                del lanes[lane]
                if not lanes:
                    del lanes_of[location]
            batches.append(self._batch_of.pop(seq))
        for batch, n in Counter(batches).items():
            self._left[batch] -= n
            self._stale.add(batch)

    def tidy(self, *, everything: bool = True) -> None:
        """Write the rows again that list what is not claimed any more.

        Without ``everything`` only those that list nothing else, which is cheap; that is enough
        where all that was dropped has left the queue.
        """
        empty = [batch for batch in self._stale if not self._left[batch]]
        for batch in empty:
            del self._left[batch]
        self._stale.difference_update(empty)
        run_rows(self._connection, _SQL["remove"], [(batch,) for batch in empty])
        if not everything or not self._stale:
            return
        seqs: dict[int, list[int]] = {batch: [] for batch in self._stale}
        for seq, batch in self._batch_of.items():
            if batch in seqs:
                seqs[batch].append(seq)
        for batch, left in seqs.items():
            row = packed(left), batch
            self._connection.execute("UPDATE claimed SET seqs = ? WHERE batch = ?", row)
        self._stale.clear()
