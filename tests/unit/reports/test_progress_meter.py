from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from cli_harness import sms, write_jsonl
from postgres_kit import cut_off

from leadconnector_async import LeadConnector, Policy, RateLimit, Timeouts
from leadconnector_async.breaker import FAILURES_TO_OPEN, Breaker
from leadconnector_async.cli.format import with_wait
from leadconnector_async.delivery.results import RunStats
from leadconnector_async.importer import Importer
from leadconnector_async.models import RateLimitHeaders
from leadconnector_async.outbox.open import open_outbox
from leadconnector_async.outbox.sqlite.outbox import SqliteOutbox
from leadconnector_async.quota.quota import Quota
from leadconnector_async.reports.progress import (
    Budget,
    ImportProgress,
    ProgressMeter,
    RateMeter,
    budget_of,
    estimated,
    seconds_needed,
)
from leadconnector_async.sandbox import Fault, Limits, Sandbox, SandboxConfig
from leadconnector_async.sources import SourceOptions
from leadconnector_async.sources.batch_reader import SourceReader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from leadconnector_async.reports.progress import WatchedSender


def watch(  # noqa: PLR0913 - what an import can be watched under
    config: SandboxConfig,
    tmp_path: Path,
    enough: Callable[[ImportProgress], bool],
    *,
    policy: Policy = Policy(),  # noqa: B008 - frozen
    limit: RateLimit | None = None,
    count: int = 300,
) -> list[ImportProgress]:
    """Look at an import until one sees enough; return all that was seen."""
    history = write_jsonl(tmp_path / "h.jsonl", [sms(n) for n in range(count)])

    async def scenario() -> list[ImportProgress]:
        seen: list[ImportProgress] = []
        async with (
            Sandbox(config) as sandbox,
            LeadConnector("t", base_url=sandbox.url, limit=limit, policy=policy) as api,
            await SqliteOutbox.open(tmp_path / "o.db") as outbox,
        ):
            reader = SourceReader([str(history)], SourceOptions())
            importer = Importer(api.session, outbox, reader, location="here")
            seen.append(importer.snapshot())
            task = asyncio.create_task(importer.run())
            deadline = time.monotonic() + 120
            while not enough(seen[-1]) and time.monotonic() < deadline:
                await asyncio.sleep(0.01)
                seen.append(importer.snapshot())
            importer.stop()
            await asyncio.wait([task])
        return seen

    return asyncio.run(scenario())


def has_notice(text: str) -> Callable[[ImportProgress], bool]:
    """Whether the progress tells why little moves."""

    def told(progress: ImportProgress) -> bool:
        notice = progress.notice if progress.sending else None
        return notice is not None and text in notice.text

    return told


@pytest.mark.slow
def test_first_it_reads_then_it_sends(tmp_path: Path) -> None:
    """Bytes and records, then a count that grows to the total."""

    def done(progress: ImportProgress) -> bool:
        return progress.sending and progress.done == progress.total > 0

    seen = watch(SandboxConfig(), tmp_path, done)
    first, last = seen[0], seen[-1]
    assert not first.sending
    assert first.bytes_total == (tmp_path / "h.jsonl").stat().st_size
    assert last.sending
    assert last.total == 300
    assert last.seconds_left == 0.0
    counts = [progress.done for progress in seen if progress.sending]
    assert counts == sorted(counts)


@pytest.mark.slow
def test_the_time_left_knows_the_quota(tmp_path: Path) -> None:
    """However fast the first burst went."""
    limits = Limits(max=20, interval=1.0, daily=None)

    def moving(progress: ImportProgress) -> bool:
        return progress.sending and progress.done >= 15 and progress.seconds_left is not None

    seen = watch(
        SandboxConfig(limits=limits), tmp_path, moving, limit=RateLimit(20, 1.0, None), count=500
    )
    last = seen[-1]
    assert last.sending
    assert last.seconds_left is not None
    assert last.seconds_left == pytest.approx((500 - last.done) / 20)


def test_a_host_that_is_down_is_told(tmp_path: Path) -> None:
    """With the seconds to the next try."""
    down = SandboxConfig(faults=(Fault("down", nth=(30,), seconds=30.0),))
    seen = watch(down, tmp_path, has_notice("out of reach"))
    last = seen[-1]
    assert last.sending
    assert last.notice is not None
    assert last.notice.seconds is not None


def test_while_the_api_is_tried_no_time_of_the_next_try_is_told() -> None:
    """There is none before the probe has ended: one without end ended the display."""
    breaker = Breaker()
    for second in range(FAILURES_TO_OPEN):
        breaker.failed(float(second))
    breaker.began()
    run: Any = SimpleNamespace(stats=RunStats(), locations={})
    reader: Any = SimpleNamespace(bytes_read=0, size=1)
    notice = ProgressMeter(run, breaker, reader, {"l": 1}).snapshot(20.0, 1, None, None).notice
    assert notice is not None
    assert with_wait(notice) == "The API is out of reach: trying again"


@pytest.mark.slow
async def test_a_database_that_is_lost_is_told(tmp_path: Path, postgres_place: str) -> None:
    """Why, and that it is tried again: it was a rate of 0 and seconds that never came."""
    history = write_jsonl(tmp_path / "h.jsonl", [sms(n) for n in range(300)])
    async with (
        Sandbox(SandboxConfig(limits=Limits(max=50, interval=0.5))) as sandbox,
        LeadConnector(
            "t",
            base_url=sandbox.url,
            limit=RateLimit(50, 0.5, None),
            policy=Policy(look_after=(0.2,)),
            timeouts=Timeouts(read=2.0),  # what was in flight is looked for after that
        ) as api,
        await open_outbox(postgres_place) as outbox,
    ):
        reader = SourceReader([str(history)], SourceOptions())
        importer = Importer(api.session, outbox, reader, location="here")
        run = asyncio.create_task(importer.run())
        while not run.done() and not has_notice("connection was lost")(importer.snapshot()):
            if importer.stats.sent and importer.snapshot().notice is None:
                await cut_off(postgres_place)
            await asyncio.sleep(0.01)
        assert importer.snapshot().seconds_left is None
        assert not run.done()
        await run
        assert importer.snapshot().notice is None


def test_an_answer_429_is_told(tmp_path: Path) -> None:
    """For as long as it may matter."""
    throttled = SandboxConfig(faults=(Fault("429", nth=(30,), seconds=20.0),))
    seen = watch(throttled, tmp_path, has_notice("429"))
    assert has_notice("429")(seen[-1])


def test_waiting_for_the_next_day_is_told(tmp_path: Path) -> None:
    """With the policy that waits, the import goes on by itself."""
    limits = Limits(max=1000, interval=1.0, daily=30)
    seen = watch(
        SandboxConfig(limits=limits),
        tmp_path,
        lambda progress: has_notice("day's quota")(progress) and progress.seconds_left is not None,
        policy=Policy(wait_for_day=True),
        limit=RateLimit(1000, 1.0, 30),
    )
    last = seen[-1]
    assert last.sending
    assert last.notice is not None
    assert last.notice.seconds is not None
    assert last.notice.seconds > 3600
    assert last.seconds_left is not None
    assert last.seconds_left > 3600


def test_looking_for_lost_answers_is_told(tmp_path: Path) -> None:
    """When nothing else moves any more."""
    lost = SandboxConfig(faults=(Fault("500", when="after", nth=(1,)),))
    policy = Policy(look_after=(60.0, 60.0))
    seen = watch(lost, tmp_path, has_notice("Looking for 1 record"), policy=policy, count=1)
    assert has_notice("Looking for 1 record")(seen[-1])


@pytest.mark.parametrize(
    ("seen_for", "left", "expected"), [(1.0, 100, 10.0), (10.0, 50, 10.0), (10.0, 100, None)]
)
def test_what_stands_still_has_no_end_in_sight(
    seen_for: float, left: int, expected: float | None
) -> None:
    """By the quota at first, then as it goes: an API that never answered had half a minute left."""
    quota, pace = Quota(RateLimit(100, 10.0), now=0.0, wall_ms=0), RateMeter()
    pace.note(0.0, {"here": 100})
    pace.note(seen_for, {"here": left})
    state = SimpleNamespace(quota=quota, error=None)
    run = cast("WatchedSender", SimpleNamespace(locations={"here": state}))
    assert estimated({"here": left}, run, pace, seen_for) == expected


def test_the_slower_of_quota_and_sight_counts() -> None:
    """A slow machine or API is as real as the quota; a burst is not."""
    quota = Quota(RateLimit(100, 10.0, 5_000), now=0.0, wall_ms=0)
    assert budget_of(quota, 0.0, 0.0).rate == 10.0
    assert budget_of(quota, 4.0, 0.0).rate == 4.0
    assert budget_of(quota, 40.0, 0.0).rate == 10.0
    assert budget_of(quota, 0.0, 0.0) == Budget(rate=10.0, daily=5_000, left_today=5_000)


async def test_the_time_left_knows_the_day_that_was_announced() -> None:
    """Minutes, and not the days that the documented limit would take."""
    now = asyncio.get_running_loop().time()
    quota = Quota(RateLimit(100, 1.0), now=now, wall_ms=0)
    assert quota.ready_at(now) <= now
    slot = quota.take(now)
    quota.give_back(slot, now, RateLimitHeaders(daily_limit=1_000_000, daily_remaining=999_999))
    budget = budget_of(quota, 0.0, now)
    assert (budget.daily, budget.left_today) == (1_000_000, 999_999)
    assert seconds_needed(300_000, budget) == 3_000.0


@pytest.mark.slow
def test_a_location_that_was_given_up_takes_no_time(tmp_path: Path) -> None:
    """What it has left is not waited for."""

    def given_up(progress: ImportProgress) -> bool:
        return progress.sending and progress.seconds_left == 0.0

    throttled = SandboxConfig(faults=(Fault("429"),))
    last = watch(throttled, tmp_path, given_up, policy=Policy(patience=0.2))[-1]
    assert last.sending
    assert (last.done, last.seconds_left) == (0, 0.0)
