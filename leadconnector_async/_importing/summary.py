"""What an import came to: what this run did, and what stands in the outbox now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from leadconnector_async._importing.reasons import Reason
from leadconnector_async._importing.standing import LocationCounts, Standing, Tallied

if TYPE_CHECKING:
    from leadconnector_async._engine.tally import Tally
    from leadconnector_async._importing.reasons import Reasons

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

    What failed, is unresolved, pending, left out, dismissed, or a copy, with its reasons and
    locations, is what stands in the outbox, earlier runs included, and ``account`` is the sum of
    it. The others are what this run did: it sent ``sent`` records, and earlier ones
    ``sent_before``. Of ``requests``, ``errands`` completed a record before it was sent: they found
    contacts, uploaded files, and so on.
    """

    read: int
    staged: int
    skipped: int
    sent: int
    sent_before: int
    failed: int
    unresolved: int
    pending: int
    copies: int
    left_out: int
    dismissed: int
    requests: int
    throttled: int
    elapsed_s: float
    found: int
    looks: int
    errands: int
    by_reason: list[Reason]
    left_out_by_reason: list[Reason]
    dismissed_by_reason: list[Reason]
    copies_lines: list[str]
    notices: list[Reason]
    locations: list[LocationCounts]
    account: Tallied
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


def summary_of(  # noqa: PLR0913 - one argument for each thing that is known
    tally: Tally,
    standing: Standing,
    ending: Ending,
    *,
    notices: Reasons | None = None,
    elapsed_s: float,
    outbox: str,
) -> Summary:
    """Put together what is known of a run at its end, and see that no record is missing in it."""
    for location in standing.locations:
        location.error = ending.stopped.get(location.location)
    if ending.ended == "done" and standing.pending:  # whatever the cause: it is not all sent
        left = f"{standing.pending:,} records are still pending: run again"
        ending = Ending(ended="error", error=left)
    if ending.error is None and (fault := _fault(tally, standing.account)):
        ending = Ending(ended="error", error=fault)
    return Summary(
        read=tally.read,
        staged=tally.staged,
        skipped=tally.skipped,
        sent=tally.sent,
        sent_before=standing.sent - tally.sent,
        failed=standing.failed,
        unresolved=standing.unresolved,
        pending=standing.pending,
        copies=standing.copies,
        left_out=standing.left_out,
        dismissed=standing.dismissed,
        requests=tally.requests,
        throttled=tally.throttled,
        elapsed_s=round(elapsed_s, 3),
        found=tally.found,
        looks=tally.looks,
        errands=tally.errands,
        by_reason=standing.by_reason,
        left_out_by_reason=standing.left_out_by_reason,
        dismissed_by_reason=standing.dismissed_by_reason,
        copies_lines=standing.copies_lines,
        notices=[] if notices is None else notices.most_frequent(),
        account=standing.account,
        locations=standing.locations,
        outbox=outbox,
        ended=ending.ended,
        error=ending.error,
        list_format=standing.list_format,
    )


def _fault(tally: Tally, account: Tallied) -> str | None:
    """Say that the account does not add up."""
    if account.adds_up and tally.read == tally.staged + tally.skipped:
        return None
    return (
        f"the account does not add up: {account.text}, and of {tally.read:,} records of this run "
        f"{tally.staged:,} were new and {tally.skipped:,} known. This is an error of "
        "leadconnector-async: please report it, and keep the outbox"
    )
