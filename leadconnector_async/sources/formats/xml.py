"""XML, by a mapping of its elements: read as a stream, with no document type and no entities.

Old backups of phones write an emoji as the two halves that UTF-16 makes of it, each a reference of
its own, and control characters as they were: XML allows neither, and so they are mended before.
"""

import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final
from xml.parsers import expat

from leadconnector_async.errors import SourceError
from leadconnector_async.models import Problem
from leadconnector_async.sources.base import MAIL_LIMIT, Parsed, SourceOptions
from leadconnector_async.sources.fields import listed, notice, problem_of
from leadconnector_async.sources.files.encoding import Utf8Text
from leadconnector_async.sources.formats.stream_source import RowSource
from leadconnector_async.sources.formats.xml_element import Element, ElementReader
from leadconnector_async.sources.mappings.mapping import Definition
from leadconnector_async.sources.mappings.mapping_files import chosen, described, root_of

_ONE: Final = rb"&#(?:\d{1,7}|x[0-9a-fA-F]{1,6});"

_RUN: Final = re.compile(rb"%b(?:%b)*" % (_ONE, _ONE))  # begins with what can be searched for fast

_TAIL: Final = re.compile(rb"(%b)?(?:&(?:#x?[0-9a-fA-F]{0,7})?)?\Z" % _ONE)
"""What the end of a piece may hold the beginning of: a reference, after one that may be a half."""

_FORBIDDEN: Final = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
"""No characters of XML 1.0 (2.2). Halves are none either."""


def mended_references(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Give the same text, with pairs of halves joined and what is not allowed replaced."""
    carry = b""
    for piece in pieces:
        text = carry + piece
        cut = len(text)
        if tail := _TAIL.search(text, max(0, cut - 32)):
            is_low = tail[1] and _code(tail[1]) in range(0xDC00, 0xE000)
            cut = tail.end(1) if is_low else tail.start()
        carry = text[cut:]
        yield _RUN.sub(_mend, text[:cut])
    yield _RUN.sub(_mend, carry)


_CACHED: Final = 64
"""Bytes of a run up to which it is kept: a hostile one can be as long as a piece."""


def _mend(match: re.Match[bytes]) -> bytes:
    run = match[0]
    return _mended(run) if len(run) <= _CACHED else _mended.__wrapped__(run)


@lru_cache(maxsize=4096)  # ends of lines, and the same few emoji, come again and again
def _mended(run: bytes) -> bytes:
    codes = (_code(reference + b";") for reference in run.split(b";")[:-1])
    halves = "".join(chr(code) if code <= sys.maxunicode else "\ufffd" for code in codes)
    text = halves.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return b"".join(b"&#%d;" % ord(char) for char in _FORBIDDEN.sub("\ufffd", text))


def _code(reference: bytes) -> int:
    digits = reference[2:-1]
    return int(digits[1:], 16) if digits[:1] == b"x" else int(digits)


_MAX_INNER: Final = 10_000
"""Elements within a record. An MMS to a large group has some hundred."""

_MAX_OTHERS: Final = 100
"""Names of other elements that are counted: names can be data, and memory has to stay bounded."""

_IN_ROOT: Final = 2


class XmlSource(RowSource):
    """Reads the elements that a mapping, which is one of XML, names as records.

    Raises:
        SourceError: there is no such mapping.
    """

    def __init__(self, text: Utf8Text, options: SourceOptions) -> None:
        super().__init__(text, options)
        self._root = root_of(text.head)
        name = options.mapping_file or ""
        definition = chosen(name, options)
        if definition.root and self._root not in {*definition.root, *definition.elements}:
            fix = "choose another mapping, or export it as CSV"
            whole = f", not {_alternatives(definition.root)}: {fix}"
            raise self._holds_none(definition, f" of --mapping {name}", whole)
        self._definition = definition
        self._elements = ElementReader(definition, self._coercer, options)

    def __iter__(self) -> Iterator[Parsed]:
        found = 0
        # What the text layer has decoded is UTF-8, whatever the file says of itself.
        encoding = "utf-8" if self._marked or self._options.encoding else None
        parser = _Parser(self.name, frozenset(self._elements.kinds), encoding)
        for piece in mended_references(self._text.chunks()):
            problem = parser.feed(piece)
            for element in parser.taken():
                for parsed in self._elements.records(element):
                    found += 1
                    yield parsed
            if problem is not None:
                problem = self._stream.damage or problem
                break
        else:
            problem = self._stream.damage or parser.feed(b"", final=True)
        if problem is not None:
            yield Parsed(parser.line, b"{}", None, (problem,))
        elif not found:
            fix = ": choose another file, or another mapping"
            raise self._holds_none(self._definition, "", fix)
        self.warnings.extend(parser.warnings(whole=problem is None))

    def _holds_none(self, definition: Definition, where: str, fix: str) -> SourceError:
        wrong = f"holds no {_alternatives(definition.elements)}{where}"
        said = f"its first element is {described(self._root)}"
        return SourceError(f"{self.name}: {wrong}: {said}{fix}")


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

    def feed(self, piece: bytes, *, final: bool = False) -> Problem | None:
        """Read on. A problem is the end: nothing after it can be told apart."""
        self._since += len(piece)
        if self._since > MAIL_LIMIT:
            raise self._too_much(f"{MAIL_LIMIT} bytes")
        try:
            self._parser.Parse(piece, final)
        except expat.ExpatError as error:
            self.line = error.lineno
            why = "it is cut short" if final else expat.ErrorString(error.code)
            return problem_of("no_xml", line=error.lineno, why=why)
        return None

    def taken(self) -> list[Element]:
        """Give the records that are complete, once."""
        done, self._done = self._done, []
        return done

    def warnings(self, *, whole: bool) -> list[str]:
        """Tell what the file holds beside records, and what it says that it holds."""
        others = self._others.items()
        told = [f"holds {n:,} elements {listed([name])}, which are not read" for name, n in others]
        if whole and self._announced.isdigit() and int(self._announced) != self._found:
            told.append(notice("other_count", said=int(self._announced), held=self._found))
        return told

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth == 1:
            self._announced = attributes.get("count", "")
        if self._open is not None:
            self._open.inner.append((name, attributes))
            if len(self._open.inner) > _MAX_INNER:
                raise self._too_much(f"{_MAX_INNER} elements")
        elif name in self._names:
            self.line = self._parser.CurrentLineNumber
            self._open = Element(name, self.line, attributes, [])
            self._found += 1
        elif self._depth == _IN_ROOT and (name in self._others or len(self._others) < _MAX_OTHERS):
            self._others[name] += 1

    def _end(self, name: str) -> None:
        self._depth -= 1
        if self._open is not None and name == self._open.name:
            self._done.append(self._open)
            self._open = None
            self._since = 0

    def _too_much(self, amount: str) -> SourceError:
        return SourceError(f"{self._source}: line {self.line}: {notice('no_end', amount=amount)}")

    def _refuse(self, *_: object) -> None:
        place = f"{self._source}: line {self._parser.CurrentLineNumber}"
        raise SourceError(f"{place}: has a DOCTYPE, which may hide anything: remove it")


def _alternatives(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last
