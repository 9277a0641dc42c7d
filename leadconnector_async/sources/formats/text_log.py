"""Text and pages of HTML in which records follow one another, by the expressions of a mapping.

A page is cut where a record begins, and each record parsed alone, so that memory holds one, however
long the page. selectolax parses as browsers do, which exports are written for, has selectors, and
takes a tenth of the time of others; what it is given has no entities to expand and fetches nothing.
"""

from __future__ import annotations

import re
from contextlib import closing
from functools import cached_property
from itertools import chain, pairwise
from pathlib import PurePath
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from msgspec import Struct

from leadconnector_async.errors import SourceError
from leadconnector_async.models import Problem
from leadconnector_async.sources.base import LINE_LIMIT, Parsed, SourceOptions, needs
from leadconnector_async.sources.fields import problem_of, stripped
from leadconnector_async.sources.files.byte_stream import TooLong
from leadconnector_async.sources.formats.stream_source import RowSource
from leadconnector_async.sources.mappings.mapping_files import load_mapping, names_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from selectolax.lexbor import LexborHTMLParser

    from leadconnector_async.sources.files.encoding import Utf8Text
    from leadconnector_async.sources.mappings.mapping import Definition, Pick
    from leadconnector_async.sources.mappings.rules import Cell

TEXT: Final = "text"

_LOOKED_AT: Final = 10
"""Lines of the beginning, one of which begins a record."""

_APPS_OWN: Final = ("\N{LEFT-TO-RIGHT MARK}", "end-to-end", "_chat.txt")
"""What stands in the log of a chat, or is its name."""

_PASTED: Final = "pasted"
"""The column that is filled for each line that begins a record in a form that is not the file's."""

_MAX_PASTED: Final = 100


def _begin(patterns: Sequence[re.Pattern[str]], line: str, after: str) -> re.Match[str] | None:
    """Look whether a line, and the one after it, begin a record."""
    two = f"{line}\n{after}".replace("\r", "")
    return next((found for one in patterns if line and (found := one.match(two))), None)


def _form(found: re.Match[str]) -> object:
    """Tell the form that all beginnings of a file have, where a mapping says that one has."""
    return found.re if "(?#form)" in found.re.pattern else None


class _Entry(Struct):
    """A record that is being read: its columns but the text, whose lines grow."""

    line: int
    columns: dict[str, str]
    lines: list[str]
    problem: Problem | None = None
    size: int = 0
    pasted: int = 0

    def add(self, text: str, problem: Problem | None) -> None:
        """Take one more line."""
        self.size += len(text)
        if self.size > LINE_LIMIT:
            self.lines.clear()
            problem = problem_of("long_text", limit=LINE_LIMIT)
        else:
            self.lines.append(text)
        self.problem = self.problem or problem


class TextLog(RowSource):
    """Reads text by a mapping that has a ``text``."""

    def __init__(self, text: Utf8Text, options: SourceOptions, definition: Definition) -> None:
        super().__init__(text, options)
        assert definition.text is not None  # noqa: S101 - whoever opens it has looked
        form = definition.text
        self._begins, self._within, self._ends, self._blocks = (
            [*map(re.compile, one)] for one in (form.begins, form.within, form.ends, form.blocks)
        )
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
        form: object = None
        lines = chain(self._numbered(), [(0, "", None)])
        for (number, line, problem), (_, after, _) in pairwise(lines):
            if is_taken:  # as the second line of a beginning
                is_taken = False
                continue
            found = _begin(self._begins, line, after)
            if found and (form := form or _form(found)) == _form(found):
                if entry is not None:
                    yield entry
                columns = found.groupdict("")
                is_taken = found.end() > len(line)
                entry = _Entry(number, columns, [])
                entry.add(columns.get(TEXT, ""), problem)
            elif entry is not None:
                entry.pasted += found is not None
                is_other = entry.pasted > _MAX_PASTED
                entry.add(line, problem_of("two_forms") if is_other else problem)
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
        if entry.pasted:
            row[_PASTED] = "*" * entry.pasted
        lines, rest = entry.lines, len(entry.lines)
        for at, line in enumerate(lines):
            if end := next(filter(None, (one.match(line) for one in self._ends)), None):
                rest = at
                row |= end.groupdict("")
                break
        kept = [left for line in lines[:rest] if (left := self._taken(line, row)) is not None]
        text = "\n".join(kept)
        for pattern in self._blocks:
            for found in pattern.finditer(text):
                row |= {name: value for name, value in found.groupdict("").items() if value}
            text = pattern.sub("", text)
        row[TEXT] = stripped(text)
        return row

    def _taken(self, line: str, row: dict[str, str]) -> str | None:
        """Take out of a line what is no text. None where nothing else is in it."""
        for pattern in self._within:
            while (found := pattern.search(line)) and found[0]:
                for name, value in found.groupdict("").items():
                    row[name] = "\n".join(filter(None, (row.get(name), stripped(value))))
                line = line[: found.start()] + line[found.end() :]
                if not stripped(line):
                    return None
        return line


FOLDER: Final = "folder"
"""The column with the name of the folder that a page lies in."""

_END: Final = 1 << 14
"""Bytes at the end of a page that are looked at before its first record."""

_MAX_TAGS: Final = 1024
"""Bytes of what begins a record: a tag or two."""

_BREAK: Final = re.compile(r"<br\s*/?>")


def _beginnings(definition: Definition) -> re.Pattern[bytes]:
    kinds = definition.elements.items()
    return re.compile("|".join(f"(?P<{name}>{kind.begins})" for name, kind in kinds).encode())


class HtmlLog(RowSource):
    """Reads a page by a mapping whose kinds of records say how they begin.

    Raises:
        SourceError: the package that parses is not installed.
    """

    def __init__(self, text: Utf8Text, options: SourceOptions, definition: Definition) -> None:
        super().__init__(text, options)
        with needs(self.name, "selectolax", "html"):
            from selectolax.lexbor import LexborHTMLParser, SelectolaxError  # noqa: PLC0415 - extra
        self._parser, self._error = LexborHTMLParser, SelectolaxError
        self._begins = _beginnings(definition)
        self._kinds = kinds = definition.elements
        self._readers = {name: self.reader_of(kind, definition) for name, kind in kinds.items()}
        self._page: dict[str, dict[str, Cell]] = {}

    def __iter__(self) -> Iterator[Parsed]:
        found = False
        line = 1
        for line, kind, content in self._pieces():
            if kind is None:
                tree = self._parser((content + self._end()).decode(errors="replace"))
                self._page = {name: self._cells(tree, name, page=True) for name in self._kinds}
                continue
            found = True
            if (problem := self._problem(content)) is None:
                yield self._record(line, kind, content.decode())
            elif problem is not self._stream.damage:  # which is told once, at the end
                yield Parsed(line, b"{}", None, (problem,))
        if self._stream.damage is not None:
            yield Parsed(line, b"{}", None, (self._stream.damage,))
        elif not found:
            raise SourceError(f"{self.name}: holds no record of the mapping: choose another")

    def _end(self) -> bytes:
        """Give the end of the page, from its last record on: it may say something of all."""
        has_page = any(pick.page for kind in self._kinds.values() for pick in kind.picks.values())
        if not has_page or self._stream.again is None:
            return b""
        end = b""
        with closing(self._stream.again()) as stream:
            for chunk in stream.chunks():
                end = (end + chunk)[-_END:]
        last = next(reversed([*self._begins.finditer(end)]), None)
        return end if last is None else end[last.start() :]

    def _pieces(self) -> Iterator[tuple[int, str | None, bytes]]:
        """Cut the page: one record of a kind each, with its line, after what is before the first.

        Of a piece that is too long nothing is kept but its length.
        """
        buffer, start, line, dropped, seen = b"", 0, 1, 0, 0
        kind: str | None = None
        for chunk in self._text.chunks():
            buffer += chunk
            for begin in self._begins.finditer(buffer, seen):
                yield line, kind, _content(buffer[start : begin.start()], dropped)
                line += buffer.count(b"\n", start, begin.start())
                start, kind, dropped = begin.start(), begin.lastgroup, 0
                seen = begin.end()
            seen = max(seen, len(buffer) - _MAX_TAGS)
            if seen - start > LINE_LIMIT:
                line += buffer.count(b"\n", start, seen)
                dropped, start = dropped + seen - start, seen
            buffer, seen, start = buffer[start:], seen - start, 0
        if self._stream.damage is None and not buffer.rstrip().lower().endswith(b"</html>"):
            self._stream.damage = problem_of("cut_page")
        yield line, kind, _content(buffer, dropped)

    def _problem(self, content: bytes) -> Problem | None:
        if isinstance(content, TooLong):
            return content.problem("record")
        if self._stream.damage is not None and not content.rstrip().endswith(b">"):
            return self._stream.damage
        return self._text.undecodable(content)

    def _record(self, line: int, kind: str, content: str) -> Parsed:
        own = self._cells(self._parser(_BREAK.sub("\n", content)), kind, page=False)
        row = own | self._page[kind] | {FOLDER: PurePath(self.name).parent.name}
        # Files that are not there now may be found the next time.
        said = {name: cell for name, cell in own.items() if not self._kinds[kind].picks[name].file}
        return self.made(self._readers[kind], line, row, said)

    def _cells(self, tree: LexborHTMLParser, kind: str, *, page: bool) -> dict[str, Cell]:
        picks = self._kinds[kind].picks.items()
        return {column: self._cell(tree, pick) for column, pick in picks if pick.page == page}

    def _cell(self, tree: LexborHTMLParser, pick: Pick) -> Cell:
        try:
            nodes = tree.css(pick.select)
        except self._error as error:
            raise SourceError(f"{self.name}: the mapping's {pick.select!r}: {error}") from error
        by = pick.attribute
        found = ((node.attributes.get(by) or "") if by else node.text() for node in nodes)
        texts = [text.strip() for text in found if text.strip()]
        if pick.file:
            texts = [self._file(text) for text in texts]
        return tuple(texts) if pick.all else next(iter(texts), "")

    @cached_property
    def _files(self) -> dict[str, str]:
        return {PurePath(name).stem: name for name in self._stream.beside.names()}

    def _file(self, item: str) -> str:
        """Find the file that a page names, with its ending where the page leaves it out."""
        named = next(filter(self._stream.beside.find, (item, unquote(item))), None)
        return named or self._files.get(item, item)


def _content(piece: bytes, dropped: int) -> bytes:
    return TooLong(dropped + len(piece)) if dropped else piece


def _is_of(app: str, begins: Sequence[re.Pattern[str]], path: str, head: str) -> bool:
    """Tell whether more than dates speaks for it that an app wrote a log."""
    if any(word in f"{path}\n{head}".lower() for word in (app, *_APPS_OWN)):
        return True
    found = (_begin(begins, *two) for two in pairwise([*head.split("\n"), ""]))
    return any(one and one.groupdict().get("author") for one in found)


def log_mapping_of(head: bytes, options: SourceOptions, path: str) -> str | None:
    """Name the mapping of text or pages that a file begins as: the given one, or a known one."""
    given, names = options.mapping_file, names_in(options.mappings)
    if head.lstrip().startswith(b'{"') and options.format is None:  # as lists of failed records
        return None
    if given is not None and load_mapping(given).text is not None:
        return given
    said = head.decode(errors="replace")
    lines = said.split("\n")[:_LOOKED_AT]
    known = [(name, load_mapping(name)) for name in names]
    ready = [
        (name, [*map(re.compile, one.text.begins)])
        for name, one in known
        if one.text and (not one.within or any(word in path for word in one.within))
    ]
    pairs = [two for two in pairwise([*lines, ""]) if two[0].strip()]
    for two in pairs:  # what follows may be pasted from another's
        for name, begins in ready:
            # Where nobody wrote it, it is a line of the app's own, or a name above its text.
            if (found := _begin(begins, *two)) and (
                found.groupdict().get("author", name)
                or (_is_of(name, begins, path, said) and all(_begin(begins, *one) for one in pairs))
            ):
                return name
    if given is not None and load_mapping(given).is_html:
        return given
    is_page = head.lstrip().startswith(b"<")
    pages = (name for name in names if is_page and load_mapping(name).is_html)
    return next((name for name in pages if _beginnings(load_mapping(name)).search(head)), None)
