"""Driving conversations with the API by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from leadconnector_async._api.dialogue import Inspect, Learn, Recall
from leadconnector_async._transport import Answer, Request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leadconnector_async._api.dialogue import Dialogue

T = TypeVar("T")
HTML = b"<html><body>Bad gateway</body></html>"


def answer(status: int = 200, body: bytes = b"{}") -> Answer:
    """An answer without headers."""
    return Answer(status, {}, body)


class Played:
    """A conversation, played to its end: what was asked, what was learned, what came of it."""

    def __init__(
        self,
        steps: Dialogue[T],
        answers: Sequence[Answer] = (),
        *,
        facts: dict[str, str] | None = None,
        files: dict[str, str] | None = None,
    ) -> None:
        self.requests: list[Request] = []
        self.facts = dict(facts or {})
        self.learned: list[dict[str, str]] = []
        self._answers = list(answers)
        self._files = files or {}
        self.result = self._play(steps)

    def _play(self, steps: Dialogue[T]) -> T:
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
                    sent = self._answers.pop(0)
                case Recall(names):
                    sent = {name: self.facts[name] for name in names if name in self.facts}
                case Learn(facts):
                    self.learned.append(facts)
                    self.facts |= facts
                    sent = None
                case Inspect(path):
                    sent = self._files.get(path)

    @property
    def asked(self) -> list[str]:
        """The requests as lines."""
        return [f"{request.method} {request.path}" for request in self.requests]
