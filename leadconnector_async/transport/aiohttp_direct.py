"""The direct way: aiohttp's connections and its parser, without its session.

A session makes a request object, a response object, a writer, a context of time-outs and a new
set of headers for each request, which is twice what the pool, the write and the parser cost
together. Here a request is one write to a connection of the pool, and its answer is read from
aiohttp's parser. Names, TLS, the pool and its limit stay aiohttp's.

The pool, its `connect` and a connection's `transport`, `release` and `close` are documented. What
is not: a connection's `protocol` with its `set_response_params`, `read` and `should_close`, and the
parser's `HttpProcessingError`. They are what a session itself uses, the same in all releases from
3.11 to 3.14, and without them there is no way round the session: 73 microseconds of CPU for a
request instead of 134 (the bare loop of the benchmarks, Python 3.11, aiohttp 3.14, uvloop). So they
are probed when a session opens: a release that moved them is sent through by its session.

Time-outs for requests that all have the same: one timer serves them all.
"""

from __future__ import annotations

import asyncio
import inspect
from asyncio import AbstractEventLoop, Task, TimerHandle, current_task
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import HttpProcessingError
from yarl import URL

from leadconnector_async.errors import NotSentError
from leadconnector_async.transport.base import WITHHELD, Response, WithheldError
from leadconnector_async.transport.exceptions import never_came, not_connected
from leadconnector_async.transport.http1 import Heads, read_body

if TYPE_CHECKING:
    from ssl import SSLContext

    from aiohttp.connector import Connection

    from leadconnector_async.errors import TransportError
    from leadconnector_async.transport.base import MaySend, Request
    from leadconnector_async.transport.connections import Connections


class Deadlines:
    """Cancels the tasks whose request has taken too long.

    Requests begin in the order in which they are due, so only the first has to be timed. This
    costs 0.4 microseconds for a request, ``asyncio.timeout`` 6 (uvloop, Python 3.11).
    """

    def __init__(self, seconds: float, loop: AbstractEventLoop) -> None:
        self._seconds = seconds
        self._loop = loop
        self._due: dict[Task[Any], float] = {}
        self._timer: TimerHandle | None = None

    def begin(self) -> Task[Any]:
        """Time the current task, until it is handed to `end`."""
        task = current_task(self._loop)
        assert task is not None  # noqa: S101 - a coroutine that awaits a future runs in a task
        due = self._due[task] = self._loop.time() + self._seconds
        if self._timer is None:
            self._timer = self._loop.call_at(due, self._tick)
        return task

    def end(self, task: Task[Any]) -> bool:
        """Stop timing a task. True: it was cancelled, because its time had run out."""
        return self._due.pop(task, None) is None

    def close(self) -> None:
        """Time nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self._timer = None
        now = self._loop.time()
        for task, due in list(self._due.items()):
            if due > now:
                self._timer = self._loop.call_at(due, self._tick)
                return
            del self._due[task]
            task.cancel()


MAX_SPOILT: Final = 64
"""Connections with unasked-for bytes that are thrown away for one request, before it is given up:
a server may spoil those of a whole pool, but one that speaks first speaks no HTTP."""

_PROBE: Final = b"HTTP/1.1 200 OK\r\nX-Probe: 1\r\nContent-Length: 2\r\n\r\nok"

_INTERIM: Final = frozenset(range(100, 200)) - {101}
"""Statuses that another one follows. After 101 there is no more HTTP."""


class Direct:
    """Sends requests with a body over a connector's connections. Belongs to one event loop.

    Where this release of aiohttp lacks what it needs, making one raises AttributeError, TypeError,
    or what else comes of calling what has changed.
    """

    def __init__(  # noqa: PLR0913 - each is part of where it leads, or of its limits
        self,
        connector: aiohttp.BaseConnector,
        base_url: str,
        connections: Connections,
        *,
        seconds: float,
        connect: float,
        ssl: SSLContext | bool,
        agent: str,
    ) -> None:
        loop = asyncio.get_running_loop()
        self._connector = connector
        self._connections = connections
        self._timeout = aiohttp.ClientTimeout(sock_connect=connect)
        self._deadlines = Deadlines(seconds, loop)
        self._heads = Heads(base_url, agent)
        # `connect` asks a request only where it leads: one serves for all, and saves making one
        # for each (3 microseconds, 8 with its headers and body).
        self._destination = aiohttp.ClientRequest("POST", URL(base_url), loop=loop, ssl=ssl)
        inspect.signature(connector.connect).bind(self._destination, [], self._timeout)
        _probe(ResponseHandler(loop))

    async def send(self, request: Request, token: str, may_send: MaySend | None = None) -> Response:
        """See `Transport.send`."""
        written = self._heads.written(request, token)
        task = self._deadlines.begin()
        cancelling = task.cancelling()
        connection: Connection | None = None
        try:
            connection = await self._connect()
            response = await _exchange(connection, written, may_send)
        except asyncio.CancelledError:
            deferred = self._deadlines.end(task)
            if (task.uncancel() if deferred else task.cancelling()) > cancelling:
                raise
            error = _error(TimeoutError(), connection)
        except (aiohttp.ClientError, HttpProcessingError, OSError) as exc:
            error = _error(exc, connection)
        else:
            _give_back(connection)
            connection = None
            return response
        finally:
            self._deadlines.end(task)
            if connection is not None:
                _drop(connection)
        raise error  # here, where what was caught does not become its context

    async def _connect(self) -> Connection:
        for _ in range(MAX_SPOILT):
            connection = await self._connector.connect(self._destination, [], self._timeout)
            protocol = connection.protocol
            if protocol is not None and not protocol.should_close:
                assert connection.transport is not None  # noqa: S101 - its protocol is connected
                self._connections.add(connection.transport)
                return connection
            _drop(connection)
        raise NotSentError("no connection to the API (it speaks before it is asked)")

    def close(self) -> None:
        """Time nothing any more. The connections are the connector's."""
        self._deadlines.close()


def _probe(protocol: ResponseHandler) -> None:
    """Read one answer from a protocol that is fed by hand, as `_exchange` reads it from a server.

    Raises:
        AttributeError, TypeError, RuntimeError, ValueError: it is not what `_exchange` relies on.
    """
    protocol.connection_made(asyncio.Transport())
    protocol.set_response_params(read_until_eof=True, auto_decompress=False)
    protocol.data_received(_PROBE)
    reading = protocol.read()
    try:
        reading.send(None)
    except StopIteration as read:
        message, content = read.value
    else:
        reading.close()
        raise RuntimeError("an answer that is there is not read at once")
    seen = message.code, message.headers.get("X-Probe"), content.is_eof(), content.read_nowait()
    if seen != (200, "1", True, b"ok") or protocol.should_close:
        raise ValueError("an answer is not read as it was")


async def _exchange(connection: Connection, written: bytes, may_send: MaySend | None) -> Response:
    """Write a request, and read the answer to its end.

    Nothing is done between the question whether it may leave and its leaving: whoever is stopped
    there sends it when he goes on, however long that takes.
    """
    protocol, transport = connection.protocol, connection.transport
    assert protocol is not None  # noqa: S101 - it was just taken from the pool
    assert transport is not None  # noqa: S101
    protocol.set_response_params(read_until_eof=True, auto_decompress=False)
    if may_send is not None and not may_send():
        raise WithheldError(WITHHELD)
    # The whole at once, and no waiting until it has left: it is in memory anyway, and a refusal
    # that comes before the end of a large body must be read (413).
    transport.write(written)
    message, content = await protocol.read()
    while message.code in _INTERIM:
        message, content = await protocol.read()
    body = content.read_nowait() if content.is_eof() else await read_body(content)
    return Response(message.code, message.headers, body)


def _give_back(connection: Connection) -> None:
    """Return a connection to its pool, which closes one that was told to close or has more."""
    transport = connection.transport
    if transport is not None and transport.get_write_buffer_size():
        _drop(connection)  # answered before it was read: the rest would precede the next request
    else:
        connection.release()


def _drop(connection: Connection) -> None:
    """Close a connection at once, even if the other side does not take what was written."""
    transport = connection.transport
    if transport is not None:
        transport.abort()
    connection.close()


def _error(exc: Exception, connection: Connection | None) -> TransportError:
    return not_connected(exc) if connection is None else never_came(exc)
