"""A pass over a source: what tells equal records of one reading from the same one read again."""

import re
import time
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Self

_NOT_ZERO: Final = re.compile(rb"[^\0]")


class SourcePass:
    """One pass over one source: which records it has met already, one bit each.

    Two equal records in one pass are two records; the same record in the next pass is known.
    ``before`` is the pass over the source that the same run has read before.
    """

    def __init__(self, source: int = 0, before: Self | None = None) -> None:
        self.source: int = source
        self.kin: frozenset[int] = frozenset()
        """Numbers of the source: it has several where it was read with other options."""
        self.name: str = ""
        self.readings: Readings | None = None
        """What earlier passes made of the source with other options."""
        self.number: int = time.time_ns()
        self.refused_lines: dict[str, bool] = {}
        """Locations, and whether they had records before that are known by their line alone."""
        self.newest: range = range(0)
        """The records that were new when some last were."""
        self._seen = bytearray()
        self._earlier = b"" if before is None else before.all_met()

    def all_met(self) -> bytes:
        """What this pass and those before it have met."""
        both = int.from_bytes(self._seen, "little") | int.from_bytes(self._earlier, "little")
        return both.to_bytes(max(len(self._seen), len(self._earlier)), "little")

    def met(self) -> bytes:
        """What this pass has met, for `restore`."""
        return bytes(self._seen)

    def restore(self, met: bytes) -> None:
        """Have met what it had met before an attempt whose end nobody knows."""
        self._seen[:] = met

    def was_met_before(self, seq: int) -> bool:
        """Tell whether an earlier pass of the run has met record ``seq``."""
        index = seq >> 3
        return index < len(self._earlier) and bool(self._earlier[index] & (1 << (seq & 7)))

    def meet(self, seq: int) -> bool:
        """Note that this pass has met record ``seq``; True the first time."""
        index, bit = seq >> 3, 1 << (seq & 7)
        if index >= len(self._seen):
            self._seen.extend(bytes(max(index + 1 - len(self._seen), len(self._seen), 1024)))
        if self._seen[index] & bit:
            return False
        self._seen[index] |= bit
        return True

    def meet_all(self, seqs: Sequence[int]) -> int:
        """Note that this pass has met records, up to the first that it had met. Tells how many."""
        for count, seq in enumerate(seqs):
            if not self.meet(seq):
                return count
        return len(seqs)

    def meet_new(self, first: int, end: int) -> None:
        """Note that this pass has brought the records from ``first`` to before ``end``."""
        self.newest = range(first, end)
        self._seen.extend(bytes(max(0, (end >> 3) + 1 - len(self._seen))))
        while first < end and first & 7:
            self._seen[first >> 3] |= 1 << (first & 7)
            first += 1
        while end > first and end & 7:
            end -= 1
            self._seen[end >> 3] |= 1 << (end & 7)
        self._seen[first >> 3 : end >> 3] = b"\xff" * ((end - first) >> 3)

    def numbers(self, before: bytes = b"") -> Iterator[int]:
        """The records that this pass has met, but those that it had met ``before``."""
        new = int.from_bytes(self._seen, "little") ^ int.from_bytes(before, "little")
        for some in _NOT_ZERO.finditer(new.to_bytes(len(self._seen), "little")):
            first, byte = 8 * some.start(), some[0][0]
            yield from (first + bit for bit in range(8) if byte >> bit & 1)

    def has_met(self, seq: int) -> bool:
        """Tell whether this pass has met record ``seq``."""
        index = seq >> 3
        return index < len(self._seen) and bool(self._seen[index] & (1 << (seq & 7)))


_ZONES_MS: Final = 27 * 3_600_000
"""How far apart the dates of one line are at the most, read in two zones."""

_STEP_MS: Final = 900_000
"""All zones are whole quarters of an hour apart."""


class Readings:
    """What the lines of a source were, when it was read with other options: none is sent twice.

    A message without an id is known by its content, and other options make another of a line. Those
    that are sent, or will be, are here by location and line, with their date and number.

    ``rows`` are sorted.
    """

    def __init__(self, rows: Iterable[tuple[int, int, int, int]]) -> None:
        self._columns: dict[int, list[array[int]]] = {}
        for location, *row in rows:
            columns = self._columns.setdefault(location, [])
            if not columns:
                columns += (array("q"), array("q"), array("q"))
            for column, value in zip(columns, row, strict=True):
                column.append(value)

    def find(self, location: int, line: int, date: int) -> list[tuple[int, bool]]:
        """The numbers of the messages that a line may have been.

        Each with whether it has the same date, or the same in another zone; where the line has been
        several, they have.
        """
        if location not in self._columns:
            return []
        lines, dates, seqs = self._columns[location]
        begin, end = bisect_left(lines, line), bisect_right(lines, line)
        if end - begin == 1:
            apart = abs(dates[begin] - date)
            return [(seqs[begin], apart <= _ZONES_MS and apart % _STEP_MS == 0)]
        begin, end = bisect_left(dates, date, begin, end), bisect_right(dates, date, begin, end)
        return [(seq, True) for seq in seqs[begin:end]]
