"""How patient the importer is: one frozen object, made at the edge and handed down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta

from leadconnector_async.arguments import AtLeastOne, Checked, NotNegative
from leadconnector_async.public_place import name_public_place

if TYPE_CHECKING:
    from random import Random

ContactMode = Literal["find", "create", "upsert"]

OnUnknown = Literal["look", "send", "hold"]


class Policy(Checked, frozen=True, kw_only=True):
    """What to do when a request does not end well. Times are in seconds.

    Example:
        >>> Policy(attempts=6, share=0.5).attempts
        6
    """

    attempts: AtLeastOne = 4
    """How often a record may be sent before it is given up. A 429, and a request that never left,
    cost none: neither is the record's fault."""

    backoff: NotNegative = 0.5
    backoff_cap: NotNegative = 30.0
    """The wait before attempt *n + 1* is random between 0 and min(cap, backoff · 2^(n-1)), so that
    many lanes that failed together do not come back together."""

    retry_after_cap: NotNegative = 900.0
    """The longest ``Retry-After`` that is believed."""

    on_unknown: OnUnknown = "look"
    """For a record that may have been stored: ``look`` in its conversation and send it again only
    if it is not there; ``send`` it again at once, at the risk of storing it twice; or ``hold`` it
    as `Unresolved`, at the risk that it is missing."""

    look_after: Annotated[tuple[NotNegative, ...], Meta(min_length=1)] = (2.0, 8.0)
    """When to look, counted from the moment of doubt. Reads lag behind writes by seconds, so only
    the last look decides that a message is not there."""

    stamp_alt_id: bool = True
    """Send the record's key as ``altId`` where it has none, so that looking is certain."""

    contacts: ContactMode = "create"
    """For a record that names its contact by number or address: ``find`` one that exists, else it
    is rejected; or ``create`` what is not found. ``upsert`` does as ``create``: the API's own
    upsert can delete the first address of a contact that exists, and is not called."""

    patience: NotNegative = 1800.0
    """How long the API may be out of reach before the run is given up, and how long a location may
    answer nothing but 429 before it stops alone."""

    wait_for_day: bool = False
    """When the day's quota is spent: wait for the next day instead of stopping."""

    mark_read: bool = False
    """Set the unread count of each conversation to 0 once its last message is settled, unless it
    was unread before the first one was sent. Of imports of files alone."""

    share: Annotated[float, Meta(gt=0, le=1)] = 1.0
    """The part of each location's quota to use, of the window and of the day: the rest is left to
    others, whether they are there or not."""

    def delay(self, attempt: int, random: Random) -> float:
        """The wait after attempt number ``attempt`` (from 1) failed: full jitter."""
        return random.uniform(0, min(self.backoff_cap, self.backoff * 2.0 ** min(attempt - 1, 30)))


name_public_place(globals())
