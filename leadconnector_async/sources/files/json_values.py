"""Objects of a JSON text of any size and layout, one by one, each with the line it begins in."""

import re
from collections.abc import Collection, Iterable, Iterator
from itertools import takewhile
from typing import Final

import orjson
from msgspec import Struct

from leadconnector_async.models import Problem
from leadconnector_async.sources.base import LINE_LIMIT
from leadconnector_async.sources.files.byte_stream import TooLong

Item = tuple[int, bytes]
"""A record, or what stands in the place of one, after the line that it begins in."""

_STRING: Final = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|["{}\[\]]'

_WITHIN: Final = re.compile(_STRING, re.DOTALL)
"""Within a record, whose own syntax is checked when it is decoded: strings and brackets. A quote
that stands alone begins a string whose end has not come yet."""

_AROUND: Final = re.compile(_STRING + rb'|[^\s,:"{}\[\]]++', re.DOTALL)
"""Around the records: also numbers and words."""

_TO_CUT: Final = re.compile(_STRING + rb"|,", re.DOTALL)

_QUOTE: Final = b'"'

_MORE: Final = re.compile(
    r"(?:^|[._])(?:next(?:_?(?:page|link|cursor|token|ur[il]|href|records)\w*)?(?:\.\w+)?"
    r"|has_?(?:more|next)\w*)$",
    re.IGNORECASE,
)
"""What paths end in by which a page of an API's list says that another one follows."""

_PAGE: Final = re.compile(
    r"(?:^|\.)(?:(?P<page>(?:current_?)?page(?:_?(?:number|index))?)"
    r"|total_?pages|last_?page|num_?pages|page_?count)$",
    re.IGNORECASE,
)
"""What paths end in that say which page it is, and how many there are."""

_NO_MORE: Final = frozenset((b'""', b"null", b"false", b"0"))

_MAX_PATH: Final = 100
"""Characters of a path that is looked at for it."""

_CLOSERS: Final = {b"{": b"}", b"[": b"]"}

_DEEPEST: Final = 64
"""Levels around the records. Within them the decoder has a limit of its own."""

_MAX_HEAD: Final = 1 << 18
"""Bytes of an object before its records that are kept: a chat says there who is in it."""

_MAX_OTHERS: Final = 20
"""Lists beside the records' that are named at the end."""


class _Frame(Struct):
    """An open object or list, and the path of what it holds: ``messages[*]`` for a list.

    ``start`` is where an object began, as long as what it says before its records is kept, and
    ``said`` that once it was read.
    """

    closer: bytes
    path: str
    start: int | None
    said: dict[str, object] | None = None


class JsonValues:
    """Splits a text into the objects at ``records``: paths such as ``[*]`` or ``messages[*]``.

    ``""`` are the outermost values. Memory holds one record and one piece of the text. ``problem``
    is set where the text ends too early or is no JSON: the items before it are whole. ``others``
    counts the objects in other lists, which are passed over. ``listed`` tells whether there was a
    list, or an object, that can be one of ``records``. ``holder`` is what the objects around the
    records that come say before them. ``more`` is where the last page says that others follow.

    Readers of JSON in events would tell neither where a record begins nor how it was written.
    """

    def __init__(self, chunks: Iterable[bytes], records: Collection[str]) -> None:
        self._chunks = chunks
        self._records = frozenset(records)
        self._frames: list[_Frame] = []
        self._key = b""
        """Of an object that is around, whose value is next."""
        self._closers: list[bytes] = []
        """Of the record that is open."""
        self._buffer = b""
        self._at = self._start = self._counted = 0
        self._dropped = 0
        """Bytes of the open record that were let go, since it is too long."""
        self.line: int = 1
        self._record_line = 1
        self.problem: Problem | None = None
        self.others: dict[str, int] = {}
        self.listed: bool = False
        self.holder: dict[str, object] = {}
        self.more: str | None = None
        self._pages: dict[bool, int] = {}

    def __iter__(self) -> Iterator[Item]:
        for chunk in self._chunks:
            self._buffer += chunk
            yield from self._split(final=False)
            if self.problem is not None:
                return
        yield from self._split(final=True)
        if self.problem is None and (self._frames or self._closers or self._buffer.strip()):
            self._fail("ends in the middle of its JSON", len(self._buffer))

    def _split(self, *, final: bool) -> Iterator[Item]:
        while self.problem is None:
            if self._closers:
                item = self._record()
                if self._closers or item is None:
                    break
                yield item
                continue
            token = _AROUND.search(self._buffer, self._at)
            if token is None:
                self._at = len(self._buffer)
                break
            text = token[0]
            grows = text[:1] not in b'"{}[]' and token.end() == len(self._buffer)
            if text == _QUOTE or (grows and not final):
                self._at = token.start()
                break
            self._at = token.end()
            if item := self._around(text, token.start()):
                yield item
        self._let_go()

    def _record(self) -> Item | None:
        """Read on to the end of the open record. None if it has not come."""
        closers = self._closers
        for token in _WITHIN.finditer(self._buffer, self._at):
            text = token[0]
            if text[:1] == _QUOTE:
                if text == _QUOTE:
                    self._at = token.start()
                    return None
            elif text in _CLOSERS:
                closers.append(_CLOSERS[text])
            elif closers.pop() != text:
                self._fail("is no JSON from here on: its brackets do not match", token.start())
                return None
            elif not closers:
                self._at = token.end()
                size = self._dropped + self._at - self._start
                raw = TooLong(size) if size > LINE_LIMIT else self._buffer[self._start : self._at]
                self._dropped = 0
                return self._record_line, raw
        self._at = len(self._buffer)
        return None

    def _around(self, text: bytes, at: int) -> Item | None:
        """Follow the structure. What is no object, but where records are, is an item too."""
        frame = self._frames[-1] if self._frames else None
        if text in _CLOSERS:
            self._open(text, frame, at)
        elif text in (b"}", b"]"):
            if frame is None or frame.closer != text:
                self._fail("is no JSON from here on: its brackets do not match", at)
            else:
                self._frames.pop()
        elif frame is None or (frame.closer == b"]" and frame.path in self._records):
            self._count_lines(at)
            self.listed = True
            return self.line, text
        elif self._key:
            path = _path(frame, self._key)
            if text not in _NO_MORE and len(path) <= _MAX_PATH and _MORE.search(path):
                self.more = path
            elif text.isdigit() and len(path) <= _MAX_PATH and (found := _PAGE.search(path)):
                self._count_page(path, int(text[:9]), is_own=found["page"] is not None)
            self._key = b""
        elif frame.closer == b"}":
            self._key = text
        return None

    def _count_page(self, path: str, number: int, *, is_own: bool) -> None:
        """Note the number of this page, of which the first may be 0 or 1, or of all."""
        self._pages[is_own] = number
        of, page = self._pages.get(False), self._pages.get(True)
        if of is not None and page is not None and max(page, 1) < of:
            self.more = path

    def _open(self, bracket: bytes, frame: _Frame | None, at: int) -> None:
        path = _path(frame, self._key)
        self._key = b""
        if bracket == b"{" and all(map(_is_list, self._frames)):
            self.more = None
            self._pages.clear()
        if frame is None:  # one that can hold no records is one itself, lest it be lost
            listed = bracket == b"["
            begins = path in self._records or not any(
                one.startswith("[") == listed for one in self._records
            )
        else:
            begins = path in self._records and (bracket == b"{" or _is_list(frame))
        self.listed = self.listed or begins or f"{path}[*]" in self._records
        if begins:
            if frame is not None and not _is_list(frame):
                self._note_holder(at)
            self._count_lines(at)
            self._record_line, self._start = self.line, at
            self._closers.append(_CLOSERS[bracket])
            return
        is_page = any(one.startswith(path) for one in self._records)
        is_other = bracket == b"{" and frame is not None and _is_list(frame) and not is_page
        if is_other and (path in self.others or len(self.others) < _MAX_OTHERS):
            self.others[path] = self.others.get(path, 0) + 1
        inner = path + "[*]" * (bracket == b"[")
        if inner in self._records:
            self._note_holder(at)
        self._frames.append(_Frame(_CLOSERS[bracket], inner, at if bracket == b"{" else None))
        if len(self._frames) > _DEEPEST:
            self._fail(f"nests more than {_DEEPEST} levels deep around its records", at)

    def _note_holder(self, at: int) -> None:
        """Read what the objects around say before their list of records, the innermost last."""
        self.holder = {}
        inner = takewhile(lambda frame: not _is_list(frame), reversed(self._frames))
        for frame in [*inner][::-1]:
            if frame.start is not None:
                held = opening_value(self._buffer[frame.start : at])
                frame.said = held if isinstance(held, dict) else None
            self.holder |= frame.said or {}
        for frame in self._frames:
            frame.start = None

    def _let_go(self) -> None:
        """Forget what was read, but an open record that is not too long, and what is around it."""
        in_record = bool(self._closers)
        if in_record and (self._dropped or len(self._buffer) - self._start > LINE_LIMIT):
            self._dropped += self._at - self._start
            self._start = self._at
        keep = self._start if in_record else self._kept()
        self._count_lines(max(keep, self._counted))
        self._buffer = self._buffer[keep:]
        self._at -= keep
        self._counted -= keep
        self._start = 0
        if self._dropped and in_record:
            # Of a string that has not ended, it is kept that it is open.
            escape = (len(self._buffer) - len(self._buffer.rstrip(b"\\"))) % 2
            kept = self._buffer[:1] + b"\\" * escape
            if len(kept) < len(self._buffer):
                self.line += self._buffer.count(b"\n")
                self._dropped += len(self._buffer) - len(kept)
                self._buffer = kept
        elif not in_record and len(self._buffer) > LINE_LIMIT:
            self._fail(f"has a value over {LINE_LIMIT} bytes around its records", 0)

    def _kept(self) -> int:
        """Find where the objects begin whose head is short enough to be kept."""
        held = [frame for frame in self._frames if frame.start is not None]
        for frame in held:
            if self._at - (frame.start or 0) > _MAX_HEAD:
                frame.start = None
        keep = min((frame.start for frame in held if frame.start is not None), default=self._at)
        for frame in held:
            frame.start = None if frame.start is None else frame.start - keep
        return keep

    def _count_lines(self, to: int) -> None:
        self.line += self._buffer.count(b"\n", self._counted, to)
        self._counted = to

    def _fail(self, wrong: str, at: int) -> None:
        self._count_lines(at)
        fix = "export or copy it again, and import it once more"
        self.problem = Problem("file", f"{wrong} (line {self.line})", fix)


def _is_list(frame: _Frame) -> bool:
    return frame.closer == b"]"


def _path(frame: _Frame | None, key: bytes) -> str:
    if frame is None:
        return ""
    if _is_list(frame):
        return frame.path
    try:
        name = str(orjson.loads(key))
    except orjson.JSONDecodeError:
        name = "?"
    return f"{frame.path}.{name}" if frame.path else name


def opening_value(head: bytes) -> object:
    """Read the first value of a text that may break off within it, as far as it goes.

    None if there is none, or it is no JSON.
    """
    closers = closing = b""
    end = 0
    for token in _TO_CUT.finditer(head):
        text = token[0]
        if text in _CLOSERS:
            closers = _CLOSERS[text] + closers
        elif text in (b"}", b"]"):
            closers = closers[1:]
        elif text == _QUOTE:
            break
        elif text != b",":
            continue
        end, closing = (token.start() if text == b"," else token.end()), closers
        if not closers:
            break
    try:
        return orjson.loads(head[:end] + closing)
    except orjson.JSONDecodeError:
        return None


def is_document(lines: list[bytes]) -> bool:
    """Tell a value that goes on beyond its line from a line that is cut or wrong."""
    if not lines or loaded_value(lines[0]) is not None:
        return False
    if len(lines) == 1:
        return True
    goes_on = lines[0].rstrip().endswith((b"{", b"[", b",", b":"))
    return goes_on or lines[1].lstrip().startswith((b",", b"]", b"}", b":"))


def loaded_value(line: bytes) -> object:
    """Decode a line. None where it is no JSON."""
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
