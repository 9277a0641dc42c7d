from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

import aiohttp
import orjson
import pytest
from virtual_time import HeldClock

from leadconnector_async.sandbox import Fault, Latency, Limits, Sandbox, SandboxConfig
from leadconnector_async.sandbox.wire import Delays, Pauses

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from leadconnector_async.sandbox.faults import FaultKind, When

HEADERS = {"Authorization": "Bearer any", "Version": "2021-04-15"}
INBOUND = "/conversations/messages/inbound"
SMS = {"type": "SMS", "contactId": "c", "message": "hi"}


def run(
    test: Callable[[Sandbox, aiohttp.ClientSession], Awaitable[None]],
    config: SandboxConfig | None = None,
    make_loop: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> Sandbox:
    """Run a test against a sandbox on a real port; the sandbox, stopped."""

    async def main() -> Sandbox:
        async with (
            Sandbox(config) as sandbox,
            aiohttp.ClientSession(sandbox.url, headers=HEADERS) as session,
        ):
            await test(sandbox, session)
        return sandbox

    with asyncio.Runner(loop_factory=make_loop) as runner:
        return runner.run(main())


async def post(session: aiohttp.ClientSession, **fields: object) -> tuple[int, bytes]:
    """Post an SMS; status and body."""
    async with session.post(INBOUND, json=SMS | fields, allow_redirects=False) as answer:
        return answer.status, await answer.read()


def test_messages_arrive_over_the_network() -> None:
    """Stored, counted, and answered with the headers of the quota."""

    async def test(sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
        async with session.post(INBOUND, json=SMS) as answer:
            receipt = await answer.json()
            assert answer.headers["X-RateLimit-Max"] == "100"
            assert answer.headers["X-RateLimit-Remaining"] == "99"
            assert answer.headers["X-RateLimit-Daily-Remaining"] == "199999"
        assert sandbox.messages[0].id == receipt["messageId"]

    sandbox = run(test, SandboxConfig(limits=Limits()))
    assert sandbox.requests == Counter({("inbound", 200): 1})
    assert sandbox.stored == {sandbox.location_id: 1}


@pytest.mark.slow
def test_many_at_once_are_all_stored() -> None:
    """Five hundred requests over fifty connections."""

    async def test(_: Sandbox, session: aiohttp.ClientSession) -> None:
        answers = await asyncio.gather(*(post(session, altId=str(n)) for n in range(500)))
        assert {status for status, _ in answers} == {200}

    sandbox = run(test)
    assert {message.alt_id for message in sandbox.messages} == {str(n) for n in range(500)}


FAULTS: list[tuple[str, type[BaseException]]] = [
    ("drop", aiohttp.ServerDisconnectedError),
    ("reset", aiohttp.ClientOSError),
    ("hang", aiohttp.ServerDisconnectedError),
    ("cut", aiohttp.ClientPayloadError),
]


@pytest.mark.parametrize(("kind", "error"), FAULTS)
@pytest.mark.parametrize(("when", "stored"), [("before", 0), ("after", 1)])
def test_connections_break(kind: str, error: type[BaseException], when: When, stored: int) -> None:
    """The client sees the same error, whether or not the message was stored before it."""

    async def test(_: Sandbox, session: aiohttp.ClientSession) -> None:
        with pytest.raises(error):
            await post(session)
        assert (await post(session))[0] == 200

    fault = Fault(cast("FaultKind", kind), when, nth=(1,), seconds=0.01)
    sandbox = run(test, SandboxConfig(faults=(fault,)))
    assert len(sandbox.messages) == stored + 1
    assert sandbox.requests == Counter({("inbound", 0): 1, ("inbound", 200): 1})
    assert sandbox.faults_fired == {kind: 1}


def test_a_hanging_answer_ends_with_the_sandbox() -> None:
    """Stopping waits for nobody."""

    async def test(sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
        hanging = asyncio.create_task(post(session))
        while not sandbox.requests:  # noqa: ASYNC110 - the sandbox rings no bell
            await asyncio.sleep(0.001)
        started = time.monotonic()
        await sandbox.go_down()
        assert time.monotonic() - started < 30
        with pytest.raises(aiohttp.ClientError):
            await hanging

    sandbox = run(test, SandboxConfig(faults=(Fault("hang", "after", seconds=60),)))
    assert len(sandbox.messages) == 1


async def test_waits_end_when_they_are_told_to() -> None:
    """At once, and as an error: whoever waited must not go on."""
    pauses = Pauses()
    waiting = asyncio.create_task(pauses.wait(60.0))
    await asyncio.sleep(0)  # it begins
    pauses.stop()
    with pytest.raises(ConnectionAbortedError):
        await waiting


def test_the_length_may_be_too_small() -> None:
    """More is sent than Content-Length promises, and then the connection is closed."""

    async def test(sandbox: Sandbox, _session: aiohttp.ClientSession) -> None:
        where = urlsplit(sandbox.url)
        reader, writer = await asyncio.open_connection(where.hostname, where.port)
        body = orjson.dumps(SMS)
        fields = HEADERS | {"Host": "x", "Content-Length": str(len(body))}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        writer.write(f"POST {INBOUND} HTTP/1.1\r\n{head}\r\n".encode() + body)
        answer = await reader.read()
        writer.close()
        head, _, sent = answer.decode().partition("\r\n\r\n")
        assert f"Content-Length: {len(sent) // 2}\r\n" in head
        assert orjson.loads(sent)["messageId"] == sandbox.messages[0].id

    run(test, SandboxConfig(faults=(Fault("overlong", "after"),)))


def test_a_huge_body_can_be_read_to_its_end() -> None:
    """100 MB arrive for a client that wants them."""

    async def test(_: Sandbox, session: aiohttp.ClientSession) -> None:
        size = 0
        async with session.post(INBOUND, json=SMS) as answer:
            async for chunk in answer.content.iter_any():
                size += len(chunk)
        assert size == 100 * 1024 * 1024

    run(test, SandboxConfig(faults=(Fault("huge", "after"),)))


@pytest.mark.parametrize("kind", ["huge", "endless"])
def test_a_client_may_leave_a_flood(kind: str) -> None:
    """Who stops reading is let go, and the sandbox goes on."""

    async def test(_: Sandbox, session: aiohttp.ClientSession) -> None:
        async with session.post(INBOUND, json=SMS) as answer:
            assert len(await answer.content.readexactly(100_000)) == 100_000
            answer.close()
        assert (await post(session))[0] == 200

    fault = Fault(cast("FaultKind", kind), "after", nth=(1,), seconds=60)
    assert len(run(test, SandboxConfig(faults=(fault,))).messages) == 2


def test_an_endless_body_ends_with_a_break() -> None:
    """After its seconds the connection is closed in the middle of the body."""

    async def test(_: Sandbox, session: aiohttp.ClientSession) -> None:
        with pytest.raises(aiohttp.ClientPayloadError):
            await post(session)

    run(test, SandboxConfig(faults=(Fault("endless", "after", seconds=0.02),)))


def test_a_host_goes_down_and_comes_back() -> None:
    """Connections are refused in between; the address and what is stored stay."""

    async def test(sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
        await post(session)
        url = sandbox.url
        await sandbox.go_down()
        with pytest.raises(aiohttp.ClientConnectorError):
            await post(session)
        await sandbox.come_up()
        await sandbox.come_up()
        assert sandbox.url == url
        assert (await post(session))[0] == 200

    assert len(run(test).messages) == 2


def test_a_host_may_go_down_by_itself() -> None:
    """The fault closes the port for its seconds, and every other connection with it."""
    loop = HeldClock()

    async def test(sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
        with pytest.raises(aiohttp.ClientError):
            await post(session)
        refused = 0
        while True:
            try:
                await post(session)
            except aiohttp.ClientConnectorError:
                refused += 1
                loop.now += 0.01
            else:
                break
        assert refused > 5
        assert len(sandbox.messages) == 2

    fault = Fault("down", "after", nth=(1,), seconds=0.05)
    run(test, SandboxConfig(faults=(fault,)), lambda: loop)


async def test_an_outage_ends_with_the_sandbox() -> None:
    """A sandbox that stops while it is down stays down, and leaves no task behind."""

    async def test(sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
        with pytest.raises(aiohttp.ClientError):
            await post(session)
        await asyncio.sleep(0.01)
        assert sandbox.messages == []

    async with (
        Sandbox(SandboxConfig(faults=(Fault("down", seconds=60),))) as sandbox,
        aiohttp.ClientSession(sandbox.url, headers=HEADERS) as session,
    ):
        await test(sandbox, session)
        started = time.monotonic()
    assert time.monotonic() - started < 30
    assert asyncio.all_tasks() == {asyncio.current_task()}


def test_latency_delays_the_answer() -> None:
    """Both ways count."""

    async def test(_: Sandbox, session: aiohttp.ClientSession) -> None:
        started = time.monotonic()
        await post(session)
        assert time.monotonic() - started >= 0.04

    run(test, SandboxConfig(latency=Latency(up=0.02, down=0.02)))


def test_latency_is_seeded() -> None:
    """The same seed draws the same delays, within what was asked for."""
    latency = Latency(up=1.0, down=2.0, jitter=0.5)
    first, again = Delays(latency, 1), Delays(latency, 1)
    ups = [first.up() for _ in range(1000)]
    assert [again.up() for _ in range(1000)] == ups
    assert all(1.0 <= up <= 1.5 for up in ups)
    assert all(2.0 <= first.down() <= 2.5 for _ in range(100))
    assert Delays(Latency(), 0).up() == 0.0


def test_a_port_that_is_taken_is_an_error() -> None:
    """Starting says so."""

    async def test(sandbox: Sandbox, _: aiohttp.ClientSession) -> None:
        port = int(sandbox.url.rpartition(":")[2])
        with pytest.raises(OSError, match="address already in use"):
            await Sandbox(port=port).come_up()

    run(test)


def test_the_repr_tells_what_it_is() -> None:
    """Its address and how much it holds."""

    async def test(sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
        await post(session)
        assert repr(sandbox) == f"Sandbox({sandbox.url!r}, 1 messages)"

    run(test)
    assert "not started" in repr(Sandbox())


def test_a_body_that_cannot_be_decoded_is_400() -> None:
    """What is called compressed, and is not, is the client's fault, and answered in JSON."""

    async def test(_: Sandbox, session: aiohttp.ClientSession) -> None:
        headers = {"Content-Encoding": "gzip"}
        async with session.post("/contacts/", data=b"plain", headers=headers) as answer:
            assert (answer.status, (await answer.json())["statusCode"]) == (400, 400)

    run(test)
