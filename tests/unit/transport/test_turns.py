"""When requests are written that are made in one turn of the loop."""

from __future__ import annotations

import asyncio
from math import inf
from typing import TYPE_CHECKING, Any, cast

import pytest
from http_peer import OK, POST, TOKEN, answer_all, serving, transport_to
from virtual_time import HeldClock

from leadconnector_async.errors import NotSentError
from leadconnector_async.transport.aiohttp_session import Timeouts
from leadconnector_async.transport.base import WithheldError
from leadconnector_async.transport.connections import ConnectionPool, KeptConnection

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from aiohttp.connector import Connection


class NotingTransport(asyncio.Transport):
    """Notes what is written to it, beside what is written to the others."""

    def __init__(self, name: str, written: list[str]) -> None:
        super().__init__()
        self.name = name
        self.written = written
        self.protocol: asyncio.BaseProtocol = asyncio.Protocol()
        self.closing = False

    def get_protocol(self) -> asyncio.BaseProtocol:
        """See `asyncio.BaseTransport`."""
        return self.protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """See `asyncio.BaseTransport`."""
        self.protocol = protocol

    def write(self, data: Any) -> None:  # noqa: ANN401 - as asyncio has it
        """See `asyncio.WriteTransport`."""
        self.written.append(f"{data.decode()} to {self.name}")

    def get_write_buffer_size(self) -> int:
        """All has left."""
        return 0

    def is_closing(self) -> bool:
        """See `asyncio.BaseTransport`."""
        return self.closing

    def abort(self) -> None:
        """See `asyncio.WriteTransport`."""
        self.closing = True


class Given:
    """What a connector gives."""

    def __init__(self, transport: NotingTransport) -> None:
        self.transport = transport

    def close(self) -> None:
        """See `aiohttp.connector.Connection`."""


class PoolInTurn:
    """A pool amid a turn of the loop: an answer has been read, and the connections are idle."""

    def __init__(self) -> None:
        self.written: list[str] = []

        async def connect() -> KeptConnection:
            raise NotImplementedError

        self.pool = ConnectionPool(connect, 4)
        names = "abcd"
        self.transports = {name: NotingTransport(name, self.written) for name in names}
        self.connections = {
            name: KeptConnection(cast("Connection", Given(transport)), self.pool)
            for name, transport in self.transports.items()
        }
        self.pool.give_back(self.connections["d"], 0.0)

    def ask(self, name: str, may_send: Callable[[], bool] | None = None) -> asyncio.Future[Any]:
        """Have a request written over a connection."""
        return self.pool.ask(self.connections[name], b"POST", may_send, inf)


def in_turn(test: Callable[[PoolInTurn], Coroutine[None, None, None]]) -> Callable[[], None]:
    """Run a test amid a turn."""

    def run() -> None:
        async def begin() -> None:
            await test(PoolInTurn())

        asyncio.run(begin())

    run.__doc__ = test.__doc__
    return run


@in_turn
async def test_the_first_leaves_at_once_and_the_others_with_the_turns_end(turn: PoolInTurn) -> None:
    """So the server is woken once for them; and in the next turn, or in none, at once again."""
    for name in "abc":
        turn.ask(name)
    assert turn.written == ["POST to a"]
    await asyncio.sleep(0)
    assert turn.written == ["POST to a", "POST to b", "POST to c"]
    turn.ask("d")
    assert turn.written[3:] == ["POST to d"]
    turn.pool.give_back(turn.connections["d"], 0.0)
    turn.ask("d")
    assert turn.written[4:] == ["POST to d"]


@in_turn
async def test_those_who_waited_for_a_connection_write_together(turn: PoolInTurn) -> None:
    """They go on in the next turn of the loop, where no answer is read."""

    async def send() -> None:
        turn.pool.ask(await turn.pool.wait(inf), b"POST", None, inf)

    turn.pool.take(0.0)
    waiting = [asyncio.create_task(send()) for _ in range(3)]
    await asyncio.sleep(0)
    for name in "abc":
        turn.pool.give_back(turn.connections[name], 0.0)
    await asyncio.sleep(0)
    assert all(task.done() for task in waiting)
    assert turn.written == ["POST to a"]
    await asyncio.sleep(0)
    assert turn.written == ["POST to a", "POST to b", "POST to c"]


@in_turn
async def test_what_is_given_up_before_it_is_written_is_not(turn: PoolInTurn) -> None:
    """Nobody would read its answer."""
    turn.ask("a")
    turn.ask("b").cancel()
    turn.ask("c")
    await asyncio.sleep(0)
    assert turn.written == ["POST to a", "POST to c"]


@in_turn
async def test_the_right_to_send_is_asked_for_with_the_write(turn: PoolInTurn) -> None:
    """A lease can be lost in a turn."""
    allowed = True
    turn.ask("a", lambda: allowed)
    late = turn.ask("b", lambda: allowed)
    allowed = False
    await asyncio.sleep(0)
    assert turn.written == ["POST to a"]
    with pytest.raises(WithheldError):
        await late


@pytest.mark.parametrize("told", [None, ConnectionResetError()], ids=["closed", "reset"])
def test_another_connection_may_carry_what_was_not_written(told: Exception | None) -> None:
    """Nothing of it has left, whatever the connection's end."""

    @in_turn
    async def run(turn: PoolInTurn) -> None:
        turn.ask("a")
        late = turn.ask("b")
        turn.connections["b"].connection_lost(told)
        await asyncio.sleep(0)
        assert turn.written == ["POST to a"]
        assert await late is None

    run()


@in_turn
async def test_nothing_is_written_to_what_is_closing(turn: PoolInTurn) -> None:
    """Another one may carry it: the end of that one is yet to be told."""
    turn.ask("a")
    late = turn.ask("b")
    turn.transports["b"].closing = True
    await asyncio.sleep(0)
    assert turn.written == ["POST to a"]
    assert await late is None
    turn.connections["b"].connection_lost(None)


@in_turn
async def test_an_answer_that_has_come_when_its_time_is_up_counts(turn: PoolInTurn) -> None:
    """Even where nobody has read it yet; of another request there is none."""
    pool, connections = turn.pool, turn.connections
    pool._open |= {connections["a"], connections["b"]}
    answered, late = (pool.ask(connections[name], b"POST", None, 0.0) for name in "ab")
    connections["a"].data_received(OK)
    pool._tick()
    response = await answered
    assert response is not None
    assert response.status == 200
    with pytest.raises(TimeoutError):
        await late


@in_turn
async def test_what_comes_before_the_request_is_written_is_not_its_answer(turn: PoolInTurn) -> None:
    """The connection ends, and another one may carry the request."""
    turn.ask("a")
    late = turn.ask("b")
    turn.connections["b"].data_received(OK)
    assert turn.transports["b"].closing
    assert not late.done()
    await asyncio.sleep(0)
    assert turn.written == ["POST to a"]


async def test_a_request_goes_on_over_another_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the one it was given ends before it is written."""
    prepare = KeptConnection.prepare
    prepared = []

    def end(self: KeptConnection, *given: Any) -> asyncio.Future[Any]:  # noqa: ANN401 - as it has
        answer = prepare(self, *given)
        prepared.append(self)
        if len(prepared) == 2:
            self.connection_lost(None)
        return answer

    monkeypatch.setattr(KeptConnection, "prepare", end)
    async with serving(answer_all) as server, transport_to(server.url) as transport:
        for _ in range(2):
            assert (await transport.send(POST, TOKEN)).status == 200
        assert len(server.requests) == 2
        assert len(set(prepared)) == 2
        assert len(prepared) == 3


async def test_one_request_after_the_other_asks_for_no_turn_of_the_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """There is nothing to gather: each turn would cost a call of the system, and its callbacks."""
    asked: list[object] = []
    async with serving(answer_all) as server, transport_to(server.url) as transport:
        await transport.send(POST, TOKEN)
        loop = asyncio.get_running_loop()
        call_soon = loop.call_soon

        def note(callback: Any, *given: Any, **options: Any) -> asyncio.Handle:  # noqa: ANN401 - as it has
            asked.append(getattr(callback, "__self__", None))
            return call_soon(callback, *given, **options)

        monkeypatch.setattr(loop, "call_soon", note)
        for _ in range(3):
            assert (await transport.send(POST, TOKEN)).status == 200
    assert asked
    assert not [one for one in asked if isinstance(one, ConnectionPool)]


def test_out_of_time_before_it_is_written_nothing_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be sent again without a look."""
    loop = HeldClock()

    async def run() -> None:
        held = asyncio.Event()
        monkeypatch.setattr(KeptConnection, "write", lambda _: held.set())
        async with (
            serving(answer_all) as server,
            transport_to(server.url, Timeouts(read=9)) as transport,
        ):
            sending = asyncio.create_task(transport.send(POST, TOKEN))
            await held.wait()
            loop.now += 10
            with pytest.raises(NotSentError, match="timed out"):
                await sending
            assert not server.requests

    loop.run_until_complete(run())
    loop.close()
