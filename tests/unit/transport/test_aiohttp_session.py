from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import aiohttp
import pytest
import trustme
from aiohttp.abc import AbstractResolver, ResolveResult
from http_peer import (
    ENDLESS,
    GET,
    MIB,
    OK,
    POST,
    TOKEN,
    Peer,
    Server,
    answer_all,
    either_way,
    everything_in,
    serving,
    transport_to,
)

from leadconnector_async.errors import ClosedError, FateUnknownError, NotSentError, TransportError
from leadconnector_async.transport.aiohttp_session import AiohttpTransport, Timeouts
from leadconnector_async.transport.base import (
    Request,
    Response,
    check_base_url,
    proxy_from_environment,
)
from leadconnector_async.transport.http1 import MAX_ANSWER, MAX_TOKENS, Heads, user_agent

if TYPE_CHECKING:
    from pathlib import Path

    from http_peer import Handler


def exchange(
    handler: Handler, request: Request = POST, timeouts: Timeouts | None = None
) -> tuple[Response | TransportError, Server]:
    """One request to a server with this handler: its answer or error, and what the server saw."""

    async def run() -> tuple[Response | TransportError, Server]:
        async with serving(handler) as server, transport_to(server.url, timeouts) as transport:
            try:
                return await transport.send(request, TOKEN), server
            except TransportError as error:
                return error, server

    return asyncio.run(run())


# What the server does with a request whose answer never comes, row by row.


async def reset_on_accept(peer: Peer) -> None:
    """The connection is reset before a byte was read."""
    peer.reset()


async def close_on_accept(peer: Peer) -> None:
    """The connection is closed before a byte was read."""
    peer.writer.close()


async def read_and_close(peer: Peer) -> None:
    """The request was read, perhaps stored, and the connection is closed."""
    await peer.request()


async def read_and_reset(peer: Peer) -> None:
    """The request was read, perhaps stored, and the connection is reset."""
    await peer.request()
    peer.reset()


async def read_and_hang(peer: Peer) -> None:
    """The request was stored, and no answer ever comes."""
    await peer.request()
    await asyncio.sleep(60)


async def cut_body(peer: Peer) -> None:
    """The body is shorter than announced."""
    await peer.request()
    await peer.send(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"messageId":')


async def cut_chunks(peer: Peer) -> None:
    """The body ends before its last chunk."""
    await peer.request()
    await peer.send(ENDLESS + b"5\r\n{}   \r\n")


async def cut_headers(peer: Peer) -> None:
    """The answer ends within its headers."""
    await peer.request()
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-Le")


async def hang_in_body(peer: Peer) -> None:
    """The body stops coming."""
    await peer.request()
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{")
    await asyncio.sleep(60)


async def no_http(peer: Peer) -> None:
    """The answer is another protocol's."""
    await peer.request()
    await peer.send(b"220 mail.example.com ESMTP\r\n\r\n")


async def bad_chunks(peer: Peer) -> None:
    """The chunks of the body are garbage."""
    await peer.request()
    await peer.send(ENDLESS + b"zz\r\n{}\r\n")


async def late_bad_chunks(peer: Peer) -> None:
    """The body turns into garbage when its beginning has been read."""
    await peer.request()
    await peer.send(ENDLESS + b"2\r\n{}\r\n")
    await asyncio.sleep(0.05)
    await peer.send(b"zz\r\n")
    await asyncio.sleep(60)


async def two_lengths(peer: Peer) -> None:
    """The headers contradict each other."""
    await peer.request()
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 5\r\n\r\n{}")


async def huge_headers(peer: Peer) -> None:
    """The headers do not fit into any buffer."""
    await peer.request()
    await peer.send(b"HTTP/1.1 200 OK\r\nX-Garbage: " + b"x" * 100_000 + b"\r\n\r\n")


async def many_megabytes(peer: Peer) -> None:
    """The answer is of 100 MB."""
    await peer.request()
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (100 * MIB))
    for _ in range(100):
        await peer.send(bytes(MIB))


async def endless(peer: Peer) -> None:
    """The answer never ends."""
    await peer.request()
    await peer.send(ENDLESS)
    while True:
        await peer.send(b"%x\r\n%s\r\n" % (MIB, bytes(MIB)))


async def endless_trickle(peer: Peer) -> None:
    """The answer never ends, and comes too slowly to be too large."""
    await peer.request()
    await peer.send(ENDLESS)
    while True:
        await peer.send(b"1\r\n \r\n")
        await asyncio.sleep(0.01)


UNKNOWN: list[tuple[Handler, str]] = [
    (reset_on_accept, "the answer never came"),
    (close_on_accept, "the answer never came"),
    (read_and_close, "the answer never came (ServerDisconnectedError)"),
    (read_and_reset, "the answer never came"),
    (read_and_hang, "the answer never came (timed out)"),
    (cut_body, "the answer never came (ClientPayloadError)"),
    (cut_chunks, "the answer never came (ClientPayloadError)"),
    (cut_headers, "the answer never came (ServerDisconnectedError)"),
    (hang_in_body, "the answer never came (timed out)"),
    (no_http, "the answer is not HTTP"),
    (bad_chunks, "the answer "),
    (late_bad_chunks, "the answer "),
    (two_lengths, "the answer "),
    (huge_headers, "the answer is not HTTP"),
    (many_megabytes, f"the answer is larger than {MAX_ANSWER} bytes"),
    (endless, f"the answer is larger than {MAX_ANSWER} bytes"),
    (endless_trickle, "the answer never came (timed out)"),
]


@pytest.mark.slow
@either_way
@pytest.mark.parametrize(("handler", "told"), UNKNOWN, ids=lambda row: getattr(row, "__name__", ""))
def test_what_may_have_arrived_is_unknown(handler: Handler, told: str) -> None:
    """Whatever happens once there is a connection proves nothing, and shows no token."""
    hangs = handler in (read_and_hang, hang_in_body, endless_trickle, late_bad_chunks)
    timeouts = Timeouts(connect=5, read=0.2 if hangs else 20)
    error, server = exchange(handler, timeouts=timeouts)
    assert type(error) is FateUnknownError
    assert str(error).startswith(told)
    assert TOKEN not in everything_in(error)
    assert len(server.requests) <= 1


@either_way
async def test_a_server_that_is_not_there_got_nothing() -> None:
    """A refused connection is a proof."""
    async with serving(answer_all) as server:
        url = server.url
    async with transport_to(url) as transport:
        with pytest.raises(NotSentError, match="no connection to the API") as caught:
            await transport.send(POST, TOKEN)
    assert TOKEN not in everything_in(caught.value)


class NoNames(AbstractResolver):
    """A resolver that knows no name."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """No address."""
        raise OSError(None, f"no address for {host}:{port} in {family}")

    async def close(self) -> None:
        """Nothing to close."""


async def test_a_name_that_is_not_known_got_nothing() -> None:
    """A failure of DNS is a proof."""
    connector = aiohttp.TCPConnector(resolver=NoNames())
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        transport_to("https://api.invalid", session=session) as transport,
    ):
        with pytest.raises(NotSentError, match="its name is not known") as caught:
            await transport.send(POST, TOKEN)
    assert TOKEN not in everything_in(caught.value)


@pytest.mark.slow
@either_way
async def test_a_connection_that_takes_too_long_got_nothing() -> None:
    """The handshake never ended, so there was nothing to write a request to."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        address = full.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for client in waiting:
            client.settimeout(0)
            client.connect_ex(address)
        url, timeouts = f"http://127.0.0.1:{address[1]}", Timeouts(connect=0.2, read=20)
        async with transport_to(url, timeouts) as transport:
            with pytest.raises(NotSentError, match="timed out") as caught:
                await transport.send(POST, TOKEN)
        for client in waiting:
            client.close()
    assert TOKEN not in everything_in(caught.value)


@pytest.mark.slow
async def test_in_a_session_a_request_that_waited_for_a_connection_is_at_most_unknown() -> None:
    """It was not sent, and is not said to have been: the safe side, as nothing tells it apart."""
    connector = aiohttp.TCPConnector(limit=1)
    async with (
        serving(read_and_hang) as server,
        aiohttp.ClientSession(connector=connector) as session,
        transport_to(server.url, Timeouts(connect=5, read=60), session=session) as patient,
        transport_to(server.url, Timeouts(connect=5, read=0.3), session=session) as hasty,
    ):
        first = asyncio.ensure_future(patient.send(POST, TOKEN))
        await server.until(lambda: bool(server.requests))
        with pytest.raises(FateUnknownError):  # the only connection is the first one's
            await hasty.send(POST, TOKEN)
        assert len(server.requests) == 1
        first.cancel()
        await asyncio.wait([first])


@either_way
async def test_a_kept_connection_that_ends_is_unknown_and_not_retried() -> None:
    """The server may have read the request: sending it again may store it twice."""

    async def one_answer(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        await peer.request()

    async with serving(one_answer) as server, transport_to(server.url) as transport:
        assert (await transport.send(POST, TOKEN)).status == 200
        with pytest.raises(FateUnknownError):
            await transport.send(POST, TOKEN)
        assert (server.connections, len(server.requests)) == (1, 2)


@either_way
async def test_a_read_is_asked_once_more_when_a_kept_connection_ends() -> None:
    """Reading twice does no harm, and looking for a record should not fail for so little."""

    async def one_answer(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        await peer.request()

    async with serving(one_answer) as server, transport_to(server.url) as transport:
        for _ in range(2):
            assert (await transport.send(GET, TOKEN)).status == 200
        assert (server.connections, len(server.requests)) == (2, 3)


@pytest.mark.slow
@either_way
async def test_the_connection_of_a_broken_answer_is_not_used_again() -> None:
    """What is left of one answer must not be read as the next one's."""

    async def too_long(peer: Peer) -> None:
        await peer.request()
        if peer.server.connections == 1:
            await peer.send(OK + b"HTTP/1.1 500 leftover\r\n\r\n")
        else:
            await peer.send(OK)
        await asyncio.sleep(60)

    timeouts = Timeouts(connect=5, read=0.1)
    for handler in (too_long, hang_in_body, endless):
        async with serving(handler) as server, transport_to(server.url, timeouts) as transport:
            for _ in range(2):
                with suppress(FateUnknownError):
                    assert (await transport.send(POST, TOKEN)).status == 200
            await server.until(lambda: server.connections == 2)


@either_way
async def test_a_cancelled_request_gives_its_connection_up() -> None:
    """The next request has a connection of its own."""
    async with (
        serving(read_and_hang) as server,
        transport_to(server.url, connections=1) as transport,
    ):
        for number in (1, 2):
            task = asyncio.ensure_future(transport.send(POST, TOKEN))
            await server.until(lambda: len(server.requests) == number)  # noqa: B023 - at once
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert server.connections == 2


@either_way
def test_a_request_is_sent_as_it_is() -> None:
    """Method, path, body, and the headers that the API wants, each once."""
    response, server = exchange(answer_all)
    assert isinstance(response, Response)
    head, body = server.requests[0].split(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ") for line in lines[1:])}
    assert lines[0] == "POST /conversations/messages/inbound HTTP/1.1"
    assert body == POST.body
    assert headers.pop("host") in server.url
    assert len(lines) == 8 + 1
    assert headers == {
        "authorization": f"Bearer {TOKEN}",
        "version": "2021-04-15",
        "content-type": "application/json",
        "content-length": "14",
        "accept": "application/json",
        "accept-encoding": "identity",
        "user-agent": user_agent(),
    }


@either_way
def test_a_request_without_a_body_has_none() -> None:
    """And its query is not encoded a second time."""
    request = Request("GET", "/conversations/a%2Fb/messages?limit=100&x=%2B1", "v3")
    response, server = exchange(answer_all, request)
    assert isinstance(response, Response)
    assert server.requests[0].startswith(
        b"GET /conversations/a%2Fb/messages?limit=100&x=%2B1 HTTP/1.1\r\n"
    )
    assert b"\r\nVersion: v3\r\n" in server.requests[0]
    assert b"content-length" not in server.requests[0].lower()


@either_way
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b'{"messageId":"m1"}'),
        (201, b""),
        (429, b"no"),
        (500, b"<html>"),
        (404, b"x" * 200_000),
    ],
)
def test_an_answer_is_given_as_it_came(status: int, body: bytes) -> None:
    """Any status is an answer; headers are found in any case."""

    async def handler(peer: Peer) -> None:
        await peer.request()
        head = f"HTTP/1.1 {status} X\r\nX-RateLimit-Max: 25\r\nContent-Length: {len(body)}\r\n\r\n"
        for piece in (head.encode(), body[:5], body[5:]):
            await peer.send(piece)
            await asyncio.sleep(0.001)
        await asyncio.sleep(60)

    response, _ = exchange(handler)
    assert isinstance(response, Response)
    assert (response.status, response.body) == (status, body)
    assert response.headers.get("x-ratelimit-max") == "25"


@either_way
def test_an_answer_may_come_in_chunks() -> None:
    """Without its length being known ahead."""

    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.send(ENDLESS + b"4\r\n{   \r\n")
        await asyncio.sleep(0.01)
        await peer.send(b"1\r\n}\r\n0\r\n\r\n")

    response, _ = exchange(handler)
    assert isinstance(response, Response)
    assert response.body == b"{   }"


@either_way
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("request_", [POST, GET], ids=["post", "get"])
async def test_a_redirect_is_not_followed(status: int, request_: Request) -> None:
    """The token would go to whatever host it names."""

    async def redirect(peer: Peer) -> None:
        await peer.request()
        location = f"Location: {elsewhere.url}/x\r\nContent-Length: 0\r\n\r\n"
        await peer.send(f"HTTP/1.1 {status} X\r\n{location}".encode())

    async with (
        serving(answer_all) as elsewhere,
        serving(redirect) as server,
        transport_to(server.url) as transport,
    ):
        response = await transport.send(request_, TOKEN)
        assert response.status == status
        assert (elsewhere.connections, len(server.requests)) == (0, 1)


@either_way
async def test_connections_are_kept_and_cookies_are_not() -> None:
    """One connection serves many requests; an answer leaves nothing behind."""

    async def baker(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(OK.replace(b"\r\n", b"\r\nSet-Cookie: a=b\r\n", 1))

    async with serving(baker) as server, transport_to(server.url) as transport:
        for request in (POST, GET, POST):
            assert (await transport.send(request, TOKEN)).status == 200
        assert server.connections == 1
        assert not any(b"cookie" in request.lower() for request in server.requests)


async def test_its_own_session_is_closed() -> None:
    """Closing closes the connections, for good; closing twice, or unused, does no harm."""
    async with serving(answer_all) as server:
        transport = AiohttpTransport(server.url, timeouts=Timeouts(), connections=1)
        await transport.send(POST, TOKEN)
        await transport.close()
        await transport.close()
        await server.until(lambda: server.ended == 1)
        with pytest.raises(ClosedError, match="make a new LeadConnector"):
            await transport.send(POST, TOKEN)
        assert len(server.requests) == 1
        await AiohttpTransport(server.url, timeouts=Timeouts(), connections=1).close()


async def test_a_session_that_was_handed_in_stays_open() -> None:
    """It is the application's, with its own ways: they do not change what answers mean."""

    async def refuse(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(OK.replace(b"200 OK", b"429 No"))

    async with (
        serving(refuse) as server,
        aiohttp.ClientSession(raise_for_status=True, headers={"User-Agent": "app"}) as session,
    ):
        async with transport_to(server.url, session=session) as transport:
            assert (await transport.send(POST, TOKEN)).status == 429
        assert not session.closed
        assert (await session.get(server.url, raise_for_status=False)).status == 429
        assert server.connections == 1
        assert b"User-Agent: leadconnector-async" in server.requests[0]


@pytest.mark.parametrize(
    "url",
    [
        "http://services.leadconnectorhq.com",
        "http://192.168.1.7:8080",
        "http://127.0.0.1.example.com",
        "http://localhost@example.com",
        "http://user:pw@localhost",
        "https://user:pw@example.com",
        "http://localhost\\@example.com",
        "http://local\nhost",
        "http://localhost ",
        "ftp://localhost",
        "localhost:8000",
        "https://",
        "https:///path",
        "https://example.com?x=1",
        "https://example.com?",
        "https://example.com#x",
        "https://example.com:99999",
        "https://example.com:port",
        "",
    ],
)
def test_an_address_that_would_leak_the_token_is_refused(url: str) -> None:
    """Plain http off loopback, and whatever is no plain address. The address is not repeated."""
    with pytest.raises(ValueError, match="base_url must") as caught:
        AiohttpTransport(url, timeouts=Timeouts(), connections=1)
    assert "pw" not in everything_in(caught.value)


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("https://services.leadconnectorhq.com", "https://services.leadconnectorhq.com"),
        ("https://example.com:8443/api/", "https://example.com:8443/api"),
        ("http://localhost:8000/", "http://localhost:8000"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("HTTP://LOCALHOST:8000", "HTTP://LOCALHOST:8000"),
    ],
)
def test_an_address_has_no_slash_at_its_end(url: str, base: str) -> None:
    """Paths begin with one."""
    assert check_base_url(url) == base


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without proxies."""
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


def test_a_proxy_comes_from_the_environment(no_proxies: pytest.MonkeyPatch) -> None:
    """By the usual variables, and never for loopback."""
    assert proxy_from_environment("https://example.com") is None
    no_proxies.setenv("HTTPS_PROXY", "http://127.0.0.1:3128")
    no_proxies.setenv("NO_PROXY", "internal.example.com")
    assert proxy_from_environment("https://example.com") == "http://127.0.0.1:3128"
    assert proxy_from_environment("https://internal.example.com") is None
    no_proxies.setenv("HTTPS_PROXY", "user:password@proxy:3128")
    assert proxy_from_environment("https://example.com") == "http://user:password@proxy:3128"
    assert proxy_from_environment("http://127.0.0.1:8000") is None
    assert proxy_from_environment("https://localhost:8000") is None


@pytest.mark.usefixtures("no_proxies")
async def test_a_proxy_that_refuses_lets_nothing_through() -> None:
    """Nothing reached the API, and the proxy saw neither the token nor the message."""

    async def refuse(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 407 Log in\r\nContent-Length: 0\r\n\r\n")

    async with serving(refuse) as proxy:
        url = proxy.url.replace("//", "//user:Grey-Owl@")
        async with transport_to("https://api.invalid", proxy=url) as transport:
            with pytest.raises(NotSentError, match=r"the proxy refused \(407\)") as caught:
                await transport.send(POST, TOKEN)
    assert proxy.requests[0].startswith(b"CONNECT api.invalid:443 ")
    assert TOKEN.encode() not in proxy.requests[0]
    assert TOKEN not in everything_in(caught.value)
    assert "Grey-Owl" not in everything_in(caught.value)
    async with transport_to("https://api.invalid", proxy=url) as transport:
        with pytest.raises(NotSentError, match="no connection") as caught:
            await transport.send(POST, TOKEN)
    assert "Grey-Owl" not in everything_in(caught.value)
    assert "Grey-Owl" not in repr(transport)


@either_way
async def test_a_server_that_speaks_no_tls_got_nothing() -> None:
    """The handshake comes before the request."""

    async def greet(peer: Peer) -> None:
        await peer.send(b"220 mail.example.com ESMTP\r\n")

    async with serving(greet) as server:
        url = server.url.replace("http", "https")
        async with transport_to(url) as transport:
            with pytest.raises(NotSentError, match="no connection to the API") as caught:
                await transport.send(POST, TOKEN)
        assert server.requests == []
    assert TOKEN not in everything_in(caught.value)


@either_way
@pytest.mark.parametrize(
    ("host", "days", "said"),
    [
        ("127.0.0.1", (-9, -2), "has expired: see this machine's clock"),
        ("127.0.0.1", (2, 9), "is not valid yet: see this machine's clock"),
        ("other.example", (-9, 9), "is another host's: see the base URL"),
        ("127.0.0.1", (-9, 9), "is not trusted: where a proxy signs it"),
    ],
)
async def test_what_is_wrong_with_a_certificate_is_said(
    host: str, days: tuple[int, int], said: str
) -> None:
    """With what to do about it: "not trusted" alone sends one to the wrong place."""
    authority, now = trustme.CA(), datetime.now(UTC)
    begin, end = (now + timedelta(days=of) for of in days)
    ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(host, not_before=begin, not_after=end).configure_cert(ours)
    trusting = ssl.create_default_context()
    if "trusted" not in said:
        authority.configure_trust(trusting)
    async with serving(answer_all, ours) as server:
        async with transport_to(server.url, ssl=trusting) as transport:
            with pytest.raises(NotSentError, match=f"its certificate {said}"):
                await transport.send(POST, TOKEN)
        assert server.requests == []


@either_way
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")
def test_a_certificate_has_to_be_trusted(tmp_path: Path, loop: str) -> None:
    """One that nobody vouches for gets nothing; with its own CA handed in, it is as good as any.

    On either loop: their TLS is not the same.
    """
    new_loop = pytest.importorskip(loop).new_event_loop
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    names = ["-subj", "/CN=sandbox", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*make.split(), *names, *files], check=True, capture_output=True)
    ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ours.load_cert_chain(certificate, key)

    async def run() -> None:
        async with serving(answer_all, ours) as server:
            async with transport_to(server.url) as transport:
                with pytest.raises(NotSentError, match="its certificate is not trusted") as caught:
                    await transport.send(POST, TOKEN)
                assert TOKEN not in everything_in(caught.value)
            assert server.requests == []
            trusting = ssl.create_default_context(cafile=str(certificate))
            async with transport_to(server.url, ssl=trusting) as transport:
                before = server.connections
                for _ in range(2):
                    assert (await transport.send(POST, TOKEN)).status == 200
                assert server.connections == before + 1

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(run())


def test_what_is_remembered_is_bounded() -> None:
    """Tokens rotate: those of yesterday do not fill the memory."""
    heads = Heads("https://example.com")
    for number in range(MAX_TOKENS + 9):
        heads.written(POST, f"token-{number}")
    assert len(heads._made) == 9


def test_a_transport_shows_where_it_leads() -> None:
    """And nothing of what goes there."""
    transport = AiohttpTransport("https://example.com/", timeouts=Timeouts(), connections=1)
    assert repr(transport) == "<AiohttpTransport https://example.com own session>"
