"""What stands in an outbox, in the words of reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from leadconnector_async._importing.reasons import Reason
from leadconnector_async._outbox.interface import State
from leadconnector_async._outbox.ledger import Ledger
from leadconnector_async.sources.failed import failed_suffix

if TYPE_CHECKING:
    from leadconnector_async._outbox.ledger import Counts, Place, ReasonCount


class LocationCounts(Struct, kw_only=True):
    """Where the records of a location stand, of all runs."""

    location: str
    sent: int
    failed: int
    unresolved: int
    pending: int
    """Those in flight included."""
    error: str | None = None
    """Why the location could not go on in this run."""


class Standing(Struct, kw_only=True):
    """All locations together, and each. Names as in ``--json``."""

    sent: int
    failed: int
    unresolved: int
    pending: int
    rate: float
    """Records sent a second, over the last minute."""
    by_reason: list[Reason]
    locations: list[LocationCounts]
    list_format: str
    """The form of the list of failed records: ``csv`` or ``jsonl``."""


def standing_of(outbox: str) -> Standing:
    """Read an outbox, also while an import writes it.

    Raises:
        OutboxError: it does not exist, or cannot be read.
    """
    with Ledger(outbox) as ledger:
        found = ledger.summary()
        forms = ledger.failed_forms()
    total = found.counts
    return Standing(
        sent=total.sent,
        failed=total.rejected,
        unresolved=total.unresolved,
        pending=total.left,
        rate=round(found.sent_lately / found.lately_s, 3),
        by_reason=[_reason(reason) for reason in found.reasons],
        locations=[_location(name, counts) for name, counts in found.locations.items()],
        list_format=failed_suffix(forms).removeprefix("."),
    )


def _location(name: str, counts: Counts) -> LocationCounts:
    return LocationCounts(
        location=name,
        sent=counts.sent,
        failed=counts.rejected,
        unresolved=counts.unresolved,
        pending=counts.left,
    )


def _reason(found: ReasonCount) -> Reason:
    return Reason(
        "failed" if found.state is State.REJECTED else "unresolved",
        found.reason or "no reason given",
        found.count,
        [_place(place) for place in found.first],
    )


def _place(place: Place) -> str:
    return f"{place.source}:{place.line}" if place.source else "no file"
