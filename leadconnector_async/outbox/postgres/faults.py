"""What the errors of a database mean for its user, and what to do about them."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Final

from asyncpg import exceptions as pg

from leadconnector_async import errors
from leadconnector_async.outbox.database import read_toml

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


def explained(place: PostgresPlace, error: BaseException) -> errors.OutboxError:
    """Say in the user's words what happened, and what to do. No message holds a password."""
    if isinstance(error, errors.OutboxError):
        return error
    at = place.shown
    if isinstance(error, pg.ProtocolViolationError) and "startup parameter" in str(error):
        return errors.OutboxUnusableError(f"{at} {SAID['pooled']}")
    for row in _TABLE["fault"]:
        kinds = tuple(getattr(pg, name, None) or getattr(builtins, name) for name in row["of"])
        if isinstance(error, kinds):
            said, name = str(error).partition("\n")[0], f'"{place.schema}"'  # details quote values
            kind: type[errors.OutboxError] = getattr(errors, row["is"])
            return kind(row["says"].format(at=at, said=said, name=name, **SAID))
    return errors.OutboxWriteError(f"{at} cannot be used ({type(error).__name__}): run again")


_TABLE: Final = read_toml(__package__, "faults")

SAID: Final[dict[str, str]] = _TABLE["said"]
"""What is said of a server itself, by what is wrong with it."""
