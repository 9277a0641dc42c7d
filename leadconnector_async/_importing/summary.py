"""What an import came to: what this run did, and what stands in the outbox now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from leadconnector_async._importing.reasons import Reason
from leadconnector_async._importing.standing import LocationCounts, Standing

if TYPE_CHECKING:
    from leadconnector_async._engine.tally import Tally

Ended = Literal["done", "error", "day_spent", "interrupted", "planned"]


class LocationPlan(Struct, kw_only=True):
    """What is left to do in a location, and how long it takes by the quota at least.

    The times are those of the least and the most requests that it may be, if none fails.
    """

    location: str
    records: int
    contacts: int
    files: int
    conversations: int
    requests_least: int
    requests_most: int
    estimate_s: float
    estimate_most_s: float


class Summary(Struct, kw_only=True):
    """The counts of a report, under the names of ``--json``.

    ``failed``, ``unresolved``, ``pending``, ``by_reason`` and ``locations`` are what stands in the
    outbox, earlier runs included. The others are what this run did. Of ``requests``, ``errands``
    completed a record before it was sent: they found contacts, uploaded files, and so on.
    """

    staged: int
    skipped: int
    sent: int
    failed: int
    unresolved: int
    pending: int
    requests: int
    throttled: int
    elapsed_s: float
    found: int
    looks: int
    errands: int
    by_reason: list[Reason]
    locations: list[LocationCounts]
    outbox: str
    ended: Ended
    error: str | None
    list_format: str
    estimate_s: float | None = None
    """By the quota, for what is pending: only of a dry run. So are the following."""
    estimate_most_s: float | None = None
    plan: list[LocationPlan] = []


class Ending(Struct, frozen=True, kw_only=True):
    """How a run ended, and why locations could not go on."""

    ended: Ended
    error: str | None = None
    stopped: Mapping[str, str] = {}


def summary_of(
    tally: Tally, standing: Standing, ending: Ending, *, elapsed_s: float, outbox: str
) -> Summary:
    """Put together what is known of a run at its end."""
    for location in standing.locations:
        location.error = ending.stopped.get(location.location)
    if ending.ended == "done" and standing.pending:  # whatever the cause: it is not all sent
        left = f"{standing.pending:,} records are still pending: run again"
        ending = Ending(ended="error", error=left)
    return Summary(
        staged=tally.staged,
        skipped=tally.skipped,
        sent=tally.sent,
        failed=standing.failed,
        unresolved=standing.unresolved,
        pending=standing.pending,
        requests=tally.requests,
        throttled=tally.throttled,
        elapsed_s=round(elapsed_s, 3),
        found=tally.found,
        looks=tally.looks,
        errands=tally.errands,
        by_reason=standing.by_reason,
        locations=standing.locations,
        outbox=outbox,
        ended=ending.ended,
        error=ending.error,
        list_format=standing.list_format,
    )
