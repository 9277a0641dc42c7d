"""Statistics of what is sent: against a sandbox, whose own counts they must equal."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from cli_harness import sms, write_jsonl
from fault_harness import QUICK, SHORT_PAUSES, UNPACED, records
from msgspec.structs import replace

from leadconnector_async import (
    AccessError,
    Ingestor,
    LeadConnector,
    Policy,
    RateLimit,
    Record,
    Sent,
    Statistics,
    import_files,
)
from leadconnector_async.outbox.postgres.outbox import PostgresOutbox
from leadconnector_async.sandbox import Fault, Limits, Sandbox, SandboxConfig

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from leadconnector_async import Outcome
    from leadconnector_async.outbox.base import Submission
    from leadconnector_async.records.draft import Draft

OPEN = SandboxConfig(trusting=True, closed=False)


def client(
    sandbox: Sandbox, policy: Policy = QUICK, limit: RateLimit | None = UNPACED
) -> LeadConnector:
    """A client of the sandbox's location."""
    return LeadConnector(
        sandbox.token,
        location_id=sandbox.location_id,
        base_url=sandbox.url,
        policy=policy,
        limit=limit,
    )


@pytest.mark.slow
@pytest.mark.parametrize("durable", [True, False])
async def test_the_figures_are_those_of_the_outcomes(tmp_path: Path, *, durable: bool) -> None:
    """By location and in all: ends, requests, 429s, looks, latencies, the quota."""
    faults = (
        Fault("422", nth=(3, 50, 90)),
        Fault("429", nth=(7, 70)),
        Fault("drop", when="after", nth=(11, 40, 41, 120)),
    )
    config = replace(OPEN, faults=faults, limits=SHORT_PAUSES)
    async with Sandbox(config) as sandbox, client(sandbox) as api:
        outcomes: list[Outcome] = []
        async with Ingestor(api, outbox=tmp_path / "o.db" if durable else None) as ingestor:
            history = records(200)
            bad = replace(history[0].message, date=None, type="Fax")
            async for outcome in ingestor.run([*history, Record(message=bad, id="bad")]):
                outcomes.append(outcome)  # noqa: PERF401 - it is a generator
            message = replace(history[0].message, message="alone")
            outcomes += [await ingestor.submit(one) for one in (message, bad)]
            seen = ingestor.snapshot()
        told = Counter(type(outcome).__name__ for outcome in outcomes)
        place = seen.locations[sandbox.location_id]
        assert (place.sent, place.unresolved) == (told["Sent"], told["Unresolved"])
        assert (seen.sent, seen.failed) == (told["Sent"], told["Rejected"])
        assert place.rejected == seen.failed - 2
        assert (seen.read, seen.staged, seen.pending, place.pending) == (203, 203, 0, 0)
        assert (seen.requests, seen.throttled) == (place.requests, place.throttled)
        assert place.throttled == sandbox.faults_fired["429"] == place.pauses["throttled"] > 0
        assert seen.requests == ingestor.stats.requests
        assert sum(seen.reconciliations.values()) > 0
        assert seen.reconciliations["found"] == ingestor.stats.found
        assert seen.request_latency.count == seen.requests
        assert seen.settle_latency.count == 201
        assert seen.commit_latency.count > 0
        assert 0 < (seen.request_latency.p50 or 0) <= (seen.request_latency.max or 0)
        assert place.day_used == seen.requests
        assert ingestor.snapshot().sent == seen.sent  # after the end too


@pytest.mark.slow
async def test_what_is_held_is_told_while_it_is_sent(tmp_path: Path) -> None:
    """Pending, in flight and lanes of a location whose answers take their time; and its quota."""
    release = asyncio.Event()
    async with Sandbox(OPEN) as sandbox, client(sandbox, limit=RateLimit(500, 10.0)) as api:
        seen: list[Statistics] = []

        async def watch(stats: Statistics) -> None:
            seen.append(stats)
            if stats.sent:
                release.set()

        async with Ingestor(
            api, outbox=tmp_path / "o.db", on_stats=watch, stats_every=0.001
        ) as ingestor:
            async for _ in ingestor.run(records(400)):
                await asyncio.sleep(0)
            await release.wait()
        busy = [one for one in seen if one.in_flight]
        assert busy
        for one in busy:
            place = one.locations[sandbox.location_id]
            assert place.in_flight <= place.claimed
            assert 0 < place.lane_depth <= place.claimed
            assert place.lanes <= 40
        assert [one.pending for one in busy] == sorted((b.pending for b in busy), reverse=True)
        assert all(one.sent + one.pending <= 400 for one in busy)
        assert seen[-1].sent == 400


@pytest.mark.slow
async def test_a_quota_is_told(tmp_path: Path) -> None:
    """The limit that the API announces, what is used of it, and the seconds waited for it."""
    limits = Limits(window="fixed", max=20, interval=0.5, daily=1_000)
    config, loop = replace(OPEN, limits=limits), asyncio.get_running_loop()
    async with Sandbox(config) as sandbox, client(sandbox, limit=None) as api:
        began = loop.time()
        async with Ingestor(api, outbox=tmp_path / "o.db") as ingestor:
            async for _ in ingestor.run(records(50)):
                place = ingestor.snapshot().locations[sandbox.location_id]
        assert (place.quota_limit, place.quota_interval) == (20, 0.5)
        assert place.quota_left == max(20 - place.quota_used, 0)
        assert (place.day_limit, place.day_used, place.day_left) == (1_000, 50, 950)
        assert 0 < (place.day_ends_in or 0) <= 86_400
        assert 0 < place.quota_wait < loop.time() - began


@pytest.mark.parametrize("kind", ["no_access", "day_spent"])
async def test_a_location_that_cannot_go_on_says_why(tmp_path: Path, kind: str) -> None:
    """Its token, or its day."""
    day = kind == "day_spent"
    limits = Limits(window="off", max=10_000_000, interval=0.1, daily=5 if day else None)
    config = SandboxConfig(tokens={"good": "here"}, limits=limits, closed=False)
    async with (
        Sandbox(config) as sandbox,
        LeadConnector(
            "good" if day else "bad",
            location_id="here",
            base_url=sandbox.url,
            policy=replace(QUICK, wait_for_day=False),
            limit=None,
        ) as api,
        Ingestor(api, outbox=tmp_path / "o.db") as ingestor,
    ):
        with pytest.raises(Exception, match="day's quota" if day else "401"):
            async for _ in ingestor.run(records(20)):
                pass
        place = ingestor.snapshot().locations["here"]
        assert (place.paused, place.pauses[kind]) == (kind, 1)
        assert (place.paused_for is not None) == day
        assert place.pending == 20 - place.sent


@pytest.mark.parametrize("durable", [True, False])
async def test_a_message_that_is_submitted_again_is_counted_once(
    tmp_path: Path, *, durable: bool
) -> None:
    """Its location could not go on, and its sender asks again, by a run, or after a restart."""
    (record,) = records(1)
    place = tmp_path / "o.db" if durable else None
    async with (
        Sandbox(replace(OPEN, faults=(Fault("403"),))) as sandbox,
        client(sandbox) as api,
    ):
        async with Ingestor(api, outbox=place) as ingestor:
            for _ in range(3):
                with pytest.raises(AccessError):
                    await ingestor.submit(record)
            seen = ingestor.snapshot()
            assert (seen.read, seen.staged, seen.pending) == (3, 1, 1)
            with pytest.raises(AccessError):
                [_ async for _ in ingestor.run([record])]
            seen = ingestor.snapshot()
            assert (seen.read, seen.staged, seen.pending) == (4, 1, 1)
        sandbox.set_faults()
        async with Ingestor(api, outbox=place) as ingestor:
            assert isinstance(await ingestor.submit(record), Sent)
            seen = ingestor.snapshot()
        assert (seen.staged, seen.sent, seen.pending) == (0 if durable else 1, 1, 0)


@pytest.mark.parametrize("error", [ZeroDivisionError, SystemExit])
def test_a_callback_that_raises_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, error: type[BaseException]
) -> None:
    """And called again, whatever it raises; the run goes on to its end."""
    calls = threading.Semaphore(0)

    def fail(_: Statistics) -> None:
        calls.release()
        raise error

    async def scenario() -> None:
        async with (
            Sandbox(OPEN) as sandbox,
            client(sandbox) as api,
            Ingestor(api, outbox=tmp_path / "o.db", on_stats=fail, stats_every=0.005) as ingestor,
        ):
            assert [o async for o in ingestor.run(records(20))]
            await asyncio.to_thread(lambda: [calls.acquire() for _ in range(3)])

    with caplog.at_level(logging.ERROR):
        asyncio.run(scenario())
    assert [one.getMessage()[:15] for one in caplog.records] == ["on_stats failed"]


@pytest.mark.slow
async def test_a_slow_callback_holds_nothing_up(tmp_path: Path) -> None:
    """Neither the run nor its end; and no second call is begun meanwhile."""
    began, over = threading.Semaphore(0), threading.Event()

    def hang(_: Statistics) -> None:
        began.release()
        over.wait()

    async with Sandbox(OPEN) as sandbox, client(sandbox) as api:
        async with Ingestor(
            api, outbox=tmp_path / "o.db", on_stats=hang, stats_every=0.001
        ) as ingestor:
            await asyncio.to_thread(began.acquire)
            assert len([o async for o in ingestor.run(records(100))]) == 100
        assert not began.acquire(blocking=False)
        over.set()


async def test_a_callback_that_hangs_ends_with_what_is_cancelled_as_it_closes() -> None:
    """It was left at work, for good."""
    began, ended = asyncio.Event(), asyncio.Event()

    async def hang(_: Statistics) -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with Sandbox(OPEN) as sandbox, client(sandbox) as api:
        ingestor = Ingestor(api, on_stats=hang, stats_every=0.001)
        await ingestor.__aenter__()
        await began.wait()
        closing = asyncio.create_task(ingestor.__aexit__())
        for _ in range(9):  # it waits for the callback by now
            await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait([closing])
        async with asyncio.timeout(30):
            await ended.wait()


@pytest.mark.parametrize("kind", ["function", "object", "lambda"])
async def test_a_callback_may_be_anything_that_gives_something_to_await(kind: str) -> None:
    """It is awaited in the loop, where it may use what is the loop's."""
    seen: list[Statistics] = []

    async def tell(statistics: Statistics) -> None:
        await asyncio.sleep(0)
        seen.append(statistics)

    class Teller:
        async def __call__(self, statistics: Statistics) -> None:
            await tell(statistics)

    async def told(name: str, statistics: Statistics) -> None:
        assert name == kind
        await tell(statistics)

    callbacks: dict[str, Callable[[Statistics], object]] = {
        "function": tell,
        "object": Teller(),
        "lambda": lambda of: told(kind, of),
    }
    async with (
        Sandbox(OPEN) as sandbox,
        client(sandbox) as api,
        Ingestor(api, on_stats=callbacks[kind]) as ingestor,
    ):
        assert [o async for o in ingestor.run(records(20))]
    assert seen[-1].sent == 20


def test_an_import_of_files_tells_them_too(tmp_path: Path) -> None:
    """With what its progress says; the last one says what was done."""
    history = write_jsonl(
        tmp_path / "h.jsonl", [*(sms(n) for n in range(50)), sms(1, id="x", direction="no")]
    )
    seen: list[Statistics] = []

    async def scenario() -> None:
        async with Sandbox(OPEN) as sandbox, client(sandbox) as api:
            await import_files(
                api, [history], outbox=tmp_path / "o.db", on_stats=seen.append, stats_every=0.01
            )

    asyncio.run(scenario())
    last = seen[-1]
    assert (last.read, last.staged, last.sent, last.failed) == (51, 51, 50, 1)
    assert (last.unresolved, last.pending, last.settle_latency.count) == (0, 0, 50)


@pytest.mark.parametrize("every", [0.0, -1.0, float("nan")])
def test_statistics_are_told_every_so_many_seconds(every: float) -> None:
    """Which has to be more than none."""
    with pytest.raises(ValueError, match="stats_every"):
        Ingestor(LeadConnector("t", location_id="here"), stats_every=every)


def test_without_a_run_there_are_none() -> None:
    """An ingestor that was never open says so."""
    with pytest.raises(RuntimeError, match="is not open"):
        Ingestor(LeadConnector("t", location_id="here")).snapshot()


@pytest.mark.slow
async def test_a_program_that_only_submits_tells_what_it_waits_for(postgres_place: str) -> None:
    """Pending by location, and how long the others took; nothing is sent here."""
    async with (
        Sandbox(OPEN) as sandbox,
        client(sandbox) as api,
        Ingestor(api, outbox=postgres_place, role="submit") as ingestor,
    ):
        waiting = [asyncio.create_task(ingestor.submit(one)) for one in records(10)]
        while ingestor.snapshot().pending < 10:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.01)
        async with Ingestor(api, outbox=postgres_place) as sender:
            await asyncio.gather(*waiting)
            while sender.snapshot().sent < 10:  # noqa: ASYNC110 - it may hear of it later
                await asyncio.sleep(0.01)
        seen = ingestor.snapshot()
        assert (seen.pending, seen.sent, seen.settle_latency.count) == (0, 0, 10)


@pytest.mark.slow
async def test_in_a_database_each_end_is_counted_once(postgres_place: str) -> None:
    """Before its outcome is there, though both the worker and the database tell of it."""
    async with (
        Sandbox(OPEN) as sandbox,
        client(sandbox) as api,
        Ingestor(api, outbox=postgres_place) as ingestor,
    ):
        history = records(200)
        assert len([one async for one in ingestor.run(history[:100])]) == 100
        seen = ingestor.snapshot()
        assert (seen.sent, seen.pending, seen.settle_latency.count) == (100, 0, 100)
        await asyncio.gather(*(ingestor.submit(one) for one in history[100:]))
        seen = ingestor.snapshot()
        assert (seen.sent, seen.pending, seen.settle_latency.count) == (200, 0, 200)


@pytest.mark.slow
async def test_in_a_database_an_end_may_come_before_its_number_is_known(
    postgres_place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker may have sent a record before its caller hears what was staged."""

    async def late(outbox: PostgresOutbox, draft: Draft) -> Submission:
        told = await submit(outbox, draft)
        while not ingestor.snapshot().sent:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.01)
        return told

    submit = PostgresOutbox.submit
    async with (
        Sandbox(OPEN) as sandbox,
        client(sandbox) as api,
        Ingestor(api, outbox=postgres_place) as ingestor,
    ):
        monkeypatch.setattr(PostgresOutbox, "submit", late)
        assert isinstance(await ingestor.submit(*records(1)), Sent)
        seen = ingestor.snapshot()
        assert (seen.sent, seen.pending, seen.settle_latency.count) == (1, 0, 1)
