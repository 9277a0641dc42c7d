"""What the errors of a database mean for its user, and what to do about them."""

from __future__ import annotations

import builtins
import tomllib
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from asyncpg import exceptions as pg

from leadconnector_async import errors

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
        return errors.OutboxUnusableError(f"{at} {POOLED}")
    for row in _TABLE["fault"]:
        kinds = tuple(getattr(pg, name, None) or getattr(builtins, name) for name in row["of"])
        if isinstance(error, kinds):
            said, name = str(error).partition("\n")[0], f'"{place.schema}"'  # details quote values
            told = {"said": said, "name": name, "read_only": READ_ONLY, "pooled": POOLED}
            kind: type[errors.OutboxError] = getattr(errors, row["is"])
            return kind(row["says"].format(at=at, **told))
    return errors.OutboxWriteError(f"{at} cannot be used ({type(error).__name__}): run again")


READ_ONLY: Final = "the server only reads, as a standby does: give the address of the primary"

POOLED: Final = (
    "goes through a connection pooler in transaction mode, where nobody can hold a lock, or one "
    "that keeps settings from the server: give the server's own address"
)

_TABLE: Final = tomllib.loads(files(__package__).joinpath("faults.toml").read_text("utf-8"))
