"""Calls of `submit` amid what ends the sending, turn by turn of the loop."""

from __future__ import annotations

import asyncio

import pytest
from fault_harness import records
from oauth_kit import Direct

from leadconnector_async import NotSentError, Policy, Sent
from leadconnector_async.auth.provider import StaticToken
from leadconnector_async.delivery.exclusive_sender import ExclusiveSender
from leadconnector_async.outbox.memory import MemoryOutbox
from leadconnector_async.records.builder import InFlightLimit, RecordBuilder
from leadconnector_async.sandbox import SandboxConfig
from leadconnector_async.sandbox.state import SandboxState
from leadconnector_async.session import ApiSession


@pytest.mark.parametrize("turns", range(14))
@pytest.mark.virtual_time
async def test_what_is_not_sent_is_not_sent_by_what_begins_then(turns: int) -> None:
    """Whoever is told so as the sending ends may submit it again: in memory, it would be twice."""
    transport = Direct(SandboxState(SandboxConfig(trusting=True)))
    session = ApiSession(transport, StaticToken("token"), policy=Policy(), limit=None)
    in_flight = InFlightLimit(2)
    sender = ExclusiveSender(session, MemoryOutbox(), in_flight, is_durable=False, concurrency=None)
    build = RecordBuilder(lambda name: name or "here")
    first, second = (build.draft_of(record) for record in records(2))
    in_flight.take(2)
    assert isinstance(await sender.submit(first), Sent)
    sender.stop()
    for _ in range(turns):
        await asyncio.sleep(0)
    call = sender.submit(second)
    await asyncio.wait([call])
    await asyncio.sleep(60.0)
    stored = len(transport.state.store.messages())
    assert stored == 1 if isinstance(call.exception(), NotSentError) else stored == 2
    await sender.close()
