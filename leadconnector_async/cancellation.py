"""Work that has to come to its end, however often the task that awaits it is cancelled.

A task may be cancelled again while it cleans up: anyio, and so FastAPI, does so at each await of a
scope that has ended.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

_T = TypeVar("_T")

_AGAIN_S: Final = 0.05
"""Seconds after which it is seen whether a time limit within, which had just cancelled the work
itself, has taken that back."""


async def undisturbed(work: Coroutine[Any, Any, _T]) -> _T:
    """Await short work to its end, which learns nothing of a cancellation."""
    return await _seen_through(work, cancel=False)


async def cancelled_once(work: Coroutine[Any, Any, _T]) -> _T:
    """Await work that is cancelled with this task, and then cleans up undisturbed."""
    return await _seen_through(work, cancel=True)


async def cut_off(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks, and let them clean up undisturbed."""
    for task in tasks:
        task.cancel()
    if tasks:
        await undisturbed(asyncio.wait(tasks))


async def _seen_through(work: Coroutine[Any, Any, _T], *, cancel: bool) -> _T:
    task = asyncio.create_task(work)
    cancelled: asyncio.CancelledError | None = None
    again_s: float | None = None
    while not task.done():
        if again_s is not None and not task.cancelling():  # `asyncio.run` at its end cancels all
            task.cancel()
        try:
            await asyncio.wait([task], timeout=again_s)
        except asyncio.CancelledError as exc:
            cancelled = exc
            again_s = _AGAIN_S if cancel else None
    if cancelled is not None and (task.cancelled() or task.exception() is None):
        raise cancelled  # itself: by its text anyio knows its own
    return task.result()
