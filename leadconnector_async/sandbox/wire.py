"""What can happen to an answer on its way: delays, and connections that break."""

import asyncio
import math
import socket
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Final

from aiohttp import web

from leadconnector_async.sandbox.config import Latency
from leadconnector_async.sandbox.faults import Fault
from leadconnector_async.sandbox.replies import Reply

GoDown = Callable[[float], None]

_HUGE: Final = 100 * 1024 * 1024

_CHUNK: Final = b" " * 65_536

_NO_LINGER: Final = struct.pack("ii", 1, 0)


class Pauses:
    """Waits that end at once, with an exception, when the server stops."""

    def __init__(self) -> None:
        self._stopping = asyncio.Event()

    async def wait(self, seconds: float) -> None:
        """Wait so long.

        Raises:
            ConnectionAbortedError: the server stops.
        """
        if not seconds:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
            raise ConnectionAbortedError("the sandbox stops")

    def stop(self) -> None:
        """End every wait."""
        self._stopping.set()
        self._stopping = asyncio.Event()  # it may go on


class Delays:
    """Draws how long a request and its answer take."""

    def __init__(self, latency: Latency, seed: int) -> None:
        self._latency = latency
        self._random = Random(f"latency:{seed}")  # noqa: S311 - reproducible, not secret

    def up(self) -> float:
        """Seconds on the way in."""
        return self._latency.up + self._latency.jitter * self._random.random()

    def down(self) -> float:
        """Seconds on the way back."""
        return self._latency.down + self._latency.jitter * self._random.random()


def response(reply: Reply) -> web.Response:
    """The answer as it should be."""
    headers = {"Content-Type": reply.content_type, **reply.headers}
    return web.Response(status=reply.status, body=reply.body, headers=headers)


def drop(request: web.BaseRequest) -> web.StreamResponse:
    """Close the connection. What is returned has nowhere to go."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def _mislabel(request: web.BaseRequest, reply: Reply, fault: Fault) -> web.StreamResponse:
    """Write a head with a false length, and close: the HTTP library would refuse to."""
    half = len(reply.body) // 2
    length, sent = (len(reply.body), half) if fault.kind == "cut" else (half, len(reply.body))
    fields = {"Content-Length": length, "Content-Type": reply.content_type, **reply.headers}
    head = f"HTTP/1.1 {reply.status} OK\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    if request.transport is not None:
        request.transport.write(f"{head}\r\n".encode() + reply.body[:sent])
        request.transport.close()
    return web.Response()


def _limit(fault: Fault, default: float = 30.0) -> float:
    return default if fault.seconds is None else fault.seconds


async def _flood(request: web.BaseRequest, reply: Reply, fault: Fault) -> web.StreamResponse:
    """Write so much that nobody should read all of it, or go on for some time."""
    stream = web.StreamResponse(headers={"Content-Type": reply.content_type, **reply.headers})
    now = asyncio.get_running_loop().time
    left, until = _HUGE // len(_CHUNK), math.inf
    if fault.kind == "huge":
        stream.content_length = _HUGE
    else:
        stream.enable_chunked_encoding()
        left, until = sys.maxsize, now() + _limit(fault)
    await stream.prepare(request)
    while left and now() < until:
        await stream.write(_CHUNK)
        left -= 1
    return stream if fault.kind == "huge" else drop(request)


async def spoil(
    request: web.BaseRequest, reply: Reply, fault: Fault, pauses: Pauses, go_down: GoDown
) -> web.StreamResponse:
    """Let a fault of the connection happen. ``go_down`` closes the port for some seconds.

    Raises:
        ConnectionError: the client left, or the server stops.
    """
    match fault.kind:
        case "cut" | "overlong":
            return _mislabel(request, reply, fault)
        case "huge" | "endless":
            return await _flood(request, reply, fault)
        case "reset" if request.transport is not None:
            connection = request.transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        case "hang":
            await pauses.wait(_limit(fault))
        case "down":
            go_down(_limit(fault, 1.0))
    return drop(request)
