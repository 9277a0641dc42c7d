from __future__ import annotations

import asyncio
import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Barrier
from typing import TYPE_CHECKING

import pytest

from leadconnector_async.auth.store import NOTHING, StoredTokens, TokenStore, digest
from leadconnector_async.errors import TokenStoreError

if TYPE_CHECKING:
    from pathlib import Path

APPLICATION = 0x4C43544B
PAIR = StoredTokens(access="a1", renew_at=90.0, ends_at=100.0, refresh="r1", seed=digest("r0"))


def read(path: Path, name: str = "one") -> StoredTokens:
    """What a store that has just been opened has of an installation."""
    return asyncio.run(TokenStore(path).read(name))


def keep(path: Path) -> None:
    """Keep the pair of one installation."""
    asyncio.run(TokenStore(path).keep("one", PAIR))


def test_what_is_kept_is_read_by_another(tmp_path: Path) -> None:
    """By its name, with every field."""
    path = tmp_path / "t.db"
    keep(path)
    assert read(path) == PAIR
    assert read(path, "two") == NOTHING


def test_a_mark_stays_until_a_pair_is_kept_or_it_is_taken_back(tmp_path: Path) -> None:
    """It changes nothing else."""
    path = tmp_path / "t.db"
    store = TokenStore(path)
    asyncio.run(store.ask("one", digest("r0"), 5.0))
    assert read(path) == StoredTokens(asked=digest("r0"), asked_at=5.0)
    keep(path)
    assert read(path) == PAIR
    asyncio.run(store.ask("one", digest("r1"), 6.0))
    marked = read(path)
    assert (marked.refresh, marked.asked) == ("r1", digest("r1"))
    asyncio.run(store.ask("one", None, None))
    assert read(path) == PAIR


def test_its_owner_alone_may_read_it(tmp_path: Path) -> None:
    """From the first moment, and also where it was copied carelessly."""
    path = tmp_path / "t.db"
    keep(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    read(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_of_something_else_is_left_alone(tmp_path: Path) -> None:
    """A database of another program, one that is damaged, and a folder that is not there."""
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE t (x)")
    before = path.read_bytes()
    with pytest.raises(TokenStoreError, match=r"other\.db is no token store of this version"):
        read(path)
    assert path.read_bytes() == before
    (tmp_path / "text").write_text("some text that is longer than the head of a database " * 5)
    with pytest.raises(TokenStoreError, match="text cannot be used"):
        read(tmp_path / "text")
    with pytest.raises(TokenStoreError, match="name a file in a folder that exists"):
        read(tmp_path / "no" / "t.db")


@pytest.mark.parametrize(
    "marks",
    [
        "CREATE TABLE t (x); PRAGMA user_version = 1",  # the number of this version, by chance
        "PRAGMA application_id = 7",
        "PRAGMA user_version = 7",
        f"PRAGMA application_id = {APPLICATION}; PRAGMA user_version = 2",  # a later one's
    ],
)
def test_a_file_that_another_program_or_version_has_marked_is_left_alone(
    tmp_path: Path, marks: str
) -> None:
    """Even one without tables: its program makes them, or knows what these tables are."""
    path = tmp_path / "t.db"
    with closing(sqlite3.connect(path)) as other:
        other.executescript(marks)
    before = path.read_bytes()
    with pytest.raises(TokenStoreError, match="no token store of this version"):
        read(path)
    assert path.read_bytes() == before


async def test_a_lock_that_cannot_be_made_says_what_to_do(tmp_path: Path) -> None:
    """As in a folder that is only read."""
    path = tmp_path / "t.db"
    (tmp_path / f"t.db.{digest('one').hex()[:12]}.lock").mkdir()
    with pytest.raises(TokenStoreError, match="needs a folder that can be written"):
        async with TokenStore(path).alone("one"):
            pass


@pytest.mark.slow
def test_threads_that_make_one_file_at_once_all_read_it(tmp_path: Path) -> None:
    """None of them sees the marks without the tables, or the other way round."""
    start = Barrier(4)

    def read_at_once(path: Path) -> StoredTokens:
        start.wait()
        return read(path)

    with ThreadPoolExecutor(4) as threads:
        for attempt in range(60):
            path = tmp_path / f"{attempt}.db"
            assert list(threads.map(read_at_once, [path] * 4)) == [NOTHING] * 4


def test_no_token_is_shown() -> None:
    """By neither repr."""
    assert "a1" not in repr(PAIR)
    assert "r1" not in repr(PAIR)
    assert digest("r1") != digest("r0")
