"""The bytes of a source in pieces: a file or standard input, plain or gzip."""

from __future__ import annotations

import os
import stat
import sys
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from leadconnector_async._errors import SourceError
from leadconnector_async._messages import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNK: Final = 1 << 18
"""Bytes per piece."""

GZIP_MAGIC: Final = b"\x1f\x8b"
_GZIP_HEADER: Final = 31
"""zlib's ``wbits`` for 15 bits of window in a gzip wrapper."""


def open_stream(path: str) -> Stream:
    """Open a file, or standard input for ``-``.

    Raises:
        SourceError: there is no such file, or it may not be read.
    """
    if path == "-":
        return Stream(sys.stdin.buffer, "standard input", owned=False)
    return Stream(_opened(path), path, folder=Path(path).absolute().parent)


class Stream:
    """One pass over a file's bytes. Closes the file if it is ``owned``."""

    def __init__(
        self, file: BinaryIO, name: str, *, owned: bool = True, folder: Path | None = None
    ) -> None:
        self.name = name
        self.folder = folder
        """Where the file lies; None for standard input."""
        self._file = file
        self._owned = owned
        self.size = _size(file)
        self.bytes_read = 0
        self.damage: Problem | None = None
        """Set when the bytes ended before their time. What came before is whole."""

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
            raise SourceError(
                f"{self.name}: cannot be read after byte {self.bytes_read} ({error.strerror}): "
                "check the disk or the network drive"
            ) from error
        self.bytes_read += len(data)
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
        wrong = f"{how}: its gzip data ends or breaks before byte {self.bytes_read}"
        self.damage = Problem("file", wrong, f"{fix}, and import it once more")


def _salvage(unpacker: zlib._Decompress, data: bytes) -> bytes:
    """Unpack what lies before the damage: zlib drops all of a call's output when it fails."""
    whole = bytearray()
    try:
        for position in range(len(data)):
            whole += unpacker.decompress(data[position : position + 1])
    except zlib.error:
        pass
    return bytes(whole)


def _opened(path: str) -> BinaryIO:
    try:
        return Path(path).open("rb", buffering=0)
    except FileNotFoundError as error:
        raise SourceError(f"{path}: there is no such file: check the path") from error
    except IsADirectoryError as error:
        raise SourceError(f"{path}: is a folder: name the files in it") from error
    except PermissionError as error:
        raise SourceError(f"{path}: may not be read by you: change its permissions") from error
    except OSError as error:
        raise SourceError(f"{path}: cannot be opened ({error.strerror}): check the path") from error


def _size(file: BinaryIO) -> int | None:
    try:
        status = os.fstat(file.fileno())
    except OSError:  # standard input can be replaced by a buffer, which has no descriptor
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None
