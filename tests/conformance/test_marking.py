"""Which conversations are to be marked as read: those of lanes that have nothing more to send."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from outbox_kit import claimed, draft, fate, published

from leadconnector_async.api.enrichment import LEAVE
from leadconnector_async.outbox.base import State
from leadconnector_async.outbox.lookups import ReadMark

if TYPE_CHECKING:
    from outbox_places import DurablePlace

    from leadconnector_async.outbox.durable import DurableOutbox


@pytest.mark.slow
async def test_a_lane_is_finished_with_its_last_record(
    durable: DurableOutbox, place: DurablePlace
) -> None:
    """By the conversation that it was stored in; a crash forgets nothing."""
    await published(durable, [draft("a", lane=-7, date=1), draft("b", lane=-7, date=2)])
    first, second = await claimed(durable, 2)
    lease = first.lease
    await durable.put_lookups(lease, {"mark:-7:c1": "", "unread:c1": ""})
    await durable.settle([fate(first, conversation_id="v1")], [])
    assert await durable.finished(lease) == []
    await durable.settle([fate(second, State.REJECTED, reason="no")], [])
    assert await durable.finished(lease) == [ReadMark("mark:-7:c1", "v1")]
    again = await place.crashed()
    assert await again.marking() == ["l1"]
    lease, *_ = await again.acquire("l1")
    await again.forget_lookups(lease, ["mark:-7:c1", "unread:c1"])
    assert await again.finished(lease) == []
    assert await again.marking() == []
    assert await again.get_lookups(lease, ["unread:c1"]) == {}
    await again.close()


async def test_nothing_is_done_where_nothing_is_to_be(durable: DurableOutbox) -> None:
    """Of a conversation that was unread, and of one in which nothing was stored."""
    await published(durable, [draft("a", lane=1), draft("b", lane=2), draft("c", lane=3)])
    claims = {claim.lane: claim for claim in await claimed(durable, 3)}
    lease = claims[1].lease
    await durable.put_lookups(lease, {"mark:1:c1": LEAVE, "mark:2:c2": "", "mark:3:v3": "v3"})
    ends = [
        fate(claims[1], conversation_id="v1"),
        fate(claims[2], State.REJECTED, reason="no"),
        fate(claims[3], conversation_id="v9"),
    ]
    await durable.settle(ends, [])
    assert sorted(await durable.finished(lease)) == [
        ReadMark("mark:1:c1", None),
        ReadMark("mark:2:c2", None),
        ReadMark("mark:3:v3", "v3"),
    ]
