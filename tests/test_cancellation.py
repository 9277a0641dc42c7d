"""Cancellation at every step of the loop, with the server's pure core in place of a socket.

The transport here implements the library's own interface: it yields to the loop before and after
it stores, so that a cancellation can fall on either side.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from fault_harness import QUICK, records
from multidict import CIMultiDict

from leadconnector_async._api.requests import CONVERSATIONS_VERSION
from leadconnector_async._engine.engine import Engine
from leadconnector_async._gateway import Gateway
from leadconnector_async._intake import Intake
from leadconnector_async._outbox.interface import Reading, State
from leadconnector_async._outbox.memory import MemoryOutbox
from leadconnector_async._outbox.sqlite import SqliteOutbox
from leadconnector_async._tokens import StaticToken
from leadconnector_async._transport import Answer
from leadconnector_async.sandbox import SandboxConfig
from leadconnector_async.sandbox._world import World

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from leadconnector_async._outbox.interface import Outbox, Settlement
    from leadconnector_async._transport import Request

STEPS = range(1, 100, 2)
RECORDS = 30


class WorldTransport:
    """A `Transport` to a sandbox without a network."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def send(self, request: Request, token: str) -> Answer:
        """Yield, let the world answer, yield again."""
        headers = CIMultiDict(Authorization=f"Bearer {token}", Version=request.version)
        await asyncio.sleep(0)
        exchange = self._world.serve(request.method, request.path, headers, request.body or b"")
        await asyncio.sleep(0)
        reply = exchange.reply
        return Answer(reply.status, CIMultiDict(reply.headers), reply.body)

    async def close(self) -> None:
        """Nothing is open."""


class BrokenTransport(WorldTransport):
    """A fault of the program's own, such as of a tracer of the application's session."""

    async def send(self, request: Request, token: str) -> Answer:
        """Fail once the message is stored."""
        await super().send(request, token)
        raise RuntimeError("a bug")


def engine_for(
    world: World,
    outbox: Outbox,
    deliver: Callable[[list[Settlement]], None] = lambda _: None,
    transport: type[WorldTransport] = WorldTransport,
) -> Engine:
    """An engine that sends to the sandbox's world."""
    gateway = Gateway(
        transport(world),
        StaticToken(world.config.token),
        policy=QUICK,
        limit=None,
        version=CONVERSATIONS_VERSION,
    )
    return Engine(gateway, outbox, concurrency=8, deliver=deliver, closed=lambda *_: None)


async def stage(outbox: Outbox, location: str) -> None:
    """Stage the records of the test; those that are known are skipped."""
    intake = Intake(lambda given: given or location)
    async for batch in intake.batches(records(RECORDS, contacts=6)):
        await outbox.stage(batch, Reading())
    await outbox.seal()


async def work_on(world: World, outbox: Outbox, *, cancel_after: int | None = None) -> Engine:
    """Work to the end, or for so many turns of the loop."""
    engine = engine_for(world, outbox)
    for location in await outbox.locations():
        await engine.open(location)
    work = asyncio.create_task(engine.work())
    if cancel_after is not None:
        for _ in range(cancel_after):
            await asyncio.sleep(0)
        work.cancel()
    await asyncio.wait([work])
    if not work.cancelled():
        work.result()
    return engine


def assert_no_slot_leaks(engine: Engine) -> None:
    """Every slot that was taken was given back."""
    for site in engine.sites.values():
        assert " 0 in flight" in repr(site.quota)


@pytest.mark.parametrize("turns", STEPS)
def test_a_cancelled_run_is_gone_on_with_by_the_next_owner(turns: int, tmp_path: Path) -> None:
    """Each record is stored once, wherever the cancellation fell; nothing is left running."""

    async def scenario() -> None:
        world = World(SandboxConfig())
        path = tmp_path / "outbox.db"
        async with await SqliteOutbox.open(path) as outbox:
            await stage(outbox, world.config.location_id)
            engine = await work_on(world, outbox, cancel_after=turns)
            assert_no_slot_leaks(engine)
            assert len(asyncio.all_tasks()) == 1
        async with await SqliteOutbox.open(path) as outbox:
            await work_on(world, outbox)
            assert not await outbox.unsent()
        stored = Counter(message.alt_id for message in world.store.messages())
        assert stored == Counter(f"r{number}" for number in range(RECORDS))

    asyncio.run(scenario())


@pytest.mark.parametrize("turns", STEPS[::4])
def test_a_cancelled_engine_can_work_again(turns: int) -> None:
    """The same engine, in the same process: what was in flight is looked for."""

    async def scenario() -> None:
        world = World(SandboxConfig())
        ended: list[Settlement] = []
        outbox = MemoryOutbox()
        engine = engine_for(world, outbox, ended.extend)
        await stage(outbox, world.config.location_id)
        await engine.open(world.config.location_id)
        work = asyncio.create_task(engine.work())
        for _ in range(turns):
            await asyncio.sleep(0)
        work.cancel()
        await asyncio.wait([work])
        await engine.work()
        assert_no_slot_leaks(engine)
        stored = Counter(message.alt_id for message in world.store.messages())
        assert stored == Counter(f"r{number}" for number in range(RECORDS))
        assert sum(one.state is State.SENT for one in ended) == RECORDS
        assert engine.tally.sent == RECORDS

    asyncio.run(scenario())


def test_a_bug_that_ends_the_run_leaves_what_was_in_flight_in_doubt(tmp_path: Path) -> None:
    """It may have left: the next run looks for it, and each record is stored once."""

    async def scenario() -> None:
        world = World(SandboxConfig())
        path = tmp_path / "outbox.db"
        async with await SqliteOutbox.open(path) as outbox:
            await stage(outbox, world.config.location_id)
            engine = engine_for(world, outbox, transport=BrokenTransport)
            await engine.open(world.config.location_id)
            with pytest.raises(ExceptionGroup):
                await engine.work()
            assert world.store.messages()
        async with await SqliteOutbox.open(path) as outbox:
            await work_on(world, outbox)
            assert not await outbox.unsent()
        stored = Counter(message.alt_id for message in world.store.messages())
        assert stored == Counter(f"r{number}" for number in range(RECORDS))

    asyncio.run(scenario())
