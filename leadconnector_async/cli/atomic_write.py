"""A file that a command writes: it appears whole or not at all."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, BinaryIO

import click

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def atomic_write(path: str, *, mode: int = 0o666) -> Iterator[BinaryIO]:
    """Open a file that takes its place when the block ends well. ``mode`` is before the umask.

    ``-`` is standard output.

    Raises:
        click.ClickException: it cannot be written.
    """
    if path == "-":
        yield sys.stdout.buffer
        return
    target = Path(path)
    part = target.with_name(f".{target.name}.{token_hex(4)}.part")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            yield file
        part.replace(target)
    except BaseException as error:  # Ctrl-C as well: what is not whole is removed
        with suppress(OSError):
            part.unlink()
        if isinstance(error, OSError):
            raise click.ClickException(
                f"{path} cannot be written ({error.strerror}): choose another file"
            ) from error
        raise
