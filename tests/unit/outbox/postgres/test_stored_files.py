"""Files in the database: they are there as long as a record that is not sent needs them."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from outbox_kit import claimed, draft, fate, published

from leadconnector_async.errors import OutboxWriteError
from leadconnector_async.outbox.postgres.outbox import PostgresOutbox
from leadconnector_async.outbox.postgres.stored_files import PIECE
from leadconnector_async.outbox.source_pass import SourcePass
from leadconnector_async.records.deferred import Deferred, LocalFile, current_digest

if TYPE_CHECKING:
    from leadconnector_async.records.draft import Draft

LARGE = b"many pieces" * (PIECE // 5)


def with_file(key: str, path: Path, digest: str | None = None) -> Draft:
    """A draft of a record with one attachment."""
    file = LocalFile(str(path), digest or current_digest(str(path)))
    return replace(draft(key), deferred=Deferred(attachments=[file]).encoded())


async def fetched(outbox: PostgresOutbox, digest: str) -> bytes | None:
    """What a worker gets of a file."""
    path = await outbox.fetch_file(digest)
    return None if path is None else await asyncio.to_thread(Path(path).read_bytes)


@pytest.mark.slow
async def test_a_file_is_there_until_its_last_record_is_sent(
    postgres_place: str, tmp_path: Path
) -> None:
    """Also where it is staged again just before it would be removed."""
    path = tmp_path / "large.pdf"
    path.write_bytes(LARGE)
    digest = current_digest(str(path))
    async with await PostgresOutbox.open(postgres_place) as outbox:
        await published(outbox, [with_file("a", path)])
        (claim,) = await claimed(outbox, 1)
        await outbox.settle([fate(claim)], ())
        await published(outbox, [with_file("b", path)])
    path.unlink()
    async with await PostgresOutbox.open(postgres_place) as outbox:
        assert await fetched(outbox, digest) == LARGE
        (claim,) = await claimed(outbox, 1)
        await outbox.settle([fate(claim)], ())
    async with await PostgresOutbox.open(postgres_place) as outbox:
        assert await fetched(outbox, digest) is None


async def test_a_folder_for_files_without_room_is_an_error_that_says_so(
    postgres_place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker ended in a traceback; nothing is sent, and it goes on once there is room."""
    path = tmp_path / "one.png"
    path.write_bytes(b"one")
    digest = current_digest(str(path))
    async with await PostgresOutbox.open(postgres_place) as outbox:
        await published(outbox, [with_file("a", path)])
        with monkeypatch.context() as patched:
            patched.setattr(tempfile, "tempdir", str(tmp_path / "no"))
            with pytest.raises(OutboxWriteError, match="set TMPDIR to a folder with room"):
                await fetched(outbox, digest)
        assert await fetched(outbox, digest) == b"one"


async def test_a_file_that_is_another_by_now_is_not_stored(
    postgres_place: str, tmp_path: Path
) -> None:
    """Nor one that is gone: the record is staged, and fails when it is sent."""
    path = tmp_path / "one.png"
    path.write_bytes(b"another")
    was = "0" * 32
    async with await PostgresOutbox.open(postgres_place) as outbox:
        drafts = [with_file("a", path, was), with_file("b", tmp_path / "gone", "1" * 32)]
        assert (await outbox.stage(drafts, SourcePass())).staged == 2
        assert await fetched(outbox, was) is None
        assert await fetched(outbox, "1" * 32) is None
