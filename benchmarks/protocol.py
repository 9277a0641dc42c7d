"""What the event loop allows: HTTP written by hand over ``asyncio.Protocol``, no library at all.

It understands this server's answers only, and handles no error: a bound, not an alternative.
"""

from __future__ import annotations

import asyncio
import ssl
from functools import partial
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from benchmarks.server_app import INBOUND

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.contest import Job


class _Connection(asyncio.Protocol):
    """Sends the next body when the answer to the last one is complete."""

    def __init__(self, head: bytes, bodies: Iterator[bytes]) -> None:
        self._head = head
        self._bodies = bodies
        self._received = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._next()

    def data_received(self, data: bytes) -> None:
        received = self._received = self._received + data
        head_end = received.find(b"\r\n\r\n")
        if head_end < 0:
            return
        assert received.startswith((b"HTTP/1.1 200", b"HTTP/1.1 201"))
        length_at = received.index(b"ength: ") + 7  # in whatever case the server writes it
        length = int(received[length_at : received.index(b"\r\n", length_at)])
        if len(received) >= head_end + 4 + length:
            self._received = b""
            self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionResetError())

    def _next(self) -> None:
        body = next(self._bodies, None)
        if body is None:
            self.done.set_result(None)
            self._transport.close()
        else:
            self._transport.write(self._head % len(body) + body)


async def post(job: Job, bodies: Sequence[bytes]) -> None:
    """Post every body."""
    address = urlsplit(job.base_url)
    assert address.hostname
    assert address.port
    remaining = iter(bodies)
    head = (
        f"POST {INBOUND} HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: Bearer benchmark\r\n"
        "Version: 2021-04-15\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    ).encode()
    loop = asyncio.get_running_loop()
    connection = partial(_Connection, head, remaining)
    tls = ssl.create_default_context() if address.scheme == "https" else None
    opened = [
        await loop.create_connection(connection, address.hostname, address.port, ssl=tls)
        for _ in range(job.in_flight)
    ]
    await asyncio.gather(*(connection.done for _, connection in opened))
