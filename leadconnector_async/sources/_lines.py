"""Lines of bytes, with memory that does not grow with the length of a line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from leadconnector_async._messages import Problem
from leadconnector_async.sources.row import LINE_LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from leadconnector_async.sources._stream import Stream


class TooLong(bytes):
    """Stands for a line over the limit. Empty, so that nothing takes its beginning for the line."""

    def __new__(cls, length: int) -> Self:
        line = super().__new__(cls)
        line.length = length
        return line

    length: int
    """Bytes of the line."""

    def problem(self, field: str) -> Problem:
        """Refuse the record that begins with this line."""
        wrong = f"is {self.length} bytes long, over the limit of {LINE_LIMIT}"
        return Problem(field, wrong, "shorten it, or put large content where attachments can link")


class Lines:
    """Splits pieces at line feeds, which it takes away. Lines count from 1.

    If the stream breaks off, its last, unfinished line is not given, but left in ``rest``: nobody
    can tell whether a record is whole.
    """

    def __init__(self, chunks: Iterable[bytes], stream: Stream) -> None:
        self._chunks = chunks
        self._stream = stream
        self.rest = b""

    def __iter__(self) -> Iterator[bytes]:
        carry = b""
        dropped = 0
        for chunk in self._chunks:
            if dropped:
                end = chunk.find(b"\n")
                if end < 0:
                    dropped += len(chunk)
                    continue
                yield TooLong(dropped + end)
                dropped = 0
                carry = chunk[end + 1 :]
            else:
                carry += chunk
            lines = carry.split(b"\n")
            carry = lines.pop()
            if lines and len(lines[0]) > LINE_LIMIT:  # pieces are shorter, so no other can be
                lines[0] = TooLong(len(lines[0]))
            yield from lines
            if len(carry) > LINE_LIMIT:
                dropped, carry = len(carry), b""
        if self._stream.damage is not None:
            self.rest = carry
        elif dropped:
            yield TooLong(dropped)
        elif carry:
            yield carry
