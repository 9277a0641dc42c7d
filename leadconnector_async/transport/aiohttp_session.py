"""The transport: one session, its own or the application's.

A multipart body: texts, and a file that is read as it is sent.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager, nullcontext
from dataclasses import KW_ONLY, InitVar, dataclass
from mimetypes import guess_type
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from msgspec.structs import replace
from yarl import URL

from leadconnector_async.arguments import Checked, Seconds
from leadconnector_async.errors import CLOSED, ClosedError
from leadconnector_async.public_place import name_public_place
from leadconnector_async.transport import base
from leadconnector_async.transport.connection_ends import KEEP_ALIVE, Connections, translated
from leadconnector_async.transport.http1 import check_target, headers_of, read_body, user_agent

if TYPE_CHECKING:
    from asyncio import BaseProtocol, WriteTransport
    from collections.abc import Coroutine, Iterator
    from ssl import SSLContext

    from aiohttp.abc import AbstractStreamWriter

    from leadconnector_async.transport.aiohttp_direct import Direct

SLOWEST: Final = 64 * 1024
"""Bytes a second that a file is given time for: a slow line has no more."""


def seconds_for(upload: base.FileUpload | None) -> float:
    """How much longer than other requests an upload may take."""
    if upload is None:
        return 0.0
    try:
        return upload.path.stat().st_size / SLOWEST
    except (OSError, ValueError):  # it is open, and so it was there
        return 0.0


@contextmanager
def multipart_body(upload: base.FileUpload) -> Iterator[aiohttp.FormData]:
    """The body of an upload, whose file is open as long as the context is.

    Raises:
        FileUnreadableError: the file cannot be opened.
    """
    try:
        file = upload.path.open("rb")
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or type(exc).__name__
        raise base.FileUnreadableError(f"the file cannot be read ({reason})") from exc
    with file:
        # Unquoted, as browsers send names: percent-encoded ones would be shown so.
        form = aiohttp.FormData(quote_fields=False)
        for name, value in upload.fields.items():
            form.add_field(name, value)
        name = "".join(char if char.isprintable() else "_" for char in upload.name)
        form.add_field(
            upload.field,
            file,
            filename=name,
            content_type=guess_type(name)[0] or "application/octet-stream",
        )
        yield form


_log: Final = logging.getLogger("leadconnector_async.transport")


class Timeouts(Checked, frozen=True, kw_only=True):
    """Limits on one request, in seconds.

    Raises:
        ValueError: one is 0, or without end.

    Example:
        >>> api = LeadConnector(token, timeouts=Timeouts(connect=5, read=30))
    """

    connect: Seconds = 10.0
    """To open a connection, TLS included. Nothing was sent when it passes."""
    read: Seconds = 60.0
    """For the whole request, to the end of its answer. The fate is unknown when it passes. A file
    has more, by its size: see `SLOWEST`.
    A limit between two pieces of an answer would cost a timer for each of them."""


class _GuardedBody(aiohttp.BytesPayload):
    """A body that asks ``may_send`` once it has its connection, at the first byte.

    aiohttp keeps the headers back for it.
    """

    def __init__(self, body: bytes, may_send: base.MaySend | None, known: Connections) -> None:
        super().__init__(body)
        self._may_send = may_send
        self._connections = known
        self.withheld = False
        self._leaving_by: WriteTransport | None = None
        self._protocol: BaseProtocol | None = None

    async def write_with_length(self, writer: AbstractStreamWriter, length: int | None) -> None:
        self._leaving_by = getattr(writer, "transport", None)
        if self._leaving_by is not None:
            self._protocol = self._leaving_by.get_protocol()
            self._connections.add(self._leaving_by)
        if self._may_send is not None and not self._may_send():
            self.withheld = True
            raise base.WithheldError(base.WITHHELD)
        await super().write_with_length(writer, length)

    def end(self, *, abort: bool) -> None:
        """Leave its connection to the session, or let nothing more of it leave."""
        if self._leaving_by is not None:
            self._connections.discard(self._protocol)
            if abort:
                self._leaving_by.abort()


@dataclass(eq=False, repr=False)
class AiohttpTransport:
    """A `Transport` over one session: its own lean one, or one that the application hands in."""

    base_url: InitVar[str]
    _: KW_ONLY
    timeouts: Timeouts
    connections: int
    session: InitVar[aiohttp.ClientSession | None] = None
    proxy: str | None = None
    ssl: SSLContext | None = None
    version: str | None = None
    agent: str | None = None
    _direct: Direct | None = None
    _closed: bool = False

    def __post_init__(self, base_url: str, session: aiohttp.ClientSession | None) -> None:
        self._base = base.check_base_url(base_url)
        self._session, self._owned = session, session is None
        self.proxy = self.proxy or base.proxy_from_environment(base_url)
        self._ssl, self._agent = self.ssl or True, self.agent or user_agent()
        self._known = Connections(self.timeouts.read)

    def send(
        self, request: base.Request, token: str, may_send: base.MaySend | None = None
    ) -> Coroutine[Any, Any, base.Response]:
        """See `Transport.send`."""
        if self._closed:
            raise ClosedError(CLOSED)
        if self.version is not None:
            request = replace(request, version=self.version)
        session = self._session or self._open()
        direct = self._direct
        if direct is None or request.upload is not None or request.method == "HEAD":
            return self._through(session, request, token, may_send)
        send = direct.send if request.body is not None else direct.read
        return send(request, token, may_send)

    async def _through(
        self,
        session: aiohttp.ClientSession,
        request: base.Request,
        token: str,
        may_send: base.MaySend | None,
    ) -> base.Response:
        """Send by the session's own means: it may be the application's, or know a proxy.

        Reads and files, which store no message, ask ``may_send`` before they have a connection.
        """
        if session.closed:
            raise ClosedError("the session is closed: close it after the client")
        check_target(request)
        headers, upload = headers_of(request, token, self._agent), request.upload
        timeouts = self.timeouts
        guard = None
        if request.body is not None:
            guard = _GuardedBody(request.body, may_send, self._known)
        elif may_send is not None and not may_send():
            raise base.WithheldError(base.WITHHELD)
        with multipart_body(upload) if upload else nullcontext(guard) as body:
            response: aiohttp.ClientResponse | None = None
            try:
                response = await session.request(
                    request.method,
                    URL(self._base + request.path, encoded=True),
                    data=body,
                    headers=headers,
                    allow_redirects=False,
                    raise_for_status=False,
                    timeout=aiohttp.ClientTimeout(
                        total=timeouts.read + seconds_for(upload), sock_connect=timeouts.connect
                    ),
                    proxy=self.proxy,
                    ssl=self._ssl,
                )
                received = await read_body(response.content)
                return base.Response(response.status, response.headers, received)
            except (aiohttp.ClientError, TimeoutError, OSError) as exc:
                error = translated(exc)
                if guard is not None and guard.withheld:
                    error = base.WithheldError(base.WITHHELD)
            finally:
                # Read to its end, an answer has given its connection back; any other must not.
                ended = response is not None and response.content.is_eof()
                if response is not None and not ended:
                    response.close()
                if guard is not None:
                    guard.end(abort=not ended)
        raise error  # here, where what was caught does not become its context

    def abort(self) -> None:
        """See `Transport.abort`. Idle ones of the application are left to it."""
        self._known.abort()

    async def close(self) -> None:
        """Close the session, if this transport opened it. It sends nothing more."""
        self._closed = True
        direct, self._direct = self._direct, None
        session, self._session = self._session, None
        try:
            if direct is not None:
                await direct.close()
        finally:
            if self._owned and session is not None:
                await session.close()

    def _open(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=self.connections, keepalive_timeout=KEEP_ALIVE, ttl_dns_cache=60
        )
        self._session = aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
        )
        if self.proxy is None:  # go round the session, unless aiohttp has moved what that needs
            try:
                from leadconnector_async.transport.aiohttp_direct import Direct  # noqa: PLC0415 - it may fail

                self._direct = Direct(
                    self._session,
                    self._base,
                    self._known,
                    seconds=self.timeouts.read,
                    connect=self.timeouts.connect,
                    connections=self.connections,
                    ssl=self._ssl,
                    agent=self._agent,
                    otherwise=self._otherwise,
                )
            except Exception as error:  # noqa: BLE001 - whatever comes of calling what has changed
                _warn(error)
        return self._session

    async def _otherwise(
        self, error: Exception, request: base.Request, token: str, may_send: base.MaySend | None
    ) -> base.Response:
        """Send through the session, from now on: a connection showed what has moved."""
        if self._direct is not None:
            _warn(error)
            self._direct = None
        if self._session is None:
            raise ClosedError(CLOSED)
        return await self._through(self._session, request, token, may_send)

    def __repr__(self) -> str:
        return f"<AiohttpTransport {self._base} {'own' if self._owned else 'shared'} session>"


def _warn(error: Exception) -> None:
    _log.warning(
        "aiohttp %s has moved what the direct way needs (%s: %s): "
        "sending through its session, at three times the CPU",
        aiohttp.__version__,
        type(error).__name__,
        error,
    )


name_public_place(globals())
