"""What the errors of a database mean for its user, and what to do about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from asyncpg import exceptions as pg

from leadconnector_async.errors import (
    OutboxBusyError,
    OutboxError,
    OutboxUnusableError,
    OutboxWriteError,
)

if TYPE_CHECKING:
    from leadconnector_async.outbox.postgres.place import PostgresPlace

_CLIENT: Final = (pg.InterfaceError, pg.InternalClientError)
"""The driver's own. It raises the second where a connection ends in the middle of an operation."""

FAULTS: Final[tuple[type[Exception], ...]] = (pg.PostgresError, *_CLIENT, OSError)
"""What can come of any call, TimeoutError included, which is an OSError."""

OF_THE_CALLER: Final[tuple[type[Exception], ...]] = (
    pg.DataError,
    pg.IntegrityConstraintViolationError,
    ValueError,
)


def explained(place: PostgresPlace, error: BaseException) -> OutboxError:
    """Say in the user's words what happened, and what to do. No message holds a password."""
    if isinstance(error, OutboxError):
        return error
    at = place.shown
    if isinstance(error, pg.ProtocolViolationError) and "startup parameter" in str(error):
        return OutboxUnusableError(f"{at} {POOLED}")
    for of, texts in _EXPLAINED.items():
        for kinds, what in texts.items():
            if isinstance(error, kinds):
                return of(what.format(at=at, said=_said(error), name=f'"{place.schema}"'))
    if isinstance(error, pg.PostgresError):
        return OutboxWriteError(f"{at} cannot be written ({_said(error)}): see the server's log")
    return OutboxWriteError(f"{at} cannot be used ({type(error).__name__}): run again")


def _said(error: BaseException) -> str:
    """The first line of what the server said. Its details quote values."""
    return str(error).partition("\n")[0]


READ_ONLY: Final = "the server only reads, as a standby does: give the address of the primary"

POOLED: Final = (
    "goes through a connection pooler in transaction mode, where nobody can hold a lock, or one "
    "that keeps settings from the server: give the server's own address"
)

_EXPLAINED: Final[dict[type[OutboxError], dict[tuple[type[Exception], ...], str]]] = {
    OutboxUnusableError: {
        (pg.InvalidPasswordError, pg.InvalidAuthorizationSpecificationError): (
            "{at}: the server refuses the user or password: give the right ones in the URL, or the "
            "password in PGPASSWORD or ~/.pgpass"
        ),
        (pg.InvalidCatalogNameError,): "{at}: there is no such database: make it, or name another",
        (pg.InsufficientPrivilegeError,): (
            "{at}: {said}: let an owner of the database run leadconnector outbox init, and GRANT "
            "USAGE ON SCHEMA {name} and ALL ON ALL TABLES and SEQUENCES IN SCHEMA {name} to the "
            "user"
        ),
        (pg.ReadOnlySQLTransactionError,): f"{{at}}: {READ_ONLY}",
        (pg.UndefinedTableError, pg.UndefinedColumnError): (
            "{at} is damaged ({said}): restore it from a copy, or choose another schema"
        ),
        (pg.DuplicatePreparedStatementError, pg.InvalidSQLStatementNameError): f"{{at}} {POOLED}",
    },
    OutboxBusyError: {
        (pg.TooManyConnectionsError,): (
            "{at}: the server takes no more connections ({said}): end others, or raise the limit"
        ),
        (pg.DeadlockDetectedError, pg.LockNotAvailableError): (
            "{at} is locked by another program: run again"
        ),
    },
    OutboxWriteError: {
        (pg.DiskFullError,): "{at}: the server's disk is full: make room, and run again",
        (pg.QueryCanceledError,): (
            "{at}: the server ended a statement ({said}): raise its statement_timeout, and run "
            "again"
        ),
        (pg.CannotConnectNowError, pg.AdminShutdownError, pg.CrashShutdownError): (
            "{at}: the server starts or ends: run again once it is there"
        ),
        (pg.PostgresConnectionError, *_CLIENT, ConnectionError, TimeoutError): (
            "{at}: the connection was lost: run again once the server is there"
        ),
    },
    OutboxError: {  # a fault of the program's: no other connection would do better
        (pg.SyntaxOrAccessError,): (
            "{at}: the server does not understand a statement ({said}): report it"
        ),
    },
}
"""The first that fits: some are kinds of the last."""
