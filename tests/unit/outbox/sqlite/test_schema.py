from __future__ import annotations

import logging
import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from leadconnector_async.errors import OutboxUnusableError
from leadconnector_async.outbox.sqlite import schema
from leadconnector_async.outbox.sqlite.connection import open_to_read, open_to_write
from leadconnector_async.records.deferred import Deferred, Trait

if TYPE_CHECKING:
    from pathlib import Path


def opened(path: Path) -> sqlite3.Connection:
    """Open a file as an outbox's owner does."""
    return open_to_write(str(path), sqlite3.connect)


def setting(connection: sqlite3.Connection, name: str) -> object:
    """Read a setting of the connection."""
    (value,) = connection.execute(f"PRAGMA {name}").fetchone()
    return value


def test_a_new_file_says_what_it_is(tmp_path: Path) -> None:
    """The header names the owner of the format and its number."""
    with closing(opened(tmp_path / "o.db")) as connection:
        assert setting(connection, "application_id") == schema.APPLICATION_ID
        assert setting(connection, "user_version") == schema.FORMAT


def test_a_commit_survives_the_loss_of_power(tmp_path: Path) -> None:
    """WAL with synchronous=FULL, for a new file and for an old one."""
    for _ in range(2):
        with closing(opened(tmp_path / "o.db")) as connection:
            assert setting(connection, "journal_mode") == "wal"
            assert setting(connection, "synchronous") == 2  # FULL
            assert setting(connection, "fullfsync") == 1


def test_the_log_and_the_cache_are_bounded(tmp_path: Path) -> None:
    """Memory and disk are bounded, whatever the import's size."""
    with closing(opened(tmp_path / "o.db")) as connection:
        pages = setting(connection, "wal_autocheckpoint")
        assert pages == schema.WAL_BYTES // schema.PAGE_BYTES
        assert setting(connection, "cache_size") == -schema.CACHE_KIB


def test_a_file_that_was_only_begun_is_not_called_foreign(tmp_path: Path) -> None:
    """The disk was full when it was made: the same import again makes it an outbox."""
    path = tmp_path / "o.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    with pytest.raises(OutboxUnusableError, match=r"o\.db holds nothing yet: import into it"):
        open_to_read(str(path))
    opened(path).close()
    open_to_read(str(path)).close()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes")
def test_all_files_are_the_owners_alone(tmp_path: Path) -> None:
    """Whatever the umask: the outbox holds the texts of messages."""
    before = os.umask(0)
    try:
        with closing(opened(tmp_path / "o.db")) as connection:
            connection.execute("INSERT INTO location (name) VALUES ('l1')")
            modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert modes == {"o.db": 0o600, "o.db-wal": 0o600, "o.db-shm": 0o600}


def test_an_empty_file_becomes_an_outbox(tmp_path: Path) -> None:
    """What a crash while making the file leaves is as good as no file."""
    path = tmp_path / "o.db"
    path.touch()
    with closing(opened(path)) as connection:
        assert setting(connection, "user_version") == schema.FORMAT


def test_a_database_of_something_else_is_left_alone(tmp_path: Path) -> None:
    """It is refused, and not a byte of it changes."""
    path = tmp_path / "o.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE precious (text)")
    before = path.read_bytes()
    with pytest.raises(OutboxUnusableError, match=r"o\.db is not an outbox"):
        opened(path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["o.db"]


def test_an_empty_database_with_another_owner_is_left_alone(tmp_path: Path) -> None:
    """An application id alone is enough to show that it is not ours."""
    path = tmp_path / "o.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA application_id = 7")
    with pytest.raises(OutboxUnusableError, match="not an outbox"):
        opened(path)


@pytest.mark.parametrize(
    ("found", "says"),
    [(schema.FORMAT + 1, "newer version"), (schema.OLDEST - 1, "version that made it")],
)
def test_another_format_is_refused(tmp_path: Path, found: int, says: str) -> None:
    """The message tells a newer one from an older one, and what to do."""
    path = tmp_path / "o.db"
    with closing(opened(path)) as connection:
        connection.execute(f"PRAGMA user_version = {found}")
    with pytest.raises(OutboxUnusableError, match=says):
        opened(path)


UNDO = {
    7: [
        "ALTER TABLE lookup RENAME TO fact",
        "ALTER TABLE quota RENAME TO spend",
        "ALTER TABLE copy RENAME COLUMN source_pass TO reading",
    ],
    6: ["DROP TABLE shape", "DROP TABLE trace"],
    5: [f"DROP TABLE {table}" for table in ("trail", "owner")],
    4: ["ALTER TABLE record DROP COLUMN traits"],
    3: [
        *(f"DROP TABLE {table}" for table in ("copy", "former", "reused")),
        "ALTER TABLE spend DROP COLUMN day_limit",
    ],
    2: ["DROP TABLE fact", "ALTER TABLE record DROP COLUMN late"],
}
"""What takes from an outbox what a format has added."""


@pytest.mark.parametrize("found", range(schema.OLDEST, schema.FORMAT))
def test_an_outbox_of_an_older_format_is_brought_up_to_date(
    tmp_path: Path, found: int, caplog: pytest.LogCaptureFixture
) -> None:
    """What it holds stays, and the second opening finds nothing to do; the log has it once.

    Who only reads cannot do it, and says who can.
    """
    path = tmp_path / "o.db"
    with closing(opened(path)) as connection:
        mail = None if found == 1 else Deferred(mail="m").encoded()
        record = 1, 1, 2, 3, b"", b"{}", mail, 0
        connection.execute("INSERT INTO record VALUES (?, ?, ?, ?, ?, ?, ?, ?)", record)
        connection.execute("INSERT INTO quota VALUES (1, 2, 3, 4, 5, 6)")
        for later in range(schema.FORMAT, found, -1):
            for statement in UNDO[later]:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {found}")
    with pytest.raises(OutboxUnusableError, match=f"leadconnector outbox upgrade {path} brings"):
        open_to_read(str(path))
    caplog.set_level(logging.INFO, "leadconnector_async")
    for _ in range(2):
        with closing(opened(path)) as connection:
            kept = connection.execute("SELECT seq, late, traits FROM record").fetchall()
            assert kept == [(1, mail, 0 if mail is None else Trait.MAIL)]
            for table in ("lookup", "copy", "former", "reused", "trail", "owner", "shape", "trace"):
                assert connection.execute(f"PRAGMA table_info({table})").fetchone() is not None
            snapshot = connection.execute("SELECT * FROM quota").fetchone()
            assert snapshot == (1, 2, 3, 4, 5, 6 if found >= 3 else None)
    told = [record.getMessage() for record in caplog.records]
    assert told == [f"outbox upgraded from format {found} to {schema.FORMAT}"]


def test_a_drive_without_shared_memory_is_refused() -> None:
    """SQLite falls back to another journal there without a word, and readers would then wait."""
    with (
        closing(sqlite3.connect(":memory:", isolation_level=None)) as connection,
        pytest.raises(OutboxUnusableError, match="choose a local drive"),
    ):
        schema.prepare(connection, "o.db")
