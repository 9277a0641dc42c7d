"""The outbox file: its tables, its format number, and how a connection to it is set up.

Records never change their place; what moves is small. A record waits in ``queue``, which is
clustered in the order of claiming, and ends in ``outcome``, clustered likewise, so that a batch
of a few lanes touches few pages, and claiming does not slow down with what is settled.
"""

from __future__ import annotations

import logging
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Final

from leadconnector_async.errors import OutboxUnusableError
from leadconnector_async.outbox.database import fault, formats
from leadconnector_async.records.deferred import read_deferred

if TYPE_CHECKING:
    from sqlite3 import Connection

_log: Final = logging.getLogger(__name__)
APPLICATION_ID: Final = 0x4C434F42
""""LCOB" in the file's header, where `file` and SQLite look for a format's owner."""

PAGE_BYTES: Final = 4096

CACHE_KIB: Final = 8 * 1024
"""Of pages in memory. Twice as much makes a million records take a fifth more memory, and saves
hardly any time."""

WAL_BYTES: Final = 32 * 1024 * 1024
"""The size of the log at which it is copied into the file. Larger: fewer writes of hot pages."""

_TABLES: Final = formats(__package__)

OLDEST: Final = 1
"""The oldest format that its owner brings up to date."""

FORMAT: Final = len(_TABLES)
"""Stored as ``user_version``. It grows with every change of the tables."""


def prepare(connection: Connection, path: str) -> None:
    """Make the file an outbox, or see that it is one, and set the connection up.

    Raises:
        OutboxUnusableError: it belongs to something else, or to another version of this library;
            or its tables were in a log that is gone.
    """
    if _is_new(connection, path):
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        _configure(connection, path)
        connection.execute("BEGIN IMMEDIATE")
        _bring_up(connection, 0)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("COMMIT")
    else:
        _upgrade(connection)
        check_schema(connection, path)
        _configure(connection, path)


class NothingYetError(OutboxUnusableError):
    """The file is empty, or was only begun: an import makes it an outbox."""


def check_schema(connection: Connection, path: str) -> None:
    """See that the file is an outbox that this version can read.

    Raises:
        OutboxUnusableError: it is not.
    """
    if _is_new(connection, path):  # the disk was full, say, when it was made
        raise NothingYetError(f"{path} holds nothing yet: import into it")
    if _pragma(connection, "application_id") != APPLICATION_ID:
        raise OutboxUnusableError(f"{path} is not an outbox: choose another file")
    found = _pragma(connection, "user_version")
    if found > FORMAT:
        raise OutboxUnusableError(fault("newer", place=path, found=found, reads=FORMAT))
    if found < FORMAT:
        fix = "finish it with the version that made it"
        if found >= OLDEST:  # only read here, and so not upgraded
            fix = f"leadconnector outbox upgrade {shlex.quote(path)} brings it up to date"
        raise OutboxUnusableError(fault("older", place=path, found=found, reads=FORMAT, fix=fix))


def _bring_up(connection: Connection, found: int) -> None:
    for statement in filter(str.strip, "".join(_TABLES[found:]).split(";")):
        connection.execute(statement.strip())
    connection.execute(f"PRAGMA user_version = {FORMAT}")


def _is_new(connection: Connection, path: str) -> bool:
    if _pragma(connection, "application_id") or _pragma(connection, "user_version"):
        return False
    if connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is not None:
        return False
    if Path(path).exists() and Path(path).stat().st_size > PAGE_BYTES:
        raise OutboxUnusableError(fault("no_log", path=path))
    return True


def _configure(connection: Connection, path: str) -> None:
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise OutboxUnusableError(fault("no_shared_memory", path=path))
    for setting in (
        "synchronous = FULL",
        "secure_delete = OFF",  # which some builds set: `compact` forgets what is freed
        "fullfsync = ON",  # macOS: fsync alone leaves the data in the drive's cache
        f"cache_size = -{CACHE_KIB}",
        f"wal_autocheckpoint = {WAL_BYTES // _pragma(connection, 'page_size')}",
        f"journal_size_limit = {2 * WAL_BYTES}",
    ):
        connection.execute(f"PRAGMA {setting}")


def _upgrade(connection: Connection) -> None:
    """Bring an outbox of an older format up to date."""
    found = _pragma(connection, "user_version")
    if _pragma(connection, "application_id") != APPLICATION_ID or not OLDEST <= found < FORMAT:
        return
    connection.execute("BEGIN IMMEDIATE")
    _bring_up(connection, found)
    _note_traits(connection)
    connection.execute("COMMIT")
    _log.info("outbox upgraded from format %d to %d", found, FORMAT)


def _note_traits(connection: Connection) -> None:
    """Note what matters of records before they are published, where they are not yet."""
    query = "SELECT late, seq FROM record WHERE late IS NOT NULL AND seq > (SELECT seq FROM sealed)"
    rows = connection.execute(query).fetchall()
    traits = [(int(read_deferred(deferred).traits), seq) for deferred, seq in rows]
    connection.executemany("UPDATE record SET traits = ? WHERE seq = ?", traits)


def _pragma(connection: Connection, name: str) -> int:
    (value,) = connection.execute(f"PRAGMA {name}").fetchone()
    return int(value)
