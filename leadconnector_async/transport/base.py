"""One request, one answer: the border behind which the HTTP library stands.

Where requests go: which addresses are safe, through which proxy, and whom they trust.
"""

from __future__ import annotations

import ssl as tls
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass

from msgspec import Struct

from leadconnector_async.errors import NotSentError

if TYPE_CHECKING:
    from os import PathLike

JSON: Final = "application/json"

FORM: Final = "application/x-www-form-urlencoded"


class FileUpload(Struct, frozen=True):
    """A multipart body: texts, and one file of this machine, which is read as it is sent."""

    fields: dict[str, str]
    field: str
    """The name of the file's part."""
    path: Path
    name: str
    """What the file is to be called."""

    def __repr__(self) -> str:
        return f"Upload({self.field!r})"


class Request(Struct, frozen=True, gc=False):
    """A request, less what the transport adds (base address, token).

    It has a ``body`` of its ``content_type``, or an ``upload``, or neither.
    """

    method: str
    path: str
    """Path and query, encoded."""
    version: str
    body: bytes | None = None
    content_type: str = JSON
    upload: FileUpload | None = None

    def __repr__(self) -> str:
        path = self.path.partition("?")[0]  # what is searched for is a person's number
        return f"Request({self.method} {path})"


class Response(Struct, frozen=True, gc=False):
    """What came back. ``headers`` looks names up in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"Answer({self.status}, {len(self.body)} bytes)"


class FileUnreadableError(NotSentError):
    """The file of an upload cannot be opened. Nothing left, and the API is not out of reach."""


WITHHELD: Final = "the right to send for the location has ended"


class WithheldError(NotSentError):
    """Whoever sends may not any more. Nothing left, and the API is not out of reach."""


MaySend = Callable[[], bool]
"""Asked right before the first byte of a request leaves."""


class Transport(Protocol):
    """Sends requests. Follows no redirect, retries nothing.

    ``version`` is what it sends in place of each request's own; None for that.
    """

    version: str | None

    async def send(self, request: Request, token: str, may_send: MaySend | None = None) -> Response:
        """Exchange one request. An empty ``token`` sends none.

        Raises:
            NotSentError: it provably did not reach the API.
            FileUnreadableError: nor did it leave, since its file cannot be opened.
            WithheldError: nor did it leave, since ``may_send`` said no.
            FateUnknownError: it may have.
            AccessError: nor did it leave, since no header may have such a token.
            ClosedError: the transport was closed before.
        """

    def abort(self) -> None:
        """End every connection that a request left by, with what it has not sent yet."""

    async def close(self) -> None:
        """Close what this transport opened itself, for good."""


def is_token(text: str) -> bool:
    """Whether a text can stand in a header as a token."""
    return bool(text) and text.isascii() and text.isprintable() and not set(text) & set(" \"'")


_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


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


def proxy_from_environment(base_url: str) -> str | None:
    """``HTTPS_PROXY`` and ``NO_PROXY``, read once: aiohttp would read them for each request."""
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    if host in _LOOPBACK or proxy_bypass(host):
        return None
    found = getproxies().get(parts.scheme)
    return f"http://{found}" if found and "://" not in found else found  # as curl reads it


class Network(Struct, frozen=True):
    """How servers are reached.

    ``proxy`` is the address of an HTTP proxy, which may hold a password; None for what the
    environment says. ``ssl`` says whom to trust; None for whom the system trusts.
    """

    proxy: str | None = None
    ssl: tls.SSLContext | None = None

    def proxy_to(self, url: str) -> str | None:
        """The proxy through which an address is reached; None for none."""
        return self.proxy or proxy_from_environment(url)

    def __repr__(self) -> str:
        return f"Network(proxy={self.proxy is not None}, ssl={self.ssl is not None})"


def network_of(
    proxy: str | None, ssl: tls.SSLContext | None, ca_file: str | PathLike[str] | None
) -> Network:
    """Check what a program says of its network. A ``ca_file`` is trusted beside the system's CAs.

    Raises:
        ValueError: it cannot be so. The message holds nothing of the proxy's address.
    """
    if proxy is not None:
        try:
            parts = urlsplit(proxy)
        except ValueError:
            parts = SplitResult("", "", "", "", "")
        if parts.scheme != "http" or not parts.hostname or not _is_port(parts):
            raise ValueError("proxy must look like http://host:port or http://user:password@host")
    if ca_file is not None:
        if ssl is not None:
            raise ValueError("give ssl or ca_file, not both: the context can load the file itself")
        ssl = tls.create_default_context()
        try:
            ssl.load_verify_locations(ca_file)
        except OSError as error:  # of the file, or of what it holds
            raise ValueError(
                f"ca_file has no certificates in PEM ({error.strerror or type(error).__name__})"
            ) from None
    return Network(proxy, ssl)
