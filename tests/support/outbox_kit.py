"""What the tests of the outbox share: drafts, fates, faults, and a crash."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import TYPE_CHECKING, Any, Self, TypeVar

from leadconnector_async.outbox.base import Settlement, State
from leadconnector_async.outbox.source_pass import SourcePass
from leadconnector_async.outbox.sqlite.outbox import SqliteOutbox
from leadconnector_async.outbox.sqlite.reader import SqliteOutboxReader
from leadconnector_async.records.draft import Draft

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
    from pathlib import Path

    from leadconnector_async.outbox.base import Claim, Outbox
    from leadconnector_async.outbox.reader import FailedRecord, OutboxSummary, SentRecord
    from leadconnector_async.outbox.sqlite.connection import Connect

T = TypeVar("T")
AT = 1_700_000_000_000
"""A moment in Unix milliseconds."""
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
"""For processes of the tests, which find what this one finds."""


def draft(  # noqa: PLR0913 - a draft has as many fields
    key: str,
    *,
    location: str = "l1",
    lane: int = 1,
    date: int = 0,
    counted: bool = False,
    payload: bytes | None = b"{}",
    problem: str | None = None,
    line: int = 1,
) -> Draft:
    """Make a draft; with a ``problem`` it is a refused one."""
    body = None if problem else payload
    raw = f"{key} {problem}".encode() if body is None else b"%b %b" % (key.encode(), body)
    return Draft(location, lane, date, key.encode(), counted, body, line, raw, problem)


def said(text: object) -> bytes:
    """A body with a text."""
    return b'{"message":"%b"}' % str(text).encode()


def drafts(number: int, *, lanes: int = 1, location: str = "l1") -> list[Draft]:
    """Make drafts with keys and dates of their own, spread over lanes."""
    return [
        draft(f"{location}-{n}", location=location, lane=n % lanes, date=n, line=n + 1)
        for n in range(number)
    ]


def in_outbox(
    path: Path, work: Callable[[SqliteOutbox], Awaitable[T]], *, connect: Connect = sqlite3.connect
) -> T:
    """Open an outbox in an event loop of its own, work with it, and close it."""

    async def main() -> T:
        async with await SqliteOutbox.open(path, connect=connect) as outbox:
            return await work(outbox)

    return asyncio.run(main())


def run_apart(work: Coroutine[Any, Any, T]) -> T:
    """Run in a thread and a loop of its own, whether there is one here or not."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


class OutboxFile:
    """An outbox file as a test reads it: without a loop, and beside one."""

    def __init__(self, path: Path) -> None:
        self._reader = SqliteOutboxReader(path)

    def summary(self, **options: Any) -> OutboxSummary:  # noqa: ANN401 - passed on
        """Its figures."""
        return run_apart(self._reader.summary(**options))

    def failed(self) -> list[FailedRecord]:
        """The failed records."""
        return run_apart(listed(self._reader.failed()))

    def sent(self, location: str) -> list[SentRecord]:
        """The sent records of a location."""
        return run_apart(listed(self._reader.sent(location)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        run_apart(self._reader.close())


async def one_page(rows: list[T]) -> AsyncIterator[list[T]]:
    """Give rows as a reader does."""
    yield rows


async def listed(pages: AsyncIterator[list[T]]) -> list[T]:
    """What comes in pages."""
    return [row async for page in pages for row in page]


async def published(outbox: Outbox, batch: Sequence[Draft]) -> None:
    """Stage a batch as one reading, and publish it."""
    await outbox.stage(batch, SourcePass())
    await outbox.publish()


async def claimed(outbox: Outbox, number: int, location: str = "l1") -> list[Claim]:
    """Claim from one location; under a new lease."""
    lease, *_ = await outbox.acquire(location)
    (claims,) = await outbox.claim([(lease, number)])
    return claims


def fate(claim: Claim, state: State = State.SENT, **details: Any) -> Settlement:  # noqa: ANN401 - any field of it
    """Give a claim its end."""
    if state is State.SENT:
        details.setdefault("message_id", f"m{claim.seq}")
    return Settlement(claim, state, details.pop("at", AT), claim.attempts + 1, **details)


def keys(claims: Sequence[Claim]) -> list[str]:
    """The keys of claims, as the drafts had them."""
    return [claim.key.decode() for claim in claims]


def crashed(path: Path, names: count[int] = count()) -> Path:  # noqa: B008 - one for all calls
    """Copy the files as a crash at this moment would leave them."""
    copy = path.with_name(f"crashed{next(names)}.db")
    for suffix in ("", "-wal"):
        source = path.with_name(path.name + suffix)
        if source.exists():
            shutil.copy(source, copy.with_name(copy.name + suffix))
    return copy


def failing(error: sqlite3.Error, on: str, *, after: int = 0) -> Connect:
    """Connect so that one statement that begins with ``on`` fails, after so many that do not."""
    passed = count()

    class Failing(sqlite3.Connection):
        def execute(self, statement: str, *args: Any) -> sqlite3.Cursor:  # noqa: ANN401 - passed on
            if statement.startswith(on) and next(passed) == after:
                raise error
            return super().execute(statement, *args)

    def connect(database: str, /, **options: Any) -> sqlite3.Connection:  # noqa: ANN401 - passed on
        connection: sqlite3.Connection = sqlite3.connect(database, factory=Failing, **options)
        return connection

    return connect


def of_pages(pages: int) -> Connect:
    """Connect so that the file cannot grow beyond so many pages, like a disk that is full."""

    def connect(database: str, /, **options: Any) -> sqlite3.Connection:  # noqa: ANN401 - passed on
        connection: sqlite3.Connection = sqlite3.connect(database, **options)
        connection.execute(f"PRAGMA max_page_count = {pages}")
        return connection

    return connect
