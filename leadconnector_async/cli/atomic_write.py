"""A file that a command writes: it appears whole or not at all."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO, Final

import click

_DATABASE: Final = b"SQLite format 3\0"

_BESIDE: Final = ("", "-wal", "-shm", "-journal", ".lock")
"""The outbox and the files that belong to it."""


def refuse_outbox(outbox: str, file: str, option: str, *, such_as: str) -> None:
    """Neither this outbox nor another may be lost to a slip of the hand."""
    begins = b""
    if Path(file).is_file():  # a pipe would be waited for
        with suppress(OSError), Path(file).open("rb") as found:
            begins = found.read(len(_DATABASE))
    own = {os.path.realpath(outbox) + suffix for suffix in _BESIDE}
    if os.path.realpath(file) in own or begins == _DATABASE:
        fix = f"give another file, such as {such_as}"
        raise click.UsageError(f"{option} {file} is an outbox: {fix}")


@contextmanager
def atomic_write(path: str, *, mode: int = 0o666) -> Iterator[BinaryIO]:
    """Open a file that takes its place when the block ends well. ``mode`` is before the umask.

    ``-`` is standard output. A device or a pipe is written to: it is no file to be replaced.

    Raises:
        click.ClickException: it cannot be written.
    """
    try:
        with _opened(path, mode) as file:
            yield file
    except OSError as error:
        if path == "-" and isinstance(error, BrokenPipeError):
            raise  # whoever reads has enough
        shown = "standard output" if path == "-" else path
        wrong = f"{shown} cannot be written ({error.strerror})"
        raise click.ClickException(f"{wrong}: make room, or choose another file") from error


@contextmanager
def _opened(path: str, mode: int) -> Iterator[BinaryIO]:
    if path == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if Path(path).exists() and not Path(path).is_file():
        with Path(path).open("wb") as file:
            yield file
        return
    target = Path(os.path.realpath(path))  # a link stays one
    part = target.with_name(f".{target.name}.{token_hex(4)}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            yield file
        part.replace(target)
    except BaseException:  # Ctrl-C as well: what is not whole is removed
        with suppress(OSError):
            part.unlink()
        raise
