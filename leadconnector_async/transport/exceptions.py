"""What an exception of aiohttp proves about a request.

Measured on real sockets: only a connection that was never made proves that nothing was sent. A
reset, a disconnect or a time-out after that proves nothing, and a body cut short hides the id of
what was stored.
"""

from __future__ import annotations

import aiohttp
from aiohttp.http import HttpProcessingError

from leadconnector_async.errors import FateUnknownError, NotSentError, TransportError


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
