"""What the benchmarks' server answers: an RSGI application, run by granian on a core of its own.

By default it announces a limit that nobody reaches. Given a limit, it enforces it per token (which
stands for a location) in fixed windows that begin with the first request. Its answers may be as far
away as is wanted. ``GET /stats`` tells what arrived.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import msgspec
from msgspec import Struct

from benchmarks import machine

if TYPE_CHECKING:
    from collections.abc import Mapping

INBOUND: Final = "/conversations/messages/inbound"
LIMIT_VARIABLE: Final = "BENCHMARK_LIMIT"
REFUSER_VARIABLE: Final = "BENCHMARK_REFUSES"
DELAY_VARIABLE: Final = "BENCHMARK_DELAY"
STORED: Final = frozenset({200, 201})
"""What a server answers to a message: granian here 200, nginx 201, as the API is seen to."""
WINDOW_S: Final = 10
UNREACHED: Final = 100_000_000
CONTENT_TYPE: Final = ("content-type", "application/json; charset=utf-8")
THROTTLED: Final = b'{"statusCode":429,"message":"Too Many Requests"}'

Headers = list[tuple[str, str]]


class Scope(Protocol):
    """The part of an RSGI scope that is used here."""

    path: str
    headers: Mapping[str, str]


class Exchange(Protocol):
    """The part of an RSGI protocol that is used here."""

    async def __call__(self) -> bytes: ...  # noqa: D102 - RSGI's names

    def response_bytes(self, status: int, headers: Headers, body: bytes) -> None: ...  # noqa: D102


class Count(Struct):
    """What one token got. Times are seconds since the server's start."""

    stored: int = 0
    throttled: int = 0
    first_s: float = 0.0
    last_s: float = 0.0


class Stats(Struct):
    """What arrived since the server started. ``tokens`` are counted only where a limit is.

    nginx tells messages and ``connections`` alone, granian all but those.
    """

    stored: int = 0
    throttled: int = 0
    body_bytes: int = 0
    tokens: dict[str, Count] = {}
    connections: int | None = None


class Windows:
    """Fixed windows per token."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._open: dict[str, tuple[float, int]] = {}

    def snapshot(self, token: str, now: float) -> int | None:
        """Count a request; returns how many remain, or None where the window is full."""
        ends, used = self._open.get(token, (0.0, 0))
        if now >= ends:
            ends, used = now + WINDOW_S, 0
        if used >= self.limit:
            return None
        self._open[token] = ends, used + 1
        return self.limit - used - 1


class App:
    """The RSGI application. ``refuses`` is a token that gets 429 for every request.

    Answers leave ``delay`` seconds after their requests came.
    """

    def __init__(self, limit: int | None, refuses: str | None, delay: float = 0.0) -> None:
        self._delay = delay
        self._windows = Windows(limit) if limit else None
        self._refuses = refuses
        self._stats = Stats()
        self._free = rate_headers(UNREACHED, UNREACHED)
        self._began = time.monotonic()

    async def __rsgi__(self, scope: Scope, exchange: Exchange) -> None:
        """Answer one request."""
        if scope.path != INBOUND:
            exchange.response_bytes(200, [CONTENT_TYPE], msgspec.json.encode(self._stats))
            return
        self._stats.body_bytes += len(await exchange())
        if self._delay:
            await asyncio.sleep(self._delay)
        if self._windows is None:
            exchange.response_bytes(200, self._free, self._store())
        else:
            token = scope.headers.get("authorization", "").removeprefix("Bearer ")
            exchange.response_bytes(*self._answer_within(self._windows, token))

    def _answer_within(self, windows: Windows, token: str) -> tuple[int, Headers, bytes]:
        now = time.monotonic()
        count = self._stats.tokens.get(token)
        if count is None:
            count = self._stats.tokens[token] = Count(first_s=now - self._began)
        remaining = None if token == self._refuses else windows.snapshot(token, now)
        if remaining is None:
            count.throttled += 1
            self._stats.throttled += 1
            return 429, rate_headers(windows.limit, 0), THROTTLED
        count.stored += 1
        count.last_s = now - self._began
        return 200, rate_headers(windows.limit, remaining), self._store()

    def _store(self) -> bytes:
        self._stats.stored += 1
        return (
            b'{"success":true,"conversationId":"pHFjtqTbAHhXDHYTJyPW","messageId":"%020d",'
            b'"message":"Message added","contactId":"ocQHyuzHvysMo5N5VsXc",'
            b'"dateAdded":"2024-02-29T12:00:00.000Z"}' % self._stats.stored
        )


def rate_headers(limit: int, remaining: int) -> Headers:
    """The headers that announce a quota; the day's is never reached here."""
    return [
        CONTENT_TYPE,
        ("x-ratelimit-max", str(limit)),
        ("x-ratelimit-remaining", str(remaining)),
        ("x-ratelimit-interval-milliseconds", str(WINDOW_S * 1000)),
        ("x-ratelimit-limit-daily", str(UNREACHED)),
        ("x-ratelimit-daily-remaining", str(UNREACHED)),
    ]


def serve(port: int, certificate: Path | None = None) -> None:
    """Serve until terminated; over TLS 1.3 with the certificate and key of one file."""
    from granian.constants import HTTPModes, Interfaces, RuntimeModes  # noqa: PLC0415 - only the server's own process needs it
    from granian.server import Server  # noqa: PLC0415 - same

    machine.pin(machine.SERVER_CORE)
    Server(
        "benchmarks.server_app:app",
        port=port,
        interface=Interfaces.RSGI,
        http=HTTPModes.http1,
        runtime_mode=RuntimeModes.st,
        websockets=False,
        log_enabled=False,
        backpressure=4096,
        ssl_cert=certificate,
        ssl_key=certificate,
    ).serve()


app = App(
    int(os.environ.get(LIMIT_VARIABLE, "0")),
    os.environ.get(REFUSER_VARIABLE),
    float(os.environ.get(DELAY_VARIABLE, "0")),
)

if __name__ == "__main__":
    serve(int(sys.argv[1]), *map(Path, sys.argv[2:]))
