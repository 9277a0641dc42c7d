"""The adapter over aiohttp: alone in importing it, beside the sandbox.

What each exception proves about a POST was measured on real sockets: only a connection that was
never made proves that nothing was sent. A reset, a disconnect or a time-out after that proves
nothing, and a body cut short hides the id of what was stored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from msgspec import Struct
from multidict import CIMultiDict
from yarl import URL

from leadconnector_async._api.requests import INBOUND_PATH
from leadconnector_async._errors import FateUnknownError, NotSentError, TransportError
from leadconnector_async._transport import JSON, Answer, Request

if TYPE_CHECKING:
    from ssl import SSLContext

LARGEST_ANSWER: Final = 32 * 1024 * 1024
"""Bytes. A page of 500 messages is far smaller; an endless answer ends here."""
KEEP_ALIVE: Final = 10.0
"""Seconds an idle connection is kept: less than servers keep theirs, so that a request is not
written to one that is being closed."""
MOST_TOKENS: Final = 4096
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


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
        self._proxy = proxy or _proxy_from_environment(base_url)
        self._ssl = ssl if ssl is not None else True
        self._connections = connections
        self._session = session
        self._owned = session is None
        self._inbound = URL(self._base + INBOUND_PATH, encoded=True)
        self._headers: dict[tuple[str, str, str], CIMultiDict[str]] = {}

    async def send(self, request: Request, token: str) -> Answer:
        """See `Transport.send`."""
        session = self._session or self._open()
        response: aiohttp.ClientResponse | None = None
        try:
            response = await session.request(
                request.method,
                self._url(request.path),
                data=request.body,
                headers=self._headers_for(request.version, token, request.content_type),
                allow_redirects=False,
                raise_for_status=False,
                timeout=self._timeout,
                proxy=self._proxy,
                ssl=self._ssl,
            )
            content = response.content
            body = content.read_nowait() if content.is_eof() else await _read_body(content)
            return Answer(response.status, response.headers, body)
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            error = _translated(exc)
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

    def _url(self, path: str) -> URL:
        if path != INBOUND_PATH:
            return URL(self._base + path, encoded=True)
        return self._inbound

    def _headers_for(self, version: str, token: str, content_type: str = JSON) -> CIMultiDict[str]:
        key = version, token, content_type
        headers = self._headers.get(key)
        if headers is None:
            if len(self._headers) >= MOST_TOKENS:  # tokens rotate: forget the old ones
                self._headers.clear()
            headers = self._headers[key] = CIMultiDict(
                {
                    **({"Authorization": f"Bearer {token}"} if token else {}),
                    "Version": version,
                    "Content-Type": content_type,
                    "Accept": "application/json",
                    "Accept-Encoding": "identity",
                    "User-Agent": "leadconnector-async",
                }
            )
        return headers

    def __repr__(self) -> str:
        return f"<AiohttpTransport {self._base} {'own' if self._owned else 'shared'} session>"


async def _read_body(content: aiohttp.StreamReader) -> bytes:
    """Read all of a body, but no more than is sane."""
    parts, size = [], 0
    while part := await content.readany():
        size += len(part)
        if size > LARGEST_ANSWER:
            raise FateUnknownError(f"the answer is larger than {LARGEST_ANSWER} bytes")
        parts.append(part)
    return b"".join(parts)


def _translated(exc: BaseException) -> TransportError:
    """What an exception proves.

    One that holds the request's headers (the token among them) or a proxy's password is no cause.
    """
    error: TransportError
    match exc:
        case (
            aiohttp.ClientConnectorError() | aiohttp.ConnectionTimeoutError() | aiohttp.InvalidURL()
        ):
            error = NotSentError(f"no connection to the API ({_what(exc)})")
        case aiohttp.ClientHttpProxyError():
            error = NotSentError(f"the proxy refused ({exc.status})")
        case aiohttp.ClientResponseError():
            error = FateUnknownError(f"the answer is not HTTP ({type(exc).__name__})")
        case _:
            error = FateUnknownError(f"the answer never came ({_what(exc)})")
    if not isinstance(exc, aiohttp.ClientConnectorError | aiohttp.ClientResponseError):
        error.__cause__ = exc
    return error


def _what(exc: BaseException) -> str:
    """A cause in a word: the texts of foreign exceptions can repeat addresses and headers."""
    if isinstance(exc, aiohttp.ClientConnectorDNSError):
        return "its name is not known"
    if isinstance(exc, aiohttp.ClientConnectorCertificateError):
        return "its certificate is not trusted"
    if isinstance(exc, aiohttp.ClientConnectorError):
        return exc.os_error.strerror or type(exc.os_error).__name__
    if isinstance(exc, TimeoutError):
        return "timed out"
    return type(exc).__name__


def check_base_url(base_url: str) -> str:
    """Return the address without a trailing slash.

    Raises:
        ValueError: no http(s) address, or one that would carry the token in the clear.
    """
    parts = urlsplit(base_url)
    if (
        parts.scheme not in {"http", "https"}
        or not parts.hostname
        or not base_url.isprintable()
        or any(mark in base_url for mark in "?#@\\ ")
        or not _is_port(parts)
    ):
        raise ValueError("base_url must look like https://host")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise ValueError("base_url must begin with https://: over http the token can be read")
    return base_url.rstrip("/")


def _is_port(parts: SplitResult) -> bool:
    try:
        return parts.port != 0
    except ValueError:
        return False


def _proxy_from_environment(base_url: str) -> str | None:
    """``HTTPS_PROXY`` and ``NO_PROXY``, read once: aiohttp would read them for each request."""
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    if host in _LOOPBACK or proxy_bypass(host):
        return None
    return getproxies().get(parts.scheme)
