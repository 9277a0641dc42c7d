"""OAuth's tokens in a database, among the tables of an outbox: for providers on several machines.

One connection is kept for all calls. While an installation's tokens are refreshed it holds an
advisory lock, so that nobody else refreshes them; the lock goes with the process.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final, TypeVar

from leadconnector_async.auth import store
from leadconnector_async.errors import NotSentError, OutboxError, TokenStoreError
from leadconnector_async.outbox.postgres.connection import (
    FAULTS,
    WRITING,
    Connection,
    check_server,
    explained,
    opened,
)
from leadconnector_async.outbox.postgres.place import read_place
from leadconnector_async.outbox.postgres.schema import LOCK_TOKENS, prepare

T = TypeVar("T")

_FAILURES: Final[tuple[type[Exception], ...]] = (OutboxError, *FAULTS)

_AGAIN_S: Final = (0.1, 0.5, 1.0, 2.0, 5.0, 5.0)
"""Seconds between attempts where the connection is lost: a pair that is not kept is gone."""


class TokenDatabase:
    """Does as `TokenStore`, in a database: ``url`` is that of an outbox, made if need be.

    Every call may raise `NotSentError` too, where the database is out of reach for now.

    Raises:
        OutboxUnusableError: it is no such URL.
    """

    def __init__(self, url: str) -> None:
        self._place = read_place(url)
        self._connection: Connection | None = None
        self._was_open = False
        self._turn = asyncio.Lock()
        self._held: dict[str, Connection] = {}
        """The installations that are refreshed here, and the connection that holds each's lock."""

    async def read(self, name: str) -> store.StoredTokens:
        """See `TokenStore.read`."""
        row = await self._run(lambda connection: connection.fetchrow(store.SQL["read"], name))
        return store.NOTHING if row is None else store.StoredTokens(*row)

    async def ask(self, name: str, asked: bytes | None, asked_at: float | None) -> None:
        """See `TokenStore.ask`.

        Raises:
            NotSentError: the lock was lost meanwhile. Another provider may have sent the token.
        """

        async def note(connection: Connection) -> None:
            if name not in self._held or self._held[name] is not connection:
                raise NotSentError(f"the connection to {self._place.shown} was lost")
            await connection.execute(store.SQL["ask"], name, asked, asked_at)

        await self._run(note)

    async def keep(self, name: str, kept: store.StoredTokens) -> None:
        """See `TokenStore.keep`."""
        await self._run(lambda connection: connection.execute(store.SQL["keep"], name, *kept[:5]))

    @asynccontextmanager
    async def alone(self, name: str) -> AsyncIterator[None]:
        """See `TokenStore.alone`."""
        key = self._place.lock_key(LOCK_TOKENS, int.from_bytes(store.digest(name)[:3], "big"))

        async def lock(connection: Connection) -> bool:
            if name in self._held:
                return False
            if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", key):
                return False
            self._held[name] = connection
            return True

        while not await self._run(lock):  # noqa: ASYNC110 - it may be another process's
            await asyncio.sleep(store.ASK_AGAIN_S)
        try:
            yield
        finally:
            async with self._turn:
                with suppress(*FAULTS):  # a lock that is lost is free
                    await self._held.pop(name).execute("SELECT pg_advisory_unlock($1)", key)

    async def close(self) -> None:
        """Let go of what is open. It is opened again where it is needed."""
        connection, self._connection = self._connection, None
        self._turn = asyncio.Lock()  # the next call may come in another loop
        if connection is not None:
            connection.terminate()

    async def _run(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Do one thing after the other, again where the connection was lost."""
        async with self._turn:
            for pause in (*_AGAIN_S, None):
                try:
                    return await work(await self._connected())
                except _FAILURES as error:
                    why, is_lost = explained(self._place, error), self._is_lost
                if not is_lost or not self._was_open:
                    raise TokenStoreError(f"the token store cannot be used: {why}")
                if pause is None:
                    raise NotSentError(f"the token store is out of reach: {why}")
                await asyncio.sleep(pause)
        raise AssertionError

    @property
    def _is_lost(self) -> bool:
        return self._connection is None or self._connection.is_closed()

    async def _connected(self) -> Connection:
        if self._is_lost:
            async with opened(self._place, WRITING, keep=True) as connection:
                await check_server(self._place, connection)
                await prepare(self._place, connection)
            self._connection, self._was_open = connection, True
        return self._connection

    def __repr__(self) -> str:
        return f"<TokenDatabase {self._place.shown}>"
