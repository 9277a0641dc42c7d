"""Records that are submitted at the same moment, written down together."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import TYPE_CHECKING

from leadconnector_async.errors import OutboxError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from leadconnector_async.outbox.base import Submission
    from leadconnector_async.records.draft import Draft

    Submit = Callable[[Sequence[Draft]], Awaitable[list[Submission]]]


class SubmitBatcher:
    """Lives in the event loop. Callers that wait together are answered together.

    ``turn`` is waited for before a batch is closed: meanwhile others join it.
    """

    def __init__(
        self, submit: Submit, turn: AbstractAsyncContextManager[object] | None = None
    ) -> None:
        self._submit = submit
        self._turn = turn or nullcontext()
        self._drafts: list[Draft] = []
        self._answers: asyncio.Task[list[Submission | Exception]] | None = None

    async def submit(self, draft: Draft) -> Submission:
        """Submit one record with those that come in the same turn of the loop."""
        if self._answers is None:
            self._answers = asyncio.create_task(self._submit_all())
        index, answers = len(self._drafts), self._answers
        self._drafts.append(draft)
        answer = (await asyncio.shield(answers))[index]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def _submit_all(self) -> list[Submission | Exception]:
        async with self._turn:
            drafts, self._drafts, self._answers = self._drafts, [], None
            try:
                return [*await self._submit(drafts)]
            except OutboxError:
                raise
            except Exception:  # noqa: BLE001 - one of them is at fault: it alone is to be told so
                return [await self._submit_alone(draft) for draft in drafts]

    async def _submit_alone(self, draft: Draft) -> Submission | Exception:
        try:
            (answer,) = await self._submit([draft])
        except Exception as error:  # noqa: BLE001 - raised where its caller waits
            return error
        return answer
