"""The transport: one session, its own or the application's."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Final

import aiohttp
from msgspec import Struct
from yarl import URL

from leadconnector_async._aiohttp.address import check_base_url, proxy_from_environment
from leadconnector_async._aiohttp.evidence import translated
from leadconnector_async._aiohttp.headers import Headers
from leadconnector_async._aiohttp.multipart import form_of
from leadconnector_async._errors import FateUnknownError
from leadconnector_async._transport import Answer

if TYPE_CHECKING:
    from ssl import SSLContext

    from leadconnector_async._transport import Request

LARGEST_ANSWER: Final = 32 * 1024 * 1024
"""Bytes. A page of 500 messages is far smaller; an endless answer ends here."""
KEEP_ALIVE: Final = 10.0
"""Seconds an idle connection is kept: less than servers keep theirs, so that a request is not
written to one that is being closed."""


class Timeouts(Struct, frozen=True, kw_only=True):
    """Limits on one request, in seconds."""

    connect: float = 10.0
    """To open a connection. Nothing was sent when it passes."""
    read: float = 60.0
    """For the whole request, to the end of its answer. The fate is unknown when it passes.
    A limit between two pieces of an answer would cost a timer for each of them."""


class AiohttpTransport:
    """A `Transport` over one session: its own lean one, or one that the application hands in."""

    def __init__(  # noqa: PLR0913 - each is one of aiohttp's usual means
        self,
        base_url: str,
        *,
        timeouts: Timeouts,
        connections: int,
        session: aiohttp.ClientSession | None = None,
        proxy: str | None = None,
        ssl: SSLContext | None = None,
    ) -> None:
        self._base = check_base_url(base_url)
        self._timeout = aiohttp.ClientTimeout(total=timeouts.read, sock_connect=timeouts.connect)
        self._proxy = proxy or proxy_from_environment(base_url)
        self._ssl = ssl if ssl is not None else True
        self._connections = connections
        self._session = session
        self._owned = session is None
        self._headers = Headers()

    async def send(self, request: Request, token: str) -> Answer:
        """See `Transport.send`."""
        session = self._session or self._open()
        upload = request.upload
        with form_of(upload) if upload else nullcontext(request.body) as body:
            headers = self._headers.of(
                request.version, token, None if upload else request.content_type
            )
            response: aiohttp.ClientResponse | None = None
            try:
                response = await session.request(
                    request.method,
                    URL(self._base + request.path, encoded=True),
                    data=body,
                    headers=headers,
                    allow_redirects=False,
                    raise_for_status=False,
                    timeout=self._timeout,
                    proxy=self._proxy,
                    ssl=self._ssl,
                )
                return Answer(response.status, response.headers, await _read_body(response.content))
            except (aiohttp.ClientError, TimeoutError, OSError) as exc:
                error = translated(exc)
            finally:
                # Read to its end, an answer has given its connection back; any other must not.
                if response is not None and not response.content.is_eof():
                    response.close()
        raise error  # here, where what was caught does not become its context

    async def close(self) -> None:
        """Close the session, if this transport opened it."""
        if self._owned and self._session is not None:
            session, self._session = self._session, None
            await session.close()

    def _open(self) -> aiohttp.ClientSession:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=self._connections, keepalive_timeout=KEEP_ALIVE, ttl_dns_cache=60
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )
        return self._session

    def __repr__(self) -> str:
        return f"<AiohttpTransport {self._base} {'own' if self._owned else 'shared'} session>"


async def _read_body(content: aiohttp.StreamReader) -> bytes:
    """Read all of a body, but no more than is sane."""
    if content.is_eof():
        return content.read_nowait()
    parts, size = [], 0
    while part := await content.readany():
        size += len(part)
        if size > LARGEST_ANSWER:
            raise FateUnknownError(f"the answer is larger than {LARGEST_ANSWER} bytes")
        parts.append(part)
    return b"".join(parts)
