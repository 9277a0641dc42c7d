"""Opening an outbox file, and what the errors of SQLite and the system mean for its user.

Many rows in one statement: ``executemany`` lets go of the interpreter and takes it back for every
row, and next to a busy event loop each taking is a wait. With 64 rows a statement there are 64
times fewer.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import sqlite3
import struct
from array import array
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import lru_cache, partial
from itertools import chain
from pathlib import Path
from struct import pack, unpack
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import msgspec

from leadconnector_async import errors
from leadconnector_async.outbox.database import Rows, fault
from leadconnector_async.outbox.sqlite import schema

if TYPE_CHECKING:
    from sqlite3 import Connection


_BUSY_S: Final = 10.0
"""How long to wait for another program that reads or copies the file."""

_CACHED: Final = 512

_ROOM: Final = 64 * 1024
"""Bytes that SQLite asks for at once."""

_OF_THE_CALLER: Final = (
    sqlite3.IntegrityError,
    sqlite3.ProgrammingError,
    sqlite3.InterfaceError,
    sqlite3.DataError,
    sqlite3.NotSupportedError,
)

DAMAGE: Final = (
    sqlite3.IntegrityError,
    TypeError,
    LookupError,
    StopIteration,
    UnicodeDecodeError,
    struct.error,
    msgspec.DecodeError,
)
"""What comes of pages in each other's place, which SQLite itself does not see."""

Connect = Callable[..., sqlite3.Connection]
"""`sqlite3.connect`, or a stand-in that fails."""


def open_to_write(path: str, connect: Connect) -> sqlite3.Connection:
    """Open the file, made if it does not exist, readable by its owner alone.

    Raises:
        OutboxUnusableError, OutboxBusyError, OutboxWriteError: it cannot be used; the message
            says why.
    """
    try:
        _create_private(path)
        name = str(Path(path).absolute())  # SQLite may take one that begins with file: for a URI
        return _checked(_connect(connect, name, uri=False), path, schema.prepare)
    except (sqlite3.Error, OSError) as error:
        raise explained(path, error) from error


def open_to_read(path: str) -> sqlite3.Connection:
    """Open an existing outbox beside its owner, if it has one.

    Raises:
        OutboxUnusableError, OutboxBusyError, OutboxWriteError: it cannot be used; the message
            says why.
    """
    if not os.path.isfile(path):  # noqa: PTH113 - that of a path may raise
        raise errors.OutboxUnusableError(fault("missing", place=path))
    uri = Path(path).absolute().as_uri()
    try:
        try:
            return _reading(f"{uri}?mode=ro", path)
        except sqlite3.OperationalError:
            # Without a log, no one writes: in a folder that takes no files, it is read as it is.
            if Path(f"{path}-wal").exists():
                raise
            return _reading(f"{uri}?immutable=1", path)
    except sqlite3.Error as error:
        raise explained(path, error) from error


def _reading(uri: str, path: str) -> sqlite3.Connection:
    # One thread after the other uses it: SQLite itself allows that.
    connection = _connect(partial(sqlite3.connect, check_same_thread=False), uri, uri=True)
    return _checked(connection, path, schema.check_schema)


def _checked(
    connection: sqlite3.Connection, path: str, check: Callable[[sqlite3.Connection, str], None]
) -> sqlite3.Connection:
    try:
        check(connection, path)
    except (sqlite3.Error, errors.OutboxError):
        connection.close()
        raise
    return connection


def _connect(connect: Connect, name: str, *, uri: bool) -> sqlite3.Connection:
    return connect(name, timeout=_BUSY_S, isolation_level=None, cached_statements=_CACHED, uri=uri)


def _create_private(path: str) -> None:
    """Make the file before SQLite does, whose files everyone may read.

    An existing one is not opened: closing it would drop SQLite's locks on it in this process.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        if Path(path).is_dir():
            raise errors.OutboxUnusableError(fault("folder", path=path)) from None


def is_final(error: BaseException) -> bool:
    """Tell whether the store itself failed, and not just one call's arguments."""
    return isinstance(error, sqlite3.Error) and not isinstance(error, _OF_THE_CALLER)


def explained(path: str, error: BaseException) -> errors.OutboxError:
    """Say in the user's words what happened to the file, and what to do."""
    code = int(getattr(error, "sqlite_errorcode", sqlite3.SQLITE_IOERR)) & 0xFF  # the kind alone
    folder = Path(path).absolute().parent
    if _is_disk_full(folder, error, code):
        return errors.OutboxWriteError(f"{path}: the disk is full: make room, and run again")
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return errors.OutboxUnusableError(fault("no_folder", path=path, folder=folder))
    if isinstance(error, OSError):
        at, why = error.filename or path, error.strerror or type(error).__name__
        return errors.OutboxWriteError(fault("unwritable_folder", path=at, error=why))
    # Python's own: of a value that it read, which it quotes, or that it was to collect.
    is_garbled = "decode to UTF-8" in str(error) or "user-defined" in str(error)
    is_damage = is_garbled or isinstance(error, (ValueError, *DAMAGE))
    if is_damage or code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        is_safe = isinstance(error, sqlite3.Error) and not is_garbled  # to print: holds no value
        said = error if is_safe else type(error).__name__
        return errors.OutboxUnusableError(fault("damaged", path=path, said=said))
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return errors.OutboxBusyError(f"{path} is locked by another program: end it, and run again")
    return errors.OutboxWriteError(fault("unwritable", path=path, error=error))


def _is_disk_full(folder: Path, error: BaseException, code: int) -> bool:
    if isinstance(error, OSError):
        return error.errno == errno.ENOSPC
    if code != sqlite3.SQLITE_IOERR:
        return code == sqlite3.SQLITE_FULL
    try:  # where the index of its log cannot grow, SQLite tells of an error of the device
        return shutil.disk_usage(folder).free < _ROOM
    except OSError:
        return False


_MAX_ROWS: Final = 64
"""64 rows of 15 values stay within the 999 parameters that older SQLite allows."""

_FEW: Final = 24
"""Up to so many rows are one statement, whatever their number, and more are so many times eight
first: each statement costs as much as several rows, and is made once and kept."""


def run_rows(connection: Connection, query: str, rows: Rows, constants: str = "") -> None:
    """Execute a statement over all rows, which stand for ``{rows}``, with constants behind each.

    An ``INSERT OR FAIL`` that fails has put some rows in, which go with its job. The usual INSERT
    would copy each page before it changes it, to undo that alone, and spill to the disk.
    """
    for statement, values in _statements(query, rows, constants):
        connection.execute(statement, values)


def fetch_rows(connection: Connection | RowCollector, query: str, rows: Rows) -> Iterator[Any]:
    """Yield what a query selects over all rows, which stand for ``{rows}`` in it."""
    for statement, values in _statements(query, rows):
        yield from connection.execute(statement, values)


class RowCollector:
    """Reads rows by a function ``collect`` within SQL, which is called with each.

    A cursor lets go of the interpreter and takes it back for every value that it reads, and this
    once for a row.
    """

    def __init__(self, connection: Connection) -> None:
        self._execute = connection.execute
        rows = self._rows = list[tuple[Any, ...]]()
        connection.create_function("collect", -1, lambda *row: rows.append(row))

    def execute(self, query: str, values: Sequence[Any]) -> list[Any]:
        """Return what a query collects: ``SELECT count(collect(…)) FROM …``."""
        self._rows.clear()
        self._execute(query, values).fetchone()
        return self._rows.copy()


def _statements(query: str, rows: Rows, constants: str = "") -> Iterator[tuple[str, list[Any]]]:
    at = 0
    while left := len(rows) - at:
        size = left if left <= _FEW else min(left - left % 8, _MAX_ROWS)
        statement = _statement(query, len(rows[at]), size, constants)
        yield statement, list(chain.from_iterable(rows[at : at + size]))
        at += size


@lru_cache(maxsize=_CACHED)
def _statement(query: str, width: int, rows: int, constants: str) -> str:
    row = f"({','.join('?' * width)}{constants})"
    return query.replace("{rows}", f"VALUES {','.join([row] * rows)}")


_PLACE: Final = re.compile(r"\$(\d+)")


@lru_cache(maxsize=128)
def _in_order(query: str) -> tuple[str, Sequence[int]]:
    """Mark values by their order, as Python wants them; and tell which one goes to each mark."""
    return _PLACE.sub("?", query), [int(number) - 1 for number in _PLACE.findall(query)]


class FileDatabase:
    """`Database` over a file: it answers at once."""

    for_update: str = ""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def fetch(self, query: str, *values: Any) -> Sequence[Any]:  # noqa: ANN401 - what SQLite takes
        """See `Database.fetch`."""
        marked, order = _in_order(query)
        given = [values[at] for at in order] if order else values  # of its own SQL, as it stands
        return self._connection.execute(marked, given).fetchall()

    async def fetch_for(self, query: str, types: str, rows: Rows) -> Sequence[Any]:  # noqa: ARG002 - for others
        """See `Database.fetch_for`."""
        return list(fetch_rows(self._connection, query, rows))

    async def write(self, query: str, rows: Rows) -> None:
        """See `Database.write`."""
        run_rows(self._connection, query, rows)

    async def number(self, table: str, **values: str | bytes) -> int:
        """See `Database.number`."""
        execute, given = self._connection.execute, tuple(values.values())
        marks = ", ".join("?" * len(given))
        insert = f"INSERT OR IGNORE INTO {table} ({', '.join(values)}) VALUES ({marks})"  # noqa: S608 - our own names
        added = execute(insert, given)
        if added.rowcount and added.lastrowid is not None:
            return added.lastrowid
        query = f"SELECT id FROM {table} WHERE ({', '.join(values)}) = ({marks})"  # noqa: S608 - the same
        return int(execute(query, given).fetchone()[0])

    def text(self, text: str) -> str:
        """See `Database.text`."""
        return text

    name = text


@contextmanager
def copy_of(outbox: str | os.PathLike[str] | None) -> Iterator[str]:
    """Copy an outbox, which may be in use, into a folder that is gone afterwards.

    Raises:
        OutboxError: it cannot be read, or there is no room for its copy.
    """
    try:
        made = TemporaryDirectory(prefix="leadconnector-")
    except OSError as error:
        raise errors.OutboxWriteError(fault("no_copies", error=error.strerror)) from error
    with made as folder:
        copy = str(Path(folder) / "outbox.db")
        if outbox is not None:
            _copy(os.fspath(outbox), copy)
        yield copy


def _copy(outbox: str, copy: str) -> None:
    try:
        with closing(open_to_read(outbox)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
    except schema.NothingYetError:
        return  # as one that is not there yet
    except sqlite3.Error as error:
        wrong = fault("not_copied", path=outbox, copy=copy, error=error)
        raise errors.OutboxWriteError(wrong) from error


def numbers(connection: Connection, query: str, values: Sequence[int] = ()) -> array[int]:
    """What a query for numbers gives, in 8 bytes each."""
    return array("q", chain.from_iterable(connection.execute(query, values)))


def packed(seqs: Collection[int]) -> bytes:
    """Write numbers as they are stored, whatever the machine."""
    return pack(f"<{len(seqs)}q", *seqs)


def unpacked(stored: bytes) -> Sequence[int]:
    """Read numbers back."""
    return array("q", unpack(f"<{len(stored) // 8}q", stored))
