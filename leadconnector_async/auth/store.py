"""Where what OAuth gives is kept; and the file that keeps it, which its owner alone may read.

The SQLite file is opened for each call and closed after it: calls are rare, and another process can
use it meanwhile.
"""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, NamedTuple

from leadconnector_async.errors import OutboxBusyError, TokenStoreError
from leadconnector_async.locking import OwnerLock
from leadconnector_async.outbox.database import statements

_APPLICATION: Final = 0x4C43544B
"""Marks the file as ours ("LCTK")."""

_VERSION: Final = 1

_BUSY_S: Final = 10.0

SQL: Final = statements(__package__, "store", application=str(_APPLICATION), version=str(_VERSION))


class StoredTokens(NamedTuple):
    """What is known of an installation. Times are in seconds since 1970."""

    access: str | None = None
    renew_at: float | None = None
    ends_at: float | None = None
    refresh: str | None = None
    seed: bytes | None = None
    asked: bytes | None = None
    asked_at: float | None = None

    def __repr__(self) -> str:
        return f"StoredTokens(until {self.ends_at})"


NOTHING: Final = StoredTokens()


def digest(token: str) -> bytes:
    """What tells a token from another without telling the token."""
    return blake2b(token.encode(), digest_size=16).digest()


ASK_AGAIN_S: Final = 0.05
"""Seconds between two looks whether another process has done with an installation."""


class TokenStore:
    """Keeps tokens in a file, by the name of their installation.

    Every call may raise `TokenStoreError`.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path: str = os.fspath(path)

    async def read(self, name: str) -> StoredTokens:
        """What is kept, or `NOTHING`."""
        row = await asyncio.to_thread(self._do, SQL["read"], name)
        return NOTHING if row is None else StoredTokens(*row)

    async def ask(self, name: str, asked: bytes | None, asked_at: float | None) -> None:
        """Note, before it is sent, which refresh token is; or, afterwards, that nothing came.

        Only within `alone`.
        """
        await asyncio.to_thread(self._do, SQL["ask"], name, asked, asked_at)

    async def keep(self, name: str, kept: StoredTokens) -> None:
        """Write a new pair. It is on the disk when this returns."""
        await asyncio.to_thread(self._do, SQL["keep"], name, *kept[:5])  # what is asked: see `ask`

    @asynccontextmanager
    async def alone(self, name: str) -> AsyncIterator[None]:
        """Keep out everyone who refreshes this installation, until the block ends or the process.

        One who is kept out waits.
        """
        path = f"{self.path}.{digest(name).hex()[:12]}"
        while True:
            try:
                lock = OwnerLock(path)
            except OutboxBusyError:
                await asyncio.sleep(ASK_AGAIN_S)
            except OSError as error:
                wrong = f"{path}.lock cannot be made ({error.strerror})"
                fix = "the token store needs a folder that can be written"
                raise TokenStoreError(f"{wrong}: {fix}") from error
            else:
                break
        with lock:
            yield

    async def close(self) -> None:
        """Nothing is open between two calls."""

    def _do(self, statement: str, *values: object) -> tuple[Any, ...] | None:
        # Of SQLite, as of PostgreSQL, $1 is a parameter: one with the name 1.
        named = {str(number): value for number, value in enumerate(values, 1)}
        with self._open() as connection:
            row: tuple[Any, ...] | None = connection.execute(statement, named).fetchone()
        return row

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            # Before SQLite makes it, whose files everyone may read. An existing one is not opened:
            # closing it would drop SQLite's locks on it in this process.
            with suppress(FileExistsError):
                Path(self.path).touch(0o600, exist_ok=False)
            name = Path(self.path).absolute()  # else one that begins with file: may be a URI
            with closing(sqlite3.connect(name, timeout=_BUSY_S, isolation_level=None)) as db:
                # FULL could lose the last commit with the power: the journal's removal, which is
                # the commit, is not synced. https://www.sqlite.org/pragma.html#pragma_synchronous
                db.execute("PRAGMA synchronous = EXTRA")
                self._prepare(db)
                yield db
        except sqlite3.Error as error:
            wrong = f"the token store {self.path} cannot be used ({error})"
            fix = "see that the disk has room and the folder can be written, or name another file"
            raise TokenStoreError(f"{wrong}: {fix}") from error
        except OSError as error:
            wrong = f"the token store {self.path} cannot be made ({error.strerror})"
            fix = "name a file in a folder that exists and can be written"
            raise TokenStoreError(f"{wrong}: {fix}") from error

    def _prepare(self, db: sqlite3.Connection) -> None:
        # In one transaction: another provider may make tables and marks between two of these.
        db.execute("BEGIN")
        (tables,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        (application,) = db.execute("PRAGMA application_id").fetchone()
        (version,) = db.execute("PRAGMA user_version").fetchone()
        db.execute("COMMIT")
        if application == _APPLICATION and version == _VERSION:
            if Path(self.path).stat().st_mode & 0o077:  # a copy that was made carelessly
                Path(self.path).chmod(0o600)
            return
        if application or version or tables:
            wrong = f"{self.path} is no token store of this version"
            raise TokenStoreError(f"{wrong}: name another file")
        db.executescript(SQL["schema"])

    def __repr__(self) -> str:
        return f"<TokenStore {self.path}>"
