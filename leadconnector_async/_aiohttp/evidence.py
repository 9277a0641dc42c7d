"""What an exception of aiohttp proves about a request.

Measured on real sockets: only a connection that was never made proves that nothing was sent. A
reset, a disconnect or a time-out after that proves nothing, and a body cut short hides the id of
what was stored.
"""

from __future__ import annotations

import aiohttp

from leadconnector_async._errors import FateUnknownError, NotSentError, TransportError


def translated(exc: BaseException) -> TransportError:
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
