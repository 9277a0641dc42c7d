"""What the API's answers teach of a location."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from outbox_kit import claimed, draft, fate, published

from leadconnector_async.models import Contact
from leadconnector_async.outbox.base import State
from leadconnector_async.records.deferred import Deferred

if TYPE_CHECKING:
    from outbox_places import DurablePlace

    from leadconnector_async.outbox.base import Outbox
    from leadconnector_async.outbox.durable import DurableOutbox

KIM = Deferred(contact=Contact(phone="+1")).encoded()
MANY = {f"n{n}": f"v{n}" for n in range(150)}


async def test_lookups_belong_to_a_location(outbox: Outbox) -> None:
    """However many are asked for at once, known or not."""
    here, there = [(await outbox.acquire(name)).lease for name in ("l1", "l2")]
    await outbox.put_lookups(here, MANY)
    await outbox.put_lookups(there, {"n1": "other"})
    assert await outbox.get_lookups(here, [*MANY, "m", "n1"]) == MANY
    assert await outbox.get_lookups(there, ["n1", "n2"]) == {"n1": "other"}
    assert await outbox.get_lookups(here, []) == {}


async def test_lookups_outlive_a_crash(durable: DurableOutbox, place: DurablePlace) -> None:
    """They are durable when they are written, and can be read by the location's name."""
    await durable.put_lookups((await durable.acquire("l1")).lease, MANY)
    async with await place.crashed() as after, await place.reader() as reader:
        assert await after.get_lookups((await after.acquire("l1")).lease, [*MANY]) == MANY
        assert await reader.lookups("l1", ["n3", "m"]) == {"n3": "v3"}
        assert await reader.lookups("nowhere", ["n3"]) == {}


async def test_what_is_put_replaces_and_what_an_end_teaches_does_not(outbox: Outbox) -> None:
    """A thread keeps the name of its first mail."""
    await published(outbox, [draft("a"), draft("b", date=1)])
    first, second = await claimed(outbox, 2)
    await outbox.settle([fate(first, lookups={"mail": "e1"})], ())
    await outbox.settle([fate(second, lookups={"mail": "e2"})], ())
    assert await outbox.get_lookups(first.lease, ["mail"]) == {"mail": "e1"}
    await outbox.put_lookups(first.lease, {"mail": "e3"})
    assert await outbox.get_lookups(first.lease, ["mail"]) == {"mail": "e3"}


@pytest.mark.parametrize(
    ("beside", "known"),
    [
        (State.SENT, {"contact:+2"}),
        (State.UNRESOLVED, {"contact:+1", "conversation:k", "contact:+2"}),
        (State.CLAIMED, {"contact:+1", "conversation:k", "contact:+2"}),
    ],
)
async def test_requeueing_lets_the_contact_be_asked_for_again(
    durable: DurableOutbox, beside: State, known: set[str]
) -> None:
    """And its conversation: they may have been deleted. Those of others stay.

    All stays where a record of the lane may be stored: it has to be looked for where it was sent.
    """
    batch = [replace(draft("a"), deferred=KIM), replace(draft("b", date=1), deferred=KIM)]
    await published(durable, batch)
    first, second = await claimed(durable, 2)
    lookups = {"contact:+1": "k", "conversation:k": "v", "contact:+2": "x"}
    await durable.put_lookups(first.lease, lookups)
    ends = [fate(first, State.REJECTED), fate(second, beside)]
    await durable.settle(ends[: 1 if beside is State.CLAIMED else 2], ())
    await durable.requeue()
    assert (await durable.get_lookups(first.lease, list(lookups))).keys() == known
