"""The direct way: aiohttp's connections, without its session.

A session makes a request object, a response object, a writer, a parser, two streams, a context of
time-outs and a new set of headers for each request, which is three times what writing it and
reading its answer cost. Here a request is one write to a connection, and its answer one call of
`AnswerReader`. Names, TLS and their errors stay aiohttp's.

All of it rests on what is documented: a middleware is given a `ClientRequest` that says where it
leads, a connector's `connect` makes a connection of it, that has a `transport` and a `close`; and
asyncio lets a transport change its protocol. But `connect` takes more than its documentation says.
What a release has otherwise is noticed before anything has left, and then its session sends.
"""

from __future__ import annotations

import inspect
from asyncio import get_running_loop
from dataclasses import KW_ONLY, InitVar, dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp import TCPConnector
from aiohttp.http import HttpProcessingError
from yarl import URL

from leadconnector_async.errors import FateUnknownError
from leadconnector_async.transport.connection_ends import Connections, never_came, not_connected
from leadconnector_async.transport.connections import ConnectionPool, KeptConnection, MovedError
from leadconnector_async.transport.http1 import Heads

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from ssl import SSLContext

    from leadconnector_async.transport.base import MaySend, Request, Response


@dataclass(eq=False, repr=False)
class Direct:
    """Sends requests over a connector's connections. Belongs to one event loop.

    Where this release of aiohttp lacks what it needs, `MovedError` says so, or making one raises
    AttributeError or TypeError.
    """

    _session: aiohttp.ClientSession
    base_url: InitVar[str]
    _known: Connections
    _: KW_ONLY
    seconds: float
    connect: InitVar[float]
    connections: InitVar[int]
    ssl: SSLContext | bool
    agent: InitVar[str]
    otherwise: Callable[[Exception, Request, str, MaySend | None], Coroutine[Any, Any, Response]]

    def __post_init__(self, base_url: str, connect: float, connections: int, agent: str) -> None:
        self._loop = get_running_loop()
        self._connector = TCPConnector(limit=0, ttl_dns_cache=60)
        self._timeout = aiohttp.ClientTimeout(sock_connect=connect)
        self._heads = Heads(base_url, agent)
        self._url = URL(base_url)
        self._pool = ConnectionPool(self._connect, connections)
        inspect.signature(self._connector.connect).bind(None, [], self._timeout)

    async def send(self, request: Request, token: str, may_send: MaySend | None = None) -> Response:
        """See `Transport.send`."""
        written = self._heads.written(request, token)
        loop, pool = self._loop, self._pool
        if get_running_loop() is not loop:
            raise RuntimeError("the client was used in another event loop: make one for each")
        now = loop.time()
        due = now + self.seconds
        connection: KeptConnection | None = None
        try:
            while True:
                connection = pool.take(now) or await pool.wait(due)
                response = await pool.ask(connection, written, may_send, due)
                if response is not None:
                    break
                now = loop.time()
        except (aiohttp.ClientError, HttpProcessingError, OSError) as exc:
            left = connection is not None and connection.unwritten is None
            error = (never_came if left else not_connected)(exc)
        except MovedError as moved:
            return await self.otherwise(moved, request, token, may_send)
        else:
            pool.give_back(connection, loop.time())
            connection = None
            return response
        finally:
            if connection is not None:
                connection.drop()
        raise error  # here, where what was caught does not become its context

    async def read(self, request: Request, token: str, may_send: MaySend | None = None) -> Response:
        """Send what does no harm twice: once more where a kept connection turns out to have ended.

        See `Transport.send`.
        """
        try:
            return await self.send(request, token, may_send)
        except FateUnknownError as error:
            if not isinstance(error.__cause__, aiohttp.ServerDisconnectedError | ConnectionError):
                raise
        return await self.send(request, token, may_send)

    async def _connect(self) -> KeptConnection:
        destination = await _destination(self._session, self._url, ssl=self.ssl)
        given = await self._connector.connect(destination, [], self._timeout)
        connection = KeptConnection(given, self._pool)
        self._known.add(connection.transport)
        return connection

    async def close(self) -> None:
        """Close all connections. What is in flight ends without a fate."""
        self._pool.close()
        await self._connector.close()


class _FoundError(Exception):
    """Ends a request that was only made to know where it leads."""


async def _destination(
    session: aiohttp.ClientSession, url: URL, *, ssl: SSLContext | bool
) -> aiohttp.ClientRequest:
    """Return a request that leads there, as the session makes it."""
    found: list[aiohttp.ClientRequest] = []

    async def find(request: aiohttp.ClientRequest, _: object) -> aiohttp.ClientResponse:
        found.append(request)
        raise _FoundError

    try:
        await session.post(url, middlewares=(find,), ssl=ssl)
    except _FoundError:
        return found[0]
    raise RuntimeError("a middleware is not asked")
