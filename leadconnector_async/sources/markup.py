"""XML, by a mapping of its elements: read as a stream, with no document type and no entities."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final
from xml.parsers import expat

from leadconnector_async._errors import SourceError
from leadconnector_async._messages import Problem
from leadconnector_async.sources._base import StreamSource
from leadconnector_async.sources._element import Element, ElementReader
from leadconnector_async.sources._form import form_of
from leadconnector_async.sources._mapping import NAMES, load_mapping
from leadconnector_async.sources._references import mended
from leadconnector_async.sources._shape import as_given
from leadconnector_async.sources.row import MAIL_LIMIT, Parsed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from leadconnector_async.sources._stream import Stream
    from leadconnector_async.sources._text import Text
    from leadconnector_async.sources.row import SourceOptions


_MOST_INNER: Final = 10_000
"""Elements within a record. An MMS to a large group has some hundred."""


class Markup(StreamSource):
    """Reads the elements that a mapping names as records.

    Raises:
        SourceError: no mapping is given, or it describes no XML.
    """

    def __init__(self, stream: Stream, text: Text, options: SourceOptions) -> None:
        super().__init__(stream, text, options)
        if options.mapping_file is None:
            raise SourceError(
                f"{self.name}: is XML: give --mapping with one of {', '.join(_names())}, "
                "or with a file of your own"
            )
        definition = load_mapping(options.mapping_file)
        if not definition.elements:
            raise SourceError(
                f"{self.name}: is XML, and the mapping {options.mapping_file} reads tables: "
                "choose another"
            )
        shaper = self._shaper
        self._elements = ElementReader(definition, shaper.contacts, shaper.files)
        self.form = form_of(options, "jsonl", marked=False).encoded()

    def __iter__(self) -> Iterator[Parsed]:
        # What the text layer has decoded is UTF-8, whatever the file says of itself.
        encoding = "utf-8" if self._marked or self._options.encoding else None
        parser = _Parser(self.name, frozenset(self._elements.names), encoding)
        pieces = mended(self._text.chunks())
        while (piece := next(pieces, None)) is not None:
            problem = parser.feed(piece)
            yield from self._records(parser.taken())
            if problem is not None:
                yield Parsed(parser.line, b"{}", None, (self._stream.damage or problem,))
                break
        else:
            problem = self._stream.damage or parser.close()
            if problem is not None:
                yield Parsed(parser.line, b"{}", None, (problem,))

    def _records(self, elements: Iterable[Element]) -> Iterator[Parsed]:
        for element in elements:
            reason = self._elements.skipped(element)
            values, passed = self._elements.values(element)
            raw = json.dumps(as_given(values), ensure_ascii=False).encode("utf-8", "replace")
            if reason is not None:
                yield Parsed(element.line, raw, None, (), left_out=reason)
            else:
                yield self._shaper.parsed(element.line, raw, values, passed)


class _Parser:
    """Collects the elements that are records."""

    def __init__(self, source: str, names: frozenset[str], encoding: str | None) -> None:
        self._source = source
        self._names = names
        self._open: Element | None = None
        self._done: list[Element] = []
        self._since = 0
        self.line = 1
        self._parser = parser = expat.ParserCreate(encoding)
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        # Without a document type there are no entities, and nothing to fetch or to expand.
        parser.StartDoctypeDeclHandler = self._refuse

    def feed(self, piece: bytes) -> Problem | None:
        """Read on. A problem is the end: nothing after it can be told apart."""
        self._since += len(piece)
        if self._since > MAIL_LIMIT:
            raise self._too_much(f"{MAIL_LIMIT} bytes")
        return self._parse(piece, final=False)

    def close(self) -> Problem | None:
        """Tell whether the file is whole."""
        return self._parse(b"", final=True)

    def taken(self) -> list[Element]:
        """Give the records that are complete, once."""
        done, self._done = self._done, []
        return done

    def _parse(self, piece: bytes, *, final: bool) -> Problem | None:
        try:
            self._parser.Parse(piece, final)
        except expat.ExpatError as error:
            self.line = error.lineno
            wrong = f"is no XML from line {error.lineno} on ({expat.ErrorString(error.code)})"
            return Problem("file", wrong, "mend it there, or export it again")
        return None

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if self._open is not None:
            self._open.inner.append((name, attributes))
            if len(self._open.inner) > _MOST_INNER:
                raise self._too_much(f"{_MOST_INNER} elements")
        elif name in self._names:
            self.line = self._parser.CurrentLineNumber
            self._open = Element(name, self.line, attributes, [])

    def _end(self, name: str) -> None:
        if self._open is not None and name == self._open.name:
            self._done.append(self._open)
            self._open = None
            self._since = 0

    def _too_much(self, amount: str) -> SourceError:
        return SourceError(
            f"{self._source}: line {self.line}: holds more than {amount} without the end of a "
            "record of the mapping: choose another mapping, or remove the record there"
        )

    def _refuse(self, *_: object) -> None:
        raise SourceError(
            f"{self._source}: line {self._parser.CurrentLineNumber}: has a DOCTYPE, which may "
            "hide anything: remove it"
        )


def _names() -> list[str]:
    """The mappings that come with the library and read XML."""
    return [name for name in NAMES if load_mapping(name).elements]
