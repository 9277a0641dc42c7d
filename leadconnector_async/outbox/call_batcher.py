"""Calls that are made at the same moment, answered together: records to submit, say."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from leadconnector_async.errors import OutboxError

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


def tell(future: asyncio.Future[Answer], answer: Answer | Exception) -> None:
    """Give an answer to whoever waits for it, or raise it there."""
    if future.done():
        return  # its waiter was cancelled; what it asked for is done all the same
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)


@dataclass(eq=False, repr=False)
class CallBatcher(Generic[Asked, Answer]):
    """Lives in the event loop. Callers that wait together are answered together.

    A turn is waited for before a batch is closed: meanwhile others join it.
    """

    _answer_all: Callable[[Sequence[Asked]], Awaitable[list[Answer]]]
    _turn: AbstractAsyncContextManager[object] = field(default_factory=nullcontext)
    _asked: list[tuple[Asked, asyncio.Future[Answer]]] = field(default_factory=list, init=False)
    _under_way: set[asyncio.Task[None]] = field(default_factory=set, init=False)

    async def call(self, asked: Asked) -> Answer:
        """Ask for one thing with what is asked for in the same turn of the loop.

        It is asked for even if its caller is cancelled.
        """
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._asked.append((asked, future))
        if len(self._asked) == 1:
            task = asyncio.create_task(self._call_all())
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        return await future

    async def _call_all(self) -> None:
        answers: list[Answer | Exception]
        async with self._turn:
            calls, self._asked = self._asked, []
            asked = [one for one, _ in calls]
            try:
                answers = [*await self._answer_all(asked)]
            except OutboxError as error:
                answers = [error] * len(calls)
            except Exception:  # noqa: BLE001 - one of them is at fault: it alone is to be told so
                answers = [await self._call_alone(one) for one in asked]
        for (_, future), answer in zip(calls, answers, strict=True):
            tell(future, answer)

    async def _call_alone(self, asked: Asked) -> Answer | Exception:
        try:
            (answer,) = await self._answer_all([asked])
        except Exception as error:  # noqa: BLE001 - raised where its caller waits
            return error
        return answer
