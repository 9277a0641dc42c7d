"""The source's own form of records, kept beside their bodies: a text of both stands once.

The strings that a body, an id and a location hold are cut out of the line, and a mark says which
stood there. What is left, the names and the punctuation, is nearly the same in all records of a
source: it is kept once, as a shape. So the form of most records is a number, that of a shape; with
further texts, as dates that the body spells otherwise, it is TEXT: the number, and these. What
cannot be written so is a BLOB: the line as it is, or packed where it is long.
"""

from __future__ import annotations

import json
import re
import zlib
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sqlite3 import Connection

    Stored = int | str | bytes | None

_CONTROL: Final = bytes(code for code in range(32) if code not in b"\t\n\r")
"""No JSON text holds them as they are."""

_WITHOUT: Final = bytes(b" "[0] if code in _CONTROL else code for code in range(256))
"""Nothing is faster than a table for all bytes: a text without them is given back as it is."""

_MARKS: Final = [bytes([code]) for code in _CONTROL[1:-1]]

_SLOT: Final = b"\x1f"
"""Stands for a text that is neither in the body nor beside it."""

_ESCAPED: Final = b"\0"
"""What a shape begins with whose lines are in ASCII where the bodies are not."""

_MARKED: Final = re.compile(rb"([%b])" % _CONTROL)

_STRING: Final = rb'"[^"\\%b]*+(?:\\[^%b][^"\\%b]*+)*+"' % ((_CONTROL,) * 3)
"""Without marks in it."""

_VALUES: Final = re.compile(rb"(?<=[:,\[])" + _STRING + rb"(?!:)", re.DOTALL)
"""Of a body, which has no space between its parts."""

_NAME_OR_VALUE: Final = re.compile(
    rb"(" + _STRING + rb"\s*+:)|(" + _STRING + rb"|[-\d][-+.\d\w]*+)", re.DOTALL
)

_BY_ID: Final = b"i"

_MAX_SHAPES: Final = 1_000
"""Records may each have names of their own."""

_MAX_HEADS: Final = 16_384
"""Locations may be many: of one, some 300 bytes are kept."""

_MAX_SHAPE: Final = 2_000

_LONG: Final = 1_000
"""Bytes from which on what is left is packed."""

_PACKED: Final = b"\0zlib\0"
"""What a packed line begins with, and no line of a text does."""

FORM: Final = "raw, shape.text, payload, key, location.name"
"""What `restored` needs, of ``record``, ``origin``, ``location`` and what `WITH_SHAPE` joins."""

WITH_SHAPE: Final = """LEFT JOIN shape
    ON shape.id = iif(typeof(raw) = 'blob', 0, CAST(raw AS INTEGER))"""

_ADD: Final = "INSERT INTO shape (text) VALUES (?)"


class SourceForms:
    """Lives in the writer's thread."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.reload()

    def reload(self) -> None:
        """Read the shapes that are known."""
        self._shapes: dict[bytes, int] = {
            text: number for number, text in self._connection.execute("SELECT id, text FROM shape")
        }
        self._head, self._number_of_head = b"", 0
        self._heads: dict[str, tuple[bytes, ...]] = {}

    def stored(self, raw: bytes | None, payload: bytes | None, key: bytes, location: str) -> Stored:
        """A record's line as it is to be stored."""
        if raw is None or payload is None:
            return _packed(raw)
        # Most that follow a line that ends with its body differ in ids, locations and bodies alone.
        before, after = self._heads.get(location) or self._head_of(location)
        is_like = raw == b"".join((before, key[1:], after, payload[1:]))
        if is_like and self._number_of_head and key[:1] == _BY_ID and _is_unmarked(key):
            return self._number_of_head
        known = self._before_body(raw, payload[1:], key, location)
        return self._by_shape(raw, payload, key, location) if known is None else known

    def _head_of(self, location: str) -> tuple[bytes, ...]:
        """What stands before the id, and behind it, in a line that begins as the last ones did."""
        if len(self._heads) >= _MAX_HEADS:
            self._heads.clear()
        pieces = self._head.replace(_MARKS[2], _quoted(location)).partition(_MARKS[1])[::2]
        self._heads[location] = pieces
        return pieces

    def _by_shape(self, raw: bytes, payload: bytes, key: bytes, location: str) -> Stored:
        if not _is_unmarked(raw):
            return _packed(raw)
        left, escaped = raw, raw.isascii() and not payload.isascii()
        if escaped:
            left, payload = _ESCAPED + raw, _in_ascii(payload)
        for mark, value in zip(_MARKS, _beside(payload, key, location), strict=False):
            left = left.replace(value, mark, 1)
        if (number := self._shapes.get(left)) is not None:
            return number
        for mark, value in zip(_MARKS[3:], _VALUES.findall(payload), strict=False):
            left = left.replace(value, mark, 1)
        if (number := self._shapes.get(left)) is not None:
            return number
        return self._with_texts(left, len(raw)) or _packed(raw)

    def _before_body(self, raw: bytes, body: bytes, key: bytes, location: str) -> int | None:
        """The known shape of a line that ends with its body: only its head is to be searched."""
        id_ = b'"%b"' % key[1:] if key[:1] == _BY_ID and _is_unmarked(key) else None
        head = raw[: -len(body)]
        if not raw.endswith(body) or not _is_unmarked(head):
            return None
        before, found, after = head.partition(id_) if id_ else (head, b"", b"")
        left = before + (found and _MARKS[1]) + after
        left = left.replace(_quoted(location), _MARKS[2], 1)
        known = self._shapes.get(left + _MARKS[0])
        if found and known is not None:
            self._head, self._number_of_head = left.replace(_MARKS[1], b'"%b"' % _MARKS[1]), known
            self._heads.clear()
        return known

    def _with_texts(self, left: bytes, size: int) -> Stored:
        pieces = _NAME_OR_VALUE.split(left)
        texts = [text for text in pieces[2::3] if text is not None]
        names = (name or _SLOT for name in pieces[1::3])
        shape = b"".join(chain.from_iterable(zip(pieces[::3], chain(names, (b"",)), strict=True)))
        number = self._number(shape)
        if number is None or not texts:
            return number
        stored = _SLOT.join((b"%d" % number, *texts))
        try:
            return stored.decode() if len(stored) < max(_LONG, size // 4) else None
        except UnicodeDecodeError:
            return None

    def _number(self, shape: bytes) -> int | None:
        number = self._shapes.get(shape)
        if number is None and len(self._shapes) < _MAX_SHAPES and len(shape) <= _MAX_SHAPE:
            number = int(self._connection.execute(_ADD, (shape,)).lastrowid or 0)
            self._shapes[shape] = number
        return number


def _packed(raw: bytes | None) -> bytes | None:
    if raw is None or (len(raw) < _LONG and not raw.startswith(_PACKED)):
        return raw
    packed = _PACKED + zlib.compress(raw, 1)
    return packed if len(packed) < len(raw) or raw.startswith(_PACKED) else raw


def restored(
    stored: Stored, shape: bytes | None, payload: bytes | None, key: bytes, location: str
) -> bytes | None:
    """The line that was stored so: what `FORM` gives, with ``location.name``."""
    if stored is None or isinstance(stored, bytes):
        return _unpacked(stored)
    shape, payload = shape or b"", payload or b""
    if shape.startswith(_ESCAPED):
        payload = _in_ascii(payload)
    pieces, marks = _split(shape)
    said = _beside(payload, key, location)
    if max(marks, default=0) >= len(said):
        said += _VALUES.findall(payload)
    texts = iter([] if isinstance(stored, int) else stored.encode().split(_SLOT)[1:])
    pieces = pieces.copy()
    pieces[1::2] = [next(texts) if mark < 0 else said[mark] for mark in marks]
    return b"".join(pieces)


@lru_cache(maxsize=_MAX_SHAPES)
def _split(shape: bytes) -> tuple[list[bytes], tuple[int, ...]]:
    """The pieces of a shape, in turn with its marks, and which texts the marks stand for."""
    pieces = _MARKED.split(shape.removeprefix(_ESCAPED))
    return pieces, tuple(-1 if mark == _SLOT else _MARKS.index(mark) for mark in pieces[1::2])


def _unpacked(stored: bytes | None) -> bytes | None:
    if stored is None or not stored.startswith(_PACKED):
        return stored
    try:
        return zlib.decompress(stored.removeprefix(_PACKED))
    except zlib.error:  # a line of an older format that happens to begin so
        return stored


def _beside(payload: bytes, key: bytes, location: str) -> list[bytes]:
    """What stands beside a line, as JSON holds it, but for marks.

    First the body as a whole, from its first name on: many lines end with it.
    """
    id_ = key[1:] if key[:1] == _BY_ID and _is_unmarked(key) else b""
    return [payload[1:], b'"%b"' % id_, _quoted(location)]


@lru_cache(maxsize=1024)
def _quoted(location: str) -> bytes:
    name = location.encode()
    return b'"%b"' % name if _is_unmarked(name) else b'""'


def _in_ascii(payload: bytes) -> bytes:
    """A body with all else escaped, as many write JSON."""
    try:
        return json.dumps(json.loads(payload), separators=(",", ":")).encode()
    except ValueError:
        return payload


def _is_unmarked(text: bytes) -> bool:
    return text.translate(_WITHOUT) == text  # a search would look at each byte by itself
