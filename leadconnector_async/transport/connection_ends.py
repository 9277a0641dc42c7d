"""The end of a connection: what it leaves behind when nobody reads, and what it proves.

What a process has written stays with the system, which offers it again for a quarter of an hour
while the other side is not heard of: also once the process is stopped, and long after the request
was given up. Then somebody else may have sent the record.

What an exception of aiohttp proves about a request was measured on real sockets: only a connection
that was never made proves that nothing was sent. A reset, a disconnect or a time-out after that
proves nothing, and a body cut short hides the id of what was stored.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

import aiohttp
from aiohttp.http import HttpProcessingError

from leadconnector_async.errors import FateUnknownError, NotSentError, TransportError

if TYPE_CHECKING:
    from asyncio import BaseProtocol, WriteTransport

KEEP_ALIVE: Final = 10.0
"""Seconds an idle connection is kept: less than servers keep theirs, so that a request is not
written to one that is being closed."""

_USER_TIMEOUT: Final = getattr(socket, "TCP_USER_TIMEOUT", None)
"""Where the system has it, as Linux does: the milliseconds that it offers bytes before it ends the
connection."""


class Connections:
    """Those that are known. ``seconds`` is the limit of a request.

    They are known by their protocols: uvloop's transports of TLS can have no weak references.
    """

    def __init__(self, seconds: float) -> None:
        self._milliseconds: int = round(seconds * 1000)
        self._known: WeakSet[BaseProtocol] = WeakSet()

    def add(self, transport: WriteTransport) -> None:
        """Have the system drop after the limit what was not taken."""
        protocol: BaseProtocol | None = transport.get_protocol()
        if protocol is not None and protocol not in self._known:
            self._known.add(protocol)
            connection = transport.get_extra_info("socket")
            if connection is not None and _USER_TIMEOUT is not None:
                with suppress(OSError):  # it is none of TCP's, as a proxy's may be
                    connection.setsockopt(socket.IPPROTO_TCP, _USER_TIMEOUT, self._milliseconds)

    def discard(self, protocol: BaseProtocol | None) -> None:
        """Leave it to the application, whose connection it is."""
        if protocol is not None:
            self._known.discard(protocol)

    def abort(self) -> None:
        """End them at once, with what they have not sent."""
        for protocol in list(self._known):
            transport: WriteTransport | None = getattr(protocol, "transport", None)
            if transport is not None:
                transport.abort()


def translated(exc: BaseException) -> TransportError:
    """What an exception of a session proves."""
    unmade = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)
    if isinstance(exc, unmade):
        return not_connected(exc)
    if isinstance(exc, aiohttp.ClientHttpProxyError):
        return NotSentError(f"the proxy refused ({exc.status})")
    return never_came(exc)


def not_connected(exc: BaseException) -> TransportError:
    """What any exception proves while there is no connection yet."""
    return _because(NotSentError(f"no connection to the API ({_what(exc)})"), exc)


def never_came(exc: BaseException) -> TransportError:
    """What any exception proves once there is a connection: nothing."""
    if isinstance(exc, aiohttp.ClientResponseError | HttpProcessingError):
        return FateUnknownError(f"the answer is not HTTP ({type(exc).__name__})")
    return _because(FateUnknownError(f"the answer never came ({_what(exc)})"), exc)


def _because(error: TransportError, exc: BaseException) -> TransportError:
    """With its cause, unless that holds the request's headers or a proxy's password."""
    if not isinstance(exc, aiohttp.ClientConnectorError | aiohttp.ClientResponseError):
        error.__cause__ = exc
    return error


_UNTRUSTED: Final = "is not trusted: where a proxy signs it, give that one's CA as ca_file"

_OF_ANOTHER: Final = "is another host's: see the base URL"

_CERTIFICATES: Final = {
    9: "is not valid yet: see this machine's clock",
    10: "has expired: see this machine's clock, or tell those who run the server or proxy",
    62: _OF_ANOTHER,
    64: _OF_ANOTHER,
}
"""What is wrong with one, by OpenSSL's number for it."""


def _what(exc: BaseException) -> str:
    """A cause in a word: the texts of foreign exceptions can repeat addresses and headers."""
    if isinstance(exc, aiohttp.ClientConnectorDNSError):
        return "its name is not known"
    if isinstance(exc, aiohttp.ClientConnectorCertificateError):
        code = getattr(exc.certificate_error, "verify_code", 0)
        return f"its certificate {_CERTIFICATES.get(code, _UNTRUSTED)}"
    if isinstance(exc, aiohttp.ClientConnectorError):
        return exc.os_error.strerror or type(exc.os_error).__name__
    if isinstance(exc, TimeoutError):
        return "timed out"
    return type(exc).__name__
