from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from http_peer import (
    GET,
    MIB,
    OK,
    POST,
    TOKEN,
    Peer,
    answer_all,
    either_way,
    everything_in,
    serving,
    transport_to,
)
from virtual_time import HeldClock

from leadconnector_async.errors import AccessError, FateUnknownError, NotSentError, TransportError
from leadconnector_async.transport.aiohttp_session import AiohttpTransport, Timeouts
from leadconnector_async.transport.base import Request
from leadconnector_async.transport.connection_ends import KEEP_ALIVE

if TYPE_CHECKING:
    from collections.abc import Callable

    from http_peer import Handler

    from leadconnector_async.transport.connections import ConnectionPool

HEAD = Request("HEAD", "/", "v3")
LARGE = Request("POST", "/x", "v3", b"x" * 8 * MIB)


def saying(answer: bytes) -> Handler:
    """A server that answers every request so, and each connection's first byte as it was asked."""

    async def handler(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(answer)

    return handler


async def mute(peer: Peer) -> None:
    """Read the request, and say nothing until the other side leaves."""
    await peer.request()
    await peer.reader.read()


def pool_of(transport: AiohttpTransport) -> ConnectionPool:
    """The connections of a transport that has sent something."""
    assert transport._direct is not None
    return transport._direct._pool


def time_out(transport: AiohttpTransport, *, asked: bool = True) -> None:
    """Let the time of what waits for a connection run out, and of what is ``asked`` over one."""
    pool = pool_of(transport)
    pool._waiting = deque((one, 0.0) for one, _ in pool._waiting)
    for connection in pool._open:
        connection.due = 0.0 if asked else connection.due
    pool._tick()


@either_way
@pytest.mark.parametrize(
    ("answer", "status", "request_"),
    [
        (b"HTTP/1.1 204 None\r\n\r\n", 204, POST),
        (b"HTTP/1.1 304 Same\r\nContent-Length: 9\r\n\r\n", 304, GET),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", 200, HEAD),
        (b"HTTP/1.1 201 OK\r\nContent-Length: 0\r\n\r\n", 201, POST),
    ],
)
async def test_an_answer_without_a_body_is_whole(
    answer: bytes, status: int, request_: Request
) -> None:
    """Nothing is waited for, and the connection serves again."""
    async with serving(saying(answer)) as server, transport_to(server.url) as transport:
        for _ in range(3):
            got = await transport.send(request_, TOKEN)
            assert (got.status, got.body) == (status, b"")
        assert server.connections == 1


@either_way
async def test_an_answer_may_end_with_its_connection() -> None:
    """As of an older proxy: it is whole, and the next request goes over another connection."""

    async def ending(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.0 200 OK\r\n\r\n{}")
        peer.writer.close()

    async with serving(ending) as server, transport_to(server.url) as transport:
        for number in (1, 2):
            response = await transport.send(POST, TOKEN)
            assert (response.status, response.body) == (200, b"{}")
            assert server.connections == number


async def test_a_connection_that_was_idle_for_long_is_not_used_again() -> None:
    """Its server may end it just then, and what became of the request would be unknown."""
    async with serving(answer_all) as server, transport_to(server.url) as transport:
        await transport.send(POST, TOKEN)
        pool_of(transport)._idle[0].idle_since -= KEEP_ALIVE
        assert (await transport.send(POST, TOKEN)).status == 200
        assert (server.connections, len(pool_of(transport)._open)) == (2, 1)


@either_way
async def test_an_interim_answer_is_not_the_answer() -> None:
    """Neither is a second one."""
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    async with serving(saying(interim + OK)) as server, transport_to(server.url) as transport:
        for _ in range(2):
            response = await transport.send(POST, TOKEN)
            assert (response.status, response.body) == (200, b"{}")
        assert server.connections == 1


@either_way
@pytest.mark.parametrize(
    "answer",
    [
        OK.replace(b"\r\n", b"\r\nConnection: close\r\n", 1),
        OK.replace(b"1.1", b"1.0", 1),
        OK + OK,
    ],
    ids=["close", "old", "another"],
)
async def test_a_connection_that_is_done_or_has_more_is_not_used_again(answer: bytes) -> None:
    """The next request would be read by nobody, or be given another's answer."""
    async with serving(saying(answer)) as server, transport_to(server.url) as transport:
        for number in (1, 2, 3):
            assert (await transport.send(POST, TOKEN)).body == b"{}"
            assert server.connections == number


async def test_what_comes_unasked_is_nobodys_answer() -> None:
    """A server says farewell on an idle connection: the next request takes another one."""
    go = asyncio.Event()

    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        await go.wait()
        if peer.server.connections == 1:
            await peer.send(OK.replace(b"200", b"408"))
        await answer_all(peer)

    async with serving(handler) as server, transport_to(server.url) as transport:
        await transport.send(POST, TOKEN)
        go.set()
        await server.until(lambda: server.ended == 1)  # it has been received
        assert (await transport.send(POST, TOKEN)).status == 200
        assert server.connections == 2


async def test_the_rest_of_what_came_unasked_is_nobodys_answer() -> None:
    """Nor is its beginning put before the next answer."""
    extra = OK.replace(b"\r\n", b"\r\nX-Extra: 1\r\n", 1)

    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK + extra[:20])
        await peer.request()
        await peer.send(extra[20:])
        await peer.reader.read()

    async with serving(handler) as server, transport_to(server.url) as transport:
        for number in (1, 2):
            response = await transport.send(POST, TOKEN)
            assert (response.status, response.body) == (200, b"{}")
            assert server.connections == number


async def test_a_server_that_speaks_first_is_given_up() -> None:
    """It is no HTTP server, and is not asked again and again."""

    async def greet(peer: Peer) -> None:
        await peer.send(b"220 mail.example.com ESMTP\r\n")
        await peer.reader.read()

    async with serving(greet) as server, transport_to(server.url) as transport:
        for _ in range(3):
            with pytest.raises(TransportError):
                await transport.send(POST, TOKEN)


async def test_a_large_body_arrives_whole() -> None:
    """Even where it is taken slowly."""
    async with serving(answer_all) as server, transport_to(server.url) as transport:
        for _ in range(2):
            assert (await transport.send(LARGE, TOKEN)).status == 200
        assert all(request.endswith(LARGE.body or b"?") for request in server.requests)
        assert server.connections == 1


async def test_a_refusal_before_the_end_of_a_body_is_read() -> None:
    """And the connection is given up: the rest of the body would precede the next request."""

    async def refuse(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a StreamWriter's
        await peer.send(OK.replace(b"200 OK", b"413 No"))
        await asyncio.sleep(60)

    async with serving(refuse) as server, transport_to(server.url) as transport:
        for number in (1, 2):
            assert (await transport.send(LARGE, TOKEN)).status == 413
            assert server.connections == number


async def test_a_request_that_waited_for_a_connection_was_not_sent() -> None:
    """There was nothing to write it to."""
    async with serving(mute) as server, transport_to(server.url, connections=1) as transport:
        first = asyncio.ensure_future(transport.send(POST, TOKEN))
        second = asyncio.ensure_future(transport.send(POST, TOKEN))
        await server.until(lambda: len(server.requests) == 1)
        time_out(transport, asked=False)
        with pytest.raises(NotSentError, match=r"no connection to the API \(timed out\)"):
            await second
        assert not first.done()
        assert len(server.requests) == 1
    with pytest.raises(FateUnknownError):
        await first


async def test_no_connection_is_lost_to_the_pool() -> None:
    """After every kind of bad end at every moment, as many requests as ever go at once."""
    limit = 3
    async with serving(mute) as server:
        async with transport_to(server.url, Timeouts(read=60), connections=limit) as transport:
            for number in range(60):
                task = asyncio.ensure_future(transport.send(POST, TOKEN))
                for _ in range(number % 12):
                    await asyncio.sleep(0)
                if number % 3 and number % 12:
                    time_out(transport)
                else:
                    task.cancel()
                with suppress(TransportError, asyncio.CancelledError):
                    await task
            before = len(server.requests)
            tasks = [asyncio.ensure_future(transport.send(POST, TOKEN)) for _ in range(limit)]
            await server.until(lambda: len(server.requests) >= before + limit)
            assert not any(task.done() for task in tasks)
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.until(lambda: server.ended == server.connections)


async def test_a_cancelled_request_takes_its_body_back() -> None:
    """A connection whose other side takes nothing is closed at once, not when it has taken all."""

    async def stuck(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        server.note()
        server.requests.append(b"")
        await taking.wait()
        while part := await peer.reader.read(MIB):
            taken.append(len(part))

    taking, taken = asyncio.Event(), list[int]()
    async with serving(stuck) as server, transport_to(server.url) as transport:
        task = asyncio.ensure_future(transport.send(LARGE, TOKEN))
        await server.until(lambda: len(server.requests) == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        taking.set()
        await server.until(lambda: server.ended == 1)
        assert sum(taken) < len(LARGE.body or b"")


@pytest.mark.parametrize("first", ["cancelled", "late"])
async def test_a_cancellation_is_one_even_when_the_time_is_up(first: str) -> None:
    """Whoever cancelled the task waits for it to be cancelled."""
    async with serving(mute) as server, transport_to(server.url) as transport:
        task = asyncio.ensure_future(transport.send(POST, TOKEN))
        await server.until(lambda: len(server.requests) == 1)
        ends: list[Callable[[], object]] = [task.cancel, lambda: time_out(transport)]
        for end in ends if first == "cancelled" else reversed(ends):
            end()
        await asyncio.wait([task])
        assert task.cancelled()


async def test_closing_ends_what_waits() -> None:
    """With an error that tells what it proves, not as if its task had been cancelled."""
    async with serving(mute) as server:
        async with transport_to(server.url, connections=1) as transport:
            tasks = [asyncio.ensure_future(transport.send(POST, TOKEN)) for _ in range(2)]
            await server.until(lambda: len(server.requests) == 1)
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(end) for end in ends] == [FateUnknownError, NotSentError]


@either_way
@pytest.mark.parametrize("bad", ["a\r\nX: y", "a\nb", "tökén", "a\0b", "€"])
async def test_a_header_cannot_be_smuggled_in(bad: str) -> None:
    """Not through the token, the version, the type or the path; and none of them is shown."""
    async with serving(answer_all) as server, transport_to(server.url) as transport:
        for request, token in (
            (POST, TOKEN + bad),
            (Request("POST", "/x", bad, b"{}"), TOKEN),
            (Request("POST", "/x", "v3", b"{}", bad), TOKEN),
            (Request("POST", "/x" + bad, "v3", b"{}"), TOKEN),
            (Request("GET", "/x HTTP/1.1", "v3"), TOKEN),
            (Request("GET", "/x#y", "v3"), TOKEN),
            (Request("G T", "/x", "v3"), TOKEN),
        ):
            kind = ValueError if token == TOKEN else AccessError
            with pytest.raises(kind, match=r"characters|no word") as caught:
                await transport.send(request, token)
            assert TOKEN not in everything_in(caught.value)
        assert server.connections == 0


async def test_a_base_address_may_have_a_path() -> None:
    """Paths follow it; the host is named with its port."""
    async with serving(answer_all) as server, transport_to(server.url + "/api/") as transport:
        await transport.send(POST, TOKEN)
        lines = server.requests[0].split(b"\r\n")
        assert lines[0] == b"POST /api/conversations/messages/inbound HTTP/1.1"
        assert lines[1] == b"Host: " + server.url.removeprefix("http://").encode()


def test_one_timer_serves_all_requests() -> None:
    """Each ends when its own time has run out, and one that was answered does not."""
    loop = HeldClock()
    ended: list[tuple[int, float]] = []

    async def handler(peer: Peer) -> None:
        while True:
            if (await peer.request()).endswith(b"1"):
                await peer.send(OK)

    async def work(transport: AiohttpTransport, number: int) -> None:
        try:
            await transport.send(Request("POST", "/x", "v3", b"%d" % number), TOKEN)
        except FateUnknownError:
            ended.append((number, loop.now))

    async def run() -> None:
        tasks, timers = [], set()
        async with (
            serving(handler) as server,
            transport_to(server.url, Timeouts(read=10)) as transport,
        ):
            for number in range(4):
                tasks.append(asyncio.ensure_future(work(transport, number)))
                await server.until(lambda: len(server.requests) == len(tasks))
                timers.add(pool_of(transport)._timer)
                loop.now += 1
            assert len(timers) == 1
            await tasks[1]
            while pool_of(transport)._timer is not None:
                await asyncio.sleep(0)
                loop.now += 0.5
            await asyncio.gather(*tasks)

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(run())
    assert [number for number, _ in ended] == [0, 2, 3]
    assert all(10 <= at - number <= 12 for number, at in ended)
