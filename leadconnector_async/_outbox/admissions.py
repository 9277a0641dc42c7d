"""Gathers what is admitted at the same moment into one job of the writer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from leadconnector_async._errors import OutboxError

if TYPE_CHECKING:
    from leadconnector_async._outbox.interface import Admission, Draft
    from leadconnector_async._outbox.store import Store
    from leadconnector_async._outbox.writer import Writer


class Admissions:
    """Lives in the event loop. Callers that wait together are answered together."""

    def __init__(self, writer: Writer[Store]) -> None:
        self._writer = writer
        self._drafts: list[Draft] = []
        self._answers: asyncio.Task[list[Admission | Exception]] | None = None

    async def admit(self, draft: Draft) -> Admission:
        """Admit one record with those that come in the same turn of the loop."""
        if self._answers is None:
            self._answers = asyncio.create_task(self._admit_all())
        index, answers = len(self._drafts), self._answers
        self._drafts.append(draft)
        answer = (await asyncio.shield(answers))[index]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def _admit_all(self) -> list[Admission | Exception]:
        drafts, self._drafts, self._answers = self._drafts, [], None
        try:
            return [*await self._writer.run(lambda store: store.admitting.admit(drafts))]
        except OutboxError:
            raise
        except Exception:  # noqa: BLE001 - one of them is at fault: it alone is to be told so
            return [await self._admit_alone(draft) for draft in drafts]

    async def _admit_alone(self, draft: Draft) -> Admission | Exception:
        try:
            (answer,) = await self._writer.run(lambda store: store.admitting.admit([draft]))
        except Exception as error:  # noqa: BLE001 - raised where its caller waits
            return error
        return answer
