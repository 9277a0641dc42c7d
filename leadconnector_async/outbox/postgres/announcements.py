"""What processes tell each other through the database: work, ends, and why locations cannot go on.

What is announced is a hint. It is lost with a connection, and where two commit at the same moment;
so who waits looks by itself too, now and then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from leadconnector_async.errors import AccessError, DailyQuotaSpentError, ThrottledError
from leadconnector_async.models import Refusal
from leadconnector_async.outbox.base import StoppedLocation
from leadconnector_async.outbox.database import statements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from leadconnector_async.errors import RefusedError
    from leadconnector_async.outbox.postgres.connection import Connection
    from leadconnector_async.outbox.postgres.place import PostgresPlace

WORK, ENDS = "work", "ends"
"""Channels: of locations that have something to send, and of records that are settled."""

_MAX_SAID: Final = 1_000
"""Characters. The server takes 8,000 bytes less one."""

_SQL: Final = statements(__package__, "announcements")


async def announce(
    place: PostgresPlace, connection: Connection, locations: Iterable[str], seqs: Sequence[int] = ()
) -> None:
    """Tell that locations have something to send, and note the records that are waited for.

    An empty name stands for any location.
    """
    said = {name if len(name) <= _MAX_SAID else "" for name in locations}
    await connection.execute(_SQL["await"], sorted(seqs), place.channel(WORK), list(said))


async def listen(
    place: PostgresPlace, connection: Connection, of: str, told: Callable[[str], None]
) -> None:
    """Have ``told`` called with what is said in a channel, as long as the connection is there."""
    await connection.add_listener(place.channel(of), lambda *given: told(given[-1]))


_KINDS: Final = {of.__name__: of for of in (AccessError, DailyQuotaSpentError, ThrottledError)}


async def await_open(connection: Connection, seqs: Sequence[int]) -> dict[int, str]:
    """See `PostgresOutbox.await_ends`."""
    return dict(await connection.fetch(_SQL["await_open"], seqs))


async def stopped(connection: Connection) -> dict[str, StoppedLocation]:
    """Return all that cannot go on."""
    return {
        name: StoppedLocation(
            _KINDS[kind](msgspec.json.decode(refusal, type=Refusal)), at, max(age_ms, 0) / 1000
        )
        for name, kind, refusal, at, age_ms in await connection.fetch(_SQL["stopped"])
    }


async def stop(connection: Connection, location: int, error: RefusedError | None) -> None:
    """Write down why a location cannot go on; with None, that it does."""
    if error is None:
        await connection.execute(_SQL["go_on"], location)
    else:
        kind, refusal = type(error).__name__, msgspec.json.encode(error.refusal)
        await connection.execute(_SQL["stop"], location, kind, refusal)
