"""The bytes of a source in pieces: a file or standard input, plain or gzip.

Lines of bytes, with memory that does not grow with the length of a line.
"""

from __future__ import annotations

import os
import stat
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from io import BytesIO, RawIOBase
from itertools import chain
from pathlib import Path, PurePath
from typing import BinaryIO, Final, NamedTuple, Self, cast

from leadconnector_async.errors import SourceError
from leadconnector_async.models import Problem
from leadconnector_async.sources.base import LINE_LIMIT, UnreadableError
from leadconnector_async.sources.fields import notice, problem_of
from leadconnector_async.sources.files import members as exports
from leadconnector_async.sources.files.members import Beside, FolderMembers, Members

CHUNK: Final = 1 << 18
"""Bytes per piece."""

GZIP_MAGIC: Final = b"\x1f\x8b"

_GZIP_HEADER: Final = 31
"""zlib's ``wbits`` for 15 bits of window in a gzip wrapper."""


def printable(path: str) -> str:
    """Spell a path so that it can be written down: what is no UTF-8 in it by its bytes."""
    return path if path.isascii() else os.fsencode(path).decode(errors="backslashreplace")


class SourceFile(NamedTuple):
    """A file as problems name it, and where it is: standard input has no ``members``."""

    name: str
    members: Members | None
    member: str = ""

    @classmethod
    def at(cls, path: str) -> SourceFile:
        """Find a file by its path, also of one in an archive; ``-`` is standard input."""
        if path == "-":
            return cls("standard input", None)
        file = Path(path).absolute()
        if (within := exports.member_at(file)) is not None:
            return cls(printable(path), *within)
        return cls(printable(path), FolderMembers(str(file.parent), deep=False), file.name)

    @property
    def beside(self) -> Beside:
        """What lies with it."""
        return Beside(self.members, self.member.rpartition("/")[0])

    @property
    def size(self) -> int | None:
        """Bytes of it as they are stored; None where they cannot be known."""
        if self.members is None or not (size := self.members.size(self.member)):
            return None
        return round(size * self.members.share(self.member))

    def stream(self) -> ByteStream:
        """Open it.

        Raises:
            SourceError: there is no such file, or it may not be read.
        """
        if self.members is None:
            return ByteStream(sys.stdin.buffer, self.name, owned=False)
        stream = ByteStream(self.members.open(self.member, self.name), self.name)
        stream.beside = self.beside
        stream.again = self.stream
        if stream.size is None:
            stream.size, stream.share = self.size, self.members.share(self.member)
        return stream

    def peek(self) -> tuple[bytes, Problem | None]:
        """Give its first piece, unpacked, and what is wrong with it as a file.

        There is nothing of one that cannot be opened or read.
        """
        try:
            with closing(self.stream()) as stream:
                return next(stream.chunks(), b""), stream.damage
        except SourceError:
            return b"", None

    @property
    def is_archive(self) -> bool:
        """Tell a zip archive, or what is one in its form."""
        return self.peek()[0].startswith(exports.ZIP_MAGIC)

    def whole(self, what: str, *, held: bool = False) -> str | BytesIO:
        """Give what can be opened that is read from its end: a path, or all of it.

        What is ``held`` in memory by its reader is limited on the disk too.

        Raises:
            SourceError: it is no regular file, or too large to be taken out of its archive.
        """
        if self.members is None:
            raise SourceError(f"{self.name}: cannot be read as {what}: save it in a file")
        if not (size := self.members.size(self.member)):
            raise SourceError(f"{self.name}: there is no such file, or it is empty: check the path")
        folders = self.beside.folders
        if size > exports.MAX_WHOLE and (held or not folders):
            fix = "unpack the archive" if not folders else "save its sheets as CSV"
            raise UnreadableError(
                f"{self.name}: is larger than {exports.MAX_WHOLE >> 20} MB: {fix}"
            )
        if folders:
            return str(folders[0] / PurePath(self.member).name)
        return BytesIO(self.members.read(self.member))


class _ChunkFile(RawIOBase):
    """Pieces of bytes as a file that is read once."""

    def __init__(self, chunks: Iterator[bytes], close: Callable[[], object]) -> None:
        self._chunks = chunks
        self._close = close

    def read(self, _size: int = -1) -> bytes:
        return next(self._chunks, b"")

    def close(self) -> None:
        super().close()
        self._close()


def stream_of(
    chunks: Iterator[bytes], name: str, *, close: Callable[[], object] = lambda: None
) -> ByteStream:
    """Take pieces of bytes, none of them empty, as a stream."""
    # Of a file without a buffer no more is asked than this one does.
    return ByteStream(cast("BinaryIO", _ChunkFile(chunks, close)), name)


class ByteStream:
    """One pass over a file's bytes. Closes the file if it is ``owned``."""

    def __init__(self, file: BinaryIO, name: str, *, owned: bool = True) -> None:
        self.name = name
        self.beside: Beside = Beside()
        self.again: Callable[[], ByteStream] | None = None
        """What opens the file once more; a pipe is read once."""
        self.share: float = 1.0
        """How many bytes are stored for each one that the file gives."""
        self._file = file
        self._owned = owned
        self.size: int | None = None
        with suppress(OSError):  # standard input can be replaced by a buffer without a descriptor
            status = os.fstat(file.fileno())
            self.size = status.st_size if stat.S_ISREG(status.st_mode) else None
        self._read_so_far = 0
        self.damage: Problem | None = None
        """Set when the bytes ended before their time. What came before is whole."""

    @property
    def bytes_read(self) -> int:
        """How far the file is read, in bytes as they are stored."""
        return round(self._read_so_far * self.share)

    def close(self) -> None:
        """Close the file, but not standard input."""
        if self._owned:
            self._file.close()

    def chunks(self) -> Iterator[bytes]:
        """Give the bytes, unpacked if they are gzip, whatever the file is called.

        Raises:
            SourceError: the system cannot read on.
        """
        first = self._read()
        if len(first) < len(GZIP_MAGIC):
            first += self._read()
        if first.startswith(GZIP_MAGIC):
            yield from self._unpacked(first)
            return
        while first:
            yield first
            first = self._read()

    def _read(self) -> bytes:
        try:
            data = self._file.read(CHUNK)
        except OSError as error:
            wrong = notice("unread_from", at=self.bytes_read, error=error.strerror)
            raise SourceError(f"{self.name}: {wrong}") from error
        except exports.DAMAGED as error:
            self.damage = problem_of("broken_archive", error=error)
            return b""
        self._read_so_far += len(data)
        return data

    def _unpacked(self, data: bytes) -> Iterator[bytes]:
        unpacker = zlib.decompressobj(_GZIP_HEADER)
        while data:
            before = unpacker.copy()
            try:
                text = unpacker.decompress(data, CHUNK)
            except zlib.error:
                self._damaged("is damaged", "copy the file again")
                if text := _salvage(before, data):
                    yield text
                return
            if text:
                yield text
            if unpacker.eof:  # a file may hold several members, and zeros after the last
                data = unpacker.unused_data.lstrip(b"\0") or self._read().lstrip(b"\0")
                unpacker = zlib.decompressobj(_GZIP_HEADER)
            else:
                data = unpacker.unconsumed_tail or self._read()
                if not data:
                    self._damaged("is cut short", "copy or export the file again")

    def _damaged(self, how: str, fix: str) -> None:
        self.damage = problem_of("broken_gzip", how=how, at=self.bytes_read, fix=fix)


def _salvage(unpacker: zlib._Decompress, data: bytes) -> bytes:
    """Unpack what lies before the damage: zlib drops all of a call's output when it fails."""
    whole = bytearray()
    with suppress(zlib.error):
        for position in range(len(data)):
            whole += unpacker.decompress(data[position : position + 1])
    return bytes(whole)


class TooLong(bytes):
    """Stands for a line over the limit. Empty, so that nothing takes its beginning for the line."""

    def __new__(cls, length: int) -> Self:
        """Stand for a line of ``length`` bytes."""
        line = super().__new__(cls)
        line.length = length
        return line

    length: int
    """Bytes of the line."""

    def problem(self, field: str) -> Problem:
        """Refuse the record that begins with this line."""
        wrong = f"is {self.length} bytes long, over the limit of {LINE_LIMIT}"
        return Problem(field, wrong, "shorten it, or put large content where attachments can link")


class LineSplitter:
    """Splits pieces at line feeds, which it takes away. Lines count from 1.

    A last line without an end is left in ``rest``. If the stream breaks off, it is not given:
    nobody can tell whether a record is whole.
    """

    def __init__(self, chunks: Iterable[bytes], stream: ByteStream) -> None:
        self._chunks = chunks
        self._stream = stream
        self.rest: bytes = b""

    def __iter__(self) -> Iterator[bytes]:
        return chain.from_iterable(self._pieces())

    def _pieces(self) -> Iterator[list[bytes]]:
        carry = b""
        dropped = 0
        for chunk in self._chunks:
            if dropped:
                end = chunk.find(b"\n")
                if end < 0:
                    dropped += len(chunk)
                    continue
                yield [TooLong(dropped + end)]
                dropped = 0
                carry = chunk[end + 1 :]
            else:
                carry += chunk
            end = carry.rfind(b"\n") + 1
            # A file finds its line feeds many bytes at a time, where `split` compares each.
            lines = [line[:-1] for line in BytesIO(carry[:end])]
            carry = carry[end:]
            if lines and len(lines[0]) > LINE_LIMIT:  # pieces are shorter, so no other can be
                lines[0] = TooLong(len(lines[0]))
            yield lines
            if len(carry) > LINE_LIMIT:
                dropped, carry = len(carry), b""
        self.rest = carry
        if self._stream.damage is None and (dropped or carry):
            yield [TooLong(dropped) if dropped else carry]
