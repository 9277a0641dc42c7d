"""A hostile or broken server: bounded, told apart, and never followed elsewhere with the token."""

from __future__ import annotations

import asyncio
import resource
from typing import TYPE_CHECKING

import pytest
from fault_harness import QUICK, TIMEOUTS, assert_once_or_told, import_into, records
from msgspec.structs import replace
from samples import sampled

from leadconnector_async import Rejected, Sent
from leadconnector_async.sandbox import Fault, Limits, Sandbox, SandboxConfig

if TYPE_CHECKING:
    from pathlib import Path

    from leadconnector_async import Outcome
    from leadconnector_async.sandbox.faults import FaultKind

HEADLESS = Limits(window="off", headers=False)
LOOKED_FOR: tuple[FaultKind, ...] = ("huge", "endless", "overlong", "html", "redirect_302")
HARMLESS: tuple[FaultKind, ...] = ("rates_garbage", "rates_contradictory", "id_type")
WAITED_OUT: tuple[FaultKind, ...] = ("retry_past", "retry_far")
REFUSED: tuple[FaultKind, ...] = ("no_id", "redirect_307")


def run(fault: Fault, outbox: Path) -> list[Outcome]:
    """Import a little through a sandbox with the fault; nothing may be lost or doubled."""

    async def scenario() -> list[Outcome]:
        async with Sandbox(SandboxConfig(faults=(fault,), limits=HEADLESS)) as sandbox:
            asked = records(80)
            policy = replace(QUICK, retry_after_cap=0.2)
            outcomes = await import_into(sandbox, asked, outbox, policy=policy, timeouts=TIMEOUTS)
            assert sandbox.faults_fired[fault.kind] == fault.times
            assert_once_or_told(sandbox, asked, outcomes)
            return outcomes

    return asyncio.run(scenario())


@pytest.mark.slow
@sampled("when, kind", ["before", "after"], LOOKED_FOR)
def test_an_answer_that_cannot_be_read_is_looked_for(
    when: str, kind: FaultKind, tmp_path: Path
) -> None:
    """Too large, without end, of a wrong length, no JSON, or another page to see: sent, once."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    fault = Fault(kind, when=when, probability=0.2, times=3, seconds=3.0)  # type: ignore[arg-type]
    outcomes = run(fault, tmp_path / "outbox.db")
    assert all(isinstance(outcome, Sent) for outcome in outcomes)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak
    assert grown < 150 * 1024, f"an answer of 100 MB was kept: {grown} KiB more"


@pytest.mark.slow
@pytest.mark.parametrize("kind", HARMLESS)
def test_what_is_odd_beside_a_receipt_changes_nothing(kind: FaultKind, tmp_path: Path) -> None:
    """Rate headers that are no figures or contradict each other; an id that is a number."""
    outcomes = run(Fault(kind, "after", probability=0.2, times=5), tmp_path / "outbox.db")
    assert all(isinstance(outcome, Sent) for outcome in outcomes)


@pytest.mark.slow
@pytest.mark.parametrize("kind", WAITED_OUT)
def test_a_retry_after_in_the_past_or_a_year_ahead_is_bounded(
    kind: FaultKind, tmp_path: Path
) -> None:
    """The policy's cap, not the server, says how long a pause may be."""
    outcomes = run(Fault(kind, nth=(20,), times=1), tmp_path / "outbox.db")
    assert all(isinstance(outcome, Sent) for outcome in outcomes)


@pytest.mark.slow
@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_receipt_is_a_refusal(kind: FaultKind, tmp_path: Path) -> None:
    """No messageId, one of a wrong type, or a redirect, which is not followed."""
    outcomes = run(Fault(kind, nth=(5, 9, 30), times=3), tmp_path / "outbox.db")
    refused = [outcome for outcome in outcomes if isinstance(outcome, Rejected)]
    assert len(refused) == 3
    assert len(outcomes) == 80


async def test_a_redirect_takes_the_token_nowhere(tmp_path: Path) -> None:
    """The other host sees no request at all."""
    async with Sandbox() as elsewhere:
        fault = Fault("redirect_307", target=f"{elsewhere.url}/conversations/messages/inbound")
        async with Sandbox(SandboxConfig(faults=(fault,))) as sandbox:
            outcomes = await import_into(sandbox, records(5), tmp_path / "outbox.db")
        assert all(isinstance(outcome, Rejected) for outcome in outcomes)
        assert not elsewhere.requests
