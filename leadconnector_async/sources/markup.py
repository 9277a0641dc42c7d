"""XML, by a mapping of its elements: read as a stream, with no document type and no entities."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Final
from xml.parsers import expat

from leadconnector_async._errors import SourceError
from leadconnector_async._messages import Problem
from leadconnector_async.sources._base import StreamSource
from leadconnector_async.sources._element import Element, ElementReader
from leadconnector_async.sources._form import form_of
from leadconnector_async.sources._mapping import load_mapping
from leadconnector_async.sources._names import listed
from leadconnector_async.sources._recognition import described, root_of
from leadconnector_async.sources._references import mended
from leadconnector_async.sources._shape import as_given
from leadconnector_async.sources.row import MAIL_LIMIT, Parsed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from leadconnector_async.sources._mapping import Definition
    from leadconnector_async.sources._stream import Stream
    from leadconnector_async.sources._text import Text
    from leadconnector_async.sources.row import SourceOptions

_MOST_INNER: Final = 10_000
"""Elements within a record. An MMS to a large group has some hundred."""
_MOST_OTHERS: Final = 100
"""Names of other elements that are counted: names can be data, and memory has to stay bounded."""
_BELOW_ROOT: Final = 2


class Markup(StreamSource):
    """Reads the elements that a mapping, which is one of XML, names as records.

    Raises:
        SourceError: there is no such mapping.
    """

    def __init__(self, stream: Stream, text: Text, options: SourceOptions) -> None:
        super().__init__(stream, text, options)
        self._root = root_of(text.head)
        name = options.mapping_file or ""
        definition = load_mapping(name)
        if definition.root and self._root not in {*definition.root, *definition.elements}:
            raise self._foreign(name, definition)
        self._definition = definition
        shaper = self._shaper
        self._elements = ElementReader(definition, shaper.contacts, shaper.files, options)
        self.form = form_of(options, "jsonl", marked=False).encoded()

    def __iter__(self) -> Iterator[Parsed]:
        found = 0
        # What the text layer has decoded is UTF-8, whatever the file says of itself.
        encoding = "utf-8" if self._marked or self._options.encoding else None
        parser = _Parser(self.name, frozenset(self._elements.names), encoding)
        pieces = mended(self._text.chunks())
        while (piece := next(pieces, None)) is not None:
            problem = parser.feed(piece)
            for parsed in self._records(parser.taken()):
                found += 1
                yield parsed
            if problem is not None:
                yield Parsed(parser.line, b"{}", None, (self._stream.damage or problem,))
                break
        else:
            problem = self._stream.damage or parser.close()
            if problem is not None:
                yield Parsed(parser.line, b"{}", None, (problem,))
            elif not found:
                raise self._without_records()
        self.warnings += parser.warnings(whole=problem is None)

    def _foreign(self, name: str, definition: Definition) -> SourceError:
        return SourceError(
            f"{self.name}: holds no {_alternatives(definition.elements)} of --mapping {name}: its "
            f"first element is {described(self._root)}, not {_alternatives(definition.root)}: "
            "choose another mapping, or export it as CSV"
        )

    def _without_records(self) -> SourceError:
        return SourceError(
            f"{self.name}: holds no {_alternatives(self._definition.elements)}: its first element "
            f"is {described(self._root)}: choose another file, or another mapping"
        )

    def _records(self, elements: Iterable[Element]) -> Iterator[Parsed]:
        for element in elements:
            for made in self._elements.records(element):
                given = as_given(made.values)
                if made.members:
                    given["members"] = made.members
                raw = json.dumps(given, ensure_ascii=False).encode("utf-8", "replace")
                if made.left_out is not None:
                    yield Parsed(element.line, raw, None, (), left_out=made.left_out)
                else:
                    yield self._shaper.parsed(element.line, raw, made.values, made.notices)


class _Parser:
    """Collects the elements that are records."""

    def __init__(self, source: str, names: frozenset[str], encoding: str | None) -> None:
        self._source = source
        self._names = names
        self._open: Element | None = None
        self._done: list[Element] = []
        self._since = 0
        self._depth = 0
        self._announced = ""
        self._found = 0
        self._others: Counter[str] = Counter()
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

    def warnings(self, *, whole: bool) -> list[str]:
        """Tell what the file holds beside records, and what it says that it holds."""
        told = [
            f"holds {count:,} elements {listed([name])}, which are not read"
            for name, count in self._others.items()
        ]
        if whole and self._announced.isdigit() and int(self._announced) != self._found:
            told.append(
                f"says that it holds {int(self._announced):,} records, and holds {self._found:,}: "
                "see that it is whole"
            )
        return told

    def _parse(self, piece: bytes, *, final: bool) -> Problem | None:
        try:
            self._parser.Parse(piece, final)
        except expat.ExpatError as error:
            self.line = error.lineno
            why = "it is cut short" if final else expat.ErrorString(error.code)
            wrong = f"is no XML from line {error.lineno} on ({why})"
            return Problem("file", wrong, "mend it there, or export it again")
        return None

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth == 1:
            self._announced = attributes.get("count", "")
        if self._open is not None:
            self._open.inner.append((name, attributes))
            if len(self._open.inner) > _MOST_INNER:
                raise self._too_much(f"{_MOST_INNER} elements")
        elif name in self._names:
            self.line = self._parser.CurrentLineNumber
            self._open = Element(name, self.line, attributes, [])
            self._found += 1
        elif self._depth == _BELOW_ROOT and (
            name in self._others or len(self._others) < _MOST_OTHERS
        ):
            self._others[name] += 1

    def _end(self, name: str) -> None:
        self._depth -= 1
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


def _alternatives(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last
