"""Which API an outbox belongs to: what is sent to a sandbox is not sent to the API."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

from leadconnector_async.errors import OutboxError, OutboxUnusableError
from leadconnector_async.outbox.sqlite.connection import open_to_read
from leadconnector_async.outbox.sqlite.reader import SqliteOutboxReader

if TYPE_CHECKING:
    from leadconnector_async.outbox.sqlite.outbox import SqliteOutbox


def folders_of(outbox: str) -> list[Path]:
    """The folders of the sources that were read into an outbox, which may not be there yet.

    Their files may be named again: a list of failed records can lie in another folder.
    """
    if not Path(outbox).is_file():
        return []
    try:
        with SqliteOutboxReader(outbox) as reader:
            names = reader.sources()
    except OutboxError:  # of an older form, or none: who opens it to write says so
        return []
    return list(dict.fromkeys(Path(name).absolute().parent for name in names if name))


_PREFIX: Final = "destination "
"""It is kept among the names of sources, as one that has no records."""

_FORM: Final = b""

_NAMES: Final = "SELECT substr(name, ?) FROM source WHERE substr(name, 1, ?) = ? AND form = ?"


async def claim_for(outbox: SqliteOutbox, destination: str, *, name: str | None = None) -> None:
    """Note what the outbox is for, the first time; see that it is for the same ever after.

    ``name`` is what its user calls it.

    Raises:
        OutboxUnusableError: it is for another one.
    """
    known = _known(outbox.path)
    if not known:
        await outbox.source(_PREFIX + destination, _FORM)
    elif destination not in known:
        raise OutboxUnusableError(
            f"{name or outbox.path} belongs to an import into {known[0]}, not {destination}: what "
            "was sent there would not be sent here. Choose another --outbox"
        )


def _known(path: str) -> list[str]:
    length = len(_PREFIX)
    with closing(open_to_read(path)) as connection:
        rows = connection.execute(_NAMES, (length + 1, length, _PREFIX, _FORM))
        return [name for (name,) in rows]
