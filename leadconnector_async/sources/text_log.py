"""Text in which records follow one another, by the regular expressions of a mapping."""

from __future__ import annotations

import re
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from leadconnector_async.errors import SourceError
from leadconnector_async.models import Problem
from leadconnector_async.sources.base import LINE_LIMIT, Parsed
from leadconnector_async.sources.byte_stream import TooLong
from leadconnector_async.sources.mapping_files import load_mapping
from leadconnector_async.sources.named_rows import RowSource
from leadconnector_async.sources.recognition import names_in
from leadconnector_async.sources.values import stripped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leadconnector_async.sources.base import SourceOptions
    from leadconnector_async.sources.byte_stream import ByteStream
    from leadconnector_async.sources.encoding import Utf8Text
    from leadconnector_async.sources.mapping import Definition, TextForm

TEXT: Final = "text"

_LOOKED_AT: Final = 10
"""Lines of the beginning, one of which begins a record."""

_TOO_LONG: Final = Problem(
    "message",
    f"is over the limit of {LINE_LIMIT} bytes",
    "see whether the file is what it should be, or shorten it",
)


def text_mapping_of(head: bytes, options: SourceOptions) -> str | None:
    """Name the mapping of text that a file begins as: the given one, or one of the library's."""
    given = options.mapping_file
    if given is not None and load_mapping(given).text is not None:
        return given
    lines = head.decode(errors="replace").split("\n")[:_LOOKED_AT]
    for name in names_in(options.mappings):
        form = load_mapping(name).text
        if form is not None and any(_Beginnings(form).find(*two) for two in pairwise([*lines, ""])):
            return name
    return None


class _Beginnings:
    """Finds the lines that begin a record."""

    def __init__(self, form: TextForm) -> None:
        self._patterns = [re.compile(pattern) for pattern in form.begins]

    def find(self, line: str, after: str) -> re.Match[str] | None:
        """Look at a line, and the one after it."""
        if not line:
            return None
        two = f"{line}\n{after}".replace("\r", "")
        return next((found for one in self._patterns if (found := one.match(two))), None)


class _Entry(Struct):
    """A record that is being read: its columns but the text, whose lines grow."""

    line: int
    columns: dict[str, str]
    lines: list[str]
    problem: Problem | None = None
    size: int = 0

    def add(self, text: str, problem: Problem | None) -> None:
        """Take one more line."""
        self.size += len(text)
        if self.size > LINE_LIMIT:
            self.lines.clear()
            problem = _TOO_LONG
        else:
            self.lines.append(text)
        self.problem = self.problem or problem


class TextLog(RowSource):
    """Reads text by a mapping that has a ``text``."""

    def __init__(
        self, stream: ByteStream, text: Utf8Text, options: SourceOptions, definition: Definition
    ) -> None:
        super().__init__(stream, text, options)
        assert definition.text is not None  # noqa: S101 - whoever opens it has looked
        self._form = definition.text
        self._begins = _Beginnings(self._form)
        self._within = [re.compile(pattern) for pattern in self._form.within]
        self._ends = [re.compile(pattern) for pattern in self._form.ends]
        self._reader = self.reader_of(definition.table, definition)

    def __iter__(self) -> Iterator[Parsed]:
        number = 0
        for entry in self._entries():
            number = entry.line
            if entry.problem is not None:
                yield Parsed(number, b"{}", None, (entry.problem,))
                continue
            yield self.made(self._reader, number, self._row(entry))
        if self._stream.damage is not None:
            yield Parsed(number + 1, b"{}", None, (self._stream.damage,))
        elif not number:
            raise SourceError(f"{self.name}: holds no record of the mapping: choose another")

    def _entries(self) -> Iterator[_Entry]:
        entry: _Entry | None = None
        above, is_taken = 0, False
        for (number, line, problem), (_, after, _) in pairwise(chain(self._numbered(), [_NONE])):
            if is_taken:  # as the second line of a beginning
                is_taken = False
                continue
            if found := self._begins.find(line, after):
                if entry is not None:
                    yield entry
                columns = found.groupdict("")
                is_taken = found.end() > len(line)
                entry = _Entry(number, columns, [])
                entry.add(columns.get(TEXT, ""), problem)
            elif entry is not None:
                entry.add(line, problem)
            elif line.strip():
                above = number
        if above:
            self.warnings.append(f"lines up to {above} are above the first record: not read")
        if entry is not None and self._stream.damage is None:
            yield entry

    def _numbered(self) -> Iterator[tuple[int, str, Problem | None]]:
        for number, line in enumerate(self._lines, 1):
            problem = line.problem("line") if isinstance(line, TooLong) else None
            try:
                text = line.decode()
            except UnicodeDecodeError:
                problem, text = self._text.undecodable(line), line.decode(errors="replace")
            yield number, text.removesuffix("\r"), problem

    def _row(self, entry: _Entry) -> dict[str, str]:
        """Take apart what belongs to a record."""
        row = {name: stripped(value) or value.strip() for name, value in entry.columns.items()}
        lines, rest = entry.lines, len(entry.lines)
        for at, line in enumerate(lines):
            if end := next((found for one in self._ends if (found := one.match(line))), None):
                rest = at
                row |= end.groupdict("")
                break
        kept = [left for line in lines[:rest] if (left := self._taken(line, row)) is not None]
        row[TEXT] = stripped("\n".join(kept))
        return row

    def _taken(self, line: str, row: dict[str, str]) -> str | None:
        """Take out of a line what is no text. None where nothing else is in it."""
        for pattern in self._within:
            if found := pattern.search(line):
                for name, value in found.groupdict("").items():
                    row[name] = "\n".join(filter(None, (row.get(name), stripped(value))))
                line = line[: found.start()] + line[found.end() :]
                if not stripped(line):
                    return None
        return line


_NONE: Final = (0, "", None)
