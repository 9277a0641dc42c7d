"""How long sending takes by the quota. Pure; times are in seconds."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable

DAY: Final = 86_400.0


class Budget(Struct, frozen=True, kw_only=True):
    """What a location may use: ``rate`` requests a second, and ``daily`` a day.

    ``left_today`` (None: all of it) remain of the day's until ``day_ends_in`` seconds from now.
    """

    rate: float
    daily: int | None = None
    left_today: int | None = None
    day_ends_in: float = DAY


def seconds_needed(count: int, budget: Budget) -> float:
    """The shortest time in which ``count`` requests fit into the budget.

    What fits into today goes at the rate. The rest waits for the day's end, fills whole days, and
    ends after its last day's share at the rate.
    """
    if count <= 0:
        return 0.0
    daily = budget.daily
    if daily is None or daily >= budget.rate * DAY:
        return count / budget.rate
    today = daily if budget.left_today is None else min(budget.left_today, daily)
    if count <= today:
        return count / budget.rate
    rest = count - today
    days = math.ceil(rest / daily) - 1
    begins = max(budget.day_ends_in, today / budget.rate)
    return begins + days * DAY + (rest - days * daily) / budget.rate


def slowest(needs: Iterable[tuple[int, Budget]]) -> float:
    """The time for all locations, which run side by side: that of the slowest one."""
    return max((seconds_needed(count, budget) for count, budget in needs), default=0.0)
