"""How the engine's work ends early: by whose error, and with what is under way seen through."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from leadconnector_async._errors import DailyQuotaSpent, LeadConnectorError, ThrottledError
from leadconnector_async._messages import Refusal

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from leadconnector_async._engine.lanes import Site

INTERRUPTED: Final = "the run ended before its answer came"


async def undisturbed(work: Coroutine[None, None, None]) -> None:
    """Await short work to its end, however often this task is cancelled meanwhile."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as exc:
            cancelled = exc
    task.result()
    if cancelled is not None:
        raise cancelled


def day_spent(site: Site) -> DailyQuotaSpent:
    """Why a location has to stop when its day is used up."""
    message = f"the day's quota of location {site.name} is spent"
    return DailyQuotaSpent(Refusal(status=429, message=message))


def throttled(site: Site, refusal: Refusal, seconds: float) -> ThrottledError:
    """Why a location has to stop that got nothing but 429 for so many seconds."""
    since = datetime.now(UTC) - timedelta(seconds=seconds)
    message = (
        f"location {site.name} answers 429 to everything since {since:%Y-%m-%d %H:%M:%S} UTC: "
        f"{refusal.message}. Another program may use up its quota: run again later"
    )
    return ThrottledError(replace(refusal, message=message))


def first_of(group: BaseExceptionGroup[LeadConnectorError]) -> LeadConnectorError:
    """One cause out of a tree of them: the workers share their fate."""
    for error in group.exceptions:
        return first_of(error) if isinstance(error, BaseExceptionGroup) else error
    raise AssertionError(group)
