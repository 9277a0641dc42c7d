"""Who sends from an outbox that several processes share, and how far each one is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from msgspec import Struct

from leadconnector_async.quota.limits import RateLimit
from leadconnector_async.reports.estimate import budget_after, slowest

if TYPE_CHECKING:
    from leadconnector_async.outbox.reader import OutboxReader, OutboxSummary, Owner


class WorkerStatus(Struct, kw_only=True):
    """What a process does that sends from an outbox in a database: a worker, or a program."""

    worker: str
    """Its machine and process there: ``host/pid``."""
    id: str
    joined: bool
    """Whether locations are shared with it: it is a worker."""
    locations: int
    """Those that it owns, and those of them that have records left."""
    locations_left: int
    pending: int
    rate: float
    """Records sent a second, over the last minute."""
    estimate_s: float
    """How long its locations take by the documented quota."""


async def workers_of(found: OutboxSummary, reader: OutboxReader) -> list[WorkerStatus]:
    """Say of each process what it owns."""
    if not found.owners:
        return []
    quotas, now_ms = await reader.quotas(), time.time_ns() // 1_000_000

    def described(owner: Owner) -> WorkerStatus:
        left = {name: n for name in owner.locations if (n := found.locations[name].left)}
        budgets = {name: budget_after(RateLimit(), quotas.get(name), now_ms) for name in left}
        return WorkerStatus(
            worker=owner.label,
            id=owner.id,
            joined=owner.joined,
            locations=len(owner.locations),
            locations_left=len(left),
            pending=sum(left.values()),
            rate=round(owner.sent_lately / found.lately_s, 3),
            estimate_s=round(slowest((n, budgets[name]) for name, n in left.items()), 1),
        )

    return [described(owner) for owner in found.owners]
