"""An outbox in a database that is opened to be read, beside whoever writes it.

Nothing here writes or waits. Rows come in pages, each found by where the last one ended: no old
snapshot is held between them, which would keep the server from clearing dead rows away, but for
what is asked `at_one_moment`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, Self

import msgspec

from leadconnector_async.errors import OutboxUnusableError
from leadconnector_async.outbox.base import State, StoppedLocation
from leadconnector_async.outbox.database import Database, T, statements
from leadconnector_async.outbox.durable import Unsettled
from leadconnector_async.outbox.outbox_reader import OutboxReader
from leadconnector_async.outbox.postgres import connection as server
from leadconnector_async.outbox.postgres.announcements import stopped
from leadconnector_async.outbox.postgres.counters import ServerDatabase
from leadconnector_async.outbox.postgres.leases import shard_of
from leadconnector_async.outbox.postgres.place import PostgresPlace, read_place
from leadconnector_async.outbox.postgres.schema import LOCK_MEMBER, LOCK_SHARD, check_schema
from leadconnector_async.outbox.reader import FailedRecord, HistoryRecord, KindOf, Owner, kind_of

_RECORDS_PAGE: Final = 1_000

_FAILED_PAGE: Final = 16
"""A failed record comes with the text of its source, which can be as long as a mail."""

_SQL: Final = statements(__package__, "reader")


_MOMENT: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


class PostgresOutboxReader(OutboxReader):
    """`OutboxReader` over a connection, which is closed with it if it is ``owned``."""

    _store = __package__
    _queries = _SQL

    def __init__(self, runner: server.JobRunner, *, owned: bool = True) -> None:
        self._runner = runner
        self._owned = owned
        self._is_at_one_moment = not owned

    @classmethod
    async def open(cls, place: str | PostgresPlace) -> Self:
        """Open an outbox beside whoever writes it.

        Raises:
            OutboxError: there is none, or it cannot be read.
        """
        where = read_place(place) if isinstance(place, str) else place
        async with server.opened(where, server.READING, keep=True) as connection:
            await server.check_server(where, connection, to_read=True)
            await check_schema(where, connection)
        return cls(server.JobRunner(where, connection, transactions=False))

    async def _read(self, work: Callable[[server.Connection], Awaitable[T]]) -> T:
        with self._explained():
            return await self._runner.run(work)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (msgspec.DecodeError, LookupError) as error:
            wrong = f"{self._runner.place.shown} is damaged ({error})"
            raise OutboxUnusableError(f"{wrong}: restore it from a copy") from error

    async def _ask(self, work: Callable[[Database], Awaitable[T]]) -> T:
        return await self._read(lambda connection: work(ServerDatabase(connection)))

    @asynccontextmanager
    async def at_one_moment(self) -> AsyncIterator[None]:
        """See `OutboxReader.at_one_moment`."""
        if self._is_at_one_moment:
            yield
            return
        await self._read(lambda connection: connection.execute(_MOMENT))
        self._is_at_one_moment = True
        try:
            yield
        finally:
            self._is_at_one_moment = False
            if not self._runner.closed:
                await self._read(lambda connection: connection.execute("ROLLBACK"))

    async def _owners(self, locations: Iterable[str], since: int) -> tuple[Owner, ...]:
        by_lock: dict[int, list[str]] = {}
        for name in locations:
            by_lock.setdefault(LOCK_SHARD << 24 | shard_of(name), []).append(name)
        group = self._runner.place.lock_key(0) >> 32
        found = await self._rows(_SQL["owners"], group, since, [LOCK_SHARD, LOCK_MEMBER])
        return tuple(
            Owner(
                *server.told_name(application),
                joined=any(lock >> 24 == LOCK_MEMBER for lock in locks),
                locations=frozenset(name for lock in locks for name in by_lock.get(lock, ())),
                sent_lately=sent,
            )
            for application, locks, sent in found
        )

    async def stopped(self) -> dict[str, StoppedLocation]:
        """See `OutboxReader.stopped`."""
        return await self._read(stopped)

    async def failed(self) -> AsyncIterator[list[FailedRecord]]:
        """See `OutboxReader.failed`."""
        seqs = [seq for (seq,) in await self._rows(_SQL["failed"])]
        for at in range(0, len(seqs), _FAILED_PAGE):
            rows = await self._rows(_SQL["failed_pages"], seqs[at : at + _FAILED_PAGE])
            yield [FailedRecord(key, of, State(state), *rest) for key, of, state, *rest in rows]

    async def records(self, kind_of_refused: KindOf) -> AsyncIterator[list[HistoryRecord]]:
        """See `OutboxReader.records`."""
        last = 0
        async with self.at_one_moment():
            while rows := await self._rows(_SQL["records"], last, _RECORDS_PAGE):
                with self._explained():
                    page = [_history_record(row, kind_of_refused) for row in rows]
                yield page
                last = rows[-1][0]

    async def close(self) -> None:
        """See `OutboxReader.close`."""
        if self._owned:
            await self._runner.close()

    def __repr__(self) -> str:
        return f"<PostgresOutboxReader {self._runner.place.shown}>"


def _history_record(row: Sequence[Any], kind_of_refused: KindOf) -> HistoryRecord:
    _, location, date, payload, state, found, form, raw = row
    kind = kind_of_refused(form, raw) if payload is None else kind_of(payload, date)
    return HistoryRecord(location, *kind, state, bool(found))


async def unsettled(connection: server.Connection, met: bytes | None) -> dict[str, Unsettled]:
    """See `PostgresOutbox.unsettled`. It reads the whole queue's index, and no records."""
    begins = 0
    if met is not None:  # the numbers of earlier imports are many, and not wanted
        begins, met = len(met) - len(met.lstrip(b"\0")), met.strip(b"\0")
    rows = await connection.fetch(_SQL["unsettled"], met, 8 * begins)
    return {name: Unsettled(*counts) for name, *counts in rows}
