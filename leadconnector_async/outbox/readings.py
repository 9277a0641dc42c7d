"""What the lines of a source were, when it was read with other options: none is sent twice.

A message without an id is known by its content, and other options make another content of a line.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

_ZONES_MS: Final = 27 * 3_600_000
"""How far apart the dates of one line are at the most, read in two zones."""

_STEP_MS: Final = 900_000
"""All zones are whole quarters of an hour apart."""


class Readings:
    """Messages that are sent, or will be: by location and line, with date and number.

    ``rows`` are sorted. A million take 24 MB.
    """

    def __init__(self, rows: Iterable[tuple[int, int, int, int]]) -> None:
        self._columns: dict[int, list[array[int]]] = {}
        for location, *row in rows:
            columns = self._columns.setdefault(location, [])
            if not columns:
                columns += (array("q"), array("q"), array("q"))
            for column, value in zip(columns, row, strict=True):
                column.append(value)

    def find(self, location: int, line: int, date: int, taken: Container[int]) -> int | None:
        """The number of a message that a line most likely was, and that is not ``taken``.

        It has the same date; or it is the only one of its line, and has it in another zone.
        """
        if location not in self._columns:
            return None
        lines, dates, seqs = self._columns[location]
        begin, end = bisect_left(lines, line), bisect_right(lines, line)
        apart = abs(dates[begin] - date) if end - begin == 1 else 1
        is_zoned = apart <= _ZONES_MS and apart % _STEP_MS == 0
        alike = (at for at in range(begin, end) if is_zoned or dates[at] == date)
        return next((seqs[at] for at in alike if seqs[at] not in taken), None)
