"""Several programs submit to one outbox in a database; whoever owns a location sends for all."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal

import pytest
from msgspec.structs import replace
from outbox_kit import fate
from postgres_kit import cut_off
from submit_process import LOCATIONS, PATIENT, QUICK, record, start
from worker_harness import how_often

from leadconnector_async import (
    AccessError,
    Ingestor,
    LeadConnector,
    NotSentError,
    Refusal,
    Rejected,
    Sent,
    ThrottledError,
)
from leadconnector_async.delivery.in_flight_limit import InFlightLimit
from leadconnector_async.outbox.open import open_shared
from leadconnector_async.outbox.postgres.connection import connect
from leadconnector_async.outbox.postgres.outbox import PostgresOutbox
from leadconnector_async.outbox.postgres.place import read_place
from leadconnector_async.records.builder import STAGE_BATCH, RecordBuilder
from leadconnector_async.sandbox import Latency, Sandbox, SandboxConfig, SandboxThread
from leadconnector_async.submitter import Submitter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from leadconnector_async import InboundMessage, Record
    from leadconnector_async.outbox.base import Claim, Lease
    from leadconnector_async.records.draft import Draft

WORLD = SandboxConfig(trusting=True)


@asynccontextmanager
async def programs(
    url: str, *roles: str, config: SandboxConfig = WORLD, buffer: int = 2_000
) -> AsyncIterator[tuple[Sandbox, list[Ingestor]]]:
    """The API, and an ingestor for each of the roles, each with a client of its own."""
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(Sandbox(config))
        ingestors = []
        for role in roles:
            client = LeadConnector(
                sandbox.token, base_url=sandbox.url, limit=None, policy=PATIENT, timeouts=QUICK
            )
            api = await stack.enter_async_context(client)
            ingestor = Ingestor(
                api, outbox=url, buffer=buffer, role="submit" if role == "submit" else "both"
            )
            ingestors.append(await stack.enter_async_context(ingestor))
        yield sandbox, ingestors


def draft(message: InboundMessage | Record) -> Draft:
    """One message, as an ingestor takes it in."""
    return RecordBuilder(lambda location: location or "").draft_of(message, alone=True)


@pytest.mark.slow
async def test_two_programs_submit_to_the_same_locations(postgres_place: str) -> None:
    """Each call gets its outcome, one that both submit gets the same, and nothing is sent twice."""
    async with programs(postgres_place, "both", "both") as (sandbox, (first, second)):
        mine = [first.submit(record(number)) for number in range(40)]
        theirs = [second.submit(record(number)) for number in range(30, 70)]
        outcomes = await asyncio.gather(*mine, *theirs)
        assert all(isinstance(outcome, Sent) for outcome in outcomes)
        assert len(set(outcomes)) == 70
        assert set(Counter(how_often(sandbox)).values()) == {1}
        assert first.stats.sent + second.stats.sent == 70
        assert (first.in_hand, second.in_hand) == (0, 0)


@pytest.mark.slow
async def test_who_only_submits_owns_no_location(postgres_place: str) -> None:
    """It has two connections at most, and gets the outcomes of what another program sends."""
    async with programs(postgres_place, "submit") as (sandbox, (alone,)):
        waiting = [asyncio.create_task(alone.submit(record(number))) for number in range(20)]
        await until(lambda: are_staged(postgres_place, 20))
        assert not sandbox.messages
        assert (await counted(postgres_place, "tenure"))[0] == 0
        assert (await counted(postgres_place, "record"))[1] <= 2
        api = LeadConnector(sandbox.token, base_url=sandbox.url, limit=None)
        async with api, Ingestor(api, outbox=postgres_place) as sender:
            outcomes = await asyncio.gather(*waiting)
            assert {type(outcome) for outcome in outcomes} == {Sent}
            assert (alone.stats.sent, sender.stats.sent) == (0, 20)
            assert alone.in_hand == 0


async def until(check: Callable[[], Awaitable[bool]]) -> None:
    """Wait for what nothing tells of."""
    while not await check():  # noqa: ASYNC110 - see there
        await asyncio.sleep(0.01)


async def are_staged(url: str, count: int) -> bool:
    """Whether the database has so many records."""
    return (await counted(url, "record"))[0] >= count


async def are_stored(sandbox: Sandbox, count: int) -> bool:
    """Whether the API has so many messages."""
    return len(sandbox.messages) >= count


async def has_none_in_hand(ingestor: Ingestor) -> bool:
    """Whether all that it took in has an outcome."""
    return ingestor.in_hand == 0


async def counted(url: str, table: str) -> tuple[int, int]:
    """How many rows a table has, and how many connections hold locks of the outbox."""
    place = read_place(url)
    connection = await connect(place, {})
    locks = """SELECT count(DISTINCT pid) FROM pg_locks
        WHERE locktype = 'advisory' AND classid::bigint = $1"""
    try:
        rows = int(await connection.fetchval(f"SELECT count(*) FROM {table}"))  # noqa: S608 - ours
        held = await connection.fetchval(locks, place.lock_key(0) >> 32 & 0xFFFFFFFF)
        return rows, int(held)
    finally:
        connection.terminate()


class Deaf(PostgresOutbox):
    """An outbox whose announcements all get lost."""

    async def listen(self, ended: object) -> None:
        """Hear nothing."""

    async def join(self, lease_s: float, told: object = None) -> None:  # noqa: ARG002 - that is it
        """Share the locations, and hear of no work."""
        await super().join(lease_s, lambda _: None)


@pytest.mark.slow
@pytest.mark.parametrize("told", [False, True])
async def test_an_end_is_told_or_else_looked_for(postgres_place: str, told: bool) -> None:  # noqa: FBT001 - pytest's
    """Either alone is enough; so what is lost of the one comes by the other."""
    async with programs(postgres_place, "both") as (sandbox, _):
        store, look_s = (PostgresOutbox, 3600.0) if told else (Deaf, 0.05)
        submitter = Submitter(lambda: store.open(postgres_place), InFlightLimit(9), look_s=look_s)
        await submitter.open()
        drafts = [draft(record(number)) for number in range(20)]
        outcomes = await asyncio.gather(*map(submitter.submit, drafts))
        assert {type(outcome) for outcome in outcomes} == {Sent}
        again = await submitter.submit(drafts[0])
        assert again == outcomes[0]
        await submitter.close()
        assert len(sandbox.messages) == 20


@pytest.mark.slow
async def test_connections_that_are_cut_are_made_again(postgres_place: str) -> None:
    """All of them, in the middle of everything: who waits gets its outcome, once."""
    slow = SandboxConfig(trusting=True, latency=Latency(up=0.02, down=0.02))
    roles = "both", "submit"
    async with programs(postgres_place, *roles, config=slow) as (sandbox, (first, second)):
        waiting = [
            asyncio.create_task((first, second)[number % 2].submit(record(number)))
            for number in range(200)
        ]
        for stored in (20, 60):
            await until(lambda: are_stored(sandbox, stored))  # noqa: B023 - awaited here
            await cut_off(postgres_place)
        outcomes = await asyncio.gather(*waiting)
        assert {type(outcome) for outcome in outcomes} == {Sent}
        assert len(how_often(sandbox)) == 200
        assert set(how_often(sandbox).values()) == {1}


@pytest.mark.slow
async def test_a_call_that_is_cancelled_loses_nothing(postgres_place: str) -> None:
    """Its message is sent all the same, and its place in hand is free once it is."""
    async with programs(postgres_place, "submit", "both") as (sandbox, (first, second)):
        calls = [asyncio.create_task(first.submit(record(number))) for number in range(30)]
        await asyncio.sleep(0)
        for call in calls:
            call.cancel()
        await asyncio.wait(calls)
        outcomes = await asyncio.gather(*(second.submit(record(n)) for n in range(30)))
        assert {type(outcome) for outcome in outcomes} == {Sent}
        await until(lambda: has_none_in_hand(first))
        assert len(sandbox.messages) == 30


@pytest.mark.slow
async def test_no_more_than_the_buffer_is_in_hand(postgres_place: str) -> None:
    """Also of a program that does not send: what comes beyond waits, and is not staged."""
    async with programs(postgres_place, "submit", buffer=5) as (sandbox, (first,)):
        calls = [asyncio.create_task(first.submit(record(number))) for number in range(12)]
        await until(lambda: are_staged(postgres_place, 5))
        await asyncio.sleep(0.1)
        assert first.in_hand == (await counted(postgres_place, "record"))[0] == 5
        api = LeadConnector(sandbox.token, base_url=sandbox.url, limit=None)
        async with api, Ingestor(api, outbox=postgres_place):
            await asyncio.gather(*calls)
        assert first.in_hand == 0


@pytest.mark.slow
async def test_a_run_yields_the_outcomes_of_its_own_messages(postgres_place: str) -> None:
    """Wherever they are settled; what another program gives at the same time is not among them."""
    roles = "submit", "both", "both"
    async with programs(postgres_place, *roles) as (sandbox, ingestors):
        numbers = range(60), range(50, 120), range(110, 200)
        found = await asyncio.gather(*map(ran, ingestors, numbers))
        for keys, given in zip(found, numbers, strict=True):
            assert len(keys) == len(set(keys))
            assert set(keys) <= {f"r{number}" for number in given}
        assert {key for keys in found for key in keys} == {f"r{n}" for n in range(200)}
        assert set(how_often(sandbox).values()) == {1}
        assert len(sandbox.messages) == 200
        assert await ran(ingestors[0], range(200)) == []


class Tokens:
    """A token for one location, and none that works for all others."""

    def __init__(self, works: str, location: str) -> None:
        self._works = works
        self._location = location

    async def token(self, location_id: str) -> str:
        """One that works, or not."""
        return self._works if location_id == self._location else "refused"

    async def renew(self, location_id: str, refused: str) -> None:
        """There is no other."""


@pytest.mark.full
async def test_a_run_goes_on_after_its_connections_were_cut(postgres_place: str) -> None:
    """Those that have died meanwhile are made again before it stages."""
    async with programs(postgres_place, "both", "submit") as (sandbox, ingestors):
        for first, ingestor in enumerate((*ingestors, *ingestors)):
            numbers = range(10 * first, 10 * first + 10)
            assert len(await ran(ingestor, numbers)) == 10
            await cut_off(postgres_place)
            await asyncio.sleep(0)
        assert len(sandbox.messages) == 40


@pytest.mark.slow
async def test_a_run_goes_on_where_its_connections_are_cut_while_it_stages(
    postgres_place: str,
) -> None:
    """It yields what others have sent meanwhile too; equal messages stay as many as they were."""
    count = STAGE_BATCH + 20
    async with programs(postgres_place, "both") as (sandbox, _):

        async def given() -> AsyncIterator[InboundMessage]:
            for number in range(count):
                if number == STAGE_BATCH + 10:
                    assert await cut_off(postgres_place)
                    await until(lambda: are_stored(sandbox, STAGE_BATCH))
                yield record(number % 100).message

        api = LeadConnector(sandbox.token, location_id="l1", base_url=sandbox.url, limit=None)
        async with api, Ingestor(api, outbox=postgres_place, role="submit") as ingestor:
            found = [outcome.key async for outcome in ingestor.run(given())]
        assert len(found) == len(set(found)) == count
        assert len(sandbox.messages) == count


async def ran(ingestor: Ingestor, numbers: range) -> list[str]:
    """The keys of what a run yields."""
    return [outcome.key async for outcome in ingestor.run(list(map(record, numbers)))]


@pytest.mark.slow
async def test_a_location_that_stops_ends_its_calls_and_its_part_of_a_run(
    postgres_place: str,
) -> None:
    """With its error, also where it had stopped before; the records of others are sent."""
    config = SandboxConfig(trusting=True, tokens={"good": f"location{1:012}"})
    async with Sandbox(config) as sandbox:
        tokens = Tokens("good", f"location{1:012}")
        async with (
            LeadConnector(tokens, base_url=sandbox.url, limit=None) as api,
            Ingestor(api, outbox=postgres_place) as ingestor,
        ):
            assert isinstance(await ingestor.submit(record(1)), Sent)
            for _ in range(2):
                with pytest.raises(AccessError):
                    await ingestor.submit(record(2))
            outcomes = []

            async def run() -> None:
                async for outcome in ingestor.run(list(map(record, range(2 * LOCATIONS)))):
                    outcomes.append(outcome.key)  # noqa: PERF401 - it raises amid

            with pytest.raises(AccessError):
                await run()
            assert outcomes == ["r9"]
            assert ingestor.in_hand == 0


@pytest.mark.slow
async def test_one_token_of_one_location_is_tried_for_no_other(postgres_place: str) -> None:
    """What others submit is left to who can send it, unless it is for that location."""
    config = SandboxConfig(trusting=True, tokens={"good": f"location{1:012}"})
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(Sandbox(config))
        ingestors = []
        for location in None, f"location{1:012}":
            client = LeadConnector("good", location_id=location, base_url=sandbox.url)
            api = await stack.enter_async_context(client)
            role: Literal["both", "submit"] = "both" if location else "submit"
            made = Ingestor(api, outbox=postgres_place, role=role)
            ingestors.append(await stack.enter_async_context(made))
        first, second = ingestors
        waiting = asyncio.create_task(first.submit(record(2)))
        assert isinstance(await first.submit(record(1)), Sent)
        assert isinstance(await second.submit(record(9)), Sent)
        assert not waiting.done()
        assert {status for _, status in sandbox.requests} == {200}
        waiting.cancel()


@pytest.mark.slow
async def test_a_location_that_stops_elsewhere_ends_calls_and_runs_here(
    postgres_place: str,
) -> None:
    """With the error that its owner has written down; what had stopped before is tried first."""
    async with (
        programs(postgres_place, "submit") as (_, (first,)),
        await PostgresOutbox.open(postgres_place) as owner,
    ):
        lease, *_ = await owner.acquire(record(1).location_id or "")
        refusal = Refusal(status=429, message="nothing but 429")
        await owner.stop(lease, ThrottledError(refusal))
        with pytest.raises(ThrottledError, match="nothing but 429"):
            await first.submit(record(1))
        with pytest.raises(ThrottledError, match="nothing but 429"):
            await ran(first, range(1, 2))
        await owner.stop(lease, None)
        waiting = asyncio.create_task(first.submit(record(1)))
        (claim,) = await claim_all(owner, lease)
        await owner.settle([fate(claim)], ())
        assert isinstance(await waiting, Sent)


async def claim_all(owner: PostgresOutbox, lease: Lease) -> list[Claim]:
    """What there is to send of a location."""
    (claims,) = await owner.claim([(lease, 9)])
    return claims


@pytest.mark.slow
async def test_who_waits_when_it_is_closed_is_told(postgres_place: str) -> None:
    """Its record stays, and is sent later."""
    async with programs(postgres_place, "submit") as (_, (first,)):
        call = asyncio.create_task(first.submit(record(1)))
        await until(lambda: are_staged(postgres_place, 1))
    with pytest.raises(NotSentError, match="closed"):
        await call
    assert (await counted(postgres_place, "queue"))[0] == 1


@pytest.mark.slow
@pytest.mark.parametrize("role", ["both", "submit"])
async def test_a_closing_that_is_cancelled_leaves_nothing_open(
    postgres_place: str, monkeypatch: pytest.MonkeyPatch, role: Literal["both", "submit"]
) -> None:
    """In whichever step it is: a service may be cancelled as it ends."""
    opened: list[PostgresOutbox] = []

    async def noted(place: str, **given: Any) -> PostgresOutbox:  # noqa: ANN401 - as it is given
        opened.append(await open_shared(place, **given))
        return opened[-1]

    monkeypatch.setattr("leadconnector_async.ingestor.open_shared", noted)
    before = asyncio.all_tasks()
    async with Sandbox(WORLD) as sandbox, LeadConnector("t", base_url=sandbox.url) as api:
        for turns in range(1, 13):
            ingestor = Ingestor(api, outbox=postgres_place, role=role)
            await ingestor.__aenter__()
            closing = asyncio.create_task(ingestor.__aexit__())
            for _ in range(turns):
                await asyncio.sleep(0)
            closing.cancel()
            await asyncio.wait([closing])
            left = asyncio.all_tasks() - before
            assert not left or not (await asyncio.wait(left, timeout=30))[1]
    assert {repr(outbox).split()[-1] for outbox in opened} == {"closed>"}


@pytest.mark.slow
async def test_what_is_opened_again_as_all_ends_is_closed(postgres_place: str) -> None:
    """A connection was lost a moment before: nobody else would end the next one.

    Whoever waits is told what he is told of any closing: that it was closed before would be that
    nothing is written down, which nobody knows.
    """
    opened: list[PostgresOutbox] = []
    again, go_on = asyncio.Event(), asyncio.Event()

    async def open_outbox() -> PostgresOutbox:
        if opened:
            again.set()
            await go_on.wait()
        opened.append(await PostgresOutbox.open(postgres_place))
        return opened[-1]

    submitter = Submitter(open_outbox, InFlightLimit(9))
    await submitter.open()
    opened[0].cut_off()
    call = asyncio.create_task(submitter.submit(draft(record(1))))
    await again.wait()
    await submitter.close()
    go_on.set()
    with pytest.raises(NotSentError, match="closed"):
        await call
    assert [repr(outbox).split()[-1] for outbox in opened] == ["closed>"] * 2


@pytest.mark.slow
async def test_a_message_with_the_id_of_another_is_rejected(postgres_place: str) -> None:
    """Whoever submitted that one."""
    async with programs(postgres_place, "both", "submit") as (_, (first, second)):
        await first.submit(record(1))
        other = replace(record(1), message=record(2).message)
        assert isinstance(await second.submit(other), Rejected)


@pytest.mark.parametrize("wrong", [{"role": "submit"}, {"role": "send", "outbox": "postgresql://"}])
def test_a_role_that_cannot_be_is_refused_at_once(wrong: dict[str, str]) -> None:
    """To only submit needs a database; and there are two roles."""
    make: Callable[..., Ingestor] = Ingestor
    with pytest.raises(ValueError, match="role"):
        make(LeadConnector("token"), **wrong)


@pytest.mark.full
def test_a_process_that_is_killed_loses_nothing(postgres_place: str) -> None:
    """Another one takes over; who submits again gets the outcomes, and nothing is stored twice."""
    slow = SandboxConfig(trusting=True, latency=Latency(up=0.01, down=0.01))
    with SandboxThread(slow) as sandbox:
        first = start(sandbox, postgres_place, 0, 400)
        second = start(sandbox, postgres_place, 300, 700)
        assert first.stdout is not None
        for _ in range(60):
            first.stdout.readline()
        first.kill()
        first.communicate()
        again = start(sandbox, postgres_place, 0, 400)
        for process in (second, again):
            out, _ = process.communicate(timeout=120)
            assert (process.returncode, len(out.split())) == (0, 400)
        assert set(how_often(sandbox).values()) == {1}
        assert len(sandbox.messages) == 700
