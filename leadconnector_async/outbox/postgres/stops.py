"""Why locations cannot go on, as their owners have written it down for everybody else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from leadconnector_async.errors import AccessError, DailyQuotaSpentError, ThrottledError
from leadconnector_async.models import Refusal
from leadconnector_async.outbox.base import StoppedLocation

if TYPE_CHECKING:
    from leadconnector_async.errors import RefusedError
    from leadconnector_async.outbox.postgres.connection import Connection

_NOW: Final = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"

_STOPPED: Final = f"""SELECT name, kind, refusal, at, {_NOW} - at
    FROM stopped JOIN location ON id = location ORDER BY id"""  # noqa: S608 - our own words

_STOP: Final = f"""INSERT INTO stopped VALUES ($1, {_NOW}, $2, $3)
    ON CONFLICT (location) DO UPDATE
    SET at = excluded.at, kind = excluded.kind, refusal = excluded.refusal"""  # noqa: S608 - the same

_KINDS: Final = {
    kind.__name__: kind for kind in (AccessError, DailyQuotaSpentError, ThrottledError)
}


async def stopped(connection: Connection) -> dict[str, StoppedLocation]:
    """Return all that cannot go on."""
    return {
        name: StoppedLocation(
            _KINDS[kind](msgspec.json.decode(refusal, type=Refusal)), at, max(age_ms, 0) / 1000
        )
        for name, kind, refusal, at, age_ms in await connection.fetch(_STOPPED)
    }


async def stop(connection: Connection, location: int, error: RefusedError | None) -> None:
    """Write down why a location cannot go on; with None, that it does."""
    if error is None:
        await connection.execute("DELETE FROM stopped WHERE location = $1", location)
    else:
        kind, refusal = type(error).__name__, msgspec.json.encode(error.refusal)
        await connection.execute(_STOP, location, kind, refusal)
