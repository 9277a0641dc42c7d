"""Imports records into a faulty sandbox and holds what was stored against what was asked."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING

from leadconnector_async import (
    InboundMessage,
    Ingestor,
    LeadConnector,
    Policy,
    RateLimit,
    Record,
    Rejected,
    Sent,
    Timeouts,
    Unresolved,
)
from leadconnector_async.sandbox import Limits

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from leadconnector_async import Outcome
    from leadconnector_async.observer import Telemetry
    from leadconnector_async.sandbox import Sandbox
    from leadconnector_async.sandbox.server import SandboxBase

START = datetime(2023, 1, 1, tzinfo=UTC)
LAG_S = 0.03
QUICK = Policy(backoff=0.002, backoff_cap=0.02, look_after=(0.01, LAG_S + 0.02), attempts=6)
"""The default policy with its waits made short. Where reads lag, they do so by `LAG_S`, which is
over before the last look, however busy the machine is: both count by one clock."""
UNPACED = RateLimit(100_000, 0.1, None)
"""Paces nothing; and what another run used is soon forgotten."""
SHORT_PAUSES = Limits(window="off", max=10_000_000, interval=0.1, daily=None)
"""A 429 that says nothing else is waited out for one interval."""


def client(sandbox: SandboxBase, telemetry: Telemetry | None = None) -> LeadConnector:
    """A client of the sandbox's location that is paced by nothing, and waits for little."""
    return LeadConnector(
        sandbox.token,
        location_id=sandbox.location_id,
        base_url=sandbox.url,
        policy=QUICK,
        limit=UNPACED,
        telemetry=telemetry,
    )


TIMEOUTS = Timeouts(connect=2.0, read=0.5)
"""For tests in which something hangs, and for no others: a busy machine answers as late as that."""


def records(count: int, *, contacts: int = 40, seed: int = 1) -> list[Record]:
    """Records of many contacts, some of them equal in all but their id, in no order of dates."""
    random = Random(seed)
    made = [
        Record(
            id=f"r{number}",
            message=InboundMessage(
                type="SMS",
                contact_id=f"contact{number % contacts}",
                direction="inbound" if number % 3 else "outbound",
                date=START + timedelta(minutes=number // contacts // 2),
                message=f"text {number % 5}",
            ),
        )
        for number in range(count)
    ]
    random.shuffle(made)
    return made


async def import_into(
    sandbox: Sandbox,
    messages: Iterable[Record],
    outbox: Path | None,
    *,
    policy: Policy = QUICK,
    timeouts: Timeouts | None = None,
) -> list[Outcome]:
    """One whole import; every outcome it gives."""
    async with (
        LeadConnector(
            sandbox.token,
            location_id=sandbox.location_id,
            base_url=sandbox.url,
            policy=policy,
            timeouts=timeouts or Timeouts(),
            limit=UNPACED,
        ) as api,
        Ingestor(api, outbox=outbox, concurrency=32) as ingestor,
    ):
        return [outcome async for outcome in ingestor.run(messages)]


def assert_once_or_told(
    sandbox: SandboxBase, asked: Iterable[Record], outcomes: Iterable[Outcome]
) -> None:
    """Each record has one outcome, and the server holds what the outcome says."""
    stored = Counter(str(message.alt_id) for message in sandbox.messages)
    told = {outcome.key: outcome for outcome in outcomes}
    ids = [str(record.id) for record in asked]
    assert sorted(told) == sorted(ids)
    for key in ids:
        match told[key]:
            case Sent():
                assert stored[key] == 1, f"{key}, told as sent, is stored {stored[key]} times"
            case Rejected(reason=reason):
                assert stored[key] == 0, f"{key} is stored, and was told as rejected: {reason}"
            case Unresolved():
                assert stored[key] <= 1
    assert set(stored) <= set(ids)


def assert_lanes_in_order(sandbox: SandboxBase) -> None:
    """Messages arrived in date order within each conversation."""
    last: dict[str, int] = {}
    for message in sandbox.messages:
        assert last.get(message.conversation_id, 0) <= message.date
        last[message.conversation_id] = message.date
