"""How long sending takes by the quota. Pure; times are in seconds."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from leadconnector_async.quota.limits import part

if TYPE_CHECKING:
    from collections.abc import Iterable

    from leadconnector_async.outbox.reader import Workload
    from leadconnector_async.policy import ContactMode
    from leadconnector_async.quota.limits import QuotaSnapshot, RateLimit

DAY: Final = 86_400.0


class Budget(Struct, frozen=True, kw_only=True):
    """What a location may use: ``rate`` requests a second, and ``daily`` a day.

    ``left_today`` (None: all of it) remain of the day's until ``day_ends_in`` seconds from now.
    """

    rate: float
    daily: int | None = None
    left_today: int | None = None
    day_ends_in: float = DAY


def budget_after(
    limit: RateLimit | None, snapshot: QuotaSnapshot | None, now_ms: int, share: float = 1.0
) -> Budget:
    """The quota, with the day's limit that the API has announced, less what is used of this day's.

    ``now_ms`` is in Unix milliseconds, ``share`` the part of each limit that is used.
    """
    limit = limit and limit.shared(share)
    rate = math.inf if limit is None else limit.requests / limit.interval
    announced = snapshot.day_limit if snapshot else None
    daily = part(announced, share) if announced else (limit.daily if limit else None)
    ends_in = (snapshot.day_ends - now_ms) / 1000 if snapshot else 0.0
    if snapshot is None or daily is None or ends_in <= 0:
        return Budget(rate=rate, daily=daily)
    left = max(daily - snapshot.day_used, 0)
    return Budget(rate=rate, daily=daily, left_today=left, day_ends_in=min(ends_in, DAY))


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


class Requests(Struct, frozen=True):
    """Between how many requests something takes, if none has to be made again."""

    least: int
    most: int


def requests_for(work: Workload, mode: ContactMode, marks: int = 0) -> Requests:
    """Count the requests that a location's records take, those before the sending included.

    A contact may be found by the first look-up; or by none, and is created. A conversation that
    exists already has to be searched for. Of ``marks`` conversations, each is looked at and marked.
    """
    alike = work.records + work.files + work.owners + 2 * marks
    contacts = work.ways + work.handles * (mode != "find")
    return Requests(
        alike + work.handles + work.conversations, alike + contacts + 2 * work.conversations
    )


def slowest(needs: Iterable[tuple[int, Budget]]) -> float:
    """The time for all locations, which run side by side: that of the slowest one."""
    return max((seconds_needed(count, budget) for count, budget in needs), default=0.0)
