"""Nothing lost, nothing twice, under faults: asserted on what the server stored."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from fault_harness import (
    LAG_S,
    QUICK,
    TIMEOUTS,
    assert_lanes_in_order,
    assert_once_or_told,
    import_into,
    records,
)
from msgspec.structs import replace
from samples import sampled

from leadconnector_async import Ingestor, LeadConnector, Sent, StaticToken, Unresolved
from leadconnector_async.sandbox import READ_SCOPES, Fault, Limits, Reads, Sandbox, SandboxConfig

if TYPE_CHECKING:
    from pathlib import Path

    from leadconnector_async import Timeouts
    from leadconnector_async.sandbox.faults import FaultKind

PERSISTENT = replace(QUICK, attempts=20)
"""Which record meets a fault is chance: none meets so many in a row."""
LOST_ANSWERS: tuple[FaultKind, ...] = ("drop", "reset", "500", "502", "504", "cut", "garbage")


def run(
    config: SandboxConfig, count: int, outbox: Path | None, timeouts: Timeouts | None = None
) -> None:
    """Import ``count`` records into a sandbox so configured; everything has to be sent."""

    async def scenario() -> None:
        async with Sandbox(config) as sandbox:
            asked = records(count)
            outcomes = await import_into(
                sandbox, asked, outbox, policy=PERSISTENT, timeouts=timeouts
            )
            assert sum(sandbox.faults_fired.values()) > 0
            assert_once_or_told(sandbox, asked, outcomes)
            assert all(isinstance(outcome, Sent) for outcome in outcomes)
            assert_lanes_in_order(sandbox)

    asyncio.run(scenario())


@pytest.mark.slow
@pytest.mark.parametrize("count", [100, pytest.param(400, marks=pytest.mark.full)])
@sampled("kind, when", LOST_ANSWERS, ["before", "after"])
def test_an_answer_that_is_lost_loses_and_doubles_nothing(
    count: int, kind: FaultKind, when: str, tmp_path: Path
) -> None:
    """One request in ten meets the fault, before or after its message was stored."""
    fault = Fault(kind, when=when, probability=0.1)  # type: ignore[arg-type]  # checked by Fault
    run(SandboxConfig(faults=(fault,), seed=7), count, tmp_path / "outbox.db")


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_server_that_hangs_loses_and_doubles_nothing(when: str, tmp_path: Path) -> None:
    """The read time-out ends the wait; the record is looked for."""
    fault = Fault("hang", when=when, probability=0.05, times=6, seconds=2.0)  # type: ignore[arg-type]
    run(SandboxConfig(faults=(fault,), seed=8), 200, tmp_path / "outbox.db", TIMEOUTS)


@pytest.mark.slow
@pytest.mark.parametrize("count", [300, pytest.param(2000, marks=pytest.mark.full)])
@sampled("alt_id, lag", [True, False], [0.0, LAG_S])
def test_all_faults_mixed_over_many_records(
    count: int,
    alt_id: bool,  # noqa: FBT001 - a parameter of the test
    lag: float,
    tmp_path: Path,
) -> None:
    """With and without ``altId`` in reads, with and without a read lag."""
    kinds: list[FaultKind] = ["drop", "reset", "500", "502", "503", "504", "cut", "garbage"]
    faults = (
        *(Fault(kind, when="before", probability=0.01) for kind in kinds),
        *(Fault(kind, when="after", probability=0.01) for kind in kinds),
    )
    config = SandboxConfig(
        faults=faults, seed=9, reads=Reads(alt_id=alt_id, lag=lag, search_lag=lag)
    )
    run(config, count, tmp_path / "outbox.db")


@pytest.mark.slow
def test_faults_while_looking_are_survived(tmp_path: Path) -> None:
    """Searches and listings that fail are tried again: six times at most for one record."""
    faults = (
        Fault("drop", when="after", probability=0.05),
        Fault("500", endpoint="search", probability=0.3, times=3),
        Fault("drop", endpoint="messages", probability=0.3, times=2),
    )
    run(SandboxConfig(faults=faults, seed=10), 200, tmp_path / "outbox.db")


@pytest.mark.slow
async def test_what_cannot_be_looked_for_is_told(tmp_path: Path) -> None:
    """Without permission to read, a record in doubt ends as unresolved, not as sent again."""
    config = SandboxConfig(
        faults=(Fault("drop", when="after", probability=0.05),),
        denied_scopes=READ_SCOPES,
        seed=11,
    )
    async with Sandbox(config) as sandbox:
        asked = records(200)
        outcomes = await import_into(sandbox, asked, tmp_path / "outbox.db")
        assert_once_or_told(sandbox, asked, outcomes)
        unresolved = [o for o in outcomes if isinstance(o, Unresolved)]
        assert len(unresolved) == sandbox.faults_fired["drop"] > 0
        assert "looking was refused" in unresolved[0].reason


@pytest.mark.slow
async def test_on_unknown_hold_tells_and_does_not_send_again(tmp_path: Path) -> None:
    """``hold``: every doubt becomes an unresolved outcome, without one look."""
    config = SandboxConfig(faults=(Fault("drop", when="after", probability=0.1),), seed=12)
    async with Sandbox(config) as sandbox:
        asked = records(200)
        policy = replace(QUICK, on_unknown="hold")
        outcomes = await import_into(sandbox, asked, tmp_path / "outbox.db", policy=policy)
        assert_once_or_told(sandbox, asked, outcomes)
        told = sum(isinstance(outcome, Unresolved) for outcome in outcomes)
        assert told == sandbox.faults_fired["drop"] > 0


@pytest.mark.slow
async def test_a_poisoned_record_ends_and_its_lane_goes_on(tmp_path: Path) -> None:
    """A record that is always answered 500 is given up as not stored; the others are sent."""
    async with Sandbox(SandboxConfig(faults=(Fault("500", alt_id="r7"),))) as sandbox:
        asked = records(60, contacts=3)
        policy = replace(QUICK, attempts=3)
        outcomes = await import_into(sandbox, asked, tmp_path / "outbox.db", policy=policy)
        assert_once_or_told(sandbox, asked, outcomes)
        failed = [o for o in outcomes if not isinstance(o, Sent)]
        assert [o.key for o in failed] == ["r7"]
        assert sandbox.faults_fired["500"] == 3


@pytest.mark.slow
async def test_a_host_that_is_down_pauses_everything_and_comes_back(tmp_path: Path) -> None:
    """Connections are refused for a while: no record is charged, and the run goes on by itself."""
    fault = Fault("down", nth=(50,), seconds=0.4)
    async with Sandbox(SandboxConfig(faults=(fault,))) as sandbox:
        asked = records(200)
        policy = replace(QUICK, attempts=2)
        outcomes = await import_into(sandbox, asked, tmp_path / "outbox.db", policy=policy)
        assert_once_or_told(sandbox, asked, outcomes)
        assert all(isinstance(outcome, Sent) for outcome in outcomes)


@pytest.mark.parametrize("others", [0, 1])
async def test_a_look_that_could_not_be_made_leaves_nothing_unresolved(others: int) -> None:
    """What gives the token was out of reach for a while: for the one location, or one of two."""
    failures = iter([False, *[True] * 7])

    class Vault(StaticToken):
        async def token(self, location_id: str) -> str:
            if next(failures, False):
                raise TimeoutError
            return await super().token(location_id)

    async with (
        Sandbox(SandboxConfig(faults=(Fault("drop", when="after", nth=(1,)),))) as sandbox,
        LeadConnector(Vault(sandbox.token), base_url=sandbox.url, policy=QUICK) as api,
        Ingestor(api) as ingestor,
    ):
        for other in range(others):
            api.session.quota(f"other{other}")
        (record,) = records(1)
        outcome = await ingestor.submit(replace(record, location_id=sandbox.location_id))
        assert isinstance(outcome, Sent)
        assert next(failures, None) is None
        assert len(sandbox.messages) == 1


@pytest.mark.slow
async def test_a_quota_that_others_use_too_costs_time_and_no_record(tmp_path: Path) -> None:
    """429s charge no record an attempt, whoever caused them."""
    limits = Limits(window="sliding", max=60, interval=0.1)
    async with Sandbox(SandboxConfig(limits=limits)) as sandbox:
        asked = records(100)
        policy = replace(QUICK, attempts=1)
        importing = asyncio.create_task(
            import_into(sandbox, asked, tmp_path / "outbox.db", policy=policy)
        )
        while not importing.done():
            sandbox.consume(n=5)
            await asyncio.wait([importing], timeout=0.02)
        assert_once_or_told(sandbox, asked, importing.result())
        assert all(isinstance(outcome, Sent) for outcome in importing.result())
