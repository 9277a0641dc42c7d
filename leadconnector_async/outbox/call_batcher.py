"""Calls that are made at the same moment, answered together: records to submit, say."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import TYPE_CHECKING, Generic, TypeVar

from leadconnector_async.errors import OutboxError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


class CallBatcher(Generic[Asked, Answer]):
    """Lives in the event loop. Callers that wait together are answered together.

    ``turn`` is waited for before a batch is closed: meanwhile others join it.
    """

    def __init__(
        self,
        answer_all: Callable[[Sequence[Asked]], Awaitable[list[Answer]]],
        turn: AbstractAsyncContextManager[object] | None = None,
    ) -> None:
        self._answer_all = answer_all
        self._turn = turn or nullcontext()
        self._asked: list[Asked] = []
        self._answers: asyncio.Task[list[Answer | Exception]] | None = None

    async def call(self, asked: Asked) -> Answer:
        """Ask for one thing with what is asked for in the same turn of the loop."""
        if self._answers is None:
            self._answers = asyncio.create_task(self._call_all())
        index, answers = len(self._asked), self._answers
        self._asked.append(asked)
        answer = (await asyncio.shield(answers))[index]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def _call_all(self) -> list[Answer | Exception]:
        async with self._turn:
            asked, self._asked, self._answers = self._asked, [], None
            try:
                return [*await self._answer_all(asked)]
            except OutboxError:
                raise
            except Exception:  # noqa: BLE001 - one of them is at fault: it alone is to be told so
                return [await self._call_alone(one) for one in asked]

    async def _call_alone(self, asked: Asked) -> Answer | Exception:
        try:
            (answer,) = await self._answer_all([asked])
        except Exception as error:  # noqa: BLE001 - raised where its caller waits
            return error
        return answer
