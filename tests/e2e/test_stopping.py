"""Stopping: by `stop`, by cancellation, by a refused token. Nothing leaks and nothing is lost."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from cli_harness import wait_until
from fault_harness import QUICK, assert_once_or_told, client, import_into, records
from msgspec.structs import replace

from leadconnector_async import (
    AccessError,
    Contact,
    FateUnknownError,
    InboundMessage,
    Ingestor,
    LeadConnector,
    NotSentError,
    OutboxUnusableError,
    Record,
    Rejected,
    Sent,
)
from leadconnector_async.records.builder import STAGE_BATCH
from leadconnector_async.sandbox import Fault, Latency, Sandbox, SandboxConfig

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from leadconnector_async import Outcome
    from leadconnector_async.ingestor import Role

SLOW = SandboxConfig(latency=Latency(up=0.01, down=0.01, jitter=0.02))


OURS = ("Dispatcher", "OutboxBatcher", "Ingestor", "ExclusiveSender", "ApiSession")


def tasks_of_ours(*ours: str) -> list[str]:
    """The tasks of the library that still run, by the names of their coroutines."""
    names = [getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks()]
    return [name for name in names if name.startswith(ours or OURS)]


@pytest.mark.slow
async def test_a_run_that_is_stopped_ends_and_is_gone_on_with(tmp_path: Path) -> None:
    """`stop` lets what is in flight be answered; the next run sends the rest, and only the rest."""
    async with Sandbox(SLOW) as sandbox:
        asked, outbox = records(200), tmp_path / "outbox.db"
        outcomes: list[Outcome] = []
        # So few in flight that not all are answered before the first outcome is read.
        async with client(sandbox) as api, Ingestor(api, outbox=outbox, concurrency=8) as ingestor:
            async for outcome in ingestor.run(asked):
                outcomes.append(outcome)
                if len(outcomes) == 50:
                    ingestor.stop()
        assert 50 <= len(outcomes) < 200
        assert len(sandbox.messages) == len(outcomes)
        outcomes += await import_into(sandbox, asked, outbox)
        assert_once_or_told(sandbox, asked, outcomes)
        assert sum(sandbox.requests.values()) == 200


@pytest.mark.slow
@pytest.mark.parametrize("shared", [False, True])
async def test_a_run_that_is_stopped_while_it_reads_sends_nothing(
    tmp_path: Path, postgres_place: str, *, shared: bool
) -> None:
    """What it has staged by then is sent by the next run."""
    asked, outbox = records(STAGE_BATCH + 9), postgres_place if shared else tmp_path / "o.db"
    async with (
        Sandbox() as sandbox,
        client(sandbox) as api,
        Ingestor(api, outbox=outbox) as ingestor,
    ):

        async def given() -> AsyncIterator[Record]:
            for number, record in enumerate(asked):
                if number == STAGE_BATCH + 5:
                    ingestor.stop()
                yield record

        assert not [outcome async for outcome in ingestor.run(given())]
        assert not sandbox.messages
        outcomes = [outcome async for outcome in ingestor.run(asked)]
        assert {outcome.key for outcome in outcomes} == {record.id for record in asked}
        assert len(sandbox.messages) == len(outcomes) == len(asked)


async def test_a_run_in_memory_that_is_stopped_as_it_begins_sends_nothing() -> None:
    """While it ends what calls of `submit` have begun, and leave behind idle."""
    first, *asked = records(20)
    async with Sandbox(SLOW) as sandbox, client(sandbox) as api, Ingestor(api) as ingestor:
        await ingestor.submit(first)
        run = asyncio.create_task(anext(ingestor.run(asked), None))
        await asyncio.sleep(0)
        ingestor.stop()
        assert await run is None
        assert len(sandbox.messages) == 1
        assert len([outcome async for outcome in ingestor.run(asked)]) == 19


@pytest.mark.slow
async def test_a_run_waits_for_what_an_earlier_one_has_to_hand_over(postgres_place: str) -> None:
    """Stopped while it read, that one ended at once: the next ended with it, and sent nothing."""
    *asked, first = records(6)
    async with (
        Sandbox(SandboxConfig(latency=Latency(down=2.0))) as sandbox,
        client(sandbox) as api,
        Ingestor(api, outbox=postgres_place) as ingestor,
    ):
        in_flight = asyncio.create_task(ingestor.submit(first))
        await asyncio.to_thread(wait_until, lambda: bool(sandbox.messages))

        async def given() -> AsyncIterator[Record]:
            ingestor.stop()
            yield asked[0]

        assert not [outcome async for outcome in ingestor.run(given())]
        assert len([outcome async for outcome in ingestor.run(asked)]) == 5
        assert isinstance(await in_flight, Sent)
        assert len(sandbox.messages) == 6


@pytest.mark.slow
@pytest.mark.parametrize("role", ["both", "submit"])
async def test_a_call_that_a_stop_overtakes_is_told_so(postgres_place: str, role: Role) -> None:
    """Whenever it comes: before its record has a number, it waited until the next call."""
    async with (
        Sandbox() as sandbox,
        client(sandbox) as api,
        Ingestor(api, outbox=postgres_place, role=role) as ingestor,
    ):
        for turns, record in enumerate(records(12), 1):
            call = asyncio.create_task(ingestor.submit(record))
            for _ in range(3 * turns):
                await asyncio.sleep(0)
            ingestor.stop()
            async with asyncio.timeout(30):
                (told,) = await asyncio.gather(call, return_exceptions=True)
            assert isinstance(told, Sent | NotSentError)


@pytest.mark.slow
async def test_what_is_stopped_again_begins_anew_all_the_same(postgres_place: str) -> None:
    """The second stop found nothing to stop, and stopped what began after it."""
    first, second, *asked = records(6)
    async with (
        Sandbox() as sandbox,
        client(sandbox) as api,
        Ingestor(api, outbox=postgres_place) as ingestor,
    ):
        for record in (first, second):
            async with asyncio.timeout(30):
                assert isinstance(await ingestor.submit(record), Sent)
                ingestor.stop()
                while tasks_of_ours("Worker"):  # noqa: ASYNC110 - its end is told to nobody
                    await asyncio.sleep(0.001)
                ingestor.stop()
        assert len([outcome async for outcome in ingestor.run(asked)]) == 4


@pytest.mark.slow
@pytest.mark.parametrize(
    "after", [1, 133, *(pytest.param(n, marks=pytest.mark.full) for n in (7, 40))]
)
async def test_a_run_that_is_cancelled_leaves_what_was_in_flight_to_be_looked_for(
    after: int, tmp_path: Path
) -> None:
    """Cancelling the task at any await loses nothing and doubles nothing."""
    async with Sandbox(SLOW) as sandbox:
        asked, outbox = records(180), tmp_path / "outbox.db"
        outcomes: list[Outcome] = []

        async def one_run() -> None:
            async with client(sandbox) as api, Ingestor(api, outbox=outbox) as ingestor:
                async for outcome in ingestor.run(asked):
                    outcomes.append(outcome)
                    if len(outcomes) == after:
                        task.cancel()

        task = asyncio.create_task(one_run())
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not tasks_of_ours()
        known = {outcome.key for outcome in outcomes}
        later = await import_into(sandbox, asked, outbox)
        assert not known & {outcome.key for outcome in later}
        stored = sorted(str(message.alt_id) for message in sandbox.messages)
        assert stored == sorted(str(record.id) for record in asked)


@pytest.mark.slow
async def test_leaving_the_loop_early_stops_the_run(tmp_path: Path) -> None:
    """``break`` is a stop: what was in flight is settled before the ingestor closes."""
    async with Sandbox(SLOW) as sandbox:
        asked, outbox = records(180), tmp_path / "outbox.db"
        async with client(sandbox) as api, Ingestor(api, outbox=outbox) as ingestor:
            async for _ in ingestor.run(asked):
                break
        stored = len(sandbox.messages)
        outcomes = await import_into(sandbox, asked, outbox)
        assert len(outcomes) == 180 - stored
        assert len(sandbox.messages) == 180


@pytest.mark.slow
async def test_a_cancelled_submit_does_not_take_its_message_back(tmp_path: Path) -> None:
    """The record is in the outbox, and is sent all the same."""
    async with Sandbox(SLOW) as sandbox:
        outbox = tmp_path / "outbox.db"
        async with client(sandbox) as api, Ingestor(api, outbox=outbox) as ingestor:
            tasks = [asyncio.create_task(ingestor.submit(record)) for record in records(100)]
            await tasks[0]
            for task in tasks[1:]:
                task.cancel()
            await asyncio.wait(tasks)
            again = await asyncio.gather(*(ingestor.submit(r) for r in records(100)))
        assert_once_or_told(sandbox, records(100), again)


@pytest.mark.slow
async def test_a_worker_that_starts_again_sends_what_was_left(tmp_path: Path) -> None:
    """The first `submit` takes up everything that the outbox still holds."""
    async with Sandbox(SLOW) as sandbox:
        asked, outbox = records(60), tmp_path / "outbox.db"
        async with client(sandbox) as api, Ingestor(api, outbox=outbox) as ingestor:
            async for _ in ingestor.run(asked[1:]):
                ingestor.stop()
        assert len(sandbox.messages) < 59
        async with client(sandbox) as api, Ingestor(api, outbox=outbox) as ingestor:
            await ingestor.submit(asked[0])
            while len(sandbox.messages) < 60:  # noqa: ASYNC110 - the server has no event for it
                await asyncio.sleep(0)
        assert len({message.alt_id for message in sandbox.messages}) == 60


async def test_a_message_submitted_twice_is_stored_once(tmp_path: Path) -> None:
    """The second call gets the outcome of the first, at once or later."""
    async with Sandbox(SLOW) as sandbox:
        (record,) = records(1)
        async with client(sandbox) as api, Ingestor(api, outbox=tmp_path / "o.db") as ingestor:
            first, second = await asyncio.gather(ingestor.submit(record), ingestor.submit(record))
            third = await ingestor.submit(record)
        assert first == second == third
        assert isinstance(first, Sent)
        assert len(sandbox.messages) == 1


async def test_equal_messages_without_id_and_date_are_two(tmp_path: Path) -> None:
    """A repeated "yes" is said twice: a message more is better than one lost."""
    async with Sandbox() as sandbox:
        yes = InboundMessage(type="SMS", contact_id="c1", direction="inbound", message="yes")
        async with client(sandbox) as api, Ingestor(api, outbox=tmp_path / "o.db") as ingestor:
            first, second = await ingestor.submit(yes), await ingestor.submit(yes)
        assert first != second
        assert len(sandbox.messages) == 2


@pytest.mark.slow
async def test_submit_waits_while_the_buffer_is_full() -> None:
    """Back-pressure: no more messages are in hand than the buffer says."""
    async with Sandbox(SLOW) as sandbox:
        async with client(sandbox) as api, Ingestor(api, buffer=5) as ingestor:
            seen = []

            async def submit(record: Record) -> Outcome:
                outcome = await ingestor.submit(record)
                seen.append(ingestor.in_hand)
                return outcome

            outcomes = await asyncio.gather(*(submit(record) for record in records(60)))
        assert max(seen) == 5
        assert_once_or_told(sandbox, records(60), outcomes)


async def test_a_refused_message_is_an_outcome_not_an_error() -> None:
    """Validation and the API say no by value; the caller goes on."""
    async with Sandbox() as sandbox, client(sandbox) as api, Ingestor(api) as ingestor:
        bad = InboundMessage(type="SMS", direction="inbound", message="x")
        outcome = await ingestor.submit(bad)
        assert isinstance(outcome, Rejected)
        assert "contactId is missing" in outcome.reason
        assert not sandbox.messages


async def test_an_ingestor_that_is_not_open_says_so(tmp_path: Path) -> None:
    """Before its block and after it, with a store and without: nothing is sent from there."""
    async with Sandbox() as sandbox, client(sandbox) as api:
        for path in (None, tmp_path / "o.db"):
            ingestor = Ingestor(api, outbox=path)
            for _ in range(2):
                with pytest.raises(RuntimeError, match="use it within `async with`"):
                    await ingestor.submit(records(1)[0])
                with pytest.raises(RuntimeError, match="use it within `async with`"):
                    await anext(ingestor.run(records(1)))
                async with ingestor:
                    pass
        assert not sandbox.messages


async def test_who_waits_while_it_is_stopped_is_told_so(tmp_path: Path) -> None:
    """Nobody has closed the ingestor. The message stays, and the next run sends it."""
    async with (
        Sandbox(SLOW) as sandbox,
        client(sandbox) as api,
        Ingestor(api, outbox=tmp_path / "outbox.db") as ingestor,
    ):
        calls = [asyncio.create_task(ingestor.submit(r)) for r in records(2, contacts=1)]
        while not sandbox.messages:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.001)
        ingestor.stop()
        sent, left = await asyncio.gather(*calls, return_exceptions=True)
        assert isinstance(sent, Sent)
        assert isinstance(left, NotSentError)
        assert "stopped, or its run ended" in str(left)
        assert len([outcome async for outcome in ingestor.run()]) == 1


@pytest.mark.parametrize("name", ["outbox.db", None])
async def test_of_a_message_in_doubt_nobody_is_told_that_it_was_not_sent(
    name: str | None, tmp_path: Path
) -> None:
    """Who believed it, and sent it again by another ingestor, had it twice."""
    config = SandboxConfig(faults=(Fault("500", when="after"),))
    later = replace(QUICK, look_after=(60.0, 120.0))
    async with Sandbox(config) as sandbox:
        api = LeadConnector(
            sandbox.token, location_id=sandbox.location_id, base_url=sandbox.url, policy=later
        )
        async with api, Ingestor(api, outbox=name and tmp_path / name) as ingestor:
            call = asyncio.create_task(ingestor.submit(records(1)[0]))
            await asyncio.to_thread(wait_until, lambda: bool(sandbox.messages))
            ingestor.stop()
            with pytest.raises(FateUnknownError, match="may have been on its way"):
                await call


async def test_an_outbox_of_another_api_is_refused(tmp_path: Path) -> None:
    """What was sent to a sandbox would count as sent to the API: it never would be.

    A sandbox may come back at another port.
    """
    outbox = tmp_path / "outbox.db"
    async with Sandbox() as first, Sandbox() as second:
        for sandbox in (first, second):
            async with client(sandbox) as api, Ingestor(api, outbox=outbox) as ingestor:
                await ingestor.submit(records(1)[0])
        async with LeadConnector(first.token, location_id=first.location_id) as api:
            with pytest.raises(OutboxUnusableError, match="belongs to an import into"):
                await Ingestor(api, outbox=outbox).__aenter__()
        await import_into(first, records(1), outbox)  # it is free at once


async def test_two_runs_at_once_are_refused(tmp_path: Path) -> None:
    """Neither could tell whose outcomes are whose. One after the other is fine."""
    async with (
        Sandbox() as sandbox,
        LeadConnector(sandbox.token, location_id=sandbox.location_id, base_url=sandbox.url) as api,
        Ingestor(api, outbox=tmp_path / "o.db") as ingestor,
    ):
        first = ingestor.run(records(5))
        outcomes = [await anext(first)]
        with pytest.raises(RuntimeError, match="another run"):
            await anext(ingestor.run(records(5)))
        outcomes += [outcome async for outcome in first]
        outcomes += [outcome async for outcome in ingestor.run(records(7)[5:])]
        assert len(outcomes) == len(sandbox.messages)


@pytest.mark.slow
async def test_a_location_whose_token_is_refused_stops_alone(tmp_path: Path) -> None:
    """The others go on to the end; then the run says which could not, and why."""
    config = SandboxConfig(tokens={"good-token": "good"})
    async with Sandbox(config) as sandbox:
        asked = [
            Record(id=f"{where}-{r.id}", message=r.message, location_id=where)
            for r in records(100)
            for where in ("good", "bad")
        ]
        outbox = tmp_path / "outbox.db"
        outcomes: list[Outcome] = []

        class Tokens:
            async def token(self, location_id: str) -> str:
                return f"{location_id}-token"

            async def renew(self, location_id: str, refused: str) -> str | None:
                del location_id, refused
                return None

        async with (
            LeadConnector(Tokens(), base_url=sandbox.url, policy=QUICK) as api,
            Ingestor(api, outbox=outbox) as ingestor,
        ):
            with pytest.raises(AccessError, match="Invalid token"):  # noqa: PT012 - the loop raises
                async for outcome in ingestor.run(asked):
                    outcomes.append(outcome)  # noqa: PERF401 - an error must keep them
        assert {outcome.location_id for outcome in outcomes} == {"good"}
        assert len(outcomes) == len(sandbox.messages) == 100


@pytest.mark.parametrize("by", ["id", "number"])
async def test_a_base_url_with_a_wrong_path_fails_no_record(tmp_path: Path, by: str) -> None:
    """Each was refused as if it were wrong itself: thousands, before anybody could look.

    The reason repeats no number of the path, as the API's framework does.
    """
    async with Sandbox() as sandbox:
        asked = records(10)
        if by == "number":
            hi = InboundMessage(type="SMS", message="hi", direction="inbound")
            asked = [
                Record(id=one.id, message=hi, contact=Contact(f"+1212555010{number}"))
                for number, one in enumerate(asked)
            ]
        api = LeadConnector(
            sandbox.token,
            location_id=sandbox.location_id,
            base_url=f"{sandbox.url}/v2",
            policy=QUICK,
        )
        async with api, Ingestor(api, outbox=tmp_path / "outbox.db") as ingestor:
            outcomes: list[Outcome] = []
            with pytest.raises(AccessError, match="check the base URL") as caught:  # noqa: PT012 - the loop raises
                async for outcome in ingestor.run(asked):
                    outcomes.append(outcome)  # noqa: PERF401 - an error must keep them
            assert outcomes == []
            assert "1212555" not in str(caught.value)


@pytest.mark.parametrize("name", ["outbox.db", None])
async def test_a_new_run_tries_a_location_that_was_refused(
    name: str | None, tmp_path: Path
) -> None:
    """Whoever begins one has mended the token: it goes on at once, by the same ingestor."""
    refusing = Fault("403", location="b", times=1)
    config = SandboxConfig(tokens={"token": "a", "other": "b"}, closed=False)

    class Tokens:
        async def token(self, location_id: str) -> str:
            return "token" if location_id == "a" else "other"

        async def renew(self, location_id: str, refused: str) -> str | None:
            del location_id, refused
            return None

    async with Sandbox(config) as sandbox:
        sandbox.set_faults(refusing)
        asked = [replace(r, location_id="ab"[at % 2]) for at, r in enumerate(records(20))]
        async with (
            LeadConnector(Tokens(), base_url=sandbox.url, policy=QUICK) as api,
            Ingestor(api, outbox=name and tmp_path / name) as ingestor,
        ):
            with pytest.raises(AccessError):
                async for _ in ingestor.run(asked):
                    pass
            async for _ in ingestor.run():
                pass
        assert {stored.alt_id for stored in sandbox.messages} == {r.id for r in asked}


@pytest.mark.slow
async def test_a_host_that_stays_down_is_given_up() -> None:
    """After the policy's patience the run ends with the reason."""
    down = Fault("down", nth=(1,), seconds=60.0)
    async with Sandbox(SandboxConfig(faults=(down,))) as sandbox:
        policy = replace(QUICK, patience=0.5)
        with pytest.raises(Exception, match="out of reach"):
            await import_into(sandbox, records(50), None, policy=policy)
