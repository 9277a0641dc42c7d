"""Pages of HTML in which records follow one another, by a mapping with selectors of CSS.

A page is cut where a record begins, and each record parsed alone, so that memory holds one, however
long the page. selectolax parses as browsers do, which exports are written for, has selectors, and
takes a tenth of the time of others; what it is given has no entities to expand and fetches nothing.
"""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import unquote

from leadconnector_async.errors import SourceError
from leadconnector_async.models import Problem
from leadconnector_async.sources.base import LINE_LIMIT, Parsed
from leadconnector_async.sources.byte_stream import TooLong
from leadconnector_async.sources.mapping_files import load_mapping
from leadconnector_async.sources.named_rows import RowSource
from leadconnector_async.sources.recognition import names_in
from leadconnector_async.sources.spreadsheet import missing_extra

if TYPE_CHECKING:
    from collections.abc import Iterator

    from selectolax.lexbor import LexborHTMLParser

    from leadconnector_async.sources.base import SourceOptions
    from leadconnector_async.sources.byte_stream import ByteStream
    from leadconnector_async.sources.encoding import Utf8Text
    from leadconnector_async.sources.mapped_rules import Cell
    from leadconnector_async.sources.mapping import Definition, Pick

FOLDER: Final = "folder"
"""The column with the name of the folder that a page lies in."""

_MAX_TAGS: Final = 1024
"""Bytes of what begins a record: a tag or two."""

_CUT: Final = Problem(
    "file", "ends in the middle of its page", "export or copy it again, and import it once more"
)

_BREAK: Final = re.compile(r"<br\s*/?>")


def html_mapping_of(head: bytes, options: SourceOptions) -> str | None:
    """Name the mapping of a page that begins so: the given one, or one of the library's."""
    given = options.mapping_file
    if given is not None and load_mapping(given).is_html:
        return given
    if not head.lstrip().startswith(b"<"):
        return None
    pages = (name for name in names_in(options.mappings) if load_mapping(name).is_html)
    return next((name for name in pages if _beginnings(load_mapping(name)).search(head)), None)


def _beginnings(definition: Definition) -> re.Pattern[bytes]:
    kinds = definition.elements.items()
    return re.compile("|".join(f"(?P<{name}>{kind.begins})" for name, kind in kinds).encode())


class _Piece(NamedTuple):
    """A piece of a page: one record of a kind, or what is before the first."""

    line: int
    kind: str | None
    content: bytes


class HtmlLog(RowSource):
    """Reads a page by a mapping whose kinds of records say how they begin.

    Raises:
        SourceError: the package that parses is not installed.
    """

    def __init__(
        self, stream: ByteStream, text: Utf8Text, options: SourceOptions, definition: Definition
    ) -> None:
        super().__init__(stream, text, options)
        try:
            from selectolax.lexbor import LexborHTMLParser  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise missing_extra(stream.name, "selectolax", "html") from error
        self._parser = LexborHTMLParser
        self._begins = _beginnings(definition)
        self._kinds = definition.elements
        self._readers = {
            name: self.reader_of(kind, definition) for name, kind in self._kinds.items()
        }
        self._page: dict[str, dict[str, Cell]] = {name: {} for name in self._kinds}
        self._files: dict[str, str] | None = None

    def __iter__(self) -> Iterator[Parsed]:
        found = False
        line = 1
        for line, kind, content in self._pieces():
            if kind is None:
                self._read_head(content)
                continue
            found = True
            if (problem := self._problem(content)) is not None:
                if problem is not self._stream.damage:  # which is told once, at the end
                    yield Parsed(line, b"{}", None, (problem,))
            else:
                yield self.made(self._readers[kind], line, self._row(kind, content.decode()))
        if self._stream.damage is not None:
            yield Parsed(line, b"{}", None, (self._stream.damage,))
        elif not found:
            raise SourceError(f"{self.name}: holds no record of the mapping: choose another")

    def _pieces(self) -> Iterator[_Piece]:
        """Cut the page. Of a piece that is too long nothing is kept but its length."""
        buffer, start, line, dropped = b"", 0, 1, 0
        kind: str | None = None
        seen = 0
        for chunk in self._text.chunks():
            buffer += chunk
            for begin in self._begins.finditer(buffer, seen):
                yield _Piece(line, kind, _content(buffer[start : begin.start()], dropped))
                line += buffer.count(b"\n", start, begin.start())
                start, kind, dropped = begin.start(), begin.lastgroup, 0
                seen = begin.end()
            seen = max(seen, len(buffer) - _MAX_TAGS)
            if seen - start > LINE_LIMIT:
                line += buffer.count(b"\n", start, seen)
                dropped, start = dropped + seen - start, seen
            buffer, seen, start = buffer[start:], seen - start, 0
        if self._stream.damage is None and not buffer.rstrip().lower().endswith(b"</html>"):
            self._stream.damage = _CUT
        yield _Piece(line, kind, _content(buffer, dropped))

    def _problem(self, content: bytes) -> Problem | None:
        if isinstance(content, TooLong):
            return content.problem("record")
        if self._stream.damage is not None and not content.rstrip().endswith(b">"):
            return self._stream.damage
        return self._text.undecodable(content)

    def _read_head(self, content: bytes) -> None:
        tree = self._parser(content.decode(errors="replace"))
        for name, kind in self._kinds.items():
            picks = {column: pick for column, pick in kind.picks.items() if pick.page}
            self._page[name] = {column: self._cell(tree, pick) for column, pick in picks.items()}

    def _row(self, kind: str, content: str) -> dict[str, Cell]:
        tree = self._parser(_BREAK.sub("\n", content))
        picks = self._kinds[kind].picks.items()
        row = {column: self._cell(tree, pick) for column, pick in picks if not pick.page}
        return row | self._page[kind] | {FOLDER: PurePath(self.name).parent.name}

    def _cell(self, tree: LexborHTMLParser, pick: Pick) -> Cell:
        nodes = tree.css(pick.select)
        texts = [
            (node.attributes.get(pick.attribute) or "") if pick.attribute else node.text()
            for node in nodes
        ]
        texts = [text.strip() for text in texts if text.strip()]
        if pick.file:
            texts = [self._file(text) for text in texts]
        return tuple(texts) if pick.all else next(iter(texts), "")

    def _file(self, item: str) -> str:
        """Find the file that a page names, with its ending where the page leaves it out."""
        beside = self._stream.beside
        named = next((name for name in (item, unquote(item)) if beside.find(name)), None)
        if named is not None:
            return named
        if self._files is None:
            self._files = {PurePath(name).stem: name for name in beside.names()}
        return self._files.get(item, item)


def _content(piece: bytes, dropped: int) -> bytes:
    return TooLong(dropped + len(piece)) if dropped else piece
