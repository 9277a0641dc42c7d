"""What an outbox is: an asynchronous store that speaks in batches.

A record is *staged* once (by location and key), *published* into its lane's order, *claimed* before
the first byte of its request leaves, and *settled* when its fate is known.

Who claims holds a *lease* of the location, with a fencing token that grows with each lease of it:
what an earlier holder still writes is refused. What was claimed under an earlier lease and never
settled is handed to the next holder, as unknown. SQLite is the case with one owner of the file.
"""

from __future__ import annotations

import asyncio
import time
from enum import IntEnum
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeAlias

from msgspec import Struct

from leadconnector_async.records.draft import Draft, TraceContext

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from leadconnector_async.errors import RefusedError
    from leadconnector_async.outbox.source_pass import SourcePass
    from leadconnector_async.quota.limits import QuotaSnapshot


class State(IntEnum):
    """Where a record stands. The numbers are stored: never reuse one."""

    PENDING = 0
    CLAIMED = 1
    SENT = 2
    REJECTED = 3
    UNRESOLVED = 4
    LEFT_OUT = 5
    """Not to be sent, though nothing is wrong with it."""
    DISMISSED = 6
    """Failed or unresolved, and given up by its owner."""


MAX_LEFT_OUT: Final = 4 << 10
"""Bytes of the longest line that is kept of what is left out: nobody has to mend it."""


def end_of(draft: Draft) -> State:
    """The state in which a draft is staged."""
    if draft.problem is not None:
        return State.REJECTED
    return State.PENDING if draft.left_out is None else State.LEFT_OUT


def why(draft: Draft) -> str | None:
    """Why a draft is not to be sent."""
    return draft.left_out if draft.problem is None else draft.problem


def kept(draft: Draft) -> bytes | None:
    """What is kept of a record's own form: of a long one that is left out, nothing."""
    is_long = draft.left_out is not None and len(draft.raw or b"") > MAX_LEFT_OUT
    return None if is_long else draft.raw


class Staged(NamedTuple):
    """What a batch came to: ``staged`` with those refused or left out, ``skipped`` as known."""

    staged: int
    skipped: int
    refused: int
    copies: int = 0
    """Of those skipped: equal ones stand elsewhere in the same source, or in another one."""
    reused: tuple[Draft, ...] = ()
    """Refused, since their id is that of another record."""


class Lease(NamedTuple):
    """The right to work on one location, until another lease of it is given."""

    location: str
    token: int
    """The fencing token: greater than that of each earlier lease of the location."""
    number: int
    """The store's own number of the location."""


class TrailEvent(NamedTuple):
    """One step on a record's way to its end, other than a first request that stored it."""

    at: int
    """Milliseconds of the Unix epoch."""
    what: str
    """What was asked and what came of it. No text of a message."""
    trace: str | None = None
    """The API's trace id, which its support asks for."""


MAX_TRAIL: Final = 32
"""Events that are kept of one record; of more, the first ones and the last one."""


CLAIM_BYTES: Final = 1000
"""What a claim takes in memory without its body, where it is the only one of its lane."""

NO_BOUND: Final = 1 << 62

SPAN_MS: Final = 10_000
"""Sent records are counted by spans of this length."""


class Claim(Struct, gc=False, eq=False):
    """A record that the holder of its lease may send, or must look for."""

    lease: Lease
    lane: int
    date: int
    seq: int
    key: bytes
    payload: bytes
    attempts: int
    deferred: str | None = None
    trail: list[TrailEvent] | None = None
    """What has happened to it under this lease: written down with the next settlement."""
    trace: TraceContext | None = None
    """Of which trace its requests are: that of whoever submitted it."""
    throttled: int = 0
    """How often it was answered 429, under this lease."""
    weight: int = 0
    """Bytes of memory that it takes, about."""

    def __post_init__(self) -> None:
        self.weight = len(self.payload) + len(self.deferred or "") + CLAIM_BYTES

    def note(self, what: str, trace: str | None = None) -> None:
        """Add to the trail. The same once more, as with 429s, is one event with the last time."""
        event = TrailEvent(time.time_ns() // 1_000_000, what, trace)
        if self.trail is None:
            self.trail = []
        if len(self.trail) >= MAX_TRAIL or (self.trail and self.trail[-1].what == what):
            self.trail[-1] = event
        else:
            self.trail.append(event)

    def __repr__(self) -> str:
        return f"Claim(location={self.lease.location!r}, seq={self.seq}, attempts={self.attempts})"


LOWEST: Final = -(1 << 63)
"""Of lanes and dates."""

STRETCH: Final = 128
"""Lanes to walk before starting over, or twice as many as are asked for."""

LANES: Final = 64
"""How many lanes a claim is spread over at least, where it asks for as many records."""

DEPTH: Final = 8
"""Records to take of one lane at most, while there are others."""

QueueEntry: TypeAlias = tuple[int, ...]
"""Lane, date, seq and attempts of a record in the queue."""


class LocationClaim:
    """What one location has given to one claim so far, in a store that walks its lanes."""

    def __init__(self, lease: Lease, wanted: int) -> None:
        self.lease = lease
        self.location: int = lease.number
        self.wanted = wanted
        self.depth: int = max(1, min(DEPTH, wanted // LANES))
        self.places: list[QueueEntry] = []
        self.lanes: set[int] = set()
        """Those that gave some."""

    @property
    def short(self) -> int:
        """How many are still wanted."""
        return self.wanted - len(self.places)


Wants: TypeAlias = "Sequence[tuple[Lease, int]]"
"""How many records to claim, of each location."""

Quotas: TypeAlias = "Sequence[tuple[Lease, QuotaSnapshot]]"
"""How much of its quota each location has used."""


class StoredOutcome(NamedTuple):
    """What became of a record, as the store keeps it."""

    key: bytes
    state: State
    message_id: str | None = None
    conversation_id: str | None = None
    email_message_id: str | None = None
    reason: str | None = None
    detail: bytes | None = None


class Settlement(NamedTuple):
    """What became of a claim. `State.PENDING` gives it back unsent."""

    claim: Claim
    state: State
    at: int
    """Milliseconds of the Unix epoch."""
    attempts: int
    message_id: str | None = None
    conversation_id: str | None = None
    email_message_id: str | None = None
    reason: str | None = None
    """Equal reasons are reported together, so it holds nothing that differs per record."""
    detail: bytes | None = None
    """The refusal as JSON, with what differs per record."""
    lookups: Mapping[str, str] | None = None
    """What else this end teaches of the location. A lookup that is known stays as it is."""

    @property
    def end(self) -> StoredOutcome:
        """The end itself, apart from how the record came to it."""
        return StoredOutcome(self.claim.key, self.state, *self[4:9])


class Acquired(NamedTuple):
    """A lease, and what its last holder left."""

    lease: Lease
    unknown: list[Claim]
    """Claimed and never settled: to be looked for, not sent. In lane order."""
    snapshot: QuotaSnapshot | None


class Submission(NamedTuple):
    """One record staged for its own sake: its number, and its end where it has one already."""

    seq: int
    state: State
    end: StoredOutcome | None
    is_new: bool = False
    """Whether it has been made, or mended, by this: else it was known, and has no end yet."""


class StoppedLocation(NamedTuple):
    """Why a location cannot go on, as its owner has written it down."""

    error: RefusedError
    at: int
    """Since when, in Unix milliseconds by the store's clock."""
    age_s: float
    """How long, by that clock."""


class Outbox(Protocol):
    """Every method raises `OutboxError` once the store has failed, and then for good.

    Those that write under leases raise `LeaseLostError` where a later one of a location was given,
    and write nothing then.
    """

    is_shared: bool
    """Whether other processes may stage, submit and send at the same time."""

    async def stage(self, drafts: Sequence[Draft], source_pass: SourcePass) -> Staged:
        """Store a batch durably. Known keys are skipped, unless refused before and mended now.

        A record that has the id of another one, and other content, is refused; a mail is stored.
        """

    async def submit(self, draft: Draft) -> Submission:
        """Stage and publish one record; say what is known of it.

        One that has the id of another one, and other content, is rejected and not stored.
        """

    async def take_in(
        self, drafts: Sequence[Draft], wants: Wants = (), room: int = NO_BOUND
    ) -> tuple[list[Submission], list[list[Claim]]]:
        """`submit` all or none, and `claim`: in one commit, where there are commits."""
        return [await self.submit(draft) for draft in drafts], await self.claim(wants, room)

    async def publish(self) -> None:
        """Make what was staged claimable, in date order within its lane."""

    async def locations(self) -> list[str]:
        """The locations that have something to claim or to look for, oldest first."""

    async def acquire(self, location: str) -> Acquired:
        """Take the lease of a location. Earlier ones of it end."""

    async def acquire_all(self, locations: Sequence[str]) -> Sequence[Acquired | BaseException]:
        """`acquire` several, in one commit where there are commits; or why one is not to be had."""
        return await asyncio.gather(*map(self.acquire, locations), return_exceptions=True)

    def may_send(self, lease: Lease) -> Callable[[], bool] | None:  # noqa: ARG002 - for others
        """What to ask right before a request under the lease leaves.

        None where nobody else can have taken the location over.
        """
        return None

    async def claim(self, wants: Wants, room: int = NO_BOUND) -> list[list[Claim]]:
        """For each (lease, at most how many): the next records, spread over lanes.

        Durable when this returns. A lane's records come in date order, over all calls. Fewer than
        asked for: that is all there is now, unless all together weigh ``room`` or more: then the
        rest is left for another call. A store in memory, which holds them anyway, weighs nothing.
        """

    async def settle(self, settlements: Sequence[Settlement], quotas: Quotas) -> None:
        """Write fates and quotas down. Durable when this returns."""

    async def get_lookups(self, lease: Lease, names: Sequence[str]) -> dict[str, str]:
        """Those of the named lookups of a location that are known."""

    async def put_lookups(self, lease: Lease, lookups: Mapping[str, str]) -> None:
        """Write lookups of a location down, over what was known. Durable when this returns."""

    async def stored(self, claim: Claim) -> set[str]:
        """The message ids that are known to belong to other records of the claim's lane."""

    async def fetch_file(self, digest: str) -> str | None:  # noqa: ARG002 - for others
        """Write a file of a record that is not sent yet to this machine, where it is kept.

        Returns the path. None if the store keeps no files, or this one could not be read.
        """
        return None

    async def close(self) -> None:
        """Commit, and let the next owner in."""
