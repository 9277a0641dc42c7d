"""A server that does with each connection what a test says, and transports to it."""

from __future__ import annotations

import asyncio
import socket
import struct
import traceback
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import aiohttp
import pytest

from leadconnector_async.transport.aiohttp_session import AiohttpTransport, Timeouts
from leadconnector_async.transport.base import Request

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable

    Handler = Callable[["Peer"], Awaitable[None]]

P = ParamSpec("P")
T = TypeVar("T")
TOKEN = "pit-4e1c9f-Blue-Heron"
POST = Request("POST", "/conversations/messages/inbound", "2021-04-15", b'{"type":"SMS"}')
GET = Request("GET", "/conversations/v1/messages?limit=100", "2021-04-15")
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
ENDLESS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
MIB = 1 << 20
WAY = ContextVar("WAY", default="direct")
"""How transports send: by the direct way, or through a session that was handed in."""


def either_way(test: Callable[P, T]) -> Callable[P, T]:
    """Run a test both ways."""
    twice = pytest.mark.parametrize("way", ["direct", "session"], indirect=True)
    return pytest.mark.usefixtures("way")(twice(test))


class Peer:
    """One connection as the server sees it."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, server: Server
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.server = server

    async def request(self) -> bytes:
        """Read a whole request, and note it. Raises EOFError at the connection's end."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        body = await self.reader.readexactly(length)
        self.server.requests.append(head + body)
        self.server.note()
        return head + body

    async def send(self, data: bytes) -> None:
        """Write, and wait until it has left."""
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """Close with a reset instead of an end."""
        linger = struct.pack("ii", 1, 0)
        connection = self.writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.writer.close()


class Server:
    """A server that does with each connection what its handler says, and notes requests."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.requests: list[bytes] = []
        self.connections = 0
        self.ended = 0
        self.url = ""
        self.refuse: Callable[[], None] = lambda: None
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection, until it ends or the test does."""
        self.connections += 1
        self.note()
        try:
            await self.handler(Peer(reader, writer, self))
        except (EOFError, ConnectionError):
            pass
        finally:
            self.ended += 1
            self.note()
            writer.close()

    def note(self) -> None:
        """Something happened that a test may wait for."""
        self._changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something has happened, though not for ever."""
        async with asyncio.timeout(120):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection in a task that the test ends with itself."""
        task = asyncio.ensure_future(self.accept(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def end(self) -> None:
        """End what is still served."""
        for task in list(self._tasks):
            task.cancel()
            await asyncio.wait([task])


@asynccontextmanager
async def serving(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """A server on loopback."""
    server = Server(handler)
    listener = await asyncio.start_server(server.begin, "127.0.0.1", 0, ssl=tls)
    server.refuse = listener.close
    port = listener.sockets[0].getsockname()[1]
    server.url = f"http{'s' if tls else ''}://127.0.0.1:{port}"
    try:
        yield server
    finally:
        listener.close()
        await server.end()


@asynccontextmanager
async def transport_to(
    url: str,
    timeouts: Timeouts | None = None,
    **options: Any,  # noqa: ANN401 - any option
) -> AsyncIterator[AiohttpTransport]:
    """A transport that is closed at the end."""
    wanted = timeouts or Timeouts(connect=5, read=5)
    given = {"connections": 4} | options
    async with AsyncExitStack() as stack:
        if WAY.get() == "session" and "session" not in given:
            connector = aiohttp.TCPConnector(limit=given["connections"])
            session = aiohttp.ClientSession(connector=connector)
            given["session"] = await stack.enter_async_context(session)
        transport = AiohttpTransport(url, timeouts=wanted, **given)
        stack.push_async_callback(transport.close)
        yield transport


async def answer_all(peer: Peer) -> None:
    """Answer every request of a connection with 200."""
    while True:
        await peer.request()
        await peer.send(OK)


def everything_in(error: BaseException | None) -> str:
    """All that a log could show of an exception, chained ones included even where suppressed."""
    shown, seen, queue = [], set[int](), [error]
    while queue:
        exc = queue.pop()
        if exc is None or id(exc) in seen:
            continue
        seen.add(id(exc))
        queue += [exc.__cause__, exc.__context__]
        shown += [repr(exc), str(exc), repr(exc.args), repr(vars(exc))]
        shown += traceback.format_exception(exc)
    return "\n".join(shown)
