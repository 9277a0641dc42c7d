"""What is claimed ahead is weighed: whatever the bodies and the number of locations."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, cast

import pytest

from leadconnector_async import AccessError, InboundMessage, Policy, RateLimit
from leadconnector_async.auth.provider import StaticToken
from leadconnector_async.delivery.claiming import CLAIMED_BYTES, ROOM_BYTES, ClaimPlan
from leadconnector_async.delivery.dispatcher import Dispatcher
from leadconnector_async.delivery.in_flight_limit import HELD_BYTES, InFlightLimit
from leadconnector_async.delivery.scheduler import LocationState
from leadconnector_async.models import Refusal
from leadconnector_async.outbox.base import CLAIM_BYTES, NO_BOUND, Claim, Lease
from leadconnector_async.outbox.memory import MemoryOutbox
from leadconnector_async.outbox.source_pass import SourcePass
from leadconnector_async.quota.quota import Quota
from leadconnector_async.records.builder import RecordBuilder
from leadconnector_async.records.draft import draft
from leadconnector_async.session import ApiSession
from leadconnector_async.transport.base import Response

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leadconnector_async.outbox.base import Settlement
    from leadconnector_async.quota.limits import QuotaSnapshot
    from leadconnector_async.transport.base import Request, Transport

BIG = 1 << 20
FIRST = datetime(2024, 3, 1, tzinfo=UTC)
LEASE = Lease("l1", 1, 1)
STORED = b'{"success":true,"conversationId":"c","messageId":"m"}'


class Weighed(MemoryOutbox):
    """A store that keeps to the room, and notes the most that was ever claimed and not settled."""

    def __init__(self) -> None:
        super().__init__()
        self.held = self.most = 0
        self.parts: list[int] = []
        """What was claimed at a time."""

    async def claim(
        self, wants: Sequence[tuple[Lease, int]], room: int = NO_BOUND
    ) -> list[list[Claim]]:
        """Claim one by one, as long as there is room."""
        batches: list[list[Claim]] = [[] for _ in wants]
        before = self.held
        for (lease, count), batch in zip(wants, batches, strict=True):
            while room > 0 and len(batch) < count:
                (claims,) = await super().claim([(lease, 1)])
                if not claims:
                    break
                batch.append(claims[0])
                room -= claims[0].weight
                self.held += claims[0].weight
        self.most = max(self.most, self.held)
        self.parts += [self.held - before] if self.held > before else []
        return batches

    async def settle(
        self,
        settlements: Sequence[Settlement],
        quotas: Sequence[tuple[Lease, QuotaSnapshot]],
    ) -> None:
        """Settle them."""
        await super().settle(settlements, quotas)
        self.held -= sum(fate.claim.weight for fate in settlements)


class Answering:
    """A transport whose API stores what is wanted, and answers 429 to the rest."""

    version = None

    async def send(self, request: Request, token: str, may_send: object = None) -> Response:  # noqa: ARG002 - the protocol's
        """Answer after a turn of the loop."""
        await asyncio.sleep(0)
        if (request.body or b"").startswith(REFUSED[:20]):
            return Response(429, {"Retry-After": "60"}, b"{}")
        return Response(201, {}, STORED)

    def abort(self) -> None:
        """Nothing is in flight."""

    async def close(self) -> None:
        """Nothing is open."""


HEAVY = b'{"message":"%b"}' % (b"x" * BIG)
REFUSED = HEAVY.replace(b"xx", b"no", 1)


async def stage(outbox: MemoryOutbox, names: Sequence[str], each: int, payload: bytes) -> None:
    """Stage records with one body, which is in memory once."""
    for name in names:
        drafts = [
            draft(
                InboundMessage(
                    type="SMS",
                    direction="inbound",
                    message=str(number),
                    contact_id=f"c{number % 3}",
                    date=FIRST + timedelta(minutes=number),
                ),
                location=name,
                now_ms=0,
                payload=payload,
            )
            for number in range(each)
        ]
        await outbox.stage(drafts, SourcePass())


def dispatcher(outbox: MemoryOutbox, limit: RateLimit | None) -> Dispatcher:
    """One that sends to an API which answers 429 to what is not wanted."""
    session = ApiSession(
        cast("Transport", Answering()), StaticToken("token"), policy=Policy(), limit=limit
    )
    return Dispatcher(
        session,
        outbox,
        concurrency=None,
        deliver=lambda _: None,
        closed=lambda *_: None,
        awaited=lambda: False,
    )


def location_state(name: str) -> LocationState:
    """A location that nothing limits."""
    return LocationState(Lease(name, 1, 1), Quota(None, now=0.0, wall_ms=0))


@pytest.mark.slow
@pytest.mark.parametrize("limit", [None, RateLimit(), RateLimit(requests=5)])
@pytest.mark.virtual_time
async def test_what_is_claimed_is_bounded_by_its_weight(limit: RateLimit | None) -> None:
    """More bodies than there is room for: all are sent, and no more than the room is ever held."""
    outbox = Weighed()
    names = [f"place{number}" for number in range(60)]
    await stage(outbox, names, 6, HEAVY)
    one = dispatcher(outbox, limit)
    await one.open_all(names)
    await one.work()
    assert one.stats.sent == 360
    assert CLAIMED_BYTES / 2 < outbox.most <= CLAIMED_BYTES + BIG + CLAIM_BYTES


@pytest.mark.parametrize(("size", "places"), [(1_000, 200), (20_000, 90), (300_000, 40)])
@pytest.mark.virtual_time
async def test_scarce_room_is_taken_in_large_parts(size: int, places: int) -> None:
    """Whatever the bodies and the number of locations: each gets much at a time, and few claims."""
    outbox = Weighed()
    names = [f"place{number}" for number in range(places)]
    total = 40 << 20
    each = -(-total // (places * (size + CLAIM_BYTES)))
    await stage(outbox, names, each, b'{"message":"%b"}' % (b"x" * size))
    one = dispatcher(outbox, None)
    await one.open_all(names)
    await one.work()
    assert one.stats.sent == places * each
    assert outbox.most <= CLAIMED_BYTES + size + 2 * CLAIM_BYTES
    assert len(outbox.parts) <= 2 * total / ROOM_BYTES


def test_who_has_waited_longest_is_claimed_for_next() -> None:
    """More locations than there is room for: each has its turn, and none asks in vain meanwhile."""
    states = [location_state(f"place{number}") for number in range(1000)]
    plan = ClaimPlan()
    for state in states:
        assert plan.want(state)
    served: list[LocationState] = []
    plan.weight = CLAIMED_BYTES - ROOM_BYTES
    while len(served) < len(states):
        wants = plan.choose(0.0)
        served += [state for state, _ in wants]
        claims = [Claim(LEASE, 1, 0, 1, b"k", b"x" * CLAIM_BYTES, 0)]
        plan.hold([claims * count for _, count in wants])
        assert plan.waits or len(served) == len(states)
        assert plan.choose(0.0) == []
        plan.weight = CLAIMED_BYTES - ROOM_BYTES
    assert served == states


@pytest.mark.virtual_time
async def test_locations_that_have_to_wait_give_their_room_to_others() -> None:
    """Those that are answered 429 hold all there is: others go on within seconds all the same."""
    outbox = Weighed()
    refused, others = [f"no{number}" for number in range(40)], ["one", "two", "three"]
    await stage(outbox, refused, 20, REFUSED)
    await stage(outbox, others, 10, HEAVY)
    one = dispatcher(outbox, RateLimit())
    await one.open_all(refused)
    work = asyncio.create_task(one.work(forever=True))
    await asyncio.sleep(1)
    assert one.stats.throttled >= 8
    await one.open_all(others)
    await asyncio.sleep(20)
    assert one.stats.sent == 30
    one.stop()
    await work
    assert outbox.most <= CLAIMED_BYTES + BIG + CLAIM_BYTES


@pytest.mark.virtual_time
async def test_a_location_that_stopped_takes_its_claims_up_again() -> None:
    """It may have given them back meanwhile; after `retry` they are sent."""
    outbox = Weighed()
    await stage(outbox, ["first"], 40, HEAVY)
    await stage(outbox, ["second"], 40, HEAVY)
    one = dispatcher(outbox, RateLimit())
    first = await one.open("first")
    work = asyncio.create_task(one.work(forever=True))
    await asyncio.sleep(0.5)
    one.close(first, AccessError(Refusal(status=403, message="no")))
    await one.open("second")
    await asyncio.sleep(60)
    sent = one.stats.sent
    assert 40 < sent < 80
    one.retry(first)
    await asyncio.sleep(60)
    assert one.stats.sent == 80
    one.stop()
    await work


@pytest.mark.virtual_time
async def test_no_more_bodies_are_taken_in_than_weigh_so_much() -> None:
    """However few they are; and what was weighed and never left is forgotten with the last one."""
    limit = InFlightLimit(1000)
    limit.take(2, HELD_BYTES - 1)
    await asyncio.wait_for(limit.has_space(), 1)
    limit.take(1, BIG)
    waiting = asyncio.create_task(limit.has_space())
    await asyncio.sleep(1)
    assert not waiting.done()
    limit.leave(1, BIG)
    await asyncio.wait_for(waiting, 1)
    limit.take(2, HELD_BYTES)  # of which one is a copy, and has no outcome of its own
    limit.leave(3, 0)
    waiting = asyncio.create_task(limit.has_space())
    await asyncio.sleep(1)
    assert not waiting.done()
    limit.leave(1, 0)
    await asyncio.wait_for(waiting, 1)


@pytest.mark.virtual_time
async def test_a_batch_ends_early_where_its_bodies_are_large() -> None:
    """It is in memory as a whole, several times over."""
    message = InboundMessage(
        type="SMS", direction="inbound", message="x" * BIG, contact_id="c", date=FIRST
    )
    builder = RecordBuilder(lambda _: "l1", "l1")
    sizes = [len(batch) async for batch in builder.batches([message] * 10)]
    assert sizes == [4, 4, 2]
