"""What an owner does with an outbox file besides importing: checking, copying, forgetting."""

from __future__ import annotations

import os
import re
import sqlite3
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from shutil import Error as CopyError, copytree, rmtree
from typing import TYPE_CHECKING, Final

from leadconnector_async.errors import OutboxBusyError, OutboxUnusableError, OutboxWriteError
from leadconnector_async.locking import OwnerLock
from leadconnector_async.outbox.database import statements
from leadconnector_async.outbox.requeueing import RETRIES
from leadconnector_async.outbox.sqlite.connection import explained, open_to_read, open_to_write
from leadconnector_async.outbox.sqlite.source_form import FORM, WITH_SHAPE, restored
from leadconnector_async.records.deferred import forgotten
from leadconnector_async.records.keys import line_key
from leadconnector_async.sources.files.spool import URLS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from sqlite3 import Connection

_DIGEST: Final = re.compile("[0-9a-f]{32}")

_SQL: Final = statements(__package__, "upkeep", form=FORM, shape=WITH_SHAPE)


def forget_texts(connection: Connection, after: int) -> tuple[int, int]:
    """Forget what some settled records say. Returns how many, and the number of the last."""
    connection.execute("PRAGMA secure_delete = ON")
    rows = connection.execute(_SQL["settled"], (after, RETRIES)).fetchall()
    if not rows:
        connection.execute(_SQL["forget_names"])
        connection.execute(_SQL["forget_shapes"])
    done = 0
    for seq, deferred, *form in rows:
        raw, payload = restored(*form), form[2]
        less = None if payload is None else forgotten(payload, deferred)
        done += less != payload or raw is not None
        connection.execute(_SQL["forget"], (less, seq))
        if raw is not None:
            connection.execute(_SQL["former"], (seq, line_key(raw)))
            connection.execute(_SQL["forget_line"], (seq,))
    return done, rows[-1][0] if rows else after


def empty_files(path: str, folder: Path) -> None:
    """Delete the files of a folder that came within sources, and that no record needs any more.

    Those of failed records stay: the lines of their sources name them by their digests. What was
    fetched for no record that is kept is fetched again, and so is not noted any more.

    Raises:
        OutboxError: the outbox or the folder cannot be read.
    """
    try:
        kept = [entry for entry in folder.iterdir() if _DIGEST.fullmatch(entry.name)]
    except OSError as error:
        raise explained(str(folder), error) from error
    if not kept:
        return
    with closing(open_to_read(path)) as connection:
        needed = {
            name
            for late, *form in connection.execute(_SQL["needing"])
            for text in (late, restored(*form))
            if text
            for name in _DIGEST.findall(text if isinstance(text, str) else text.decode("latin-1"))
        }
        said = connection.execute(_SQL["late"])
        sent = {name for (late,) in said for name in _DIGEST.findall(late)}
    gone = {entry.name for entry in kept} - needed
    for digest in gone:
        rmtree(folder / digest, ignore_errors=True)
    for note in (folder / URLS).glob("*"):
        with suppress(OSError):  # as above: it is tidied up, and no more
            if note.read_text("utf-8").partition("/")[0] in gone - sent:
                note.unlink()


def compact(path: str) -> None:
    """Give free pages back, and with them what they held.

    Raises:
        OutboxBusyError: someone else has it open, or reads it for long.
        OutboxError: it cannot be written, or there is no room for a second copy of it.
    """
    with OwnerLock(path), opened(path) as connection:
        connection.execute("VACUUM")
        cut_log(path, connection)


@contextmanager
def opened(path: str) -> Iterator[Connection]:
    """Open a file to write, made if it does not exist.

    Raises:
        OutboxError: it cannot be used, or something that is done with it fails.
    """
    try:
        with closing(open_to_write(path, sqlite3.connect)) as connection:
            yield connection
    except sqlite3.Error as error:
        raise explained(path, error) from error


def cut_log(path: str, connection: Connection) -> None:
    """Write the log into the file, which has all of it then and nothing else.

    Raises:
        OutboxBusyError: someone reads the file as it was.
    """
    busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        raise OutboxBusyError(f"{path} is read by another program: end it, and run again")


def backup(path: str, target: str, files: Path, copies: Path) -> None:
    """Copy an outbox as it is at one moment, whoever writes it meanwhile, and then its files.

    Raises:
        OutboxError: it cannot be read, or the copy cannot be written, or there is such a file.
    """
    half = f"{target}.part"
    try:
        if Path(target).exists():
            raise OutboxUnusableError(f"{target} exists already: name another file for the copy")
        with closing(open_to_read(path)) as connection:
            os.close(os.open(half, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600))
            name = os.fsencode(Path(half).absolute())  # file: at its begin would be a URI
            connection.execute("VACUUM INTO CAST(? AS TEXT)", (name,))
        descriptor = os.open(half, os.O_RDWR)
        os.fsync(descriptor)
        os.close(descriptor)
        if files.is_dir():
            _copy_files(files, copies)
        Path(half).rename(target)
    except (sqlite3.Error, OSError) as error:
        # What is damaged is what was copied, and not the copy.
        raise explained(path if type(error) is sqlite3.DatabaseError else target, error) from error
    finally:
        with suppress(OSError):
            Path(half).unlink()


def _copy_files(files: Path, copies: Path) -> None:
    try:
        copytree(files, copies, dirs_exist_ok=True)
    except CopyError as error:  # what is gone was deleted by who sends: nobody needs it any more
        if any(Path(source).exists() for source, *_ in error.args[0]):
            raise OutboxWriteError(f"{copies} lacks files: make room, and run again") from error
