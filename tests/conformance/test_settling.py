"""What becomes of claims, the quota that is used, and what the API's answers teach."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from outbox_kit import AT, claimed, draft, drafts, fate, keys, listed, published

from leadconnector_async.errors import OutboxError
from leadconnector_async.outbox.base import State
from leadconnector_async.outbox.reader import RecordCounts
from leadconnector_async.quota.limits import QuotaSnapshot

if TYPE_CHECKING:
    from outbox_places import DurablePlace

    from leadconnector_async.outbox.base import Outbox
    from leadconnector_async.outbox.durable import DurableOutbox
    from leadconnector_async.outbox.outbox_reader import OutboxReader


async def test_every_end_is_counted_once(durable: DurableOutbox, reader: OutboxReader) -> None:
    """Sent, rejected and unresolved; what is given back stays pending."""
    states = [State.SENT, State.SENT, State.REJECTED, State.UNRESOLVED, State.PENDING]
    await published(durable, drafts(8, lanes=8))
    claims = await claimed(durable, 6)
    await durable.settle([fate(*pair) for pair in zip(claims, states, strict=False)], ())
    counts = (await reader.summary()).counts
    assert counts == RecordCounts(pending=3, claimed=1, sent=2, rejected=1, unresolved=1)


async def test_an_end_is_kept_with_all_its_details(
    durable: DurableOutbox, reader: OutboxReader
) -> None:
    """What the API answered, and when."""
    await published(durable, drafts(2, lanes=2))
    claims = await claimed(durable, 2)
    ends = [
        fate(claims[0], message_id="m", conversation_id="c", email_message_id="e"),
        fate(claims[1], State.REJECTED, reason="422", detail=b'{"traceId":"t"}', at=AT + 9),
    ]
    await durable.settle(ends, ())
    (sent,), (failed,) = await listed(reader.sent("l1")), await listed(reader.failed())
    assert (sent.message_id, sent.conversation_id, sent.payload) == ("m", "c", b"{}")
    assert (failed.reason, failed.detail, failed.payload) == ("422", b'{"traceId":"t"}', b"{}")
    told = (await durable.submit(drafts(1)[0])).end
    assert told is not None
    assert told == ends[0].end
    summary = await reader.summary()
    assert (summary.first_at, summary.last_at) == (AT, AT + 9)


@pytest.mark.parametrize(
    "wrong", ["twice in a call", "twice in two calls", "never claimed", "held"]
)
async def test_a_record_has_one_end(outbox: Outbox, wrong: str) -> None:
    """What is not claimed cannot be settled: a bug in the caller changes nothing."""
    await published(outbox, drafts(3, lanes=3))
    one, other, third = await claimed(outbox, 3)
    await outbox.settle([fate(third)], ())
    ends = {
        "twice in a call": [fate(one), fate(other), fate(one, State.REJECTED)],
        "twice in two calls": [fate(one), fate(third)],
        "never claimed": [fate(one), fate(one.__class__(one.lease, 0, 0, 99, b"", b"", 0))],
        "held": [fate(one), fate(other, State.CLAIMED)],
    }
    with pytest.raises(ValueError, match=r"record .*is (not claimed|settled twice)"):
        await outbox.settle(ends[wrong], [(one.lease, QuotaSnapshot(1, AT, 1, AT))])
    _, unknown, snapshot = await outbox.acquire("l1")
    assert (keys(unknown), snapshot) == (["l1-0", "l1-1"], None)


async def test_quota_that_is_used_is_known_to_the_next_lease(outbox: Outbox) -> None:
    """With records or without; the latest figure counts, for its location alone."""
    lease = (await outbox.acquire("l1")).lease
    await outbox.acquire("l2")
    for used in (1, 2):
        await outbox.settle([], [(lease, QuotaSnapshot(used, AT, used, AT, 50))])
    assert (await outbox.acquire("l1")).snapshot == QuotaSnapshot(2, AT, 2, AT, 50)
    assert (await outbox.acquire("l2")).snapshot is None


async def test_ends_and_quotas_outlive_a_crash(durable: DurableOutbox, place: DurablePlace) -> None:
    """They are durable when they are written, and can be read."""
    await published(durable, drafts(3, lanes=3))
    one, two, three = await claimed(durable, 3)
    quota = QuotaSnapshot(1, AT, 1, AT)
    ends = [fate(one), fate(two, State.REJECTED), fate(three, State.PENDING)]
    await durable.settle(ends, [(one.lease, quota)])
    async with await place.crashed() as after, await place.reader() as reader:
        assert (await reader.summary()).counts == RecordCounts(pending=1, sent=1, rejected=1)
        assert await reader.quotas() == {"l1": quota}
        lease, unknown, snapshot = await after.acquire("l1")
        assert (unknown, snapshot) == ([], quota)
        ((claim,),) = await after.claim([(lease, 9)])
        assert (claim.key, claim.attempts) == (three.key, 1)


async def test_messages_of_other_records_of_the_lane_are_known(outbox: Outbox) -> None:
    """What is found by looking must not be another record's message."""
    await published(outbox, [*drafts(4), draft("x", lane=1), *drafts(2, location="l2")])
    found = [*await claimed(outbox, 5), *await claimed(outbox, 2, "l2")]
    claims = {claim.key: claim for claim in found}
    one, two, three, four = (claims[b"l1-%d" % n] for n in range(4))
    ends = [fate(claim) for claim in (one, two, claims[b"x"], claims[b"l2-0"])]
    await outbox.settle([*ends, fate(three, State.REJECTED)], ())
    assert await outbox.stored(one) == {f"m{two.seq}"}
    assert await outbox.stored(four) == {f"m{one.seq}", f"m{two.seq}"}


async def test_everything_after_a_close_is_refused(durable: DurableOutbox) -> None:
    """With an error of the outbox, and not in silence; closing again is no error."""
    await published(durable, drafts(1))
    (claim,) = await claimed(durable, 1)
    await durable.close()
    await durable.close()
    for call in (durable.settle([fate(claim)], ()), durable.submit(draft("a"))):
        with pytest.raises(OutboxError, match="is closed"):
            await call
