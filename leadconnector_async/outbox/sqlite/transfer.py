"""An outbox file as one end of a move to another store.

What it does holds the event loop: a move is a program of its own.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from leadconnector_async.errors import OutboxUnusableError
from leadconnector_async.locking import OwnerLock
from leadconnector_async.outbox.database import statements
from leadconnector_async.outbox.sqlite.claim_index import ClaimIndex
from leadconnector_async.outbox.sqlite.connection import packed, run_rows
from leadconnector_async.outbox.sqlite.source_form import FORM, WITH_SHAPE, SourceForms, restored
from leadconnector_async.outbox.sqlite.upkeep import cut_log, opened
from leadconnector_async.outbox.transfer import BATCH, RELATIONS, reading
from leadconnector_async.records.deferred import LocalFile, read_deferred

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from sqlite3 import Connection

    from leadconnector_async.outbox.database import Rows


_SQL: Final = statements(__package__, "transfer", form=FORM, shape=WITH_SHAPE)


class SqliteTransfer:
    """`StoreTransfer` over a connection that owns its file."""

    def __init__(self, path: str, connection: Connection) -> None:
        self._path = path
        self._connection = connection
        self._held: list[int] = []
        self._forms = SourceForms(connection)
        self._locations: dict[int, str] = {}
        self._folder = Path(f"{path}.files").absolute()
        self._paths: dict[str, Path] = {}
        self.retired: str | None = None
        """The name that the file has now, if it is retired."""

    async def rows(self, relation: str) -> AsyncIterator[Rows]:
        """See `StoreTransfer.rows`."""
        if relation == "held":
            held = ClaimIndex(self._connection).lanes.items()
            yield [(of, seq) for of, lanes in held for seq in chain(*lanes.values())]
            return
        if relation == "file":
            return
        cursor = self._connection.execute(reading(relation, _SQL))
        while page := cursor.fetchmany(BATCH):
            if relation == "record":
                page = [(*row[:10], restored(*row[10:])) for row in page]
            yield page

    async def retire(self) -> str:
        """See `StoreTransfer.retire`."""
        self._connection.execute("PRAGMA busy_timeout = 1000")
        cut_log(self._path, self._connection)  # the next file would find one of the old name
        self.retired = f"{self._path}.moved"
        _rename(self._path, self.retired)
        return self.retired

    async def write(self, relation: str, rows: Rows) -> None:
        """See `StoreTransfer.write`."""
        if relation == "held":
            self._held += [seq for _, seq in rows]
            return
        if relation == "record":
            kept = [(*row[:6], self._here(row[6]), row[7]) for row in rows]
            self._insert("record", _COLUMNS[:8], kept)
            stored, named = self._forms.stored, self._locations
            origins = [
                (row[0], *row[8:10], stored(row[10], row[5], row[4], named[row[1]]))
                for row in rows
                if row[8] is not None or row[10]
            ]
            self._insert("origin", ("seq", *_COLUMNS[8:]), origins)
            return
        if relation == "file":
            for digest, n, content in rows:
                self._keep(digest, n, content)
            return
        if relation == "location":
            self._locations.update((number, name) for number, name in rows)
        names = RELATIONS[relation]
        if relation == "owner":
            names, rows = names[1:], [row[1:] for row in rows]
        self._insert(relation, names, rows)

    def _here(self, deferred: str | None) -> str | None:
        """Name the files of a record where they are to be kept from now on."""
        found = read_deferred(deferred) if deferred else None
        if found is None or not found.files:
            return deferred
        here = [self._moved(item) for item in found.attachments]
        return replace(found, attachments=here).encoded()

    def _moved(self, item: str | LocalFile) -> str | LocalFile:
        if isinstance(item, str):
            return item
        path = self._folder / item.digest / PurePath(item.path).name
        self._paths[item.digest] = path
        return replace(item, path=str(path))

    def _keep(self, digest: str, n: int, content: bytes) -> None:
        path = self._paths.get(digest)
        if path is not None:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            path.parent.mkdir(mode=0o700, exist_ok=True)
            with path.open("ab" if n else "wb") as file:
                file.write(content)

    def _insert(self, table: str, names: Sequence[str], rows: Rows) -> None:
        run_rows(self._connection, f"INSERT INTO {table} ({', '.join(names)}) {{rows}}", rows)

    async def finish(self) -> None:
        """See `StoreTransfer.finish`."""
        for name in ("count", "publish"):
            self._connection.execute(_SQL[name])
        if self._held:
            row = (1, packed(self._held))
            self._connection.execute("INSERT INTO claimed (batch, seqs) VALUES (?, ?)", row)
        self._connection.execute("COMMIT")


_COLUMNS: Final = RELATIONS["record"]


@contextmanager
def moving_from(path: str) -> Iterator[SqliteTransfer]:
    """Own a file to move what it holds.

    Raises:
        OutboxError: it cannot be used, or is in use; or there is a file that was moved before.
    """
    if Path(f"{path}.moved").exists():
        raise OutboxUnusableError(f"{path}.moved exists already: put it elsewhere, and move again")
    with OwnerLock(path), opened(path) as connection:
        source = SqliteTransfer(path, connection)
        try:
            yield source
        except BaseException:
            if source.retired is not None:
                _rename(source.retired, path)
            raise


@contextmanager
def moving_to(path: str) -> Iterator[SqliteTransfer]:
    """Make a new file, which takes its name when the block ends well.

    Raises:
        OutboxError: it exists already, or cannot be written.
    """
    if Path(path).exists():
        raise OutboxUnusableError(f"{path} exists already: name another file")
    half = f"{path}.part"
    _remove(half)  # of a process that was killed
    try:
        with opened(half) as connection:
            connection.execute("BEGIN")
            yield SqliteTransfer(path, connection)
            cut_log(half, connection)
        _rename(half, path)
    finally:
        _remove(half)


def _remove(path: str) -> None:
    for suffix in ("", "-wal", "-shm"):
        with suppress(OSError):
            Path(path + suffix).unlink()


def _rename(path: str, name: str) -> None:
    Path(path).rename(name)
