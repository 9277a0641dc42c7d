"""Connecting to a database, what its errors mean for its user, and one job after the other.

A job runs in a task of its own, in a transaction of its own. A caller that is cancelled takes
nothing back: the driver would cancel the statement with its task, and nobody would know how far it
came.
"""

import asyncio
import builtins
import logging
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import cache
from typing import Any, Final, TypeAlias
from uuid import uuid4

import asyncpg
from asyncpg import exceptions as pg

from leadconnector_async import errors
from leadconnector_async.data_files import read_toml
from leadconnector_async.errors import OutboxError, OutboxUnusableError, OutboxWriteError
from leadconnector_async.outbox.database import T, statements
from leadconnector_async.outbox.postgres.place import PostgresPlace

Connection: TypeAlias = Any
"""That of the driver, which has no types."""

_SQL: Final = statements(__package__, "connection")

_NAME: Final = "leadconnector"

_MAX_HOST: Final = 27
"""Characters of the machine's name: the server keeps 63 of a connection's."""


@cache
def _process_name(process: int) -> str:
    """The name for this process's connections. A fork is another process."""
    return f"{_NAME} {socket.gethostname()[:_MAX_HOST]}/{process} {uuid4().hex[:12]}"


def told_name(name: str) -> tuple[str, str]:
    """The label and the id in the name of a process's connection."""
    words = name.split(" ")
    is_ours = len(words) == 3 and words[0] == _NAME  # noqa: PLR2004 - as `_process_name` writes it
    return (words[1], words[2]) if is_ours else (name or "?", "")


_FAULTS: Final = read_toml(__package__, "faults")

SAID: Final[dict[str, str]] = _FAULTS["said"]
"""What is said of a server itself, by what is wrong with it."""

_CLIENT: Final = (pg.InterfaceError, pg.InternalClientError)
"""The driver's own. It raises the second where a connection ends in the middle of an operation."""

FAULTS: Final[tuple[type[Exception], ...]] = (pg.PostgresError, *_CLIENT, OSError)
"""What can come of any call, TimeoutError included, which is an OSError."""

_OF_THE_CALLER: Final[Any] = (pg.DataError, pg.IntegrityConstraintViolationError, ValueError)


def explained(place: PostgresPlace, error: BaseException) -> OutboxError:
    """Say in the user's words what happened, and what to do. No message holds a password."""
    if isinstance(error, OutboxError):
        return error
    at = place.shown
    if isinstance(error, pg.ProtocolViolationError) and "startup parameter" in str(error):
        return OutboxUnusableError(f"{at} {SAID['pooled']}")
    for row in _FAULTS["fault"]:
        kinds = tuple(getattr(pg, name, None) or getattr(builtins, name) for name in row["of"])
        if isinstance(error, kinds):
            said, name = str(error).partition("\n")[0], f'"{place.schema}"'  # details quote values
            kind: type[OutboxError] = getattr(errors, row["is"])
            return kind(row["says"].format(at=at, said=said, name=name, **SAID))
    return OutboxWriteError(f"{at} cannot be used ({type(error).__name__}): run again")


_log: Final = logging.getLogger(__name__)

_CONNECT_S: Final = 15.0

_CLOSE_S: Final = 5.0

HANGS_S: Final = 60.0
"""Seconds that closing waits for what is under way: a server that is cut off answers never."""

ALONE: Final = ""
"""Begins no transaction, for a job that writes in one statement alone, which is one by itself."""

_SETTINGS: Final = read_toml(__package__, "settings")

READING: Final[dict[str, str]] = _SETTINGS["reading"]

WRITING: Final[dict[str, str]] = _SETTINGS["writing"]

REHEARSING: Final = WRITING | {"idle_in_transaction_session_timeout": "0"}


async def connect(place: PostgresPlace, settings: dict[str, str]) -> Connection:
    """Open a connection whose names are those of the place's schema.

    Raises:
        OutboxError: there is none; the message says why, and what to do.
    """
    own = {"search_path": f'"{place.schema}"', "application_name": _process_name(os.getpid())}
    settings = settings | own
    try:
        connection = await asyncpg.connect(place.dsn, timeout=_CONNECT_S, server_settings=settings)
        try:  # A pooler lets everybody in, and has who asks for something wait for a connection.
            await connection.execute("SELECT 1", timeout=_CONNECT_S)
        except BaseException:  # a cancellation, too
            connection.terminate()
            raise
    except (OSError, ValueError, pg.ClientConfigurationError, TimeoutError) as error:
        raise _unreachable(place, error) from None
    except FAULTS as error:
        raise explained(place, error) from None
    return connection


def _unreachable(place: PostgresPlace, error: BaseException) -> OutboxError:
    # What the driver says of a URL may quote it, and with it the password.
    why = "its settings do not fit together"
    fix = "see that the server runs, and that host and port are right"
    if isinstance(error, TimeoutError):
        why = f"no answer within {_CONNECT_S:.0f} s"
        fix += ", and that a pooler on the way there has connections left: an import needs 3"
    elif isinstance(error, OSError):
        why = "it speaks no TLS" if "SSL upgrade" in str(error) else "what answers hangs up"
        why = error.strerror or why
    return OutboxUnusableError(f"{place.shown} cannot be reached ({why}): {fix}")


@asynccontextmanager
async def opened(
    place: PostgresPlace, settings: dict[str, str], *, keep: bool = False
) -> AsyncIterator[Connection]:
    """Connect for the block, or, with ``keep``, for good where that ends well.

    Raises:
        OutboxError: as `connect`; or what the block asks of the server fails.
    """
    connection, is_kept = await connect(place, settings), False
    try:
        yield connection
        is_kept = keep
    except FAULTS as error:
        raise explained(place, error) from None
    finally:
        if not is_kept:
            connection.terminate()


async def check_server(
    place: PostgresPlace, connection: Connection, *, to_read: bool = False
) -> None:
    """See that what answers is a server itself, and that it can be written unless ``to_read``.

    Raises:
        OutboxUnusableError: it is a pooler, or a standby.
    """
    async with connection.transaction():
        row = await connection.fetchrow(_SQL["server"])
    is_pooled = row[0] != connection.get_server_pid() and await _is_shared(place, row[0])
    is_pooled |= row[4] != f'"{place.schema}"'  # another schema would be used
    if is_pooled or (row[5] == "off" and not to_read):
        raise OutboxUnusableError(f"{place.shown} {SAID['pooled']}")
    if row[1] and not to_read:
        raise OutboxUnusableError(f"{place.shown}: {SAID['read_only']}")
    if row[2] < _OLDEST:
        raise OutboxUnusableError(f"{place.shown}: PostgreSQL 14 or later is needed: upgrade it")
    if row[3] and not to_read:
        _log.warning(SAID["asynchronous"], place.shown)


_OLDEST: Final = 140_000


async def _is_shared(place: PostgresPlace, process: int) -> bool:
    """Tell whether another connection gets to the server's process that this one had."""
    async with opened(place, {}) as other, other.transaction():
        return bool(await other.fetchval("SELECT pg_backend_pid()") == process)


class JobRunner:
    """Runs jobs over one connection, each in a transaction; after the first failure, none.

    Without ``transactions`` it begins none: whoever made the connection does.
    """

    def __init__(
        self, place: PostgresPlace, connection: Connection, *, transactions: bool = True
    ) -> None:
        self.place = place
        self.connection = connection
        self._transactions = transactions
        self._turn = asyncio.Lock()
        self._jobs: set[asyncio.Task[object]] = set()
        self._failure: OutboxError | None = None
        self._closing: asyncio.Task[None] | None = None
        self.committed: list[Callable[[], None]] = []
        """Called once the job that notes them is committed, and forgotten where it is undone."""
        self.undone: list[Callable[[], None]] = []
        """Called whenever a job was undone."""

    @property
    def closed(self) -> bool:
        """Whether no more jobs are taken."""
        return self._closing is not None

    @property
    def failed(self) -> bool:
        """Whether no job can be done any more."""
        return self._failure is not None or self.connection.is_closed()

    async def run(self, work: Callable[[Connection], Awaitable[T]], *, begin: str = "BEGIN") -> T:
        """Run a job; return its result once it is durable.

        Raises:
            OutboxError: the store failed, with this job or an earlier one.
        """
        if self._closing is not None:
            raise OutboxError(f"{self.place.shown} is closed")
        job = asyncio.ensure_future(self._run(work, begin))
        self._jobs.add(job)
        job.add_done_callback(self._ended)
        return await asyncio.shield(job)

    def _ended(self, job: asyncio.Task[object]) -> None:
        self._jobs.discard(job)
        if not job.cancelled():
            job.exception()  # nobody may be waiting for it any more

    async def _run(self, work: Callable[[Connection], Awaitable[T]], begin: str) -> T:
        async with self._turn:
            if self._failure is not None:
                raise type(self._failure)(*self._failure.args)
            try:
                return await self._in_transaction(work, begin)
            except AttributeError as error:
                if not self.connection.is_closed():
                    raise
                # The driver's own, where its connection is ended amid a call.
                self._failure = explained(self.place, ConnectionError())
                raise self._failure from error
            except FAULTS as error:
                if isinstance(error, _OF_THE_CALLER) and not self.connection.is_closed():
                    if isinstance(error.__cause__, OverflowError):
                        raise error.__cause__ from error
                    raise
                self._failure = explained(self.place, error)
                raise self._failure from error

    async def _in_transaction(self, work: Callable[[Connection], Awaitable[T]], begin: str) -> T:
        connection = self.connection
        begins = self._transactions and begin != ALONE
        if begins:
            await connection.execute(begin)
        try:
            result = await work(connection)
            if begins:
                await connection.execute("COMMIT")
        except BaseException:
            self.committed.clear()
            for call in self.undone:
                call()
            if begin != ALONE:
                with suppress(*FAULTS):
                    await connection.execute("ROLLBACK")
            raise
        for call in self.committed:
            call()
        self.committed.clear()
        return result

    async def close(self) -> None:
        """End after the jobs that are under way, even if this is cancelled."""
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        try:
            async with asyncio.timeout(HANGS_S):
                while self._jobs:
                    await asyncio.wait(self._jobs)
            await self.connection.close(timeout=_CLOSE_S)
        except FAULTS:
            self.connection.terminate()
