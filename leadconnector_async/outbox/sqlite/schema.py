"""The outbox file: its tables, its format number, and how a connection to it is set up.

Records never change their place; what moves is small. A record waits in ``queue``, which is
clustered in the order of claiming, and ends in ``outcome``, clustered likewise, so that a batch
of a few lanes touches few pages, and claiming does not slow down with what is settled.
"""

from __future__ import annotations

import logging
import shlex
from itertools import chain
from typing import TYPE_CHECKING, Final

from leadconnector_async.errors import OutboxUnusableError
from leadconnector_async.records.deferred import read_deferred

if TYPE_CHECKING:
    from sqlite3 import Connection

_log: Final = logging.getLogger(__name__)
APPLICATION_ID: Final = 0x4C434F42
""""LCOB" in the file's header, where `file` and SQLite look for a format's owner."""

FORMAT: Final = 6
"""Stored as ``user_version``. Raise it with every change of the tables."""

OLDEST: Final = 1
"""The oldest format that its owner brings up to date."""

PAGE_BYTES: Final = 4096

CACHE_KIB: Final = 8 * 1024
"""Of pages in memory. Twice as much makes a million records take a fifth more memory, and saves
hardly any time."""

WAL_BYTES: Final = 32 * 1024 * 1024
"""The size of the log at which it is copied into the file. Larger: fewer writes of hot pages."""

_LOOKUP: Final = """CREATE TABLE fact (
    location INTEGER NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (location, name)) WITHOUT ROWID"""

_EQUALS: Final = (
    # How often a source holds a record that it is not the origin of, or more often than once: at
    # most in one reading (``n``), and in the latest (``met`` in ``reading``).
    """CREATE TABLE copy (
        source INTEGER NOT NULL, seq INTEGER NOT NULL, n INTEGER NOT NULL, met INTEGER NOT NULL,
        reading INTEGER NOT NULL, line INTEGER NOT NULL,
        PRIMARY KEY (source, seq)) WITHOUT ROWID""",
    # Digests of the lines that a record was before it was mended.
    """CREATE TABLE former (
        seq INTEGER NOT NULL, line BLOB NOT NULL, PRIMARY KEY (seq, line)) WITHOUT ROWID""",
    # Digests of what records say that were refused since their id is another's.
    "CREATE TABLE reused (seq INTEGER PRIMARY KEY, content BLOB NOT NULL)",
)

_DAY_LIMIT: Final = "ALTER TABLE spend ADD COLUMN day_limit INTEGER"

_TRAITS: Final = "ALTER TABLE record ADD COLUMN traits INTEGER NOT NULL DEFAULT 0"

_LIFE: Final = (
    # What happened to a record on its way, but for a first request that stored it.
    """CREATE TABLE trail (
        seq INTEGER NOT NULL, at INTEGER NOT NULL, what TEXT NOT NULL, trace TEXT)""",
    "CREATE INDEX trail_record ON trail (seq)",
    # Who has owned the outbox, from when on.
    "CREATE TABLE owner (at INTEGER NOT NULL, worker TEXT NOT NULL)",
)

# Of which trace records are that were submitted within one and have no end.
_TRACE: Final = "CREATE TABLE trace (seq INTEGER PRIMARY KEY, parent TEXT NOT NULL, state TEXT)"
# What is alike in the lines of many records: see `source_form`.
_SHAPE: Final = "CREATE TABLE shape (id INTEGER PRIMARY KEY, text BLOB NOT NULL)"

_ADDED: Final = (
    (),
    ("ALTER TABLE record ADD COLUMN late TEXT", _LOOKUP),
    (_DAY_LIMIT, *_EQUALS),
    (_TRAITS,),
    _LIFE,
    (_SHAPE, _TRACE),
)
"""What each format has that the one before it has not."""

_TABLES: Final = (
    """CREATE TABLE location (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, epoch INTEGER NOT NULL DEFAULT 0)""",
    """CREATE TABLE source (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL, form BLOB NOT NULL, UNIQUE (name, form))""",
    "CREATE TABLE reason (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE)",
    # payload is NULL exactly where validation refused the record, or it is left out.
    """CREATE TABLE record (
        seq INTEGER PRIMARY KEY, location INTEGER NOT NULL, lane INTEGER NOT NULL,
        date INTEGER NOT NULL, key BLOB NOT NULL, payload BLOB, late TEXT)""",
    "CREATE UNIQUE INDEX record_key ON record (location, key)",
    # Apart from record, which is read for each request; this one only for a list of failed ones.
    """CREATE TABLE origin (
        seq INTEGER PRIMARY KEY, source INTEGER NOT NULL, line INTEGER NOT NULL, raw BLOB)""",
    # Every record that is published and not settled, in flight or not.
    """CREATE TABLE queue (
        location INTEGER NOT NULL, lane INTEGER NOT NULL, date INTEGER NOT NULL,
        seq INTEGER NOT NULL, attempts INTEGER NOT NULL,
        PRIMARY KEY (location, lane, date, seq)) WITHOUT ROWID""",
    # One row per call of claim(): its records, those settled since included.
    "CREATE TABLE claimed (batch INTEGER PRIMARY KEY, seqs BLOB NOT NULL)",
    # In the order of settling, so that new rows fill pages. What is clustered is the index only.
    """CREATE TABLE outcome (
        id INTEGER PRIMARY KEY, location INTEGER NOT NULL, lane INTEGER NOT NULL,
        seq INTEGER NOT NULL, state INTEGER NOT NULL, at INTEGER NOT NULL,
        attempts INTEGER NOT NULL, message_id TEXT, conversation_id TEXT,
        email_message_id TEXT, reason INTEGER, detail BLOB)""",
    "CREATE UNIQUE INDEX outcome_lane ON outcome (location, lane, seq)",
    # 2 is State.SENT: a million sent records are not in here.
    "CREATE INDEX outcome_failed ON outcome (state, reason, seq) WHERE state > 2",
    """CREATE TABLE tally (
        location INTEGER NOT NULL, state INTEGER NOT NULL, n INTEGER NOT NULL,
        first_at INTEGER, last_at INTEGER, PRIMARY KEY (location, state)) WITHOUT ROWID""",
    # How many were sent in each span of ten seconds, for a rate.
    "CREATE TABLE pace (span INTEGER PRIMARY KEY, sent INTEGER NOT NULL)",
    """CREATE TABLE spend (
        location INTEGER PRIMARY KEY, day_used INTEGER NOT NULL, day_ends INTEGER NOT NULL,
        window_used INTEGER NOT NULL, window_ends INTEGER NOT NULL)""",
    _DAY_LIMIT,
    _TRAITS,
    # What the API's answers taught: ids of contacts and conversations, URLs of files, threads.
    _LOOKUP,
    *_EQUALS,
    *_LIFE,
    _TRACE,
    _SHAPE,
    # Records up to here are published, and beyond it those in early.
    "CREATE TABLE sealed (seq INTEGER NOT NULL)",
    "INSERT INTO sealed VALUES (0)",
    "CREATE TABLE early (seq INTEGER PRIMARY KEY)",
)


def prepare(connection: Connection, path: str) -> None:
    """Make the file an outbox, or see that it is one, and set the connection up.

    Raises:
        OutboxUnusableError: it belongs to something else, or to another version of this library.
    """
    if _is_new(connection):
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        _configure(connection, path)
        connection.execute("BEGIN IMMEDIATE")
        for statement in _TABLES:
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {FORMAT}")
        connection.execute("COMMIT")
    else:
        _upgrade(connection)
        check_schema(connection, path)
        _configure(connection, path)


def check_schema(connection: Connection, path: str) -> None:
    """See that the file is an outbox that this version can read.

    Raises:
        OutboxUnusableError: it is not.
    """
    if _pragma(connection, "application_id") != APPLICATION_ID:
        raise OutboxUnusableError(f"{path} is not an outbox: choose another file")
    found = _pragma(connection, "user_version")
    if found > FORMAT:
        raise OutboxUnusableError(
            f"{path} was written by a newer version (format {found}, this one reads {FORMAT}): "
            "upgrade leadconnector-async"
        )
    if found < FORMAT:
        fix = "finish it with the version that made it"
        if found >= OLDEST:  # only read here, and so not upgraded
            fix = f"leadconnector outbox upgrade {shlex.quote(path)} brings it up to date"
        raise OutboxUnusableError(
            f"{path} has format {found}, and this version reads {FORMAT}: {fix}"
        )


def _is_new(connection: Connection) -> bool:
    if _pragma(connection, "application_id") or _pragma(connection, "user_version"):
        return False
    return connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is None


def _configure(connection: Connection, path: str) -> None:
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise OutboxUnusableError(
            f"{path} is on a drive without shared memory: choose a local drive"
        )
    for setting in (
        "synchronous = FULL",
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
    for statement in chain.from_iterable(_ADDED[found:]):
        connection.execute(statement)
    _note_traits(connection)
    connection.execute(f"PRAGMA user_version = {FORMAT}")
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
