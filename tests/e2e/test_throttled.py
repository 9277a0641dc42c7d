"""A location that answers 429 to everything, and a day whose limit the API announces."""

from __future__ import annotations

import asyncio
import time
from math import inf
from typing import TYPE_CHECKING, Any

import pytest
from cli_harness import at, leadconnector, result_of, sms, write_jsonl
from fault_harness import QUICK, SHORT_PAUSES, UNPACED, records
from msgspec.structs import replace

from leadconnector_async import (
    DailyQuotaSpentError,
    Ingestor,
    LeadConnector,
    Record,
    Sent,
    ThrottledError,
)
from leadconnector_async.sandbox import (
    Fault,
    Latency,
    Limits,
    Sandbox,
    SandboxConfig,
    SandboxThread,
)

if TYPE_CHECKING:
    from pathlib import Path

    from leadconnector_async import Outcome

ALWAYS = Fault("429", endpoint="*", location="busy")


class Tokens:
    """Each location's own."""

    async def token(self, location_id: str) -> str:
        """Its name."""
        return location_id

    async def renew(self, location_id: str, refused: str) -> str | None:
        """There is no other."""
        del location_id, refused
        return None


def client(sandbox: Sandbox, patience: float) -> LeadConnector:
    """A client of two locations that is paced by nothing."""
    policy = replace(QUICK, patience=patience)
    return LeadConnector(Tokens(), base_url=sandbox.url, policy=policy, limit=UNPACED)


def both(count: int) -> list[Record]:
    """As many records for each of two locations."""
    return [
        Record(id=f"{where}-{one.id}", message=one.message, location_id=where)
        for one in records(count)
        for where in ("quiet", "busy")
    ]


CONFIG = SandboxConfig(
    tokens={"quiet": "quiet", "busy": "busy"}, limits=SHORT_PAUSES, faults=(ALWAYS,)
)


@pytest.mark.slow
@pytest.mark.parametrize("fault", [ALWAYS, replace(ALWAYS, seconds=600.0)])
async def test_a_location_that_is_only_throttled_stops_alone(fault: Fault, tmp_path: Path) -> None:
    """After the patience, also where it asks to wait for longer; the others go on to the end."""
    async with Sandbox(replace(CONFIG, faults=(fault,))) as sandbox:
        outcomes: list[Outcome] = []
        began = time.monotonic()
        async with (
            client(sandbox, 0.5) as api,
            Ingestor(api, outbox=tmp_path / "o.db") as ingestor,
        ):
            with pytest.raises(  # noqa: PT012 - the loop raises
                ThrottledError, match=r"location busy answers 429 to everything since 20\d\d-"
            ):
                async for outcome in ingestor.run(both(20)):
                    outcomes.append(outcome)  # noqa: PERF401 - an error must keep them
        assert time.monotonic() - began > 0.5
        assert {outcome.location_id for outcome in outcomes} == {"quiet"}
        assert len(outcomes) == len(sandbox.messages) == 20
        assert sandbox.faults_fired["429"] < 60


@pytest.mark.slow
async def test_any_success_begins_the_patience_anew(tmp_path: Path) -> None:
    """A location that is throttled now and then goes on, for as long as it takes."""
    faults = (replace(ALWAYS, nth=(1, 2, 3)),)
    async with (
        Sandbox(replace(CONFIG, faults=faults)) as sandbox,
        client(sandbox, 60.0) as api,
        Ingestor(api, outbox=tmp_path / "o.db") as ingestor,
    ):
        quota = api.session.quota("busy")
        outcomes = [outcome async for outcome in ingestor.run(both(20))]
        assert ingestor.stats.throttled == 3
        assert all(isinstance(outcome, Sent) for outcome in outcomes)
        assert len(outcomes) == 40
        assert quota.throttled_since == inf


@pytest.mark.slow
async def test_a_worker_tries_again_with_the_next_message(tmp_path: Path) -> None:
    """A location that was given up is not lost to a process that lives on."""
    async with Sandbox(CONFIG) as sandbox:
        first, *rest = [record for record in both(4) if record.location_id == "busy"]
        async with (
            client(sandbox, 0.15) as api,
            Ingestor(api, outbox=tmp_path / "o.db") as ingestor,
        ):
            with pytest.raises(ThrottledError):
                await ingestor.submit(first)
            with pytest.raises(ThrottledError):
                await ingestor.submit(rest[0])
            sandbox.set_faults()
            assert isinstance(await ingestor.submit(rest[1]), Sent)
            for record in (first, rest[0]):
                assert isinstance(await ingestor.submit(record), Sent)
        assert len(sandbox.messages) == 3


@pytest.mark.virtual_time
async def test_what_is_submitted_on_the_next_day_is_sent() -> None:
    """With what a spent day has left: a location that had enough of that was never woken."""
    latency, limits = Latency(up=0.02, down=0.02), Limits(max=20, daily=50)
    config = SandboxConfig(closed=False, latency=latency, limits=limits)
    async with (
        Sandbox(config, clock=asyncio.get_running_loop().time) as sandbox,
        LeadConnector(sandbox.token, location_id=sandbox.location_id, base_url=sandbox.url) as api,
        Ingestor(api) as ingestor,
    ):
        *today, later = records(61, contacts=9)
        ends = await asyncio.gather(*map(ingestor.submit, today), return_exceptions=True)
        assert sum(isinstance(end, DailyQuotaSpentError) for end in ends) == 10
        await asyncio.sleep(90_000)
        async with asyncio.timeout(600):
            assert isinstance(await ingestor.submit(later), Sent)
        await asyncio.sleep(60)
        assert len(sandbox.messages) == 61


@pytest.mark.slow
def test_the_command_ends_with_the_reason(tmp_path: Path) -> None:
    """Exit 1; the records stay pending, and the next run sends them."""
    history = write_jsonl(tmp_path / "h.jsonl", [sms(n) for n in range(30)])
    with SandboxThread(SandboxConfig(faults=(Fault("429"),))) as sandbox:
        words = ("import", history, *at(sandbox, tmp_path / "o.db"), "--json", "--patience", "0.1")
        done = leadconnector(*words)
        assert done.exit_code == 1
        assert "answers 429 to everything since" in done.stderr
        (location,) = result_of(done.stdout)["locations"]
        assert (location["pending"], location["failed"]) == (30, 0)
        assert "answers 429 to everything since" in location["error"]
        sandbox.set_faults()
        assert leadconnector(*words).exit_code == 0
        assert len(sandbox.messages) == 30


DAY = Limits(max=1000, interval=1.0, daily=20)


def run(sandbox: SandboxThread, folder: Path, exits: int) -> dict[str, Any]:
    """One run over sixty records."""
    history = write_jsonl(folder / "h.jsonl", [sms(n) for n in range(60)])
    done = leadconnector("import", history, *at(sandbox, folder / "o.db"), "--json")
    assert done.exit_code == exits, done.output
    return result_of(done.stdout)


@pytest.mark.slow
def test_a_day_that_seems_spent_is_asked_for_once(tmp_path: Path) -> None:
    """Another day, or another limit, may have begun: only the API knows."""
    with SandboxThread(SandboxConfig(limits=DAY)) as sandbox:
        assert run(sandbox, tmp_path, exits=4)["sent"] == 20
        again = run(sandbox, tmp_path, exits=4)
        assert (again["sent"], again["requests"], again["throttled"]) == (0, 1, 1)
        sandbox.reconfigure(limits=replace(DAY, daily=1000))
        more = run(sandbox, tmp_path, exits=0)
        assert (more["sent"], more["requests"], more["throttled"]) == (40, 40, 0)


@pytest.mark.slow
def test_a_limit_that_was_announced_is_known_to_the_next_run(tmp_path: Path) -> None:
    """Where the API is silent later, and to the estimates: not the documented one."""
    with SandboxThread(SandboxConfig(limits=DAY)) as sandbox:
        assert run(sandbox, tmp_path, exits=4)["sent"] == 20
        words = ("import", "--dry-run", *at(sandbox, tmp_path / "o.db"), "--json")
        estimate = result_of(leadconnector(*words).stdout)["estimate_s"]
        assert estimate == pytest.approx(2 * 86_400, abs=60)
        sandbox.reconfigure(limits=replace(DAY, daily=None))
        assert run(sandbox, tmp_path, exits=4)["requests"] == 1
