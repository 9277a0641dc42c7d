"""What stands in an outbox, and who sends from it, in the words of reports: reasons above all.

What sources left out, and what they would have their user know, is told once, with counts.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct

from leadconnector_async.outbox.base import State
from leadconnector_async.outbox.reader import MAX_PLACES, MAX_REASONS, OTHERS, gist
from leadconnector_async.quota.limits import RateLimit
from leadconnector_async.records.deferred import is_outbound_call
from leadconnector_async.reports.progress import budget_after, slowest
from leadconnector_async.sources.fields import notice
from leadconnector_async.sources.formats.failed_list import failed_suffix

if TYPE_CHECKING:
    from collections.abc import Iterable

    from leadconnector_async.outbox.outbox_reader import OutboxReader
    from leadconnector_async.outbox.reader import OutboxSummary, Owner, RecordCounts, SourcePosition
    from leadconnector_async.sources import Parsed

RecordState = Literal["pending", "sent", "failed", "unresolved", "left out", "dismissed"]

ReasonState = Literal["wrong", "notice"] | RecordState

STATES: Final[dict[State, RecordState]] = {
    State.PENDING: "pending",
    State.CLAIMED: "pending",
    State.SENT: "sent",
    State.REJECTED: "failed",
    State.UNRESOLVED: "unresolved",
    State.LEFT_OUT: "left out",
    State.DISMISSED: "dismissed",
}
"""What people call what became of a record."""


class Reason(Struct):
    """Why records are not sent, how many, and where the first of them stand (``file:line``)."""

    state: ReasonState
    reason: str
    count: int = 0
    lines: list[str] = []


class Reasons:
    """Groups what is wrong, as it is told."""

    def __init__(self, state: ReasonState = "wrong") -> None:
        self._state = state
        self._groups: dict[str, Reason] = {}

    def add(self, reason: str, place: str) -> Reason:
        """Count one more. Returns the group that it is in."""
        key = gist(reason)
        if key not in self._groups and len(self._groups) >= MAX_REASONS:
            key = reason = OTHERS
        group = self._groups.setdefault(key, Reason(self._state, reason))
        if group.reason != reason:
            group.reason = key
        group.count += 1
        if len(group.lines) < MAX_PLACES:
            group.lines.append(place)
        return group

    def most_frequent(self) -> list[Reason]:
        """All groups, the largest first."""
        return sorted(self._groups.values(), key=lambda group: -group.count)


_MAX_NAMED: Final = 20
"""Locations beside the one that the user names which a notice names; the others have one together:
a file may have ten thousand."""


def told_of(parsed: Parsed) -> tuple[str, ...]:
    """Give what the owner of a record should know of it."""
    row = parsed.row
    if row is not None and row.message and is_outbound_call(row):
        return (*parsed.notices, notice("texts_of_sent_calls"))
    return parsed.notices


class Notes:
    """Counts, over all sources of a run, the records left out and the notices, by their words.

    ``location`` is the one that the user names, which a record's own goes before.
    """

    def __init__(self, location: str | None = None) -> None:
        self._location = location
        self._elsewhere: dict[str, Reason] = {}
        self.left_out: Reasons = Reasons("left out")
        self.notices: Reasons = Reasons("notice")

    def add_all(self, batch: Iterable[Parsed], source: str) -> None:
        """Note what records say of themselves: nothing, nearly all of them."""
        for parsed in batch:
            row, here = parsed.row, self._location
            is_elsewhere = here and row is not None and (row.location_id or here) != here
            is_call = row is not None and row.type == "Call"
            if is_elsewhere or is_call or parsed.notices or parsed.left_out is not None:
                self.add(parsed, source)

    def add(self, parsed: Parsed, source: str) -> None:
        """Note what a record says of itself."""
        if parsed.left_out is not None:
            self.left_out.add(parsed.left_out, parsed.place(source))
        for words in told_of(parsed):
            self.notices.add(words, parsed.place(source))
        own = None if parsed.row is None else parsed.row.location_id
        if own and self._location and own != self._location:
            known = self._elsewhere
            own = own if own in known or len(known) < _MAX_NAMED else "another location"
            group = known.get(own)
            if group is not None and len(group.lines) >= MAX_PLACES:
                group.count += 1  # nearly each record of a file of many locations has this notice
                return
            said = f"goes to {own}, which its locationId names, not to --location {self._location}"
            known[own] = self.notices.add(said, parsed.place(source))


class WorkerStatus(Struct, kw_only=True):
    """What a process does that sends from an outbox in a database: a worker, or a program."""

    worker: str
    """Its machine and process there: ``host/pid``."""
    id: str
    joined: bool
    """Whether locations are shared with it: it is a worker."""
    locations: int
    """Those that it owns, and those of them that have records left, but for later."""
    locations_left: int
    pending: int
    rate: float
    """Records sent a second, over the last minute."""
    estimate_s: float
    """How long its locations take by the documented quota."""


async def _workers_of(found: OutboxSummary, reader: OutboxReader) -> list[WorkerStatus]:
    if not found.owners:
        return []
    quotas, now_ms = await reader.quotas(), time.time_ns() // 1_000_000

    def described(owner: Owner) -> WorkerStatus:
        left = {name: n for name in owner.locations if (n := found.left_now(name))}
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


class OutboxCounts(Struct, frozen=True, kw_only=True):
    """How many records of an outbox stand where, of all runs."""

    sent: int = 0
    failed: int = 0
    """Refused by the rules or by the API."""
    unresolved: int = 0
    """May be stored, or not."""
    pending: int = 0
    """Not sent yet, those in flight included."""
    left_out: int = 0
    """Nothing is wrong with them, and they are not to be sent."""
    dismissed: int = 0
    """Failed or unresolved, and given up by their owner."""


def by_state(counts: RecordCounts) -> dict[str, int]:
    """The fields of `OutboxCounts`."""
    own = {"failed": "rejected", "pending": "left"}
    return {name: getattr(counts, own.get(name, name)) for name in OutboxCounts.__struct_fields__}


class LocationCounts(OutboxCounts, frozen=True, kw_only=True):
    """Where the records of a location stand."""

    location: str
    later: int = 0
    """Those of ``pending`` that the last import did not select."""
    error: str | None = None
    """Why the location could not go on in this run; for a status, in that of any worker."""
    stopped_at: int | None = None
    """Since when it has not gone on, in Unix milliseconds, as an outbox in a database says."""


class Tallied(OutboxCounts, frozen=True, kw_only=True):
    """All that was ever read into an outbox, and what became of it. ``read`` is the sum."""

    read: int
    copies: int
    """Equal records that were read beside one that is kept: twice in a file, or in two."""

    @property
    def adds_up(self) -> bool:
        """Whether each record that was read is somewhere. It always does, or this is at fault."""
        ends: int = sum(getattr(self, name) for name in _ENDS)
        return self.read == ends

    @property
    def text(self) -> str:
        """The sum as people read it: ``read 10 = 7 sent + 1 failed + 2 left out``."""
        told = {name.replace("_", " "): n for name in _ENDS if (n := getattr(self, name))}
        if self.copies == 1:
            told = {"copy" if name == "copies" else name: n for name, n in told.items()}
        terms = [f"{n:,} {name}" for name, n in told.items()] or ["0 sent"]
        return f"read {self.read:,} = {' + '.join(terms)}"


_ENDS: Final = ("sent", "failed", "unresolved", "pending", "copies", "left_out", "dismissed")
"""What became of what was read, in the order in which it is told."""


class StatedOutbox(OutboxCounts, frozen=True, kw_only=True):
    """What a status and the summary of an import both tell of an outbox. Names as in ``--json``."""

    copies: int = 0
    """Equal records that were read beside one that is kept."""
    later: int = 0
    """Those of ``pending`` that the last import did not select: the same command without its
    ``--limit``, ``--since``, ``--until`` and ``--only`` goes on with them."""
    by_reason: list[Reason]
    """Why records failed or are unresolved, the most frequent reason first."""
    left_out_by_reason: list[Reason] = []
    dismissed_by_reason: list[Reason] = []
    copies_lines: list[str] = []
    """Where the first copies stand (``file:line``)."""
    locations: list[LocationCounts]
    """The counts of each location, and why it could not go on."""
    account: Tallied
    """The sum of what was ever read into the outbox."""
    list_format: str
    """The form of the list of failed records: ``csv`` or ``jsonl``."""


class OutboxStatus(StatedOutbox, frozen=True, kw_only=True):
    """All locations together, and each."""

    rate: float
    """Records sent a second, over the last minute."""
    workers: list[WorkerStatus] = []
    """Who sends from a database now."""


async def status_of(reader: OutboxReader) -> OutboxStatus:
    """Read an outbox, also while an import writes it.

    Raises:
        OutboxError: it cannot be read.
    """
    found = await reader.summary()
    forms, stopped = await reader.failed_forms(), await reader.stopped()
    total = by_state(found.counts)
    return OutboxStatus(
        **total,
        copies=found.copies,
        rate=round(found.sent_lately / found.lately_s, 3),
        by_reason=_reasons(found, State.REJECTED, State.UNRESOLVED),
        left_out_by_reason=_reasons(found, State.LEFT_OUT),
        dismissed_by_reason=_reasons(found, State.DISMISSED),
        copies_lines=[_place(place) for place in found.first_copies],
        later=sum(found.later.values()),
        locations=[
            LocationCounts(
                location=name,
                **by_state(counts),
                later=found.later.get(name, 0),
                error=str(stopped[name].error) if name in stopped else None,
                stopped_at=stopped[name].at if name in stopped else None,
            )
            for name, counts in found.locations.items()
        ],
        list_format=failed_suffix(forms).removeprefix("."),
        account=Tallied(**total, read=found.records + found.copies, copies=found.copies),
        workers=await _workers_of(found, reader),
    )


def _reasons(found: OutboxSummary, *states: State) -> list[Reason]:
    return [
        Reason(STATES[of.state], of.reason or "no reason given", of.count, [*map(_place, of.first)])
        for of in found.reasons
        if of.state in states
    ]


def _place(place: SourcePosition) -> str:
    return f"{place.source}:{place.line}" if place.source else "no file"
