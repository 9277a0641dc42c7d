"""Calls of `submit` and runs in memory, turn by turn: how they end, and what they leave."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from fault_harness import records
from msgspec.structs import replace
from oauth_kit import Direct

from leadconnector_async import AccessError, NotSentError, OutboxError, Policy, RateLimit, Sent
from leadconnector_async.auth.provider import StaticToken
from leadconnector_async.delivery.exclusive_sender import ExclusiveSender
from leadconnector_async.delivery.in_flight_limit import InFlightLimit
from leadconnector_async.delivery.results import OutcomeQueue
from leadconnector_async.outbox.memory import MemoryOutbox
from leadconnector_async.records.builder import RecordBuilder
from leadconnector_async.sandbox import SandboxConfig
from leadconnector_async.sandbox.state import SandboxState
from leadconnector_async.session import ApiSession
from leadconnector_async.transport.base import Response

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from leadconnector_async import Outcome, Record
    from leadconnector_async.outbox.base import Acquired
    from leadconnector_async.transport.base import Request

pytestmark = pytest.mark.virtual_time
BUILDER = RecordBuilder(lambda name: name or "here")


class SlowToOpen(MemoryOutbox):
    """Says when it is asked for a location, and gives it once it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.go_on = asyncio.Event(), asyncio.Event()
        self.is_closed = False

    async def acquire(self, location: str) -> Acquired:
        """Wait first."""
        self.asked.set()
        await self.go_on.wait()
        if self.is_closed:
            raise OutboxError("closed")
        return await super().acquire(location)

    async def close(self) -> None:
        """Give none any more."""
        self.is_closed = True


class RefusesOne(Direct):
    """A way to an API that refuses the token of one location."""

    async def send(self, request: Request, token: str, may_send: object = None) -> Response:
        """Refuse what names it."""
        if b"refused" in (request.body or b""):
            return Response(403, {}, b"{}")
        return await super().send(request, token, may_send)


class Sending:
    """A sender from memory to a world without a network, and what it counts as in hand."""

    def __init__(self, outbox: MemoryOutbox | None = None, limit: RateLimit | None = None) -> None:
        self.transport = RefusesOne(SandboxState(SandboxConfig(trusting=True)))
        session = ApiSession(self.transport, StaticToken("token"), policy=Policy(), limit=limit)
        self.in_flight = InFlightLimit(5)
        self.sender = ExclusiveSender(
            session,
            outbox or MemoryOutbox(),
            self.in_flight,
            is_durable=False,
            concurrency=None,
        )

    def submit(self, record: Record) -> asyncio.Future[Outcome]:
        """Submit one, as an ingestor does."""
        self.in_flight.take(1)
        return self.sender.submit(BUILDER.draft_of(record))

    @property
    def stored(self) -> int:
        """How many messages the API has."""
        return len(self.transport.state.store.messages())


@pytest.mark.parametrize("turns", range(14))
async def test_what_is_not_sent_is_not_sent_by_what_begins_then(turns: int) -> None:
    """Whoever is told so as the sending ends may submit it again: in memory, it would be twice."""
    sending = Sending()
    first, second = records(2)
    assert isinstance(await sending.submit(first), Sent)
    sending.sender.stop()
    for _ in range(turns):
        await asyncio.sleep(0)
    call = sending.submit(second)
    await asyncio.wait([call])
    await asyncio.sleep(60.0)
    assert sending.stored == (1 if isinstance(call.exception(), NotSentError) else 2)
    await sending.sender.close()


async def test_a_call_after_a_stop_begins_the_sending_anew() -> None:
    """A stop ends what is under way, and nothing that comes later."""
    sending = Sending()
    first, second = records(2)
    await sending.submit(first)
    sending.sender.stop()
    await asyncio.sleep(1.0)
    assert isinstance(await sending.submit(second), Sent)
    await sending.sender.close()


async def test_what_is_taken_in_after_the_sending_has_ended_is_told_so() -> None:
    """Else its caller would wait for ever: nothing sends it."""
    outbox = SlowToOpen()
    sending = Sending(outbox)
    call = sending.submit(records(1)[0])
    await outbox.asked.wait()
    sending.sender.stop()
    await asyncio.sleep(1.0)
    outbox.go_on.set()
    with pytest.raises(NotSentError):
        await call
    assert sending.in_flight.size == sending.stored == 0


async def test_calls_that_the_closing_overtakes_are_not_sent() -> None:
    """One whose location is being opened, and one behind it, which begins nothing any more."""
    outbox = SlowToOpen()
    sending = Sending(outbox)
    first, second = records(2)
    calls = [sending.submit(first)]
    await outbox.asked.wait()
    calls.append(sending.submit(second))
    await sending.sender.close()
    outbox.go_on.set()
    ends = await asyncio.gather(*calls, return_exceptions=True)
    assert [*map(type, ends)] == [NotSentError] * 2
    assert sending.in_flight.size == sending.stored == 0
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_run_does_not_take_the_sending_from_calls_that_wait() -> None:
    """It says so instead; and where none waits any more, it sends by itself."""
    sending = Sending(limit=RateLimit(1, 10.0))
    first, second, third = records(3)
    await sending.submit(first)
    call = sending.submit(second)
    await asyncio.sleep(1.0)
    with pytest.raises(RuntimeError, match="submit"):
        await sending.sender.free()
    assert isinstance(await call, Sent)
    await sending.sender.free()
    outcomes = [outcome async for outcome in sending.sender.stream([third], BUILDER)]
    assert [*map(type, outcomes)] == [Sent]


@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("turns", range(14))
async def test_a_run_leaves_a_call_that_has_just_begun_its_outcome(
    turns: int,
    begun: bool,  # noqa: FBT001 - a case
) -> None:
    """It was told that it is not sent, and the run sent it and yielded what became of it."""
    sending = Sending()
    first, second, third, fourth = records(4)
    if begun:
        await sending.submit(first)
    calls = [sending.submit(second)]
    for _ in range(turns):
        await asyncio.sleep(0)

    async def run() -> list[str]:
        try:
            await sending.sender.free()
        except RuntimeError:
            return []
        return [outcome.key async for outcome in sending.sender.stream([fourth], BUILDER)]

    running = asyncio.create_task(run())
    await asyncio.sleep(0)
    calls.append(sending.submit(third))
    assert await running in ([], [fourth.id])
    assert [type(outcome) for outcome in await asyncio.gather(*calls)] == [Sent] * 2
    await sending.sender.close()


async def test_a_run_that_begins_as_all_is_closed_sends_nothing() -> None:
    """It ended what was idle, as the closing did, and went on when that had returned."""
    sending = Sending()
    first, *others = records(9)
    await sending.submit(first)

    async def run() -> list[Outcome]:
        await sending.sender.free()
        return [outcome async for outcome in sending.sender.stream(others, BUILDER)]

    running = asyncio.create_task(run())
    await asyncio.sleep(0)
    await sending.sender.close()
    assert await running == []
    assert sending.stored == 1


async def test_a_run_yields_no_outcome_of_a_call_beside_it() -> None:
    """It is told to its caller, and counted once."""
    sending = Sending()
    first, second = records(2)

    async def given() -> AsyncIterator[Record]:
        yield first
        assert isinstance(await sending.submit(second), Sent)

    outcomes = [outcome.key async for outcome in sending.sender.stream(given(), BUILDER)]
    assert outcomes == [first.id]
    assert sending.in_flight.size == 0


async def test_a_run_in_memory_reads_no_more_than_may_be_in_hand() -> None:
    """Its messages would else all be in memory where the quota lets one go at a time."""
    sending = Sending(limit=RateLimit(1, 3600.0))
    taken = 0

    async def given() -> AsyncIterator[Record]:
        nonlocal taken
        for record in records(50):
            taken += 1
            yield record

    outcomes = sending.sender.stream(given(), BUILDER)
    for number in range(1, 4):
        await anext(outcomes)
        await asyncio.sleep(60.0)
        assert taken <= 5 + number
    await outcomes.aclose()
    assert sending.in_flight.size == 0


async def test_a_run_in_memory_sends_no_further_ahead_than_its_outcomes_are_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its own waiting for space is no call of `submit`, for whom it has to go on."""
    monkeypatch.setattr(OutcomeQueue, "MAX", 8)
    sending = Sending()
    run = sending.sender.stream(records(400), BUILDER)
    outcomes = [await anext(run)]
    await asyncio.sleep(600.0)
    assert sending.stored < 100
    outcomes += [outcome async for outcome in run]
    assert len(outcomes) == sending.stored == 400
    await sending.sender.close()


async def test_a_run_in_memory_ends_where_a_location_is_refused() -> None:
    """Its messages would fill what may be in hand, and no other one's be read any more."""
    sending = Sending()
    good, bad = records(2)
    bad = replace(bad, location_id="there", message=replace(bad.message, message="refused"))

    async def given() -> AsyncIterator[Record]:
        yield good
        yield bad
        await asyncio.Event().wait()

    outcomes = sending.sender.stream(given(), BUILDER)
    assert (await anext(outcomes)).key == good.id
    with pytest.raises(AccessError):
        await anext(outcomes)
    assert sending.stored == 1
