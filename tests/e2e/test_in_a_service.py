"""What a service does to an ingestor: it cancels, closes, opens again, goes on after failures."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from contextlib import aclosing, suppress
from functools import partial
from traceback import walk_tb
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from fault_harness import client, records
from msgspec.structs import replace

from leadconnector_async import (
    AccessError,
    ClosedError,
    FateUnknownError,
    Ingestor,
    LeadConnector,
    NotSentError,
    RateLimit,
    Rejected,
    Sent,
    Timeouts,
)
from leadconnector_async.delivery.results import OutcomeQueue
from leadconnector_async.outbox.memory import MemoryOutbox
from leadconnector_async.outbox.sqlite.outbox import SqliteOutbox
from leadconnector_async.sandbox import Fault, Latency, Limits, Sandbox, SandboxConfig

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from leadconnector_async import Outcome, Record
    from leadconnector_async.outbox.base import Acquired, Submission
    from leadconnector_async.records.draft import Draft

OPEN = SandboxConfig(trusting=True, closed=False)
PLACES = pytest.mark.parametrize("durable", [True, False])


@pytest.fixture
def complaints() -> Iterator[list[dict[str, Any]]]:
    """What asyncio would have told on the screen: see `watched`."""
    found: list[dict[str, Any]] = []
    yield found
    gc.collect()
    assert not found


def watch(complaints: list[dict[str, Any]]) -> None:
    """Have the running loop's complaints collected."""
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))


class OneIsWrong:
    """A `TokenProvider` that has a wrong token for one location."""

    async def token(self, location_id: str) -> str:
        """Give what there is."""
        return {"here": "wrong", "there": "right"}[location_id]

    async def renew(self, location_id: str, refused: str) -> str | None:
        """Know no other."""
        return None if refused else location_id


@PLACES
async def test_a_location_that_is_refused_takes_no_room_from_others(
    tmp_path: Path, *, durable: bool
) -> None:
    """Whoever was told that a message cannot be sent now waits no more, and nothing is in hand."""
    config = SandboxConfig(tokens={"good": "here", "right": "there"}, closed=False)
    async with (
        Sandbox(config) as sandbox,
        LeadConnector(OneIsWrong(), location_id="here", base_url=sandbox.url, limit=None) as api,
        Ingestor(api, outbox=tmp_path / "o.db" if durable else None, buffer=2) as ingestor,
    ):
        for record in records(7):
            with pytest.raises(AccessError):
                await ingestor.submit(record)
        assert ingestor.in_hand == 0
        (elsewhere,) = records(1)
        elsewhere = replace(elsewhere, location_id="there")
        assert isinstance(await ingestor.submit(elsewhere), Sent)
        assert ingestor.snapshot().locations["here"].pending == 7


@PLACES
async def test_messages_that_raise_lose_none_that_they_gave(
    tmp_path: Path, *, durable: bool
) -> None:
    """Such as the rows of a database that goes away."""

    def rows() -> Iterator[Record]:
        yield from records(5)
        raise ConnectionError("the source is gone")

    outcomes: list[Outcome] = []
    async with (
        Sandbox(OPEN) as sandbox,
        client(sandbox) as api,
        Ingestor(api, outbox=tmp_path / "o.db" if durable else None) as ingestor,
    ):

        async def gather() -> None:
            async for outcome in ingestor.run(rows()):
                outcomes.append(outcome)

        with pytest.raises(ConnectionError):
            await gather()
        outcomes += [outcome async for outcome in ingestor.run()]
        assert len(sandbox.messages) == 5
    assert [type(outcome) for outcome in outcomes] == [Sent] * 5


@PLACES
async def test_the_name_of_a_file_is_no_messages(tmp_path: Path, *, durable: bool) -> None:
    """Each of its letters was one that is refused."""
    async with (
        Sandbox(OPEN) as sandbox,
        client(sandbox) as api,
        Ingestor(api, outbox=tmp_path / "o.db" if durable else None) as ingestor,
    ):
        with pytest.raises(TypeError, match="open_source"):
            [outcome async for outcome in ingestor.run("history.csv")]  # type: ignore[arg-type]
        assert ingestor.stats.read == 0


@PLACES
@pytest.mark.parametrize("place", [17, b"here", "two words"])
async def test_a_location_that_can_be_none_refuses_its_message_alone(
    tmp_path: Path, place: object, *, durable: bool
) -> None:
    """As any other field does."""
    one, other = records(2)
    async with (
        Sandbox(OPEN) as sandbox,
        client(sandbox) as api,
        Ingestor(api, outbox=tmp_path / "o.db" if durable else None) as ingestor,
    ):
        given = [replace(one, location_id=place), other]
        outcomes = {type(outcome): outcome async for outcome in ingestor.run(given)}
        assert outcomes.keys() == {Rejected, Sent}
        assert "locationId can be no location" in str(outcomes[Rejected])
        assert isinstance(await ingestor.submit(given[0]), Rejected)


@PLACES
async def test_what_is_in_flight_as_its_location_stops_has_an_end_of_its_own(
    tmp_path: Path, *, durable: bool
) -> None:
    """Whoever is told of the location's error sends it again: in memory, it would be twice."""
    given = [
        replace(record, message=replace(record.message, contact_id=f"contact-{number}"))
        for number, record in enumerate(records(12))
    ]
    late = Latency(up=0.02, down=0.02, jitter=0.05)
    async with (
        Sandbox(SandboxConfig(closed=False, latency=late)) as sandbox,
        client(sandbox) as api,
        Ingestor(api, outbox=tmp_path / "o.db" if durable else None) as ingestor,
    ):
        await ingestor.submit(given[0])  # its answer tells the limit: the others go side by side
        sandbox.set_faults(Fault("403", alt_id=given[5].id, times=1))
        results = await asyncio.gather(*map(ingestor.submit, given[1:]), return_exceptions=True)
        kinds = [type(result) for result in results]
        assert kinds.count(Sent) == len(sandbox.messages) - 1 > 0
        assert kinds[4] is AccessError


@pytest.mark.parametrize("cancelled", [False, True])
async def test_what_a_run_has_left_is_sent_by_what_is_submitted_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, cancelled: bool
) -> None:
    """Nobody takes the outcomes of the rest: they pile up nowhere, and hold nothing back."""
    monkeypatch.setattr(OutcomeQueue, "MAX", 5)
    *asked, last = records(90)
    late = Latency(down=0.01)
    async with (
        Sandbox(replace(OPEN, latency=late)) as sandbox,
        client(sandbox) as api,
        Ingestor(api, outbox=tmp_path / "o.db") as ingestor,
    ):

        async def begun() -> None:
            async with aclosing(ingestor.run(asked)) as outcomes:
                await anext(outcomes)
                if cancelled:
                    while len(sandbox.messages) < 30:  # noqa: ASYNC110 - the server has no event
                        await asyncio.sleep(0.001)
                    running.cancel()
                    await anext(outcomes)

        running = asyncio.create_task(begun())
        await asyncio.wait([running])
        async with asyncio.timeout(30):
            assert isinstance(await ingestor.submit(last), Sent)
            while len(sandbox.messages) < 90:  # noqa: ASYNC110 - the server has no event
                await asyncio.sleep(0.001)


async def test_a_location_that_is_refused_after_a_run_stops_alone() -> None:
    """That it stops all others is a rule for a run in memory, and ends with it."""
    config = SandboxConfig(tokens={"right": "there"}, closed=False, latency=Latency(down=0.02))
    first, *others = (replace(record, location_id="there") for record in records(9, contacts=1))
    (refused,) = records(1)
    async with (
        Sandbox(config) as sandbox,
        LeadConnector(OneIsWrong(), location_id="here", base_url=sandbox.url, limit=None) as api,
        Ingestor(api) as ingestor,
    ):
        assert [type(outcome) async for outcome in ingestor.run([first])] == [Sent]
        calls = map(ingestor.submit, (refused, *others))
        told = await asyncio.gather(*calls, return_exceptions=True)
        assert [*map(type, told)] == [AccessError, *[Sent] * len(others)]


@pytest.mark.parametrize("refused", [False, True])
async def test_a_run_in_memory_leaves_room_for_others(*, refused: bool) -> None:
    """Nobody waits for what it has read and not sent: it is in hand no more."""
    *asked, last = records(100)
    async with (
        Sandbox(OPEN) as sandbox,
        client(sandbox) as api,
        Ingestor(api, buffer=5) as ingestor,
    ):
        if refused:
            sandbox.set_faults(Fault("403", times=1))
        async with aclosing(ingestor.run(asked)) as outcomes:
            with suppress(AccessError):
                await anext(outcomes)
        assert ingestor.in_hand == 0
        call = asyncio.create_task(ingestor.submit(last))
        async with asyncio.timeout(30):
            await asyncio.wait([call])
        assert isinstance(call.exception(), AccessError) if refused else call.result()
        assert ingestor.in_hand == 0


@pytest.mark.parametrize("buffer", [1, 5, 300])
async def test_a_run_in_memory_has_no_more_in_hand_than_its_buffer(buffer: int) -> None:
    """Nor has read more, whatever its messages come from."""
    given = 0

    def rows() -> Iterator[Record]:
        nonlocal given
        for given, record in enumerate(records(400), 1):  # noqa: B007 - read below
            yield record

    late = Latency(down=0.01)
    async with (
        Sandbox(replace(OPEN, latency=late)) as sandbox,
        client(sandbox) as api,
        Ingestor(api, buffer=buffer) as ingestor,
        aclosing(ingestor.run(rows())) as outcomes,
    ):
        await anext(outcomes)
        assert 0 < given <= buffer + len(sandbox.messages)
        assert ingestor.in_hand <= buffer


@pytest.mark.parametrize("kind", ["refused", "the same"])
async def test_what_waits_for_no_answer_holds_no_loop(kind: str) -> None:
    """All of it was read before its first outcome was told: without end, if there is none."""
    (record,) = records(1)
    if kind == "refused":
        record = replace(record, message=replace(record.message, direction=None))
    given = 0

    def rows() -> Iterator[Record]:
        nonlocal given
        for given in range(1, 30_000):  # noqa: B007 - read below
            yield record

    async with (
        Sandbox(OPEN) as sandbox,
        client(sandbox) as api,
        Ingestor(api) as ingestor,
        aclosing(ingestor.run(rows())) as outcomes,
    ):
        await anext(outcomes)
        assert given < 30_000 - 1


@pytest.mark.parametrize("direct", [True, False])
async def test_a_token_with_the_end_of_its_line_stops_its_location_alone(*, direct: bool) -> None:
    """Read from a file, say. The others go on, and nothing says what it is."""

    class Files:
        async def token(self, location_id: str) -> str:
            return {"here": "right-token\n", "there": "right-token"}[location_id]

        async def renew(self, location_id: str, refused: str) -> str | None:
            return None if refused else location_id

    here, there = (
        replace(record, location_id=where)
        for record, where in zip(records(2), ("here", "there"), strict=True)
    )
    config = SandboxConfig(tokens={"right-token": "there"}, closed=False)
    async with (
        aiohttp.ClientSession() as session,
        Sandbox(config) as sandbox,
        LeadConnector(Files(), base_url=sandbox.url, session=None if direct else session) as api,
        Ingestor(api) as ingestor,
    ):
        with pytest.raises(AccessError, match=r"no token: .* such as a line's end") as told:
            await ingestor.submit(here)
        assert "right-token" not in str(told.value)
        assert isinstance(await ingestor.submit(there), Sent)
        with pytest.raises(AccessError, match="no token"):
            await api.add_inbound_message(here.message, location_id="here")


class SlowToBegin(MemoryOutbox):
    """Takes some turns of the loop to begin, as a file does; and tells what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[bytes] = []
        self.was_given = asyncio.Event()

    async def publish(self) -> None:
        """See `Outbox.publish`."""
        for _ in range(7):
            await asyncio.sleep(0)

    async def acquire(self, location: str) -> Acquired:
        """See `Outbox.acquire`."""
        for _ in range(7):
            await asyncio.sleep(0)
        return await super().acquire(location)

    async def submit(self, draft: Draft) -> Submission:
        """See `Outbox.submit`."""
        self.given.append(draft.key)
        self.was_given.set()
        return await super().submit(draft)


@pytest.mark.parametrize("buffer", [2, 100])
def test_what_is_submitted_first_is_sent_first(
    monkeypatch: pytest.MonkeyPatch, buffer: int
) -> None:
    """By calls that do not wait for each other: as the ingestor begins, and where it is full."""
    outbox = SlowToBegin()
    monkeypatch.setattr("leadconnector_async.ingestor.MemoryOutbox", lambda: outbox)

    async def scenario() -> None:
        async with (
            Sandbox(OPEN) as sandbox,
            client(sandbox) as api,
            Ingestor(api, buffer=buffer) as ingestor,
        ):
            calls = []
            for record in records(40, contacts=1):
                calls.append(asyncio.create_task(ingestor.submit(record)))
                await asyncio.sleep(0)
            await asyncio.gather(*calls)

    asyncio.run(scenario())
    assert outbox.given == [f"i{record.id}".encode() for record in records(40, contacts=1)]


class AtFault(MemoryOutbox):
    """Fails for one record, as for a bug."""

    async def submit(self, draft: Draft) -> Submission:
        """See `Outbox.submit`."""
        if draft.key == f"i{records(3)[1].id}".encode():
            raise ValueError("makes no sense")
        return await super().submit(draft)


async def test_a_record_at_fault_fails_its_caller_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those who called in the same moment get their outcomes, and nothing is left in hand."""
    monkeypatch.setattr("leadconnector_async.ingestor.MemoryOutbox", AtFault)
    async with (
        Sandbox(OPEN) as sandbox,
        client(sandbox) as api,
        Ingestor(api) as ingestor,
    ):
        calls = [ingestor.submit(record) for record in records(3)]
        ends = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(end) for end in ends] == [Sent, ValueError, Sent]
        assert ingestor.in_hand == 0


async def test_a_submission_is_claimed_in_the_commit_that_stages_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One who waits waits for two commits in all: that one, and the one of its end."""
    jobs: list[str] = []
    for name in ("take_in", "claim", "settle"):
        job = getattr(SqliteOutbox, name)

        def noted(outbox: SqliteOutbox, *args: Any, name: str = name, job: Any = job) -> Any:  # noqa: ANN401 - whatever it is
            jobs.append(name)
            return job(outbox, *args)

        monkeypatch.setattr(SqliteOutbox, name, noted)
    async with (
        Sandbox(OPEN) as sandbox,
        client(sandbox) as api,
        Ingestor(api, outbox=tmp_path / "o.db") as ingestor,
    ):
        for at, record in enumerate(records(3)):
            if at == 1:  # the first one begins the work
                jobs.clear()
            assert isinstance(await ingestor.submit(record), Sent)
    assert [name for name in jobs if name != "claim"] == ["take_in", "settle"] * 2
    assert jobs.index("settle") == 1


@PLACES
async def test_what_the_consumer_of_a_run_submits_is_sent_though_the_run_ends(
    tmp_path: Path, *, durable: bool
) -> None:
    """It was told that it is not sent, and was: in memory, twice if it is submitted again."""
    given = records(12)
    outcomes = []
    async with (
        Sandbox(OPEN) as sandbox,
        client(sandbox) as api,
        Ingestor(api, outbox=tmp_path / "o.db" if durable else None) as ingestor,
        aclosing(ingestor.run(given[:6])) as run,
        asyncio.timeout(30),
    ):
        later = iter(given[6:])
        async for outcome in run:
            outcomes += [outcome, await ingestor.submit(next(later))]
        assert len(sandbox.messages) == 12
    assert [type(outcome) for outcome in outcomes] == [Sent] * 12


@pytest.mark.parametrize(("durable", "buffer"), [(True, 2_000), (False, 2_000), (False, 8)])
async def test_who_takes_the_outcomes_of_a_run_may_wait_for_a_message_of_his_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, buffer: int, *, durable: bool
) -> None:
    """With as many before him as are kept for him, and all space the run's, his own is claimed."""
    monkeypatch.setattr(OutcomeQueue, "MAX", 5)
    given = records(160)
    async with (
        Sandbox(OPEN) as sandbox,
        client(sandbox) as api,
        Ingestor(api, outbox=tmp_path / "o.db" if durable else None, buffer=buffer) as ingestor,
        aclosing(ingestor.run(given[:80])) as run,
        asyncio.timeout(30),
    ):
        own = iter(given[80:])
        async for _ in run:
            await ingestor.submit(next(own))
        assert len(sandbox.messages) == 160


async def test_who_takes_the_outcomes_of_a_run_that_is_refused_does_not_wait_for_its_room() -> None:
    """What it has left in memory is in hand no more, though nobody takes what is left to tell."""
    given = records(40)
    async with (
        Sandbox(OPEN) as sandbox,
        client(sandbox) as api,
        Ingestor(api, buffer=3) as ingestor,
        aclosing(ingestor.run(given[:-1])) as run,
        asyncio.timeout(30),
    ):
        assert isinstance(await anext(run), Sent)
        sandbox.set_faults(Fault("403", times=1))
        while ingestor.in_hand:  # noqa: ASYNC110 - nobody is told
            await asyncio.sleep(0.001)
        with suppress(AccessError):
            await ingestor.submit(given[-1])


async def test_a_submission_within_a_run_ends_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is left early sends nothing more, and whoever waits is told."""
    outbox = SlowToBegin()
    monkeypatch.setattr("leadconnector_async.ingestor.MemoryOutbox", lambda: outbox)
    first, second = records(2)
    once = RateLimit(1, 3_600.0, None)
    silent = replace(OPEN, limits=Limits(window="off", headers=False))
    async with (
        Sandbox(silent) as sandbox,
        LeadConnector("t", location_id="here", base_url=sandbox.url, limit=once) as api,
        Ingestor(api) as ingestor,
        aclosing(ingestor.run([first])) as outcomes,
    ):
        running = asyncio.create_task(anext(outcomes))
        assert isinstance(await running, Sent)
        call = asyncio.create_task(ingestor.submit(second))
        await outbox.was_given.wait()
        await outcomes.aclose()
        async with asyncio.timeout(30):
            with pytest.raises(NotSentError):
                await call


async def test_a_submission_while_a_run_stages_is_sent_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, complaints: list[dict[str, Any]]
) -> None:
    """What the run has staged waits until all is there, then goes out by date; each is told."""
    monkeypatch.setattr("leadconnector_async.records.builder.STAGE_BATCH", 2)
    watch(complaints)
    *staged, submitted = sorted(records(9, contacts=1), key=lambda record: record.id or "")
    beside = replace(submitted, message=replace(submitted.message, contact_id="another"))
    async with (
        Sandbox(OPEN) as sandbox,
        client(sandbox) as api,
        Ingestor(api, outbox=tmp_path / "outbox.db") as ingestor,
    ):

        async def source() -> AsyncIterator[Record]:
            for number, record in enumerate(reversed(staged)):
                if number == 5:
                    assert isinstance(await ingestor.submit(beside), Sent)
                    assert len(sandbox.messages) == 1
                yield record

        async with asyncio.timeout(30):
            outcomes = [outcome async for outcome in ingestor.run(source())]
        assert {outcome.key for outcome in outcomes} == {record.id for record in staged}
        dates = [stored.date for stored in sandbox.messages[1:]]
        assert dates == sorted(dates)
        assert len(dates) == len(staged)


async def test_a_run_that_is_cancelled_as_it_begins_to_send_leaves_nothing_at_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor what a `submit` has begun beside it, of which nobody would know any more."""
    publish, calls = SqliteOutbox.publish, []
    sends = asyncio.Event()

    async def hold(outbox: SqliteOutbox) -> None:
        calls.append(outbox)
        if len(calls) > 1:  # the first is of the staging
            sends.set()
            await asyncio.Event().wait()
        await publish(outbox)

    async with (
        Sandbox(OPEN) as sandbox,
        client(sandbox) as api,
        Ingestor(api, outbox=tmp_path / "outbox.db") as ingestor,
    ):

        async def source() -> AsyncIterator[Record]:
            first, *rest = records(5)
            assert isinstance(await ingestor.submit(first), Sent)
            monkeypatch.setattr(SqliteOutbox, "publish", hold)
            for record in rest:
                yield record

        run = asyncio.create_task(anext(ingestor.run(source())))
        async with asyncio.timeout(30):
            await sends.wait()
        run.cancel()
        with suppress(asyncio.CancelledError):
            await run
        assert not [task for task in asyncio.all_tasks() if "Dispatcher.work" in repr(task)]


@PLACES
async def test_the_error_of_a_location_does_not_grow(tmp_path: Path, *, durable: bool) -> None:
    """Whoever is told raises one of its own: a traceback holds all frames that it went through."""
    async with (
        Sandbox(SandboxConfig(tokens={"good": "here"}, closed=False)) as sandbox,
        LeadConnector("bad", location_id="here", base_url=sandbox.url) as api,
        Ingestor(api, outbox=tmp_path / "o.db" if durable else None) as ingestor,
    ):
        depths = []
        for record in records(4):
            with pytest.raises(AccessError) as told:
                await ingestor.submit(record)
            depths.append(len(told.traceback))
        calls = [ingestor.submit(record) for record in records(8)[4:]]
        for error in await asyncio.gather(*calls, return_exceptions=True):
            assert isinstance(error, AccessError)
            depths.append(len(list(walk_tb(error.__traceback__))))
        assert max(depths[:4]) == min(depths[:4])
        assert max(depths[4:]) == min(depths[4:])


async def test_in_a_database_pending_is_what_is_waited_for(postgres_place: str) -> None:
    """Not what this process holds for a location that has stopped, and nobody waits for."""
    async with (
        Sandbox(SandboxConfig(tokens={"good": "here"}, closed=False)) as sandbox,
        LeadConnector("bad", location_id="here", base_url=sandbox.url) as api,
        Ingestor(api, outbox=postgres_place) as ingestor,
    ):
        with pytest.raises(AccessError):
            await ingestor.submit(records(1)[0])
        assert ingestor.snapshot().pending == 0


@pytest.mark.slow
async def test_an_opening_that_is_cancelled_owns_nothing(tmp_path: Path) -> None:
    """The same ingestor, and any other, opens it at once, wherever the cancellation fell."""
    async with LeadConnector("t", location_id="here") as api:
        for moment in range(30):
            path = tmp_path / f"{moment}.db"
            ingestor = Ingestor(api, outbox=path)
            opening = asyncio.create_task(ingestor.__aenter__())
            for _ in range(moment):
                await asyncio.sleep(0.0005)
            opening.cancel()
            await asyncio.wait([opening])
            if opening.cancelled():
                async with ingestor:
                    pass
            else:
                await ingestor.__aexit__(None, None, None)
            async with Ingestor(api, outbox=path):
                pass


@PLACES
async def test_an_ingestor_is_opened_once_at_a_time(tmp_path: Path, *, durable: bool) -> None:
    """The second opening says so, and the first goes on; after its end it is opened again."""
    async with Sandbox(OPEN) as sandbox, client(sandbox) as api:
        ingestor = Ingestor(api, outbox=tmp_path / "o.db" if durable else None)
        for record in records(2):
            async with ingestor:
                with pytest.raises(RuntimeError, match="is open already"):
                    await ingestor.__aenter__()
                assert isinstance(await ingestor.submit(record), Sent)


def test_before_it_is_open_an_ingestor_says_so() -> None:
    """Whatever is asked of it, in words that say what to do."""
    ingestor = Ingestor(LeadConnector("t", location_id="here"))
    for ask in (lambda: ingestor.stats, ingestor.stop, ingestor.snapshot):
        with pytest.raises(ClosedError, match="is not open: use it within"):
            ask()


async def test_another_loop_is_told_how_to_call() -> None:
    """As of a thread of a pool: the message would be sent, and its caller told that it failed."""

    async def elsewhere(ingestor: Ingestor) -> None:
        with pytest.raises(RuntimeError, match="run_coroutine_threadsafe"):
            await ingestor.submit(records(1)[0])
        with pytest.raises(RuntimeError, match="run_coroutine_threadsafe"):
            await anext(ingestor.run(records(1)))

    loop = asyncio.get_running_loop()
    async with (
        Sandbox(OPEN) as sandbox,
        client(sandbox) as api,
        Ingestor(api) as ingestor,
    ):
        await loop.run_in_executor(None, lambda: asyncio.run(elsewhere(ingestor)))
        assert sandbox.messages == []
        call = partial(asyncio.run_coroutine_threadsafe, ingestor.submit(records(1)[0]), loop)
        told = await loop.run_in_executor(None, lambda: call().result(30))
        assert isinstance(told, Sent)


async def test_a_run_that_is_left_early_is_told_how_to_end() -> None:
    """By a `break`: Python ends its generator in a later turn of the loop."""
    async with (
        Sandbox(OPEN) as sandbox,
        client(sandbox) as api,
        Ingestor(api) as ingestor,
    ):
        left = ingestor.run(records(5))
        async for _ in left:
            break
        with pytest.raises(RuntimeError, match=r"contextlib\.aclosing"):
            await anext(ingestor.run(records(5)))
        await left.aclose()
        assert len([outcome async for outcome in ingestor.run(records(5))]) == 5


@pytest.mark.slow
@PLACES
async def test_a_submission_ends_though_the_ingestor_is_closed_meanwhile(
    tmp_path: Path, complaints: list[dict[str, Any]], *, durable: bool
) -> None:
    """Sent, or told why not; also one that waits for room, whenever it is closed."""
    watch(complaints)
    async with Sandbox(OPEN) as sandbox, client(sandbox) as api:
        for turns in range(25):
            path = tmp_path / f"{turns}.db" if durable else None
            async with Ingestor(api, outbox=path, buffer=3) as ingestor:
                calls = [asyncio.create_task(ingestor.submit(one)) for one in records(6)]
                for _ in range(turns):
                    await asyncio.sleep(0.0002)
            async with asyncio.timeout(30):
                ends = await asyncio.gather(*calls, return_exceptions=True)
            assert all(isinstance(end, Sent | NotSentError | ClosedError) for end in ends), ends
            assert ingestor.in_hand == 0


@pytest.mark.slow
@PLACES
async def test_what_is_cancelled_leaves_no_complaint(
    tmp_path: Path, complaints: list[dict[str, Any]], *, durable: bool
) -> None:
    """Neither of a caller who does not wait any more, nor of a run that sends."""

    async def send(api: LeadConnector, path: Path | None, *, one_by_one: bool) -> None:
        async with Ingestor(api, outbox=path, buffer=3) as ingestor:
            if one_by_one:
                await asyncio.gather(*(ingestor.submit(one) for one in records(12)))
            else:
                async for _ in ingestor.run(records(12)):
                    pass

    watch(complaints)
    async with Sandbox(OPEN) as sandbox, client(sandbox) as api:
        for turns in range(40):
            path = tmp_path / f"{turns}.db" if durable else None
            sending = asyncio.create_task(send(api, path, one_by_one=turns % 2 == 0))
            await asyncio.sleep(0.001 * turns)
            sending.cancel()
            with suppress(asyncio.CancelledError):
                await sending


@pytest.mark.slow
@PLACES
async def test_a_submission_whose_closing_is_cancelled_may_be_stored(
    tmp_path: Path, *, durable: bool
) -> None:
    """As by a service's time limit. Its caller is told so; submitted again, it is looked for."""
    hang = Fault("hang", when="after", nth=(1,), seconds=60.0)
    (one,) = records(1)
    path = tmp_path / "o.db" if durable else None
    async with Sandbox(replace(OPEN, faults=(hang,))) as sandbox, client(sandbox) as api:
        ingestor = Ingestor(api, outbox=path)
        await ingestor.__aenter__()
        call = asyncio.create_task(ingestor.submit(one))
        while not sandbox.faults_fired["hang"]:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.001)
        closing = asyncio.create_task(ingestor.__aexit__())
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(FateUnknownError, match="is looked for first"):
            await call
        with pytest.raises(asyncio.CancelledError):
            await closing
        async with Ingestor(api, outbox=path) as again:
            if durable:
                assert isinstance(await again.submit(one), Sent)
        assert len(sandbox.messages) == 1


async def test_closing_a_client_closes_its_session_though_it_is_cancelled() -> None:
    """Whenever that comes: nothing is left open, of which aiohttp would warn."""
    async with Sandbox(OPEN) as sandbox:
        for turns in range(6):
            api = client(sandbox)
            await api.find_contact(number="+12125550100")
            closing = asyncio.create_task(api.close())
            for _ in range(turns):
                await asyncio.sleep(0)
            closing.cancel()
            await asyncio.wait([closing])
            if turns:
                del api
                gc.collect()
            else:  # it had not begun
                await api.close()


async def test_a_session_that_was_closed_says_so(tmp_path: Path) -> None:
    """The application's own, which it has closed before the client: to whoever sends by it."""
    session = aiohttp.ClientSession()
    async with LeadConnector("t", location_id="here", session=session) as api:
        await session.close()
        with pytest.raises(ClosedError, match="the session is closed"):
            await api.mark_read("c")
        async with Ingestor(api, outbox=tmp_path / "o.db") as ingestor:
            with pytest.raises(ClosedError, match="the session is closed"):
                await ingestor.submit(records(1)[0])


@pytest.mark.parametrize("numbers", [{"buffer": 0}, {"buffer": -1}, {"concurrency": 0}])
def test_what_would_send_nothing_is_refused(numbers: dict[str, Any]) -> None:
    """Rather than waited for without end."""
    with pytest.raises(ValueError, match=r"(buffer|concurrency) is .*>= 1"):
        Ingestor(LeadConnector("t", location_id="here"), **numbers)


@pytest.mark.parametrize("wrong", [{"api": None}, {"buffer": None}, {"stats_every": "5"}])
def test_what_no_ingestor_can_use_is_refused(wrong: dict[str, Any]) -> None:
    """When it is made, by its name."""
    given: dict[str, Any] = {"api": LeadConnector("t", location_id="here")} | wrong
    with pytest.raises(TypeError, match=f"{next(iter(wrong))} is a .*: give"):
        Ingestor(**given)


@pytest.mark.parametrize("outbox", ["", ":memory:"])
def test_an_outbox_that_is_no_file_is_refused(outbox: str) -> None:
    """An empty variable of the environment, or SQLite's word for what is kept nowhere."""
    with pytest.raises(ValueError, match="give its path, or None"):
        Ingestor(LeadConnector("t", location_id="here"), outbox=outbox)


@pytest.mark.parametrize("numbers", [{"connect": 0}, {"read": 0}, {"read": float("inf")}])
def test_a_time_limit_that_is_none_is_refused(numbers: dict[str, Any]) -> None:
    """With one of 0 all would be stored, and nobody would know."""
    with pytest.raises(ValueError, match=r"is (0: give .* > 0|inf: give .* < 1)"):
        Timeouts(**numbers)


@pytest.mark.parametrize("limits", [{"limit": 100}, {"limits": {"here": 100}}])
def test_a_limit_that_is_a_number_is_refused(limits: dict[str, Any]) -> None:
    """When the client is made, rather than by each request."""
    with pytest.raises(TypeError, match="a limit is a int: give a RateLimit"):
        LeadConnector("t", location_id="here", **limits)


def test_a_client_without_connections_is_refused() -> None:
    """It would wait for one without end."""
    with pytest.raises(ValueError, match="connections is 0"):
        LeadConnector("t", location_id="here", connections=0)


async def test_another_thread_is_told_by_the_loop_how_things_stand() -> None:
    """Its things change meanwhile: it reads them itself; while it is held up, the thread waits."""
    order: list[str] = []
    async with LeadConnector("t", location_id="here") as api, Ingestor(api) as ingestor:
        asked = threading.Event()

        def ask() -> None:
            asked.set()
            ingestor.snapshot()
            order.append("told")

        asking = asyncio.create_task(asyncio.to_thread(ask))
        await asyncio.sleep(0)
        asked.wait()
        time.sleep(0.05)  # noqa: ASYNC251 - it holds the loop up
        order.append("held up")
        await asking
    assert order == ["held up", "told"]


@PLACES
async def test_a_source_that_is_cancelled_is_no_end_of_the_source(
    tmp_path: Path, *, durable: bool
) -> None:
    """As any other error of it, it comes out of `run`: else the rest would be lost unsaid."""

    async def consumed() -> AsyncIterator[Record]:
        for record in records(10):
            yield record
        raise asyncio.CancelledError  # what it reads from was cancelled, not this task

    outbox = tmp_path / "o.db" if durable else None
    async with (
        Sandbox(OPEN) as sandbox,
        client(sandbox) as api,
        Ingestor(api, outbox=outbox) as ingestor,
    ):
        with pytest.raises(asyncio.CancelledError):
            _ = [outcome async for outcome in ingestor.run(consumed())]
