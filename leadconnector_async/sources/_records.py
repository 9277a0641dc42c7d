"""Records of CSV: cells of however many lines, and what is wrong with the others."""

from __future__ import annotations

import csv
import re
from collections import deque
from typing import TYPE_CHECKING, Final

from leadconnector_async._messages import Problem
from leadconnector_async.sources._lines import TooLong
from leadconnector_async.sources.row import LINE_LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from leadconnector_async.sources._text import Text

_FIX_QUOTE: Final = 'close it, and write a quote inside a cell twice ("")'
_FIX_RETURN: Final = "put the cell in quotes"


class _Overlong(Exception):  # noqa: N818 - leaves csv.reader from within, and goes no further
    """The record is longer than any may be."""


def _whole_cell(delimiter: str) -> re.Pattern[str]:
    end = re.escape(delimiter)
    quoted, bare = '"[^"]*+(?:""[^"]*+)*+"', f'[^"{end}\\n][^{end}\\n]*+'
    return re.compile(f"(?:{quoted}|{bare}|)(?:{end}|\\r?\\n)")


class Records:
    """Splits lines into cells.

    Where a record cannot be told apart, such as after a quote that is never closed, its first line
    alone is refused, and reading goes on at the next line: one stray quote costs one record.

    While a record is out, ``line`` is where it starts, ``problem`` what is wrong with it, and
    ``broken`` its first line where it could not be split.
    """

    def __init__(self, lines: Iterable[bytes], delimiter: str, text: Text) -> None:
        self._lines = iter(lines)
        self._delimiter = delimiter
        self._cell = _whole_cell(delimiter)
        self._text = text
        self._again: deque[bytes] = deque()
        self._taken: list[bytes] = []
        self._number = 0
        self.line = 1
        self.problem: Problem | None = None
        self.broken: bytes | None = None

    def __iter__(self) -> Iterator[list[str]]:
        while True:
            reader = csv.reader(self._feed(), delimiter=self._delimiter, strict=True)
            try:
                for cells in reader:
                    if cells:
                        yield cells
                    self._next()
            except (csv.Error, _Overlong) as error:
                self._split_again(error)
                yield []
                self._next()
            else:
                return

    def _next(self) -> None:
        self._taken.clear()
        self.line = self._number + 1
        self.problem = self.broken = None

    def _feed(self) -> Iterator[str]:
        """Give lines to csv.reader, which takes no more of them than its record needs."""
        size = 0
        while True:
            line = self._again.popleft() if self._again else next(self._lines, None)
            if line is None:
                return
            self._number += 1
            if not self._taken:
                size = 0
            self._taken.append(line)
            size += len(line)
            if size > LINE_LIMIT or isinstance(line, TooLong):
                raise _Overlong
            try:
                text = line.decode()
            except UnicodeDecodeError:
                self.problem = self.problem or self._text.undecodable(line)
                text = line.decode(errors="surrogateescape")
            yield text + "\n"

    def _split_again(self, error: csv.Error | _Overlong) -> None:
        first, *others = self._taken
        self.problem = self._why(error, first)
        self.broken = first
        self._again.extendleft(reversed(others))
        self._number = self.line

    def _why(self, error: csv.Error | _Overlong, first: bytes) -> Problem:
        if isinstance(first, TooLong):
            return first.problem("row")
        if "new-line" in str(error):
            return Problem("row", "has a carriage return outside quotes", _FIX_RETURN)
        wrong = f"has a quote in line {self._open_quote()} that does not end its cell"
        if isinstance(error, _Overlong):
            wrong += f" within the limit of {LINE_LIMIT} bytes"
        return Problem("row", wrong, _FIX_QUOTE)

    def _open_quote(self) -> int:
        """Find the line where the first cell begins that does not end as it should."""
        text = b"\n".join(self._taken).decode(errors="surrogateescape") + "\n"
        end = 0
        while cell := self._cell.match(text, end):
            end = cell.end()
        return self.line + text.count("\n", 0, end)
