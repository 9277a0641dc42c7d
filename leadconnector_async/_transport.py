"""One request, one answer: the border behind which the HTTP library stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct


class Request(Struct, frozen=True, gc=False):
    """A request, less what the transport adds (base address, token)."""

    method: str
    path: str
    """Path and query, encoded."""
    version: str
    body: bytes | None = None

    def __repr__(self) -> str:
        return f"Request({self.method} {self.path})"


class Answer(Struct, frozen=True, gc=False):
    """What came back. ``headers`` looks names up in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"Answer({self.status}, {len(self.body)} bytes)"


class Transport(Protocol):
    """Sends requests. Follows no redirect, retries nothing."""

    async def send(self, request: Request, token: str) -> Answer:
        """Exchange one request.

        Raises:
            NotSentError: it provably did not reach the API.
            FateUnknownError: it may have.
        """

    async def close(self) -> None:
        """Close what this transport opened itself."""
