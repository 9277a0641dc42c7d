"""The commands that mend an outbox in a database, while workers send from it."""

from __future__ import annotations

import asyncio
import signal

import pytest
from cli_harness import leadconnector, result_of, wait_until
from outbox_kit import claimed, fate
from worker_harness import PATIENCE_S, how_often, records_of, start, wait_for

from leadconnector_async.errors import OutboxBusyError
from leadconnector_async.outbox.base import State
from leadconnector_async.outbox.postgres.outbox import PostgresOutbox
from leadconnector_async.outbox.source_pass import SourcePass
from leadconnector_async.sandbox import SandboxConfig, SandboxThread

LOCATIONS = [f"location{n:03}" for n in range(4)]


async def fail(url: str) -> None:
    """Stage twenty records in each of four locations; of each, two fail and two are unresolved."""
    async with await PostgresOutbox.open(url) as outbox:
        for number, name in enumerate(LOCATIONS):
            await outbox.stage(records_of(number, 20), SourcePass())
            await outbox.publish()
            states = [State.REJECTED, State.UNRESOLVED] * 2
            claims = await claimed(outbox, 4, name)
            fates = zip(claims, states, strict=True)
            why = "409 never" if number == 0 else "422 no"
            await outbox.settle([fate(claim, state, reason=why) for claim, state in fates], ())


@pytest.mark.full
def test_retry_dismiss_and_verify_work_beside_workers(postgres_place: str) -> None:
    """Workers hand over what a retry asks for, and send, or look for, what it has put back."""
    asyncio.run(fail(postgres_place))
    own = ["--outbox", postgres_place]
    with SandboxThread(SandboxConfig(trusting=True)) as sandbox:
        workers = [start(sandbox, postgres_place, drain=False) for _ in range(2)]
        wait_for(sandbox, 4 * 16)
        assert "4 records dismissed" in leadconnector("failed", "--dismiss", "409", *own).stdout
        retried = leadconnector("retry", "--json", *own)
        assert retried.exit_code == 0, retried.output
        assert result_of(retried.stdout) == {"pending": 6, "unknown": 6, "refused": 0, "left": 0}
        wait_for(sandbox, 4 * 16 + 12)
        assert set(how_often(sandbox).values()) == {1}
        wait_until(lambda: "Everything is sent" in leadconnector("status", *own).stdout)
        api = ["--base-url", sandbox.url, "--token", sandbox.token]
        verified = leadconnector("verify", "--json", *api, *own)
        assert (verified.exit_code, result_of(verified.stdout)["agrees"]) == (0, True)
        for worker in workers:
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(PATIENCE_S) == 0
    assert result_of(leadconnector("status", "--json", *own).stdout)["dismissed"] == 4


@pytest.mark.slow
async def test_a_retry_does_not_wait_for_who_is_no_worker(postgres_place: str) -> None:
    """Nobody would hand over: it ends with what to do."""
    await fail(postgres_place)
    async with (
        await PostgresOutbox.open(postgres_place) as owner,
        await PostgresOutbox.open(postgres_place) as other,
    ):
        await owner.acquire(LOCATIONS[0])
        with pytest.raises(OutboxBusyError, match="end it, or wait"):
            await other.requeue()


@pytest.mark.slow
async def test_a_shard_that_is_asked_for_is_surplus(postgres_place: str) -> None:
    """Whoever shares the locations sees it at the next look, and has it again after that."""
    await fail(postgres_place)
    async with (
        await PostgresOutbox.open(postgres_place) as owner,
        await PostgresOutbox.open(postgres_place) as other,
    ):
        await owner.join(10.0)
        assert len((await owner.share()).locations) == 4
        asking = asyncio.create_task(other.requeue())
        while not asking.done():
            await owner.share()
            await owner.hand_over()
            await asyncio.sleep(0.01)
        assert (await asking)[:2] == (8, 8)
        assert len((await owner.share()).locations) == 4
