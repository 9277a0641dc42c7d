"""Cancellation at every step of the loop, with the server's pure core in place of a socket.

The transport here implements the library's own interface: it yields to the loop before and after
it stores, so that a cancellation can fall on either side.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, NoReturn

import pytest
from fault_harness import QUICK, UNPACED, records
from multidict import CIMultiDict

from leadconnector_async.auth.provider import StaticToken
from leadconnector_async.delivery import sender
from leadconnector_async.delivery.dispatcher import Dispatcher
from leadconnector_async.outbox.base import State
from leadconnector_async.outbox.memory import MemoryOutbox
from leadconnector_async.outbox.source_pass import SourcePass
from leadconnector_async.outbox.sqlite.outbox import SqliteOutbox
from leadconnector_async.records.builder import RecordBuilder
from leadconnector_async.sandbox import SandboxConfig
from leadconnector_async.sandbox.app import respond
from leadconnector_async.sandbox.state import SandboxState
from leadconnector_async.session import ApiSession
from leadconnector_async.transport.base import Response

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from leadconnector_async.outbox.base import Outbox, Settlement
    from leadconnector_async.transport.base import Request

STEPS = [n if n % 8 == 1 else pytest.param(n, marks=pytest.mark.full) for n in range(1, 100, 2)]
RECORDS = 30


class WorldTransport:
    """A `Transport` to a sandbox without a network."""

    version: str | None = None

    def __init__(self, state: SandboxState) -> None:
        self._state = state

    async def send(self, request: Request, token: str, may_send: object = None) -> Response:  # noqa: ARG002 - nobody asks
        """Yield, let the world answer, yield again."""
        headers = CIMultiDict(Authorization=f"Bearer {token}", Version=request.version)
        await asyncio.sleep(0)
        exchange = respond(self._state, request.method, request.path, headers, request.body or b"")
        await asyncio.sleep(0)
        reply = exchange.reply
        return Response(reply.status, CIMultiDict(reply.headers), reply.body)

    def abort(self) -> None:
        """Nothing is in flight."""

    async def close(self) -> None:
        """Nothing is open."""


class BrokenTransport(WorldTransport):
    """A fault of the program's own, such as of a tracer of the application's session."""

    async def send(self, request: Request, token: str, may_send: object = None) -> Response:  # noqa: ARG002 - nobody asks
        """Fail once the message is stored."""
        await super().send(request, token)
        raise RuntimeError("a bug")


def engine_for(
    state: SandboxState,
    outbox: Outbox,
    deliver: Callable[[list[Settlement]], None] = lambda _: None,
    transport: type[WorldTransport] = WorldTransport,
) -> Dispatcher:
    """An engine that sends to the sandbox's world."""
    session = ApiSession(
        transport(state),
        StaticToken(state.config.token),
        policy=QUICK,
        limit=UNPACED,
    )
    return Dispatcher(session, outbox, concurrency=8, deliver=deliver, closed=lambda *_: None)


async def stage(outbox: Outbox, location: str) -> None:
    """Stage the records of the test; those that are known are skipped."""
    builder = RecordBuilder(lambda given: given or location)
    async for batch in builder.batches(records(RECORDS, contacts=6)):
        await outbox.stage(batch, SourcePass())
    await outbox.publish()


async def work_on(
    state: SandboxState, outbox: Outbox, *, cancel_after: int | None = None
) -> Dispatcher:
    """Work to the end, or for so many turns of the loop."""
    dispatcher = engine_for(state, outbox)
    for location in await outbox.locations():
        await dispatcher.open(location)
    work = asyncio.create_task(dispatcher.work())
    if cancel_after is not None:
        for _ in range(cancel_after):
            await asyncio.sleep(0)
        work.cancel()
    await asyncio.wait([work])
    if not work.cancelled():
        work.result()
    return dispatcher


def assert_no_slot_leaks(dispatcher: Dispatcher) -> None:
    """Every slot that was taken was given back."""
    for state in dispatcher.locations.values():
        assert " 0 in flight" in repr(state.quota)


@pytest.mark.parametrize("turns", STEPS)
async def test_a_cancelled_run_is_gone_on_with_by_the_next_owner(
    turns: int, tmp_path: Path
) -> None:
    """Each record is stored once, wherever the cancellation fell; nothing is left running."""
    state = SandboxState(SandboxConfig())
    path = tmp_path / "outbox.db"
    async with await SqliteOutbox.open(path) as outbox:
        await stage(outbox, state.config.location_id)
        dispatcher = await work_on(state, outbox, cancel_after=turns)
        assert_no_slot_leaks(dispatcher)
        assert len(asyncio.all_tasks()) == 1
    async with await SqliteOutbox.open(path) as outbox:
        await work_on(state, outbox)
        assert not await outbox.unsent()
    stored = Counter(message.alt_id for message in state.store.messages())
    assert stored == Counter(f"r{number}" for number in range(RECORDS))


@pytest.mark.parametrize("turns", STEPS[::4])
async def test_a_cancelled_dispatcher_can_work_again(turns: int) -> None:
    """The same engine, in the same process: what was in flight is looked for."""
    state = SandboxState(SandboxConfig())
    ended: list[Settlement] = []
    outbox = MemoryOutbox()
    dispatcher = engine_for(state, outbox, ended.extend)
    await stage(outbox, state.config.location_id)
    await dispatcher.open(state.config.location_id)
    work = asyncio.create_task(dispatcher.work())
    for _ in range(turns):
        await asyncio.sleep(0)
    work.cancel()
    await asyncio.wait([work])
    await dispatcher.work()
    assert_no_slot_leaks(dispatcher)
    stored = Counter(message.alt_id for message in state.store.messages())
    assert stored == Counter(f"r{number}" for number in range(RECORDS))
    assert sum(one.state is State.SENT for one in ended) == RECORDS
    assert dispatcher.stats.sent == RECORDS


def _fail(*_: object) -> NoReturn:
    raise RuntimeError("a bug")


@pytest.mark.parametrize("transport", [BrokenTransport, WorldTransport])
async def test_a_bug_that_ends_the_run_leaves_what_was_in_flight_in_doubt(
    transport: type[WorldTransport], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have left, and be answered: the next run looks for it; each record is stored once."""
    state = SandboxState(SandboxConfig())
    path = tmp_path / "outbox.db"
    async with await SqliteOutbox.open(path) as outbox:
        await stage(outbox, state.config.location_id)
        dispatcher = engine_for(state, outbox, transport=transport)
        await dispatcher.open(state.config.location_id)
        with monkeypatch.context() as broken:
            broken.setattr(sender, "classify", _fail)
            with pytest.raises(RuntimeError, match="a bug"):
                await dispatcher.work()
        assert state.store.messages()
    async with await SqliteOutbox.open(path) as outbox:
        await work_on(state, outbox)
        assert not await outbox.unsent()
    stored = Counter(message.alt_id for message in state.store.messages())
    assert stored == Counter(f"r{number}" for number in range(RECORDS))
