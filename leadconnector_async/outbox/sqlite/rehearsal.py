"""A copy of an outbox file, to try on what an import would do."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from leadconnector_async.errors import OutboxWriteError
from leadconnector_async.outbox.sqlite.connection import open_to_read

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def copy_of(outbox: str | os.PathLike[str] | None) -> Iterator[str]:
    """Copy an outbox, which may be in use, into a folder that is gone afterwards.

    Raises:
        OutboxError: it cannot be read, or there is no room for its copy.
    """
    with TemporaryDirectory(prefix="leadconnector-") as folder:
        copy = str(Path(folder) / "outbox.db")
        if outbox is not None:
            _copy(os.fspath(outbox), copy)
        yield copy


def _copy(outbox: str, copy: str) -> None:
    try:
        with closing(open_to_read(outbox)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
    except sqlite3.Error as error:
        raise OutboxWriteError(
            f"{outbox} cannot be copied to {copy} ({error}): make room there, or set TMPDIR"
        ) from error
