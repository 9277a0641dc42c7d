"""One client for several: whoever holds a slot or a probe, the others go on once it is over."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from fault_harness import QUICK, TIMEOUTS, records
from test_cancellation import RECORDS, engine_for, stage

from leadconnector_async import FateUnknownError, Ingestor, LeadConnector
from leadconnector_async.breaker import FAILURES_TO_OPEN
from leadconnector_async.outbox.memory import MemoryOutbox
from leadconnector_async.sandbox import Fault, Sandbox, SandboxConfig
from leadconnector_async.sandbox.state import SandboxState

if TYPE_CHECKING:
    from leadconnector_async import Outcome


async def ingested(api: LeadConnector) -> list[Outcome]:
    """Import some records beside whatever else the client does."""
    async with Ingestor(api) as ingestor, asyncio.timeout(60):
        return [outcome async for outcome in ingestor.run(records(6))]


@pytest.mark.slow
async def test_an_ingestor_goes_on_when_its_clients_own_request_ends() -> None:
    """The first request of a location goes alone, and it may be a direct call that hangs."""
    async with Sandbox(SandboxConfig()) as sandbox:
        sandbox.set_faults(Fault("hang", when="before", nth=(1,), seconds=2.0))
        async with LeadConnector(
            sandbox.token,
            location_id=sandbox.location_id,
            base_url=sandbox.url,
            policy=QUICK,
            timeouts=TIMEOUTS,
        ) as api:
            direct = asyncio.create_task(api.add_inbound_message(records(1)[0].message))
            await asyncio.sleep(0.1)
            assert len(await ingested(api)) == 6
            with pytest.raises(FateUnknownError):
                await direct


async def test_two_ingestors_share_a_client() -> None:
    """Neither hears of the other's answers but by the quota."""
    async with (
        Sandbox(SandboxConfig()) as sandbox,
        LeadConnector(sandbox.token, location_id=sandbox.location_id, base_url=sandbox.url) as api,
    ):
        one, other = await asyncio.gather(ingested(api), ingested(api))
        assert (len(one), len(other)) == (6, 6)


@pytest.mark.virtual_time
async def test_a_probe_that_is_anothers_is_not_waited_for_without_end() -> None:
    """After an outage the dispatcher probes for itself."""
    state, outbox = SandboxState(SandboxConfig()), MemoryOutbox()
    dispatcher = engine_for(state, outbox)
    await stage(outbox, state.config.location_id)
    await dispatcher.open(state.config.location_id)
    now = asyncio.get_running_loop().time
    for _ in range(FAILURES_TO_OPEN):
        dispatcher.breaker.failed(now())
    dispatcher.breaker.began()
    async with asyncio.timeout(10):
        work = asyncio.create_task(dispatcher.work())
        await asyncio.sleep(0.8)  # beyond the time at which the next probe is due
        dispatcher.breaker.failed(now())
        await work
    assert dispatcher.stats.sent == RECORDS
