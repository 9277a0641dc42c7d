"""One request, one answer: the border behind which the HTTP library stands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Protocol

from msgspec import Struct

from leadconnector_async.errors import NotSentError

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
        return f"Request({self.method} {self.path})"


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
            ClosedError: the transport was closed before.
        """

    def abort(self) -> None:
        """End every connection that a request left by, with what it has not sent yet."""

    async def close(self) -> None:
        """Close what this transport opened itself, for good."""


def is_token(text: str) -> bool:
    """Whether a text can stand in a header as a token."""
    return bool(text) and text.isascii() and text.isprintable() and " " not in text
