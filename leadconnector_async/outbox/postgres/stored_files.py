"""Files of records, in the database: whoever sends a record can upload what they hold.

Each content is stored once, with the first record that has it, in the transaction that stages
that; and is removed when the last one is sent. All who do either take turns, so that nobody
removes what another one has just found to be there.
"""

import asyncio
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO, Final

from leadconnector_async.outbox.database import statements
from leadconnector_async.outbox.postgres.connection import Connection, JobRunner
from leadconnector_async.outbox.postgres.counters import columns
from leadconnector_async.records.deferred import LocalFile, read_deferred
from leadconnector_async.records.draft import Draft

PIECE: Final = 1 << 20
"""Bytes of a file in memory at a time, and in a row."""

MAX_STAGED: Final = 8 << 20
"""Bytes of files in one transaction, or one file: others who stage wait for its end."""

_MARK: Final = '"digest":'
"""What the deferred parts of a record with files have in them; few others have."""

_SQL: Final = statements(__package__, "stored_files")


def local_files(deferred: str | None) -> Sequence[LocalFile]:
    """The files of a record, of which nearly none has any."""
    return read_deferred(deferred).files if deferred and _MARK in deferred else ()


def lots(drafts: Sequence[Draft]) -> Iterator[Sequence[Draft]]:
    """Drafts in lots whose files go into one transaction each."""
    begin = size = 0
    for at, draft in enumerate(drafts):
        more = sum(map(_size, local_files(draft.deferred)))
        if more and size and size + more > MAX_STAGED:
            yield drafts[begin:at]
            begin, size = at, 0
        size += more
    yield drafts[begin:]


def _size(file: LocalFile) -> int:
    try:
        return Path(file.path).stat().st_size
    except OSError:
        return 0


async def keep(connection: Connection, uses: Sequence[tuple[int, LocalFile]]) -> None:
    """Note which records have which files, and store what is new of these."""
    if not uses:
        return
    await connection.execute(_SQL["use"], *columns([(seq, file.digest) for seq, file in uses]))
    paths = {file.digest: file.path for _, file in uses}
    for (digest,) in await connection.fetch(_SQL["add"], list(paths)):
        await _store(connection, digest, paths[digest])


async def _store(connection: Connection, digest: str, path: str) -> None:
    """Store what a file holds. One that is gone, or is another by now, fails when it is sent."""
    held, n = blake2b(digest_size=16), 0
    try:
        file: BinaryIO = await asyncio.to_thread(open, path, "rb")
    except OSError:
        return
    with file:
        while piece := await asyncio.to_thread(_read, file):
            held.update(piece)
            await connection.execute(_SQL["add_piece"], digest, n, piece)
            n += 1
    if held.hexdigest() != digest:
        await connection.execute("DELETE FROM file_piece WHERE digest = $1", digest)


def _read(file: BinaryIO) -> bytes:
    try:
        return file.read(PIECE)
    except OSError:
        return b""


async def fetch(runner: JobRunner, digest: str, path: Path) -> bool:
    """Write what is stored to a file. False if nothing is stored."""
    n = 0
    with path.open("wb") as file:
        while True:
            piece = await runner.run(
                lambda connection: connection.fetchval(_SQL["piece"], digest, n)  # noqa: B023 - awaited here
            )
            if piece is None:
                return n > 0
            await asyncio.to_thread(file.write, piece)
            n += 1


async def unuse(connection: Connection, seqs: Sequence[int]) -> set[str]:
    """Note that records need no files any more. Returns the digests of those that they had."""
    if not seqs:
        return set()
    return {digest for (digest,) in await connection.fetch(_SQL["unuse"], seqs)}


async def remove_unused(connection: Connection, digests: Sequence[str] | None = None) -> None:
    """Remove those of some files, or of all, that no record needs any more."""
    await connection.execute(_SQL["remove"], digests)
