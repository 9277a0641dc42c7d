"""Mends references to characters that XML does not allow, on the way to the parser.

Old backups of phones write an emoji as the two halves that UTF-16 makes of it, each a reference
of its own, and control characters as they were.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_ONE: Final = rb"&#(?:\d{1,7}|x[0-9a-fA-F]{1,6});"
_RUN: Final = re.compile(rb"%b(?:%b)*" % (_ONE, _ONE))  # begins with what can be searched for fast
_TAIL: Final = re.compile(rb"(%b)?(?:&(?:#x?[0-9a-fA-F]{0,7})?)?\Z" % _ONE)
"""What the end of a piece may hold the beginning of: a reference, after one that may be a half."""
_LONGEST_TAIL: Final = 32
_HIGH: Final = range(0xD800, 0xDC00)
_LOW: Final = range(0xDC00, 0xE000)
_REPLACEMENT: Final = 0xFFFD


def mended(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Give the same text, with pairs of halves joined and what is not allowed replaced."""
    carry = b""
    for piece in pieces:
        text = carry + piece
        cut = _cut(text)
        carry = text[cut:]
        yield _RUN.sub(_mend, text[:cut])
    yield _RUN.sub(_mend, carry)


def _cut(text: bytes) -> int:
    tail = _TAIL.search(text, max(0, len(text) - _LONGEST_TAIL))
    if tail is None:
        return len(text)
    whole = tail[1]
    return tail.end(1) if whole and _code(whole) in _LOW else tail.start()


def _mend(match: re.Match[bytes]) -> bytes:
    codes: list[int] = []
    for reference in match[0].split(b";")[:-1]:
        code = _code(reference + b";")
        if code in _LOW and codes and codes[-1] in _HIGH:
            code = 0x10000 + ((codes.pop() - _HIGH.start) << 10) + code - _LOW.start
        codes.append(code)
    return b"".join(b"&#%d;" % (code if _is_allowed(code) else _REPLACEMENT) for code in codes)


def _code(reference: bytes) -> int:
    digits = reference[2:-1]
    return int(digits[1:], 16) if digits[:1] == b"x" else int(digits)


def _is_allowed(code: int) -> bool:
    """Tell a character of XML 1.0 (2.2)."""
    if code < _HIGH.start:
        return code >= 0x20 or code in (9, 10, 13)  # noqa: PLR2004 - the space
    return code > _LOW[-1] and code not in (0xFFFE, 0xFFFF) and code < 0x110000  # noqa: PLR2004
