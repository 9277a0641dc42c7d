"""What an import came to: what this run did, and what stands in the outbox now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct, field
from msgspec.structs import replace

from leadconnector_async.public_place import name_public_place
from leadconnector_async.reports.outbox_status import Reason, StatedOutbox

if TYPE_CHECKING:
    from leadconnector_async.delivery.results import RunStats
    from leadconnector_async.reports.outbox_status import OutboxStatus, Reasons, Tallied

Ended = Literal["done", "error", "day_spent", "time_up", "interrupted", "planned", "staged"]


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


class ImportSummary(StatedOutbox, frozen=True, kw_only=True):
    """What an import came to: under these names ``--json`` prints it. Times are in seconds.

    Example:
        >>> summary = await import_files(api, ["history.csv"], outbox="import.db")
        >>> print(summary.sent, summary.failed, summary.by_reason)
    """

    read: int
    """Records that this run read from the sources."""
    staged: int
    """Those of them that were new to the outbox."""
    skipped: int
    """Those that the outbox had already."""
    sent: int
    """Records that this run sent."""
    sent_before: int
    """Records that earlier runs sent."""
    requests: int
    """Requests of this run."""
    throttled: int
    """Those of them that were answered 429."""
    elapsed_s: float
    found: int
    """Those of ``sent`` whose answer was lost, and that were found stored."""
    looks: int
    """Those of ``requests`` that looked for a record."""
    errands: int
    """Those of ``requests`` that completed a record before it was sent: they found its contact,
    uploaded a file, and so on."""
    marked_read: int
    """Conversations that this run marked as read."""
    notices: list[Reason]
    """What of the records this run did not carry over, or read in a way to know of."""
    outbox: str
    ended: Ended
    """``done``, also where something is left for ``later``; ``error`` or ``day_spent`` where a
    location stopped before its end; ``time_up`` where the run was to end with something left; or
    the command's own ``interrupted``, ``planned`` and ``staged``."""
    error: str | None
    """What stopped the run, or its locations."""
    estimate_s: float | None = None
    """By the quota, for what is pending: only of a dry run. So are the following."""
    estimate_most_s: float | None = None
    plan: list[LocationPlan] = field(default_factory=list)


class Ending(Struct, frozen=True, kw_only=True):
    """How a run ended, and why locations could not go on."""

    ended: Ended
    error: str | None = None
    stopped: Mapping[str, str] = {}


def summary_of(  # noqa: PLR0913 - one argument for each thing that is known
    stats: RunStats,
    status: OutboxStatus,
    ending: Ending,
    *,
    notices: Reasons | None = None,
    elapsed_s: float,
    outbox: str,
    left: int | None = None,
) -> ImportSummary:
    """Put together what is known of a run at its end, and see that no record is missing in it.

    ``left`` are the records that it should have sent and are pending: None for all that are.
    """
    left = status.pending - status.later if left is None else left
    if ending.ended == "done" and left:  # whatever the cause: it is not all sent
        ending = Ending(ended="error", error=f"{left:,} records are still pending: run again")
    if ending.error is None and (fault := _fault(stats, status.account, ending)):
        ending = Ending(ended="error", error=fault)
    stopped = ending.stopped
    sent = min(stats.sent, status.sent)  # an answer that the outbox could not keep counts as none
    stated = {name: getattr(status, name) for name in StatedOutbox.__struct_fields__} | {
        "sent": sent,
        "locations": [replace(of, error=stopped.get(of.location)) for of in status.locations],
    }
    return ImportSummary(
        **stated,
        **{name: getattr(stats, name) for name in _OF_RUN},
        sent_before=status.sent - sent,
        elapsed_s=round(elapsed_s, 3),
        looks=stats.searches,
        errands=stats.enrichments,
        marked_read=stats.marked,
        notices=[] if notices is None else notices.most_frequent(),
        outbox=outbox,
        ended=ending.ended,
        error=ending.error,
    )


_OF_RUN: Final = ("read", "staged", "skipped", "requests", "throttled", "found")
"""What `RunStats` calls so too."""


def _fault(stats: RunStats, account: Tallied, ending: Ending) -> str | None:
    is_cut = ending.ended == "interrupted"  # perhaps amid a batch that was read, and is not counted
    if account.adds_up and (is_cut or stats.read == stats.staged + stats.skipped):
        return None
    wrong = f"the account does not add up: {account.text}, and of {stats.read:,} records of this "
    wrong += f"run {stats.staged:,} were new and {stats.skipped:,} known"
    fix = "please report it, and keep the outbox"
    return f"{wrong}. This is an error of leadconnector-async: {fix}"


name_public_place(globals())
