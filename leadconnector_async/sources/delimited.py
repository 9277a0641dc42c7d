"""CSV: a header with the API's field names, one record per row."""

from __future__ import annotations

import csv
import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from leadconnector_async._errors import SourceError
from leadconnector_async._messages import Problem
from leadconnector_async.sources._base import StreamSource
from leadconnector_async.sources._header import MOST_ABOVE, Vocabulary, skipped
from leadconnector_async.sources._records import Records
from leadconnector_async.sources._table import Table, is_blank
from leadconnector_async.sources.row import LINE_LIMIT, Parsed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leadconnector_async.sources._stream import Stream
    from leadconnector_async.sources._text import Text
    from leadconnector_async.sources.row import SourceOptions

_DELIMITERS: Final = ",;\t|"
_SEPARATOR: Final = re.compile(rb'\A"?sep=([^"\r\n])"?[ \t;,]*\r?(?:\n|$)', re.IGNORECASE)


class Delimited(StreamSource):
    """Reads CSV as RFC 4180 has it, with any of the usual delimiters.

    Cells of lists hold several values separated by ``;``. Space around a value counts in texts
    alone. Lines above the header are passed over, with a warning; one that says ``sep=;``, as for
    Excel, names the delimiter.

    Raises:
        SourceError: the header is not usable.
    """

    def __init__(self, stream: Stream, text: Text, options: SourceOptions) -> None:
        super().__init__(stream, text, options)
        # The limit is of the whole process, and 128 KiB; it is only ever raised here.
        csv.field_size_limit(max(csv.field_size_limit(), 2 * LINE_LIMIT))
        vocabulary = Vocabulary(options)
        delimiter = options.delimiter or _said(text.head) or _sniffed(text.head, vocabulary)
        if options.delimiter == "" or len(delimiter) != 1 or delimiter in '"\r\n':
            raise SourceError(f"{self.name}: {delimiter!r} is no delimiter: give one character")
        self._records = Records(self._lines, delimiter, text)
        self._rows = iter(self._records)
        header = self._header(_rows(text.head, delimiter), vocabulary)
        place = f"{self.name}: line {self._records.line}"
        self.table = Table(place, header, options, self._shaper)
        self._columns = self.table.columns
        self.form = self.table.form(marked=self._marked, delimiter=delimiter)

    def _header(self, above: list[list[str]], vocabulary: Vocabulary) -> list[str]:
        """Read on to the header, which the first rows show."""
        index = vocabulary.header(above)
        header = next(self._rows, None)
        if _said(self._text.head):
            header = next(self._rows, None)
        first = self._records.line
        while index and header is not None and header != above[index]:
            header = next(self._rows, None)
        if self._records.line > first:
            self.warnings.append(skipped(first, self._records.line - 1))
        if header is None:
            reason = self._stream.damage or "file holds no whole line: write a header first"
            raise SourceError(f"{self.name}: {reason}")
        problem = self._records.problem
        if problem is None and any("\0" in name for name in header):
            problem = Problem("line", "holds NUL bytes", "export it as text in UTF-8")
        if problem is not None:
            raise SourceError(
                f"{self.name}: line {self._records.line}: the header cannot be read: {problem}"
            )
        return header

    def __iter__(self) -> Iterator[Parsed]:
        width = len(self._columns.names)
        records, read = self._records, self.table.parsed
        for cells in self._rows:
            if records.problem is not None or len(cells) != width:
                if refused := self._refused(cells):
                    yield refused
            elif parsed := read(records.line, cells):
                yield parsed
        if self._stream.damage is not None:
            rest = json.dumps(self._lines.rest.decode(errors="surrogateescape")).encode()
            yield Parsed(records.line, rest, None, (self._stream.damage,))
        self.warnings += self.table.warnings

    def _refused(self, cells: list[str]) -> Parsed | None:
        line, broken, problem = self._records.line, self._records.broken, self._records.problem
        raw: object = cells if broken is None else broken.decode(errors="surrogateescape")
        if problem is None and is_blank(cells):
            return None
        if problem is None:
            wrong = f"has {len(cells)} cells where the header has {len(self._columns.names)}"
            problem = Problem("row", wrong, "quote cells that hold a delimiter, or add empty ones")
        identity = self._columns.identity(cells)
        # json escapes the stand-ins of bytes that could not be decoded; orjson refuses them.
        return Parsed(line, json.dumps(raw).encode(), None, (problem,), identity)


def _said(head: bytes) -> str | None:
    """Read the delimiter that the first line names for Excel: ``sep=;``."""
    found = _SEPARATOR.match(head)
    return None if found is None else found[1].decode()


def _sniffed(head: bytes, vocabulary: Vocabulary) -> str:
    """Take the delimiter under which a line names most columns, then the most in the first."""

    def score(delimiter: str) -> tuple[int, int]:
        rows = _rows(head, delimiter)
        return max(map(vocabulary.count, rows), default=0), len(rows[0]) if rows else 0

    return max(_DELIMITERS, key=score)


def _rows(head: bytes, delimiter: str) -> list[list[str]]:
    """Split the first records, among which the header is, however sound they are."""
    head = _SEPARATOR.sub(b"", head, count=1)
    *whole, last = head.decode(errors="surrogateescape").split("\n")
    lines = [f"{line}\n" for line in whole] or [last]
    rows: list[list[str]] = []
    with suppress(csv.Error):
        for cells in csv.reader(lines, delimiter=delimiter):
            rows += [cells] if cells else []
            if len(rows) == MOST_ABOVE:
                break
    return rows
