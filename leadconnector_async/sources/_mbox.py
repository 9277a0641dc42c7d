"""Mails of an mbox file, one at a time."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from leadconnector_async.sources._lines import TooLong
from leadconnector_async.sources.row import MAIL_LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FROM: Final = b"From "
_BEGIN: Final = re.compile(rb"From (?:.*\d:\d\d.*|- ?|\s*)\Z", re.DOTALL)
"""Programs write the sender and a time, or ``-``, or nothing behind ``From``. A text that begins
so, and was not quoted, has no time in it."""
_QUOTED: Final = re.compile(rb">+From ")


class Piece(NamedTuple):
    """A mail: the line that it begins in, its bytes, and how many bytes it has in the file.

    Of a mail that is longer than any may be, the beginning is given. ``ended`` tells that another
    mail follows, so that this one is whole even if the file breaks off later.
    """

    line: int
    content: bytes
    size: int
    ended: bool = False

    def __repr__(self) -> str:
        return f"Piece(line={self.line}, {self.size} bytes)"


def split(lines: Iterable[bytes]) -> Iterator[Piece]:
    """Split at ``From`` lines that follow an empty line, and unquote others (mboxrd)."""
    taken = bytearray()
    begin, size, blank = 0, 0, True
    for number, line in enumerate(lines, 1):
        if blank and line.startswith(FROM) and _BEGIN.match(line):
            if begin:
                yield _piece(begin, taken, size, ended=True)
            begin, size, blank = number, 0, False
            continue
        length = line.length if isinstance(line, TooLong) else len(line)
        size += length + 1
        if size <= MAIL_LIMIT and begin:
            taken += line[1:] if _QUOTED.match(line) else line
            taken += b"\n"
        blank = not line.strip() and not isinstance(line, TooLong)
    if begin:
        yield _piece(begin, taken, size, ended=False)


def _piece(begin: int, taken: bytearray, size: int, *, ended: bool) -> Piece:
    """Take the bytes out, so that they are not kept while the mail is worked on."""
    del taken[-1:]
    content = bytes(taken)
    taken.clear()
    return Piece(begin, content, size, ended)


def whole(chunks: Iterable[bytes]) -> Piece:
    """Take a file for one mail, less the ``From`` line that it may begin with."""
    content = bytearray()
    size = 0
    for chunk in chunks:
        size += len(chunk)
        content += chunk[: max(0, MAIL_LIMIT - len(content))]
    if content.startswith(FROM):
        del content[: content.find(b"\n") + 1]
    return Piece(1, bytes(content), size)
