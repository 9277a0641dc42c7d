"""The store itself, which its thread owns: each method is one job in a transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from leadconnector_async._outbox.admitting import Admitting
from leadconnector_async._outbox.books import PENDING, Books
from leadconnector_async._outbox.claims import Claims
from leadconnector_async._outbox.dismissing import Dismissing
from leadconnector_async._outbox.facts import Facts
from leadconnector_async._outbox.interface import Epoch, Spend
from leadconnector_async._outbox.lock import OwnerLock
from leadconnector_async._outbox.opening import explained, open_to_write
from leadconnector_async._outbox.retrying import Retrying
from leadconnector_async._outbox.sealing import Sealing
from leadconnector_async._outbox.settling import Settling
from leadconnector_async._outbox.staging import Staging

if TYPE_CHECKING:
    from sqlite3 import Connection

    from leadconnector_async._outbox.opening import Connect

_SOURCE: Final = "SELECT id FROM source WHERE name = ? AND form = ?"
_SPEND: Final = """SELECT location, day_used, day_ends, window_used, window_ends, day_limit
    FROM spend WHERE location = ?"""
_BUSY_LOCATIONS: Final = """SELECT name FROM location
    WHERE EXISTS (SELECT 1 FROM queue WHERE queue.location = location.id) ORDER BY id"""
_UNSENT: Final = """SELECT name, n FROM tally JOIN location ON location.id = tally.location
    WHERE state = ? AND n > 0 ORDER BY location.id"""


class Store:
    """Owns the file until `close`."""

    def __init__(self, connection: Connection, lock: OwnerLock) -> None:
        self.connection = connection
        self._lock = lock
        self._books = Books(connection)
        self.claims = Claims(connection)
        self.sealing = Sealing(connection, self.claims)
        self.staging = Staging(connection, self._books, self.sealing)
        self.admitting = Admitting(connection, self.staging, self.sealing, self.claims.held)
        self.facts = Facts(connection)
        self.settling = Settling(connection, self._books, self.claims, self.facts)
        self.dismissing = Dismissing(connection, self._books)
        self.retrying = Retrying(connection, self._books, self.claims, self.facts)

    def reload(self) -> None:
        """Read again whatever is kept in memory."""
        self._books.reload()
        self.claims.reload()
        self.sealing.reload()
        self.staging.reload()

    def close(self) -> None:
        """Let go of the file, and let the next owner in."""
        self.connection.close()
        self._lock.release()

    def begin(self, name: str) -> Epoch:
        """Count a new epoch of a location, and hand back what is held of it."""
        location = self._books.location(name)
        execute = self.connection.execute
        execute("UPDATE location SET epoch = epoch + 1 WHERE id = ?", (location,))
        (epoch,) = execute("SELECT epoch FROM location WHERE id = ?", (location,)).fetchone()
        spend = execute(_SPEND, (location,)).fetchone()
        unknown = self.claims.begin(location)
        return Epoch(location, name, epoch, unknown, None if spend is None else Spend(*spend))

    def source(self, name: str, form: bytes) -> int:
        """Return the number of a source, new if its name or form is."""
        execute = self.connection.execute
        execute("INSERT OR IGNORE INTO source (name, form) VALUES (?, ?)", (name, form))
        (number,) = execute(_SOURCE, (name, form)).fetchone()
        return int(number)

    def locations(self) -> list[str]:
        """Return the locations that have records in the queue, oldest first."""
        return [name for (name,) in self.connection.execute(_BUSY_LOCATIONS)]

    def unsent(self) -> dict[str, int]:
        """Return how many records of each location have no end yet, sealed or not."""
        return dict(self.connection.execute(_UNSENT, (PENDING,)).fetchall())


def open_store(path: str, connect: Connect) -> Store:
    """Take the lock, and open the file or make it.

    Raises:
        OutboxBusy: someone else has it.
        OutboxUnusable, OutboxWriteFailed: it cannot be used.
    """
    try:
        lock = OwnerLock(path)
    except OSError as error:
        raise explained(path, error) from error
    try:
        connection = open_to_write(path, connect)
    except BaseException:
        lock.release()
        raise
    return _ready(path, connection, lock)


def _ready(path: str, connection: Connection, lock: OwnerLock) -> Store:
    try:
        connection.execute("BEGIN IMMEDIATE")
        store = Store(connection, lock)
        connection.execute("COMMIT")
    except BaseException as error:
        connection.close()
        lock.release()
        raise explained(path, error) from error
    return store
