"""Which API an outbox belongs to: what is sent to a sandbox is not sent to the API."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Final

from leadconnector_async._errors import OutboxUnusable
from leadconnector_async._outbox.opening import open_to_read

if TYPE_CHECKING:
    from leadconnector_async._outbox.sqlite import SqliteOutbox

_PREFIX: Final = "destination "
"""It is kept among the names of sources, as one that has no records."""
_FORM: Final = b""
_NAMES: Final = "SELECT substr(name, ?) FROM source WHERE substr(name, 1, ?) = ? AND form = ?"


async def claim_for(outbox: SqliteOutbox, destination: str, *, name: str | None = None) -> None:
    """Note what the outbox is for, the first time; see that it is for the same ever after.

    ``name`` is what its user calls it.

    Raises:
        OutboxUnusable: it is for another one.
    """
    known = _known(outbox.path)
    if not known:
        await outbox.source(_PREFIX + destination, _FORM)
    elif destination not in known:
        raise OutboxUnusable(
            f"{name or outbox.path} belongs to an import into {known[0]}, not {destination}: what "
            "was sent there would not be sent here. Choose another --outbox"
        )


def _known(path: str) -> list[str]:
    length = len(_PREFIX)
    with closing(open_to_read(path)) as connection:
        rows = connection.execute(_NAMES, (length + 1, length, _PREFIX, _FORM))
        return [name for (name,) in rows]
