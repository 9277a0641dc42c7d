"""Leases in the dispatcher: a location that is let go of, and one that was taken over."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from oauth_kit import Direct

from leadconnector_async import (
    DailyQuotaSpentError,
    InboundMessage,
    LeadConnector,
    LeaseLostError,
    Policy,
)
from leadconnector_async.auth.provider import StaticToken
from leadconnector_async.delivery.batching import OutboxBatcher
from leadconnector_async.delivery.dispatcher import Dispatcher
from leadconnector_async.delivery.scheduler import AGAIN_AFTER_S, LocationState
from leadconnector_async.errors import FateUnknownError
from leadconnector_async.outbox.base import NO_BOUND, Settlement, State
from leadconnector_async.outbox.memory import MemoryOutbox
from leadconnector_async.outbox.source_pass import SourcePass
from leadconnector_async.quota.limits import RateLimit
from leadconnector_async.quota.window import DAY_S
from leadconnector_async.records.draft import draft
from leadconnector_async.sandbox import Latency, Sandbox, SandboxConfig
from leadconnector_async.sandbox.state import SandboxState
from leadconnector_async.session import ApiSession
from leadconnector_async.transport.base import Response

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from leadconnector_async.outbox.base import Claim, Lease, Quotas
    from leadconnector_async.transport.base import Request

SLOW = SandboxConfig(latency=Latency(up=0.01, down=0.01), trusting=True)
EACH = 30


async def staged(outbox: MemoryOutbox, each: int = EACH) -> None:
    """Stage records of two locations, six lanes each."""
    first = datetime(2024, 3, 1, tzinfo=UTC)
    drafts = [
        draft(
            InboundMessage(
                type="SMS",
                direction="inbound",
                message=f"{place}-{n}",
                contact_id=f"c{n % 6}",
                date=first + timedelta(minutes=n),
            ),
            location=place,
            now_ms=0,
        )
        for place in ("here", "there")
        for n in range(each)
    ]
    await outbox.stage(drafts, SourcePass())


class Watched(Dispatcher):
    """One that says when some records of "here" have their end."""

    def __init__(self, session: ApiSession, outbox: MemoryOutbox) -> None:
        super().__init__(
            session,
            outbox,
            concurrency=4,
            deliver=self._deliver,
            closed=lambda _state, _error: None,
        )
        self._ended = 0
        self.some_of_here = asyncio.Event()

    def _deliver(self, settlements: list[Settlement]) -> None:
        self._ended += sum(one.claim.lease.location == "here" for one in settlements)
        if self._ended >= 5:
            self.some_of_here.set()

    async def begin(self) -> asyncio.Task[None]:
        """Open both locations, and work."""
        await self.open_all(("here", "there"))
        return asyncio.create_task(self.work())


def sent_of(state: SandboxState, location: str) -> int:
    """How many of a location's records are stored."""
    return sum(text.startswith(location) for text in texts(state))


def texts(state: SandboxState) -> Counter[str]:
    """What was stored, and how often."""
    return Counter(str(message.fields["message"]) for message in state.store.messages())


@pytest.mark.slow
async def test_a_location_that_is_let_go_of_goes_on_elsewhere() -> None:
    """Nothing of it is lost, twice, or left in doubt; the others are not disturbed."""
    outbox = MemoryOutbox()
    await staged(outbox)
    async with (
        Sandbox(SLOW) as sandbox,
        LeadConnector(sandbox.token, base_url=sandbox.url) as api,
        LeadConnector(sandbox.token, base_url=sandbox.url) as other,
    ):
        one = Watched(api.session, outbox)
        work = await one.begin()
        await one.some_of_here.wait()
        await one.release("here")
        sent = sent_of(sandbox.state, "here")
        assert 5 <= sent < EACH
        assert "here" not in one.locations
        assert (await outbox.acquire("here")).unknown == []
        second = Watched(other.session, outbox)
        await second.open("here")
        await second.work()
        await work
        assert one.stats.sent == sent + EACH
        assert set(texts(sandbox.state).values()) == {1}
        assert len(sandbox.messages) == 2 * EACH


class Taken(MemoryOutbox):
    """A store whose leases of one location end at some moment."""

    ended = False

    def may_send(self, lease: Lease) -> Callable[[], bool] | None:
        """Ask the moment."""
        return None if lease.location == "there" else lambda: not self.ended


@pytest.mark.slow
async def test_nothing_leaves_under_a_lease_that_has_ended() -> None:
    """Not a byte, whatever was about to leave; no record is charged, and the location stops."""
    outbox = Taken()
    await staged(outbox)
    async with (
        Sandbox(SLOW) as sandbox,
        LeadConnector(sandbox.token, base_url=sandbox.url) as api,
    ):
        one = Watched(api.session, outbox)
        work = await one.begin()
        await one.some_of_here.wait()
        outbox.ended = True
        before = sent_of(sandbox.state, "here")
        await work
        stored = sent_of(sandbox.state, "here")
        assert stored <= before + 4 < EACH  # four may have left already
        assert isinstance(one.locations["here"].error, LeaseLostError)
        assert one.stats.sent == stored + EACH
        assert one.breaker.is_open is False
        assert one.stats.rejected == one.stats.unresolved == 0


@pytest.mark.slow
async def test_a_lease_that_was_in_doubt_for_a_while_is_used_again() -> None:
    """A clock that was set, or a pause that was short enough, stops nothing for ever."""
    outbox = Taken()
    await staged(outbox)
    async with (
        Sandbox(SLOW) as sandbox,
        LeadConnector(sandbox.token, base_url=sandbox.url) as api,
    ):
        one = Watched(api.session, outbox)
        here = await one.open("here")
        work = asyncio.create_task(one.work(forever=True))
        await one.some_of_here.wait()
        outbox.ended = True
        while here.error is None:  # noqa: ASYNC110 - a state has no event
            await asyncio.sleep(0.01)
        one.feed(here)
        assert isinstance(here.error, LeaseLostError)
        outbox.ended = False
        one.feed(here)
        one.finish()
        await work
        assert here.error is None
        assert sent_of(sandbox.state, "here") == EACH


class AnswersLate(Direct):
    """Answers the requests of "here" once it is told to."""

    def __init__(self) -> None:
        super().__init__(SandboxState(SandboxConfig(trusting=True)))
        self.stored, self.go_on = asyncio.Event(), asyncio.Event()

    async def send(self, request: Request, token: str, may_send: object = None) -> Response:
        """Store at once."""
        response = await super().send(request, token, may_send)
        if b'"here-' in (request.body or b""):
            self.stored.set()
            await self.go_on.wait()
        return response


async def test_an_answer_that_comes_after_its_location_was_let_go_of_disturbs_nobody() -> None:
    """The next owner looks for its record: nothing is written under the lease that has ended."""
    outbox, transport = MemoryOutbox(), AnswersLate()
    await staged(outbox)
    session = ApiSession(transport, StaticToken("token"), policy=Policy(), limit=None)
    one = Watched(session, outbox)
    work = await one.begin()
    await transport.stored.wait()
    await one.release("here", within=0.0)
    assert (await outbox.acquire("here")).unknown
    transport.go_on.set()
    await work
    assert sent_of(transport.state, "there") == EACH


@pytest.mark.virtual_time
async def test_an_answer_that_comes_after_its_location_was_opened_anew_disturbs_nobody() -> None:
    """Its record is looked for under the new lease; nothing is written under the earlier one."""
    outbox, transport = MemoryOutbox(), AnswersLate()
    await staged(outbox)
    session = ApiSession(transport, StaticToken("token"), policy=Policy(), limit=None)
    one = Watched(session, outbox)
    work = await one.begin()
    await transport.stored.wait()
    await one.release("here", within=0.0)
    here = await one.open("here")
    transport.go_on.set()
    await work
    assert here.error is None
    assert set(texts(transport.state).values()) == {1}
    assert len(transport.state.store.messages()) == 2 * EACH


class WritesSlowly(MemoryOutbox):
    """A store that takes so long for a commit that a look falls into it."""

    async def settle(self, settlements: Sequence[Settlement], quotas: Quotas) -> None:
        """Write late."""
        await asyncio.sleep(60.0)
        await super().settle(settlements, quotas)


class LosesTheSecond(Direct):
    """A way to an API that fails for the second message of all, which it does not store."""

    async def send(self, request: Request, token: str, may_send: object = None) -> Response:
        """Say what a server says that has trouble."""
        if request.method == "POST" and self.sent[request.path] == 1:
            self.sent[request.path] += 1
            return Response(503, {}, b"{}")
        return await super().send(request, token, may_send)


@pytest.mark.virtual_time
async def test_a_message_that_an_earlier_record_became_is_not_found_for_the_next() -> None:
    """Nor while the end of that one is being written: the next one would be lost."""
    outbox, transport = WritesSlowly(), LosesTheSecond(SandboxState(SandboxConfig(trusting=True)))
    message = InboundMessage(
        type="SMS",
        direction="inbound",
        message="yes",
        contact_id="c1",
        date=datetime(2024, 3, 1, tzinfo=UTC),
    )
    drafts = [draft(message, location="here", now_ms=0, id=id_) for id_ in ("first", "second")]
    await outbox.stage(drafts, SourcePass())
    policy = Policy(stamp_alt_id=False)
    session = ApiSession(transport, StaticToken("token"), policy=policy, limit=None)
    one = Watched(session, outbox)
    await (await one.begin())
    assert one.stats.sent == len(transport.state.store.messages()) == 2


@pytest.mark.virtual_time
async def test_nothing_is_left_to_be_told_of_work_that_was_cut_off() -> None:
    """A location whose day ended amid it would else stop whoever sends next for another one."""
    outbox, transport = MemoryOutbox(), Direct(SandboxState(SandboxConfig(trusting=True)))
    await staged(outbox, 4)
    answers, asked = transport.send, Counter[str]()

    async def late(request: Request, token: str, may_send: object = None) -> Response:
        del may_send
        asked[token] += 1
        await asyncio.sleep(1.0 if asked[token] <= 2 else 60.0)
        return await answers(request, token)

    transport.send = late  # type: ignore[method-assign]
    limit = RateLimit(100, 10.0, daily=4)
    session = ApiSession(transport, StaticToken("token"), policy=Policy(), limit=limit)
    one = Watched(session, outbox)
    here = await one.open("here")
    work = asyncio.create_task(one.work(forever=True))
    await asyncio.sleep(10.0)
    assert one.closing == {here}
    work.cancel()
    await asyncio.wait([work])
    assert one.closing == set()


@pytest.mark.parametrize(
    ("status", "seconds"), [(403, AGAIN_AFTER_S), (429, DAY_S)], ids=["refused", "spent"]
)
@pytest.mark.virtual_time
async def test_a_location_that_stopped_goes_on_when_its_cause_may_be_over(
    status: int, seconds: float
) -> None:
    """Not at once, and without being opened anew: who submits to it lives for months."""
    outbox, transport = MemoryOutbox(), Direct(SandboxState(SandboxConfig(trusting=True)))
    await staged(outbox)
    answers = transport.send

    async def refuse(request: Request, token: str, may_send: object = None) -> Response:
        spent = {"X-RateLimit-Limit-Daily": "900", "X-RateLimit-Daily-Remaining": "0"}
        del request, token, may_send
        await asyncio.sleep(0.1)
        return Response(status, spent if status == 429 else {}, b"{}")

    transport.send = refuse  # type: ignore[method-assign]
    session = ApiSession(transport, StaticToken("token"), policy=Policy(), limit=None)
    one = Watched(session, outbox)
    here = await one.open("here")
    work = asyncio.create_task(one.work(forever=True))
    while here.error is None:  # noqa: ASYNC110 - a state has no event
        await asyncio.sleep(1.0)
    transport.send = answers  # type: ignore[method-assign]
    one.feed(here)
    assert here.error is not None
    await asyncio.sleep(seconds)
    one.feed(here)
    await one.some_of_here.wait()
    one.finish()
    await work
    assert here.error is None
    assert sent_of(transport.state, "here") == EACH


@pytest.mark.virtual_time
async def test_a_day_whose_last_request_another_makes_ends_the_run_as_well() -> None:
    """It would wait for the next day, though its policy does not, and nobody would be told."""
    outbox, transport = MemoryOutbox(), Direct(SandboxState(SandboxConfig(trusting=True)))
    await staged(outbox)
    limit = RateLimit(10, 10.0, daily=EACH)
    session = ApiSession(transport, StaticToken("token"), policy=Policy(), limit=limit)
    one = Watched(session, outbox)
    work = await one.begin()
    await asyncio.sleep(0.5)  # it waits for the window
    day = session.quota("here").day
    while not day.spent:
        day.count(asyncio.get_running_loop().time())
    async with asyncio.timeout(60):
        await work
    assert isinstance(one.locations["here"].error, DailyQuotaSpentError)
    assert sent_of(transport.state, "here") < EACH


class Refusing(MemoryOutbox):
    """A store that refuses each claim, once it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.refuse = asyncio.Event(), asyncio.Event()

    async def claim(
        self,
        wants: Sequence[tuple[Lease, int]],
        room: int = NO_BOUND,  # noqa: ARG002 - the protocol's
    ) -> list[list[Claim]]:
        """Refuse, as a store does whose lease was taken over."""
        self.asked.set()
        await self.refuse.wait()
        raise LeaseLostError(f"{len(wants)} taken over")


async def test_what_is_known_is_written_down_though_a_claim_failed() -> None:
    """Its answer came: nobody has to look for it."""
    outbox = Refusing()
    await staged(outbox)
    lease = (await outbox.acquire("here")).lease
    [[claim]] = await MemoryOutbox.claim(outbox, [(lease, 1)])
    written: list[Settlement] = []
    async with LeadConnector("token", base_url="http://127.0.0.1:1") as api:
        state = LocationState(lease, api.session.quota("here", None))
        batcher = OutboxBatcher(
            outbox,
            deliver=written.extend,
            moved=lambda _: None,
            idle=lambda: None,
            awaited=lambda: False,
        )
        loops = asyncio.create_task(_loops(batcher))
        batcher.wants_claims(state)
        await outbox.asked.wait()
        loops.cancel()
        await asyncio.wait([loops])
        batcher.settle(Settlement(claim, State.SENT, 0, 1))
        outbox.refuse.set()
        with pytest.raises(LeaseLostError):
            await batcher.wind_up([state])
    assert [fate.claim for fate in written] == [claim]


@pytest.mark.slow
def test_a_failure_that_nobody_waits_for_any_more_is_not_told_on_the_screen() -> None:
    """Its loop was ended; whatever comes of the store, the next call of it says the same."""
    told: list[object] = []

    async def scenario() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
        outbox = Refusing()
        await staged(outbox)
        lease = (await outbox.acquire("here")).lease
        async with LeadConnector("token", base_url="http://127.0.0.1:1") as api:
            state = LocationState(lease, api.session.quota("here", None))
            batcher = OutboxBatcher(
                outbox,
                deliver=lambda _: None,
                moved=lambda _: None,
                idle=lambda: None,
                awaited=lambda: False,
            )
            loops = asyncio.create_task(_loops(batcher))
            batcher.wants_claims(state)
            await outbox.asked.wait()
            loops.cancel()
            await asyncio.wait([loops])
            outbox.refuse.set()
            await asyncio.sleep(0)  # the claim is refused
            await asyncio.sleep(0)
            await batcher.wind_up([])
        del batcher, state
        gc.collect()

    asyncio.run(scenario())
    assert told == []


async def _loops(batcher: OutboxBatcher) -> None:
    async with asyncio.TaskGroup() as tasks:
        batcher.start(tasks)


class ClaimsSlowly(MemoryOutbox):
    """A store that takes so long for a claim that all is sent meanwhile that was claimed before."""

    async def claim(
        self, wants: Sequence[tuple[Lease, int]], room: int = NO_BOUND
    ) -> list[list[Claim]]:
        """Claim, and tell late."""
        batches = await super().claim(wants, room)
        await asyncio.sleep(60.0)
        return batches


@pytest.mark.virtual_time
async def test_work_does_not_end_while_claims_are_on_their_way() -> None:
    """Else an import would leave them for the next one."""
    outbox, transport = ClaimsSlowly(), Direct(SandboxState(SandboxConfig(trusting=True)))
    await staged(outbox)
    session = ApiSession(
        transport, StaticToken("token"), policy=Policy(), limit=RateLimit(40, 10.0)
    )
    await (await Watched(session, outbox).begin())
    assert sent_of(transport.state, "here") == sent_of(transport.state, "there") == EACH


class OutOfReach(Direct):
    """A way to an API that answers nothing for the first hours."""

    async def send(self, request: Request, token: str, may_send: object = None) -> Response:
        """Give no answer, and store nothing, until then."""
        if asyncio.get_running_loop().time() < 3 * 3600:
            raise FateUnknownError("no answer")
        return await super().send(request, token, may_send)


@pytest.mark.virtual_time
async def test_no_record_is_charged_for_looks_while_the_api_is_out_of_reach() -> None:
    """However often it is tried to look for those whose requests got no answer."""
    outbox, transport = MemoryOutbox(), OutOfReach(SandboxState(SandboxConfig(trusting=True)))
    await staged(outbox)
    policy = Policy(patience=4 * 3600.0)
    session = ApiSession(transport, StaticToken("token"), policy=policy, limit=None)
    one = Watched(session, outbox)
    await (await one.begin())
    assert (one.stats.sent, one.stats.unresolved) == (2 * EACH, 0)
