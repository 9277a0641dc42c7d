"""A copy on disk of another location's messages, which is read like an export of them.

A message has the names of the API, and with them ``contactPhone``, ``contactEmail`` and
``contactName``: ids mean nothing in another location. What is in the copy stays there, so that a
reading that broke off goes on.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, Self

import orjson

from leadconnector_async.errors import SourceError
from leadconnector_async.sources.base import LOCATION_PREFIX, Source, SourceOptions
from leadconnector_async.sources.fields import notice
from leadconnector_async.sources.files.byte_stream import stream_of
from leadconnector_async.sources.files.encoding import Utf8Text
from leadconnector_async.sources.formats.json_layout import JsonLayout
from leadconnector_async.sources.formats.jsonl import JsonSource
from leadconnector_async.sources.mappings.mapping_files import Choice, load_mapping

MAPPING: Final = "ghl-export"
"""The mapping that reads a copy."""

_TABLES: Final = """
    CREATE TABLE IF NOT EXISTS message (
        id TEXT PRIMARY KEY, contact TEXT, whole INTEGER NOT NULL, body BLOB NOT NULL);
    CREATE TABLE IF NOT EXISTS contact (
        id TEXT PRIMARY KEY, whole INTEGER NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;
"""


class LocationCopy:
    """The copy of one location in a folder. ``name`` stands in errors.

    Raises:
        SourceError: it cannot be kept there. So does the end of a block in which SQLite failed.
    """

    def __init__(self, folder: Path, location: str) -> None:
        self.name: str = LOCATION_PREFIX + location
        self._folder = folder
        path = copy_path(folder, location).absolute()  # of file:x it could be a URI
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.touch(mode=0o600)
            self._db = sqlite3.connect(path)
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from error
        try:
            self._db.executescript(_TABLES)
        except sqlite3.Error as error:
            self.close()
            raise self._unusable(error) from error

    def lacks(self, table: str, ids: Iterable[str]) -> list[str]:
        """Those of the ids of which ``message`` or ``contact`` has nothing, or not all."""
        query = f"SELECT 1 FROM {table} WHERE id = ? AND whole"  # noqa: S608 - one of two names
        return [one for one in ids if self._db.execute(query, (one,)).fetchone() is None]

    def put_contact(self, id_: str, fields: dict[str, object] | None) -> None:
        """Keep what finds a contact elsewhere; None where the API does not know it."""
        row = id_, bool(fields), orjson.dumps(fields or {})
        self._db.execute("INSERT OR REPLACE INTO contact VALUES (?, ?, ?)", row)

    def put_message(self, id_: str, message: dict[str, Any], *, whole: bool = True) -> None:
        """Keep a message, unless it is there. One that is not ``whole`` is asked for again."""
        self._db.execute(
            "INSERT INTO message VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE "
            "SET whole = excluded.whole, body = excluded.body WHERE NOT whole",
            (id_, message.get("contactId"), whole, orjson.dumps(message)),
        )

    def commit(self) -> None:
        """Make what was put durable."""
        self._db.commit()

    def count(self) -> int:
        """How many messages there are."""
        (count,) = self._db.execute("SELECT count(*) FROM message").fetchone()
        return int(count)

    def lines(self) -> Iterator[bytes]:
        """Give the messages, each with its contact, an object a line."""
        cursor = self._db.execute(
            "SELECT m.body, c.body FROM message m LEFT JOIN contact c ON c.id = m.contact "
            "ORDER BY m.rowid"
        )
        try:
            while rows := cursor.fetchmany(100):
                objects = (orjson.loads(one) | orjson.loads(who or b"{}") for one, who in rows)
                yield b"".join(orjson.dumps(one) + b"\n" for one in objects)
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        try:
            self._db.commit()
        except sqlite3.Error as failed:
            error = failed
        self.close()
        if isinstance(error, sqlite3.Error):
            raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> SourceError:
        why = notice("no_copy", folder=self._folder, error=error)
        return SourceError(f"{self.name}: {why}")


def copy_path(folder: Path, location: str) -> Path:
    """Where the copy of a location is.

    Raises:
        SourceError: that is no id of a location.
    """
    if not (location.isascii() and location.replace("-", "").replace("_", "").isalnum()):
        raise SourceError(f"{LOCATION_PREFIX} write the id of a location behind it")
    return folder / f"location-{location}.db"


def open_copy(location: str, options: SourceOptions) -> Source:
    """Open the copy of a location as a source.

    Raises:
        SourceError: there is none.
    """
    name = LOCATION_PREFIX + location
    if options.spool is None or not copy_path(options.spool, location).exists():
        raise SourceError(f"{name}: {notice('read_by_import')}")
    copy = LocationCopy(options.spool, location)
    try:
        text = Utf8Text(stream_of(copy.lines(), name, close=copy.close), "utf-8")
        source = JsonSource(text, options, JsonLayout(None, Choice(load_mapping(MAPPING))))
        source.warnings += [] if copy.count() else ["has no messages"]
    except BaseException:
        copy.close()
        raise
    return source
