"""What connections leave behind when nobody reads, and their end.

What a process has written stays with the system, which offers it again for a quarter of an hour
while the other side is not heard of: also once the process is stopped, and long after the request
was given up. Then somebody else may have sent the record.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

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
