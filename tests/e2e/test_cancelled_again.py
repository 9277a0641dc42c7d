"""Cancelled at each await until it ends, as anyio's scopes do: it cleans up all the same."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import anyio
import pytest
from fault_harness import UNPACED, client, records
from oauth_kit import APP, FIRST, SECRET

from leadconnector_async import Ingestor, LeadConnector, OAuth, Sent, import_files
from leadconnector_async.sandbox import Latency, SandboxConfig, SandboxThread

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

SLOW = SandboxConfig(closed=False, latency=Latency(down=0.05))
"""A cancellation finds requests in flight."""

TURNS = [n if n in (1, 4, 60) else pytest.param(n, marks=pytest.mark.full) for n in range(1, 90)]


def wait_for_any(sandbox: SandboxThread) -> None:
    """Wait for the first message."""
    while not sandbox.messages:
        time.sleep(0.001)


async def in_a_scope(turns: int, work: Callable[[], Coroutine[None, None, None]]) -> None:
    """Do work in a scope that ends after so many turns of the loop; it leaves no task behind."""

    async def end() -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
        scope.cancel()

    before = asyncio.all_tasks()
    with anyio.CancelScope() as scope:
        ending = asyncio.create_task(end())
        await work()
    await ending
    assert scope.cancelled_caught
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize("turns", TURNS)
def test_an_ingestor_leaves_nothing_behind(turns: int, tmp_path: Path) -> None:
    """Whether it opens, sends or closes: its outbox can be opened again at once."""

    async def scenario() -> None:
        async def send() -> None:
            async with Ingestor(api, outbox=tmp_path / "outbox.db") as ingestor:
                await asyncio.gather(*map(ingestor.submit, records(20)))

        with SandboxThread(SLOW) as sandbox:
            async with client(sandbox) as api:
                await in_a_scope(turns, send)
                async with Ingestor(api, outbox=tmp_path / "outbox.db") as ingestor:
                    outcomes = [outcome async for outcome in ingestor.run(records(20))]
            assert len(sandbox.messages) == 20
            assert all(isinstance(outcome, Sent) for outcome in outcomes)

    asyncio.run(scenario())


@pytest.mark.parametrize("turns", TURNS)
def test_an_import_leaves_nothing_behind(turns: int, tmp_path: Path) -> None:
    """The same call again goes on at once."""
    table = tmp_path / "history.csv"
    table.write_text(
        "type,direction,contactId,date,message\n"
        + "".join(f"SMS,inbound,c{n},2024-03-01T10:00:00Z,text\n" for n in range(20))
    )

    async def scenario() -> None:
        async def send() -> None:
            await import_files(api, [table], outbox=tmp_path / "outbox.db")

        with SandboxThread(SLOW) as sandbox:
            async with client(sandbox) as api:
                await in_a_scope(turns, send)
                await send()
            assert len(sandbox.messages) == 20

    asyncio.run(scenario())


def test_what_is_submitted_after_a_cancelled_run_is_sent(tmp_path: Path) -> None:
    """The run is over then, and takes nothing else with it."""

    async def scenario() -> None:
        async def send() -> None:
            async for _ in ingestor.run(records(200)):
                pass

        with SandboxThread(SLOW) as sandbox:
            async with client(sandbox) as api, Ingestor(api, outbox=tmp_path / "o.db") as ingestor:
                running = asyncio.create_task(send())
                await asyncio.to_thread(wait_for_any, sandbox)
                while not running.done():
                    running.cancel()
                    await asyncio.sleep(0)
                outcomes = await asyncio.gather(*map(ingestor.submit, records(200)))
            assert all(isinstance(outcome, Sent) for outcome in outcomes)
            assert len(sandbox.messages) == 200

    asyncio.run(scenario())


def test_new_tokens_are_kept_by_a_client_that_is_closed_meanwhile(tmp_path: Path) -> None:
    """A refresh token works once: cut off, its successor would be lost."""
    config = SandboxConfig(oauth=APP, latency=Latency(up=0.05, down=0.05))

    def tokens() -> OAuth:
        return OAuth("app", SECRET, store=tmp_path / "tokens.db", refresh_tokens=FIRST)

    async def scenario() -> None:
        async def ask() -> None:
            async with LeadConnector(tokens(), base_url=sandbox.url, limit=UNPACED) as api:
                await api.search_conversations(contact_id="c", location_id="own")

        with SandboxThread(config) as sandbox:
            with anyio.move_on_after(0.08):
                await ask()
            await ask()

    asyncio.run(scenario())
