"""What a test may ask of a sandbox, and tell it, wherever it runs.

The sandbox on a port of this machine, in the running loop, or in a thread and a loop of its own.
"""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from typing import Self

from aiohttp import web

from leadconnector_async.sandbox.app import respond
from leadconnector_async.sandbox.config import SandboxConfig
from leadconnector_async.sandbox.faults import Fault
from leadconnector_async.sandbox.message_store import Conversation, Upload
from leadconnector_async.sandbox.replies import error
from leadconnector_async.sandbox.state import SandboxState, StoredMessages
from leadconnector_async.sandbox.wire import Delays, Pauses, drop, response, spoil


class SandboxBase:
    """The common part of `Sandbox` and `SandboxThread`."""

    state: SandboxState

    @property
    def url(self) -> str:
        """The base address. It stays the same while the host is down."""
        return self.state.url

    @property
    def config(self) -> SandboxConfig:
        """The settings of this moment."""
        return self.state.config

    @property
    def token(self) -> str:
        """A token that is let in: the first of ``tokens``, else ``config.token``."""
        return next(iter(self.config.tokens), self.config.token)

    @property
    def location_id(self) -> str:
        """The location of `token`."""
        return self.config.tokens.get(self.token, self.config.location_id)

    @property
    def tokens(self) -> dict[str, str]:
        """A token for each location."""
        given = {where: token for token, where in self.config.tokens.items()}
        return given or {self.location_id: self.token}

    @property
    def messages(self) -> StoredMessages:
        """What is stored, in the order of arrival. Empty with ``keep_messages=False``."""
        return StoredMessages(self.state.store.messages(), self.state.calls, self.state.contacts)

    @property
    def stored(self) -> Counter[str]:
        """How many messages are stored, by location, kept or not."""
        return self.state.store.counts

    @property
    def requests(self) -> Counter[tuple[str, int]]:
        """How many requests were answered, by endpoint and status. 0 stands for no answer."""
        return self.state.requests

    @property
    def faults_fired(self) -> Counter[str]:
        """How often each kind of fault has happened."""
        return self.state.faults.fired

    @property
    def contacts(self) -> list[dict[str, object]]:
        """The contacts that were given or created."""
        return self.state.contacts.all()

    @property
    def conversations(self) -> list[Conversation]:
        """The conversations of all locations."""
        return self.state.store.conversations()

    @property
    def uploads(self) -> list[Upload]:
        """The files that were uploaded."""
        return list(self.state.uploads)

    def know(
        self,
        *,
        contacts: Iterable[str] = (),
        conversations: Iterable[str] = (),
        providers: Iterable[str] = (),
        location: str | None = None,
    ) -> None:
        """Take ids for ones that the sandbox gave out; it refuses all others.

        ``location`` defaults to the sandbox's own.

        Raises:
            TypeError: ids are one text.
        """
        if any(isinstance(ids, str) for ids in (contacts, conversations, providers)):
            raise TypeError("ids are one text, whose letters would be known: give a list")
        where = location or self.location_id
        self.state.know(where, contacts=contacts, conversations=conversations, providers=providers)

    def set_faults(self, *faults: Fault) -> None:
        """Replace the faults; none makes the sandbox faultless."""
        self.state.faults.set(faults)

    def reconfigure(self, **changes: object) -> None:
        """Change settings of `SandboxConfig` while running, all but latency and keep-alive."""
        self.state.reconfigure(**changes)

    def consume(self, location: str | None = None, n: int = 1, *, app: str | None = None) -> int:
        """Use up quota from outside, as another program with the same app would.

        ``app`` is the location's token where tokens are configured. Returns how many of the
        ``n`` requests were let through.
        """
        where = location or self.location_id
        if app is None:
            app = next((token for token, home in self.config.tokens.items() if home == where), "")
        limiter = self.state.rate_limiter(app, where)
        return sum(limiter.allow(self.state.clock()).allowed for _ in range(n))


_BACKLOG = 4096

_PATIENCE = 2.0
"""Seconds that handlers get to end by themselves when the sandbox stops."""


class Sandbox(SandboxBase):
    """The stand-in for the API, in the running loop.

    ::

        async with Sandbox(SandboxConfig(limits=Limits())) as sandbox:
            ...  # sandbox.url, sandbox.token, sandbox.location_id, sandbox.messages

    Port 0 takes a free port. ``clock`` gives seconds, and times limits and lags.

    Example:
        >>> async with Sandbox(SandboxConfig(closed=False)) as sandbox:
        ...     api = LeadConnector(sandbox.token, base_url=sandbox.url)
    """

    def __init__(
        self,
        config: SandboxConfig | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.state: SandboxState = SandboxState(config or SandboxConfig(), clock)
        self._host = host
        self._port = port
        self._delays = Delays(self.config.latency, self.config.seed)
        self._pauses = Pauses()
        self._server: web.Server | None = None
        self._listener: asyncio.Server | None = None
        self._outages: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"Sandbox({self.url or 'not started'!r}, {self.state.store.total} messages)"

    async def __aenter__(self) -> Self:
        await self.come_up()
        return self

    async def __aexit__(self, *_: object) -> None:
        for outage in self._outages:
            outage.cancel()
        await asyncio.gather(*self._outages, return_exceptions=True)
        await self.go_down()

    async def come_up(self) -> None:
        """Open the port, the same one as before."""
        if self._listener is not None:
            return
        idle = self.config.keep_alive
        self._server = web.Server(self._handle, access_log=None, keepalive_timeout=idle)
        self._listener = await asyncio.get_running_loop().create_server(
            self._server, self._host, self._port, backlog=_BACKLOG, reuse_address=True
        )
        self._port = self._listener.sockets[0].getsockname()[1]
        host = f"[{self._host}]" if ":" in self._host else self._host
        self.state.url = f"http://{host}:{self._port}"

    async def go_down(self) -> None:
        """Close the port and every connection. What is stored stays."""
        listener, server = self._listener, self._server
        if listener is None or server is None:
            return
        self._listener = None
        # What has just been accepted gets its transport in the next turn of the loop: a server that
        # is closed by then refuses that, and nobody closes the socket.
        with suppress(NotImplementedError):  # Windows' own loop has no readers
            for listening in listener.sockets:
                asyncio.get_running_loop().remove_reader(listening.fileno())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
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
        try:
            body = await request.content.read()
        except web.RequestPayloadError:
            return response(error(400, "the body cannot be decoded"))
        await self._pauses.wait(self._delays.up())
        exchange = respond(self.state, request.method, request.raw_path, request.headers, body)
        reply, wire = exchange.reply, exchange.wire
        self.state.requests[exchange.endpoint, exchange.status] += 1
        await self._pauses.wait(self._delays.down())
        if wire is None:
            return response(reply)
        return await spoil(request, reply, wire, self._pauses, self._go_down_soon)


_THREAD_PATIENCE = 10.0
"""Seconds to wait for the thread to start, to stop, or to do what it is asked for."""


class SandboxThread(SandboxBase):
    """The same as `Sandbox`, used without ``async``.

    ::

        with SandboxThread() as sandbox:
            ...  # sandbox.url, sandbox.messages

    Example:
        >>> with SandboxThread() as sandbox:
        ...     sandbox.set_faults(Fault("500", times=1))
    """

    def __init__(
        self, config: SandboxConfig | None = None, *, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self._sandbox = Sandbox(config, host=host, port=port)
        self.state: SandboxState = self._sandbox.state
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="leadconnector-sandbox", daemon=True)

    def __repr__(self) -> str:
        return f"SandboxThread({self._sandbox!r})"

    def start(self) -> None:
        """Start the thread, and wait until the port is open.

        Raises:
            OSError: the port cannot be opened.
        """
        self._thread.start()
        if not self._ready.wait(_THREAD_PATIENCE):
            raise TimeoutError("the sandbox did not start")
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Close the port and end the thread."""
        if self._loop is not None and self._stop is not None:
            with suppress(RuntimeError):  # it has ended by itself
                self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_THREAD_PATIENCE)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def go_down(self) -> None:
        """Close the port and every connection."""
        self._do(self._sandbox.go_down())

    def come_up(self) -> None:
        """Open the port again."""
        self._do(self._sandbox.come_up())

    def _do(self, work: Coroutine[object, object, None]) -> None:
        if self._loop is None:
            work.close()
            raise RuntimeError("the sandbox is not running")
        asyncio.run_coroutine_threadsafe(work, self._loop).result(_THREAD_PATIENCE)

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except OSError as exc:
            self._failure = exc
        finally:
            self._ready.set()

    async def _main(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with self._sandbox:
            self._ready.set()
            await self._stop.wait()
