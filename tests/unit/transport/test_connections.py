"""When a request leaves, what its system does with what nobody reads, and an end at once."""

from __future__ import annotations

import asyncio
import os
import select
import socket
import ssl
import subprocess
import sys
import time
from math import inf
from typing import TYPE_CHECKING, Any, cast
from unittest.mock import Mock

import pytest
import trustme
from http_peer import OK, POST, TOKEN, answer_all, either_way, serving, transport_to
from virtual_time import HeldClock

from leadconnector_async.errors import FateUnknownError, NotSentError
from leadconnector_async.transport.aiohttp_session import Timeouts
from leadconnector_async.transport.base import WithheldError
from leadconnector_async.transport.connection_ends import Connections
from leadconnector_async.transport.connections import FEW, ConnectionPool, KeptConnection

if TYPE_CHECKING:
    from http_peer import Peer

    from leadconnector_async.transport.aiohttp_session import AiohttpTransport


async def late_answer(asked: asyncio.Event, peer: Peer) -> None:
    """Answer the first request once it is asked to, and the others at once."""
    await peer.request()
    await asked.wait()
    await peer.send(OK)
    await answer_all(peer)


async def withheld_while_waiting(**options: Any) -> None:  # noqa: ANN401 - the transport's
    """Send two over one connection; the right to send ends while the second waits for it."""
    asked = asyncio.Event()
    allowed = True
    async with serving(lambda peer: late_answer(asked, peer)) as server:
        if "proxy" in options:
            options["proxy"] = server.url
        url = "http://127.0.0.1:9" if "proxy" in options else server.url
        async with transport_to(url, connections=1, **options) as transport:

            def may_send() -> bool:
                return allowed

            first = asyncio.create_task(transport.send(POST, TOKEN, may_send))
            await server.until(lambda: len(server.requests) == 1)
            second = asyncio.create_task(transport.send(POST, TOKEN, may_send))
            await asyncio.sleep(0)  # it asks, and queues for the connection
            await asyncio.sleep(0)
            allowed = False
            asked.set()
            assert (await first).status == 200
            with pytest.raises(WithheldError):
                await second
            allowed = True
            assert (await transport.send(POST, TOKEN, may_send)).status == 200
            assert len(server.requests) == 2


@either_way
def test_the_right_to_send_is_asked_for_once_the_connection_is_there() -> None:
    """By the application's own session as by the direct way: a pool can keep a request waiting."""
    asyncio.run(withheld_while_waiting())


def test_the_right_to_send_is_asked_for_once_the_proxy_is_reached() -> None:
    """A proxy's connection is waited for like any other."""
    asyncio.run(withheld_while_waiting(proxy=True))


@either_way
async def test_connections_end_at_once() -> None:
    """What is in flight ends without a fate; the next request opens another connection."""

    async def silent_at_first(peer: Peer) -> None:
        await peer.request()
        if peer.server.connections == 1:
            await peer.reader.read()
            return
        await peer.send(OK)

    async with serving(silent_at_first) as server, transport_to(server.url) as transport:
        sending = asyncio.create_task(transport.send(POST, TOKEN))
        await server.until(lambda: bool(server.requests))
        transport.abort()
        with pytest.raises(FateUnknownError):
            await sending
        await server.until(lambda: server.ended == 1)
        assert (await transport.send(POST, TOKEN)).status == 200
        assert len(server.requests) == 2


async def send_at_once(transport: AiohttpTransport, number: int) -> None:
    """Send so many requests side by side, and see each answered."""
    responses = await asyncio.gather(*(transport.send(POST, TOKEN) for _ in range(number)))
    assert {response.status for response in responses} == {200}


@pytest.mark.slow
@pytest.mark.parametrize("tls", [False, True])
def test_no_more_connections_are_opened_than_are_needed(tls: bool) -> None:  # noqa: FBT001 - a case
    """A thousand requests at once, whichever location they are of, share those that are there."""
    authority = trustme.CA()
    ours, trusting = (
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH),
        ssl.create_default_context(),
    )
    authority.issue_cert("127.0.0.1").configure_cert(ours)
    authority.configure_trust(trusting)

    async def main() -> None:
        async with (
            serving(answer_all, ours if tls else None) as server,
            transport_to(server.url, connections=1024, ssl=trusting) as transport,
        ):
            await send_at_once(transport, 1)
            assert server.connections == 1
            await send_at_once(transport, 1000)
            assert server.connections <= FEW

    with asyncio.Runner(loop_factory=HeldClock) as runner:
        runner.run(main())


@pytest.mark.slow
def test_more_connections_are_opened_where_they_carry_more() -> None:
    """Answers that are far away come no later for it, however many are waited for."""
    loop = HeldClock()

    async def far(peer: Peer) -> None:
        while True:
            await peer.request()
            loop.now += 0.01  # so many requests are answered in a second, and each after 0.01 s
            await peer.send(OK)

    async def main() -> None:
        async with (
            serving(far) as server,
            transport_to(server.url, Timeouts(read=600), connections=100) as transport,
        ):
            for _ in range(5):
                await send_at_once(transport, 500)
            assert FEW < server.connections <= 100

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(main())


def test_a_client_is_of_use_after_hours_with_few_requests() -> None:
    """What was measured then is compared with what is measured now, however long ago it is."""
    loop = HeldClock()

    async def main() -> None:
        async with serving(answer_all) as server, transport_to(server.url) as transport:
            for _ in range(3):
                await send_at_once(transport, FEW // 2 + 1)
                loop.now += 6 * 3600

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(main())


async def test_those_who_wait_are_served_where_no_more_can_be_opened() -> None:
    """A server that takes one connection answers all requests over it."""
    async with serving(answer_all) as server, transport_to(server.url) as transport:
        await send_at_once(transport, 1)
        server.refuse()
        await send_at_once(transport, 50)
        assert (server.connections, len(server.requests)) == (1, 51)


@pytest.mark.virtual_time
async def test_what_cannot_be_opened_is_not_tried_without_a_pause() -> None:
    """While an open connection is busy for a minute, it would take all of a core."""
    tries = 0

    async def refused() -> KeptConnection:
        nonlocal tries
        tries += 1
        assert tries < 1000
        raise ConnectionRefusedError

    pool = ConnectionPool(refused, 10)
    pool._open.add(Mock(answer=None))
    due = asyncio.get_running_loop().time() + 60
    ends = await asyncio.gather(*(pool.wait(due) for _ in range(3)), return_exceptions=True)
    assert [type(end) for end in ends] == [TimeoutError] * 3
    pool.close()


@pytest.mark.parametrize("most", [1, 3])
async def test_no_more_connections_are_opened_than_the_client_may_have(most: int) -> None:
    """However many wait."""
    async with (
        serving(answer_all) as server,
        transport_to(server.url, connections=most) as transport,
    ):
        await send_at_once(transport, 20)
        assert server.connections <= most


async def never() -> KeptConnection:
    """Open a connection to what does not answer."""
    await asyncio.Event().wait()
    raise AssertionError


@pytest.mark.virtual_time
async def test_a_connection_is_waited_for_until_it_is_due() -> None:
    """Each by its own time, though one timer serves all."""
    now = asyncio.get_running_loop().time
    began, pool = now(), ConnectionPool(never, 1)

    async def waited(seconds: float) -> float:
        with pytest.raises(TimeoutError):
            await pool.wait(began + seconds)
        return now() - began

    assert await asyncio.gather(waited(5), waited(8)) == pytest.approx([5, 8], abs=0.1)
    pool.close()


async def test_who_is_cancelled_as_a_connection_comes_leaves_it_to_others() -> None:
    """It would be open, and nobody's: those who wait would have one less each time."""
    pool = ConnectionPool(never, 1)
    connection = cast("KeptConnection", object())
    waiting = [asyncio.create_task(pool.wait(inf)) for _ in range(2)]
    await asyncio.sleep(0)
    pool._hand_on(connection)
    waiting[0].cancel()
    async with asyncio.timeout(30):
        assert await waiting[1] is connection
    pool.close()


async def test_nobody_waits_for_a_server_that_is_not_there() -> None:
    """All are told at once, however many they are."""
    async with transport_to("http://127.0.0.1:9", connections=1024) as transport:
        sending = (transport.send(POST, TOKEN) for _ in range(300))
        ends = await asyncio.gather(*sending, return_exceptions=True)
    assert {type(end) for end in ends} == {NotSentError}


STOPPED = """
import asyncio, os, signal, sys
from contextlib import AsyncExitStack
import aiohttp
from leadconnector_async.transport.aiohttp_session import AiohttpTransport, Timeouts
from leadconnector_async.transport.base import Request

def stop_once_written():
    asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGSTOP)
    return True

async def main():
    limits = Timeouts(connect=30, read=0.5)
    async with AsyncExitStack() as stack:
        session = None
        if sys.argv[2] == "session":
            session = await stack.enter_async_context(aiohttp.ClientSession())
        transport = AiohttpTransport(sys.argv[1], timeouts=limits, connections=1, session=session)
        request = Request("POST", "/x", "v3", b"x" * (1 << 23))
        await transport.send(request, "pit", stop_once_written)

run = asyncio.run
if sys.argv[2] == "uvloop":
    from uvloop import run
run(main())
"""
"""Writes more than anybody takes, and is stopped with what is left of it in the system's hands."""


@either_way
@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="the system cannot do it")
async def test_the_system_is_told_the_limit_of_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it offers what is left of one for a quarter of an hour, though that was sent again."""
    told: list[int] = []
    add = Connections.add

    def noting(self: Connections, transport: asyncio.WriteTransport) -> None:
        add(self, transport)
        connection = transport.get_extra_info("socket")
        told.append(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT))

    monkeypatch.setattr(Connections, "add", noting)
    async with (
        serving(answer_all) as server,
        transport_to(server.url, Timeouts(read=7.5)) as transport,
    ):
        await send_at_once(transport, 2)
    assert told
    assert {*told} == {7_500}


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="the system cannot do it")
@pytest.mark.parametrize("way", ["direct", "session", "uvloop"])
def test_the_system_drops_what_nobody_took_within_the_limit(way: str) -> None:
    """Else a stopped process's request could arrive a quarter of an hour later."""
    if way == "uvloop":
        pytest.importorskip("uvloop")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.settimeout(120)
        with subprocess.Popen([sys.executable, "-c", STOPPED, url, way]) as process:
            try:
                connection, _ = listener.accept()
                with connection:
                    assert os.WIFSTOPPED(os.waitpid(process.pid, os.WUNTRACED)[1])
                    assert is_reset(connection)
            finally:
                process.kill()


def is_reset(connection: socket.socket) -> bool:
    """Whether the other side's system has ended a connection that nobody reads; wait for it."""
    ends = time.monotonic() + 120
    watched = select.poll()
    watched.register(connection, 0)  # errors and ends alone
    while time.monotonic() < ends:
        try:
            connection.send(b"?")  # a system that has forgotten the connection says so when asked
        except OSError:
            return True
        if watched.poll(100):
            return True
    return False
