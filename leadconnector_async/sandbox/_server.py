"""The sandbox on a port of this machine."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Self

from aiohttp import web

from leadconnector_async.sandbox._config import SandboxConfig
from leadconnector_async.sandbox._facade import Facade
from leadconnector_async.sandbox._wire import Delays, Pauses, Wire, drop, response
from leadconnector_async.sandbox._world import World

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

_BACKLOG = 4096
_PATIENCE = 2.0
"""Seconds that handlers get to end by themselves when the sandbox stops."""


class Sandbox(Facade):
    """The stand-in for the API, in the running loop.

    ::

        async with Sandbox(SandboxConfig(limits=Limits())) as sandbox:
            ...  # sandbox.url, sandbox.token, sandbox.location_id, sandbox.messages

    Port 0 takes a free port. ``clock`` gives seconds, and times limits and lags.
    """

    def __init__(
        self,
        config: SandboxConfig | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.world = World(config or SandboxConfig(), clock)
        self._host = host
        self._port = port
        self._delays: Delays | None = None
        if self.config.latency != type(self.config.latency)():
            self._delays = Delays(self.config.latency, self.config.seed)
        self._pauses = Pauses()
        self._wire = Wire(self._pauses, self._go_down_soon)
        self._server: web.Server | None = None
        self._listener: asyncio.Server | None = None
        self._outages: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"Sandbox({self.url or 'not started'!r}, {self.world.store.total} messages)"

    async def __aenter__(self) -> Self:
        await self.come_up()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for outage in self._outages:
            outage.cancel()
        await asyncio.gather(*self._outages, return_exceptions=True)
        await self.go_down()

    async def come_up(self) -> None:
        """Open the port, the same one as before."""
        if self._listener is not None:
            return
        loop = asyncio.get_running_loop()
        self._server = web.Server(
            self._handle, access_log=None, keepalive_timeout=self.config.keep_alive
        )
        self._listener = await loop.create_server(
            self._server, self._host, self._port, backlog=_BACKLOG, reuse_address=True
        )
        self._port = self._listener.sockets[0].getsockname()[1]
        host = f"[{self._host}]" if ":" in self._host else self._host
        self.world.url = f"http://{host}:{self._port}"

    async def go_down(self) -> None:
        """Close the port and every connection. What is stored stays."""
        listener, server = self._listener, self._server
        if listener is None or server is None:
            return
        self._listener = None
        listener.close()
        self._pauses.stop()
        for connection in server.connections:
            if connection.transport is not None:
                connection.transport.abort()
        # One turn of the loop tells the connections that they are lost, and idle ones end.
        await asyncio.sleep(0)
        await server.shutdown(_PATIENCE)
        await listener.wait_closed()

    def _go_down_soon(self, seconds: float) -> None:
        outage = asyncio.get_running_loop().create_task(self._outage(seconds))
        self._outages.add(outage)
        outage.add_done_callback(self._outages.discard)

    async def _outage(self, seconds: float) -> None:
        await self.go_down()
        await asyncio.sleep(seconds)
        await self.come_up()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await self._answer(request)
        except ConnectionError:
            return drop(request)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.content.read()
        delays = self._delays
        if delays is not None:
            await self._pauses.wait(delays.up())
        exchange = self.world.serve(request.method, request.raw_path, request.headers, body)
        reply, wire = exchange.reply, exchange.wire
        status = reply.status if wire is None else 0
        self.world.requests[exchange.endpoint, status] += 1
        if delays is not None:
            await self._pauses.wait(delays.down())
        if wire is None:
            return response(reply)
        return await self._wire.spoil(request, reply, wire)
