"""CSV: a header, one record per row of cells, and what is wrong with the other rows."""

import csv
import json
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from itertools import dropwhile, takewhile
from operator import not_
from typing import Final

from leadconnector_async.errors import SourceError
from leadconnector_async.models import Problem
from leadconnector_async.sources.base import LINE_LIMIT, Parsed, SourceOptions, UnreadableError
from leadconnector_async.sources.files.byte_stream import TooLong
from leadconnector_async.sources.files.encoding import Utf8Text
from leadconnector_async.sources.formats.stream_source import StreamSource
from leadconnector_async.sources.formats.table import Table, is_blank
from leadconnector_async.sources.mappings.columns import MAX_ABOVE, Vocabulary, skipped


class _RecordTooLongError(Exception):
    """The record is longer than any may be."""


class CsvRecords:
    """Splits lines into cells.

    Where a record cannot be told apart, such as after a quote that is never closed, its first line
    alone is refused, and reading goes on at the next line: one stray quote costs one record.

    While a record is out, ``line`` is where it starts, ``problem`` what is wrong with it, and
    ``broken`` its first line where it could not be split.
    """

    def __init__(
        self, lines: Iterable[bytes], delimiter: str, text: Utf8Text, *, is_spaced: bool = False
    ) -> None:
        self._lines = iter(lines)
        self._delimiter = delimiter
        self._is_spaced = is_spaced
        end = re.escape(delimiter)
        quoted, bare = '"[^"]*+(?:""[^"]*+)*+"', f'[^"{end}\\n][^{end}\\n]*+'
        space = " *+" if is_spaced else ""
        self._cell = re.compile(f"{space}(?:{quoted}|{bare}|)(?:{end}|\\r?\\n)")
        self._text = text
        self.again: deque[bytes] = deque()
        self._taken: list[bytes] = []
        self._number = 0
        self.line: int = 1
        self.problem: Problem | None = None
        self.broken: bytes | None = None
        self.is_escaped: bool = False
        """Whether a quote, a backslash or the end of a line is of its cell behind a backslash.
        U+FDD0, which is no character, stands for such a quote."""

    def __iter__(self) -> Iterator[list[str]]:
        while True:
            reader = csv.reader(
                self._feed(),
                delimiter=self._delimiter,
                skipinitialspace=self._is_spaced,
                strict=True,
            )
            try:
                for cells in reader:
                    if cells:
                        yield cells
                    self._next()
            except (csv.Error, _RecordTooLongError) as error:
                first, *others = self._taken
                cells = [] if others else self._unspaced(first)  # else its text would be cut off
                if not cells:
                    self.broken, self.problem = first, self._why(error, first)
                self.again.extendleft(reversed(others))
                self._number = self.line
                yield cells
                self._next()
            else:
                return

    def _unspaced(self, line: bytes) -> list[str]:
        """Split a line anew in which a cell does no more than begin with a quoted word."""
        if self._is_spaced:
            text = line.decode(errors="surrogateescape")
            with suppress(csv.Error):
                row = next(csv.reader([text], delimiter=self._delimiter, strict=True), [])
                cells = [cell.removeprefix(" ") for cell in row]
                return [] if any(cell[:1] == '"' == cell[-1:] for cell in cells) else cells
        return []

    def _next(self) -> None:
        self._taken.clear()
        self.line = self._number + 1
        self.problem = self.broken = None

    def _feed(self) -> Iterator[str]:
        """Give lines to csv.reader, which takes no more of them than its record needs."""
        size = 0
        while True:
            line = self.again.popleft() if self.again else next(self._lines, None)
            if line is None:
                return
            self._number += 1
            if not self._taken:
                size = 0
            self._taken.append(line)
            size += len(line)
            if size > LINE_LIMIT or isinstance(line, TooLong):
                raise _RecordTooLongError
            try:
                text = line.decode()
            except UnicodeDecodeError:
                self.problem = self.problem or self._text.undecodable(line)
                text = line.decode(errors="surrogateescape")
            if self.is_escaped:
                text = _ESCAPED.sub(lambda found: _QUOTE if found[1] == '"' else found[1], text)
            yield text + "\n"

    def _why(self, error: csv.Error | _RecordTooLongError, first: bytes) -> Problem:
        if isinstance(first, TooLong):
            return first.problem("row")
        if "new-line" in str(error):
            return Problem("row", "has a carriage return outside quotes", "put the cell in quotes")
        wrong = f"has a quote in line {self._open_quote()} that does not end its cell"
        if isinstance(error, _RecordTooLongError):
            wrong += f" within the limit of {LINE_LIMIT} bytes"
        return Problem("row", wrong, 'close it, and write a quote inside a cell twice ("")')

    def _open_quote(self) -> int:
        """Find the line where the first cell begins that does not end as it should."""
        text = b"\n".join(self._taken).decode(errors="surrogateescape") + "\n"
        end = 0
        while cell := self._cell.match(text, end):
            end = cell.end()
        return self.line + text.count("\n", 0, end)


_ESCAPED: Final = re.compile(r'\\(["\\]|(?=\r?$))')

_QUOTE: Final = "\ufdd0"

_ARE_ESCAPED: Final = r"quotes within cells are written \", and backslashes \\: they are read so"

_DELIMITERS: Final = ",;\t|"

_PROTECTED: Final = re.compile(r'="((?:[^"]|"")*+)"')

_SEPARATOR: Final = re.compile(rb'\A"?sep=([^"\r\n])"?[ \t;,]*\r?(?:\n|$)', re.IGNORECASE)


class Delimited(StreamSource):
    """Reads CSV as RFC 4180 has it, with any of the usual delimiters.

    Cells of lists hold several values separated by ``;``. Space around a value counts in texts
    alone. Lines above the header are passed over, with a warning; one that says ``sep=;``, as for
    Excel, names the delimiter.

    Raises:
        SourceError: the header is not usable.
    """

    def __init__(self, text: Utf8Text, options: SourceOptions) -> None:
        super().__init__(text, options)
        # The limit is of the whole process, and 128 KiB; it is only ever raised here.
        csv.field_size_limit(max(csv.field_size_limit(), 2 * LINE_LIMIT))
        vocabulary = Vocabulary(options)
        delimiter = options.delimiter or _said(text.head) or _sniffed(text.head, vocabulary)
        if options.delimiter == "" or len(delimiter) != 1 or delimiter in '"\r\n':
            raise SourceError(f"{self.name}: {delimiter!r} is no delimiter: give one character")
        above = _rows(text.head, delimiter)
        at = vocabulary.header(above)
        spaced = _rows(text.head, delimiter, is_spaced=True)
        others = above[at][1:] if above else []  # a space behind each delimiter is none of a cell's
        is_spaced = all(name[:1] == " " for name in others) and others != [] and len(spaced) > at
        above = spaced if is_spaced else above
        read = partial(CsvRecords, delimiter=delimiter, text=text, is_spaced=is_spaced)
        self._records = read(self._lines)
        self._rows = iter(self._records)
        if above and _is_escaped(text.head, read, len(above[at])):
            self._records.is_escaped = True
            self._rows = ([one.replace(_QUOTE, '"') for one in cells] for cells in self._rows)
            self.warnings.append(_ARE_ESCAPED)
        # Several cells as `_bare` takes: one alone may be somebody's text.
        if any(sum(map(bool, map(_PROTECTED.fullmatch, cells))) > 1 for cells in above):
            above, self._rows = [*map(_bare, above)], map(_bare, self._rows)
        header = self._header(above, vocabulary)
        self.is_known: bool = vocabulary.is_header(header)
        place = f"{self.name}: line {self._records.line}"
        self.table: Table = Table(place, header, options, self._coercer)
        self.recognised: str | None = self.table.recognised
        self._columns = self.table.columns
        self.form: bytes = self.table.form(marked=self._marked, delimiter=delimiter)

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
            place = f"{self.name}: line {self._records.line}"
            raise UnreadableError(f"{place}: the header cannot be read: {problem}")
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
        self.warnings.extend(self.table.warnings)

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
        parsed = Parsed(line, json.dumps(raw).encode(), None, (problem,), identity)
        is_half = len(cells) < len(self._columns.names) and not self._records.again
        return self._or_cut(parsed) if is_half else parsed


def _is_escaped(head: bytes, read: Callable[..., CsvRecords], width: int) -> bool:
    r"""Tell a file that writes quotes as ``\"``.

    Read so, more rows are whole before the first that is not than are in all when read as usual.
    """
    if rb"\"" not in head:
        return False

    def are_whole(*, is_escaped: bool) -> Iterator[bool]:
        records = read(head.split(b"\n"))
        records.is_escaped = is_escaped
        return (records.problem is None and len(cells) == width for cells in records)

    escaped = takewhile(bool, dropwhile(not_, are_whole(is_escaped=True)))  # titles come before
    return sum(escaped) > sum(are_whole(is_escaped=False))


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


def begins_with_header(head: bytes, options: SourceOptions) -> bool:
    """Tell a table by its first row, which names columns that are known."""
    vocabulary = Vocabulary(options)
    rows = _rows(head, options.delimiter or _said(head) or _sniffed(head, vocabulary))
    return bool(rows) and vocabulary.is_header(rows[0])


def _bare(cells: list[str]) -> list[str]:
    """Take away what keeps Excel from reading a text as a number: ``="00123"``."""
    pairs = zip(map(_PROTECTED.fullmatch, cells), cells, strict=True)
    return [one[1].replace('""', '"') if one else cell for one, cell in pairs]


def _rows(head: bytes, delimiter: str, *, is_spaced: bool = False) -> list[list[str]]:
    """Split the first records, among which the header is, however sound they are."""
    head = _SEPARATOR.sub(b"", head, count=1)
    *whole, last = head.decode(errors="surrogateescape").split("\n")
    lines = [f"{line}\n" for line in whole] or [last]
    rows: list[list[str]] = []
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=is_spaced, strict=is_spaced)
    with suppress(csv.Error):
        for cells in reader:
            rows += [cells] if cells else []
            if len(rows) == MAX_ABOVE:
                break
    return rows
