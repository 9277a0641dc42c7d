"""Files of other people's servers, fetched by URL: bounded, and from public places alone.

Whoever wrote the URLs must not make this machine fetch what only it can reach. So each host is
resolved once, all of its addresses are looked at, and the connection goes to these and no others,
whatever the name stands for a moment later; each redirect is a URL like the first.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from ipaddress import IPv6Address, ip_address
from socket import AddressFamily
from typing import TYPE_CHECKING, Final, NamedTuple

import aiohttp
from yarl import URL

from leadconnector_async.transport.base import Network

if TYPE_CHECKING:
    from aiohttp.abc import ResolveResult

CONCURRENCY: Final = 4

TIMEOUT: Final = 60.0
"""Seconds for one file, with all of its redirects."""

_ATTEMPTS: Final = 2

_PAUSE: Final = 1.0
"""Seconds before the second attempt."""

_MAX_REDIRECTS: Final = 5

_CHUNK: Final = 1 << 16

_NAT64: Final = bytes.fromhex("0064ff9b0000000000000000")
"""What addresses begin with that stand for one of IPv4, which is the rest."""

_AGAIN: Final = frozenset({429, 500, 502, 503, 504})


class DownloadError(Exception):
    """A file could not be fetched. The reason holds nothing of its URL, which may be a secret."""


class _LaterError(DownloadError):
    """It may be there a moment later."""


class Download(NamedTuple):
    """What came: the name in the URL, the media type, the content."""

    name: str
    kind: str
    content: bytes

    def __repr__(self) -> str:
        return f"Download({len(self.content)} bytes)"


class Downloads(AbstractAsyncContextManager["Downloads"]):
    """Fetches files, so many at a time. ``private`` allows addresses that are not public.

    A proxy resolves names itself. What they stand for here is looked at all the same, so that the
    address of a machine that only it can reach is refused; but a name that changes in between, or
    that it knows otherwise, is the proxy's to refuse.
    """

    def __init__(self, *, private: bool = False, network: Network = Network()) -> None:  # noqa: B008 - frozen
        self._private = private
        self._network = network
        self._resolver = _Resolver(private=private)
        self._slots = asyncio.Semaphore(CONCURRENCY)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(resolver=self._resolver),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        # The proxy itself may well be at a private address.
        self._proxied = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()
        await self._proxied.close()

    async def fetch(self, url: str, most: int) -> Download:
        """Fetch a file of at most so many bytes.

        Raises:
            DownloadError: it cannot be had, is larger, or lies where nothing may be fetched.
        """
        async with self._slots:
            for attempt in range(1, _ATTEMPTS + 1):
                try:
                    async with asyncio.timeout(TIMEOUT):
                        return await self._fetched(URL(url), most)
                except _LaterError:
                    if attempt == _ATTEMPTS:
                        raise
                except TimeoutError:
                    raise DownloadError(f"it did not come within {TIMEOUT:g} s") from None
                except (aiohttp.ClientError, OSError, ValueError) as error:
                    if attempt == _ATTEMPTS:
                        raise DownloadError(type(error).__name__) from None
                await asyncio.sleep(_PAUSE)
        raise AssertionError

    async def _fetched(self, url: URL, most: int) -> Download:
        for _ in range(_MAX_REDIRECTS + 1):
            self._check(url)
            proxy = self._network.proxy_to(str(url))
            if proxy is not None:
                await self._resolver.resolve(url.host or "", url.port or 0)
            session = self._session if proxy is None else self._proxied
            async with session.get(
                url, allow_redirects=False, proxy=proxy, ssl=self._network.ssl or True
            ) as response:
                target = response.headers.get("Location")
                if response.status in (301, 302, 303, 307, 308) and target:
                    url = url.join(URL(target))
                    continue
                return await _read(response, url, most)
        raise DownloadError(f"more than {_MAX_REDIRECTS} redirects")

    def _check(self, url: URL) -> None:
        if url.scheme not in ("http", "https") or not url.host:
            raise DownloadError("a redirect to another scheme than http and https")
        if not self._private:
            _refuse_private([url.host])


async def _read(response: aiohttp.ClientResponse, url: URL, most: int) -> Download:
    if response.status != 200:  # noqa: PLR2004 - OK
        kind = _LaterError if response.status in _AGAIN else DownloadError
        raise kind(f"the answer was {response.status}")
    if response.content_type == "text/html":
        raise DownloadError("a web page came, and no file")
    content = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK):
        content += chunk
        if len(content) > most:
            raise DownloadError(f"it is larger than the {most >> 20} MB that the API takes")
    name = response.content_disposition.filename if response.content_disposition else None
    return Download(name or url.name, response.content_type, bytes(content))


class _Resolver(aiohttp.ThreadedResolver):
    """Resolves as the system does, and refuses what is not public."""

    def __init__(self, *, private: bool) -> None:
        super().__init__()
        self._private = private

    async def resolve(
        self, host: str, port: int = 0, family: AddressFamily = AddressFamily.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Give the addresses of a host.

        Raises:
            DownloadError: one of them is not public.
        """
        found = await super().resolve(host, port, family)
        if not self._private:
            _refuse_private([one["host"] for one in found])
        return found


def _refuse_private(hosts: list[str]) -> None:
    for host in hosts:
        try:
            address = ip_address(host.partition("%")[0])
        except ValueError:  # a name, which is resolved later
            continue
        if isinstance(address, IPv6Address):
            inner = address.packed[12:] if address.packed[:12] == _NAT64 else None
            address = address.ipv4_mapped or address.sixtofour or address
            address = address if inner is None else ip_address(inner)
        if not address.is_global or address.is_multicast:
            raise DownloadError(
                "its address is not a public one: give --fetch-private, if it may be fetched"
            )
