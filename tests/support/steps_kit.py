"""Driving conversations with the API by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from leadconnector_async.api.effects import FetchFile, GetLookups, HashFile, PutLookups
from leadconnector_async.transport.base import Request, Response

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leadconnector_async.api.effects import Flow

T = TypeVar("T")
HTML = b"<html><body>Bad gateway</body></html>"


def answer(status: int = 200, body: bytes = b"{}") -> Response:
    """An answer without headers."""
    return Response(status, {}, body)


class Played:
    """A conversation, played to its end: what was asked, what was learned, what came of it."""

    def __init__(
        self,
        steps: Flow[T],
        responses: Sequence[Response] = (),
        *,
        lookups: dict[str, str] | None = None,
        files: dict[str, str] | None = None,
    ) -> None:
        self.requests: list[Request] = []
        self.lookups = dict(lookups or {})
        self.learned: list[dict[str, str]] = []
        self._responses = list(responses)
        self._files = files or {}
        self.result = self._play(steps)

    def _play(self, steps: Flow[T]) -> T:
        sent: object = None
        while True:
            try:
                step = steps.send(sent)
            except StopIteration as end:
                result: T = end.value
                return result
            match step:
                case Request():
                    self.requests.append(step)
                    sent = self._responses.pop(0)
                case GetLookups(names):
                    sent = {name: self.lookups[name] for name in names if name in self.lookups}
                case PutLookups(lookups):
                    self.learned.append(lookups)
                    self.lookups |= lookups
                    sent = None
                case HashFile(path):
                    sent = self._files.get(path)
                case FetchFile():
                    sent = None

    @property
    def asked(self) -> list[str]:
        """The requests as lines."""
        return [f"{request.method} {request.path}" for request in self.requests]
