"""What the lines of a source were, when it was read with other options: none is sent twice.

A message without an id is known by its content, and other options make another content of a line.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import Final

_ZONES_MS: Final = 27 * 3_600_000
"""How far apart the dates of one line are at the most, read in two zones."""

_STEP_MS: Final = 900_000
"""All zones are whole quarters of an hour apart."""


class Readings:
    """Messages that are sent, or will be: by location and line, with date and number.

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
