"""The ways to the API that companies have: TLS of their own, a forward proxy, time limits."""

from __future__ import annotations

import asyncio
import platform
import socket
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from cli_harness import leadconnector, result_of, sms, write_jsonl
from fault_harness import QUICK
from http_peer import Peer, serving
from tls_kit import API, HOST, LOGIN, Authority, proxied, proxied_elsewhere

from leadconnector_async import (
    FateUnknownError,
    InboundMessage,
    LeadConnector,
    NotSentError,
    OAuth,
    Timeouts,
    __version__,
    import_files,
)
from leadconnector_async.sandbox import (
    NO_LIMITS,
    Fault,
    OAuthApp,
    OAuthInstallation,
    Sandbox,
    SandboxConfig,
    SandboxThread,
)
from leadconnector_async.sources import SourceOptions

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD = "Grey"
OURS = f"leadconnector-async/{__version__} python/{platform.python_version()}"
AUTHORITY = Authority()
MESSAGE = InboundMessage(type="SMS", contact_id="contact1", direction="inbound", message="hi")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without proxies."""
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def config(**changes: Any) -> SandboxConfig:  # noqa: ANN401
    """A sandbox that takes any contact."""
    return SandboxConfig(location_id="loc", closed=False, limits=NO_LIMITS, **changes)


def client(base_url: str, **options: Any) -> LeadConnector:  # noqa: ANN401
    """A client with short waits."""
    return LeadConnector("t", location_id="loc", base_url=base_url, policy=QUICK, **options)


async def message_and_import(api: LeadConnector, sandbox: Sandbox, folder: Path) -> None:
    """One message, one read, and a whole import, which all arrive once."""
    before = len(sandbox.messages)
    receipt = await api.add_inbound_message(MESSAGE)
    found = [one.id async for one in api.export_messages(contact_id="contact1")]
    assert receipt.message_id in found
    source = write_jsonl(folder / "history.jsonl", [sms(number) for number in range(40)])
    summary = await import_files(api, [source], outbox=folder / "import.db")
    assert (summary.sent, summary.failed) == (40, 0)
    assert len(sandbox.messages) - before == 41


def trusts(how: str, folder: Path) -> dict[str, object]:
    """The client's options that trust the authority."""
    if how == "context":
        return {"ssl": AUTHORITY.client()}
    return {"ca_file": AUTHORITY.file(folder)}


@pytest.mark.slow
@pytest.mark.parametrize("how", ["context", "file"])
async def test_an_authority_of_its_own_is_trusted(how: str, tmp_path: Path) -> None:
    """By a context, or by a file beside what the system trusts; without, nothing is sent."""
    async with Sandbox(config()) as sandbox, proxied(sandbox, AUTHORITY) as (_, url):
        async with client(url, **trusts(how, tmp_path)) as api:
            await message_and_import(api, sandbox, tmp_path)
        async with client(url) as api:
            with pytest.raises(NotSentError, match="not trusted"):
                await api.add_inbound_message(MESSAGE)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["context", "file"])
@pytest.mark.parametrize("told", ["proxy", "environment"])
async def test_a_proxy_is_gone_through(
    how: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its password, and with TLS to the API within it: it sees neither token nor text."""
    async with (
        Sandbox(config()) as sandbox,
        proxied(sandbox, AUTHORITY, LOGIN.replace("%20", " ")) as (proxy, _),
    ):
        url = proxy.url.replace("//", f"//{LOGIN}@")
        options = trusts(how, tmp_path)
        if told == "environment":
            monkeypatch.setenv("HTTPS_PROXY", url)
        else:
            options["proxy"] = url
        async with client(API, **options) as api:
            await message_and_import(api, sandbox, tmp_path)
            assert PASSWORD not in repr(api) + repr(api.session) + repr(api.session.transport)
            assert PASSWORD not in repr(api.session.network)
        assert set(proxy.asked) == {f"CONNECT {HOST}:443 HTTP/1.1"}
        assert b"Bearer" not in proxy.seen


async def test_tokens_and_attachments_go_through_the_proxy_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OAuth's requests, and files that are fetched; a private address is refused before."""
    monkeypatch.chdir(tmp_path)
    owner = OAuthInstallation(
        refresh_token="r1",  # noqa: S106 - opens nothing but the sandbox
        company_id="c",
        location_id="loc",
    )
    app = OAuthApp(client_id="id", client_secret="secret", installations=(owner,))  # noqa: S106
    async with (
        Sandbox(config(oauth=app)) as sandbox,
        proxied(sandbox, AUTHORITY) as (proxy, _),
        LeadConnector(
            OAuth("id", "secret", store="tokens.db", refresh_tokens={"loc": "r1"}),
            location_id="loc",
            base_url=API,
            proxy=proxy.url,
            ssl=AUTHORITY.client(),
            policy=QUICK,
        ) as api,
    ):
        picture = tmp_path / "photo.jpg"
        picture.write_bytes(b"\xff\xd8\xff a picture")
        kept = await api.upload_file(picture, contact_id="contact1")
        url = kept.replace(sandbox.url, f"https://127.0.0.1:{proxy.target}")
        for private in (True, False):
            source = write_jsonl(tmp_path / "history.jsonl", [sms(1 + private, attachments=[url])])
            options = SourceOptions(fetch_attachments=True, fetch_private=private)
            outbox = tmp_path / f"{private}.db"
            summary = await import_files(api, [source], outbox=outbox, options=options)
            assert (summary.sent, summary.failed) == ((1, 0) if private else (0, 1))
        assert f"CONNECT 127.0.0.1:{proxy.target} HTTP/1.1" in proxy.asked
        assert set(proxy.asked) > {f"CONNECT {HOST}:443 HTTP/1.1"}


async def test_no_proxy_names_hosts_that_are_reached_directly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The name is known to the proxy alone, and so is not found."""
    async with Sandbox(config()) as sandbox, proxied(sandbox, AUTHORITY) as (proxy, _):
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", HOST)
        async with client(API, ssl=AUTHORITY.client()) as api:
            with pytest.raises(NotSentError, match="no connection"):
                await api.add_inbound_message(MESSAGE)
        assert proxy.asked == []


async def test_a_proxy_that_wants_a_password_lets_nothing_through() -> None:
    """Nothing was sent, and neither the error nor its causes show the wrong one."""
    async with Sandbox(config()) as sandbox, proxied(sandbox, AUTHORITY, "a:b") as (proxy, _):
        url = proxy.url.replace("//", f"//{LOGIN}@")
        async with client(API, ssl=AUTHORITY.client(), proxy=url) as api:
            with pytest.raises(NotSentError, match=r"the proxy refused \(407\)") as caught:
                await api.add_inbound_message(MESSAGE)
        assert sandbox.messages == []
        error: BaseException | None = caught.value
        while error is not None:
            assert PASSWORD not in repr(error)
            error = error.__cause__ or error.__context__


@pytest.mark.parametrize("url", ["proxy:3128", "socks5://a:Grey@b", "http://", "http://a:Grey@b:x"])
def test_what_is_no_proxy_is_refused_at_once(url: str) -> None:
    """And is not repeated: it may hold a password."""
    with pytest.raises(ValueError, match="proxy must look like") as caught:
        client(API, proxy=url)
    assert PASSWORD not in str(caught.value)


def test_what_is_no_ca_file_is_refused_at_once(tmp_path: Path) -> None:
    """In words that say what it should be."""
    wrong = write_jsonl(tmp_path / "ca.pem", [{}])
    for path in (wrong, tmp_path / "none.pem"):
        with pytest.raises(ValueError, match="ca_file has no certificates"):
            client(API, ca_file=path)
    with pytest.raises(ValueError, match="not both"):
        client(API, ca_file=AUTHORITY.file(tmp_path), ssl=AUTHORITY.client())


@pytest.mark.slow
async def test_a_session_of_the_applications_own_goes_its_way(tmp_path: Path) -> None:
    """With its own trust, and its own proxy. It stays open."""
    async with Sandbox(config()) as sandbox, proxied(sandbox, AUTHORITY) as (proxy, _):
        connector = aiohttp.TCPConnector(ssl=AUTHORITY.client())
        async with aiohttp.ClientSession(connector=connector, proxy=proxy.url) as session:
            async with client(API, session=session) as api:
                await message_and_import(api, sandbox, tmp_path)
            assert not session.closed
        assert proxy.asked


@pytest.mark.slow
async def test_time_limits_hold_over_tls_and_through_a_proxy() -> None:
    """Before there is a connection nothing was sent; after that the fate is unknown."""
    trust = AUTHORITY.client()

    async def add(url: str, limits: Timeouts, proxy: str | None = None) -> None:
        async with client(url, ssl=trust, proxy=proxy, timeouts=limits) as api:
            await api.add_inbound_message(MESSAGE)

    hang = Fault("hang", seconds=60.0)
    async with (
        Sandbox(config(faults=(hang,))) as sandbox,
        proxied(sandbox, AUTHORITY) as (proxy, url),
    ):
        limits = Timeouts(read=4.0)  # a busy machine may take seconds to connect
        both = add(url, limits), add(API, limits, proxy.url)
        for error in await asyncio.gather(*both, return_exceptions=True):
            assert isinstance(error, FateUnknownError)
            assert "timed out" in str(error)
        with socket.create_server(("127.0.0.1", 0)) as silent:  # it takes, and never speaks TLS
            url = f"https://127.0.0.1:{silent.getsockname()[1]}"  # noqa: PLW2901 - another one
            with pytest.raises(NotSentError, match="timed out"):
                await add(url, Timeouts(connect=0.2))


@pytest.mark.parametrize("own", [None, "my-app/1.2"])
@pytest.mark.parametrize("way", ["direct", "proxy"])
async def test_the_user_agent_names_library_python_and_program(way: str, own: str | None) -> None:
    """In writes and reads, by every way."""

    async def answer(peer: Peer) -> None:
        while await peer.request():
            body = b'{"messageId":"m1","conversations":[]}'
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    async with serving(answer) as server, proxied(server, AUTHORITY) as (proxy, url):
        through = proxy.url if way == "proxy" else None
        options = {"ssl": AUTHORITY.client(), "user_agent": own, "proxy": through}
        async with client(API if through else url, **options) as api:
            await api.add_inbound_message(MESSAGE)
            await api.search_conversations()
        name = OURS if own is None else f"{OURS} {own}"
        assert len(server.requests) == 2
        for request in server.requests:
            assert f"\r\nUser-Agent: {name}\r\n".encode() in request


@pytest.mark.parametrize("own", ["", " ", "a\r\nb", "ä"])
def test_a_user_agent_is_one_line(own: str) -> None:
    """It would begin another header."""
    with pytest.raises(ValueError, match="user_agent"):
        client(API, user_agent=own)


@pytest.mark.slow
@pytest.mark.parametrize("told", ["option", "environment"])
def test_the_command_goes_through_a_proxy(told: str, tmp_path: Path) -> None:
    """Import, doctor and verify, with a proxy's password and an authority of its own."""
    source = write_jsonl(tmp_path / "history.jsonl", [sms(number) for number in range(10)])
    with (
        SandboxThread(config()) as sandbox,
        proxied_elsewhere(sandbox, AUTHORITY, LOGIN.replace("%20", " ")) as proxy,
    ):
        url = proxy.url.replace("//", f"//{LOGIN}@")
        there = (*("--base-url", API, "--ca-file", AUTHORITY.file(tmp_path), "--location", "loc"),)
        way = ("--proxy", url) if told == "option" else ()
        variables: dict[str, Any] = {"LEADCONNECTOR_TOKEN": "t"} | (
            {} if way else {"HTTPS_PROXY": url}
        )
        outbox = ("--outbox", tmp_path / "o.db")
        done = leadconnector("import", source, *there, *outbox, *way, "--json", **variables)
        assert done.exit_code == 0, done.output
        assert result_of(done.stdout)["sent"] == 10
        done = leadconnector("verify", *there, *outbox, *way, "--json", **variables)
        assert done.exit_code == 0
        done = leadconnector("doctor", *there, *way, **variables)
        assert "FAULT" not in done.output
        assert len(proxy.asked) >= 3
        assert PASSWORD not in done.output
        for command in ("import", "doctor", "verify"):
            more = () if command == "doctor" else outbox
            files = (source,) if command == "import" else ()
            wrong = leadconnector(
                command, *files, *there, *more, "--proxy", "socks5://a:Grey@b", **variables
            )
            assert (wrong.exit_code, PASSWORD in wrong.output) == (2, False), command


def test_the_sandbox_is_not_reached_through_a_proxy(tmp_path: Path) -> None:
    """It is on this machine, where a rehearsal stays."""
    source = write_jsonl(tmp_path / "history.jsonl", [sms(1, contactId="ve9EPM428h8vShlRW1KT")])
    done = leadconnector(
        *("import", source, "--sandbox", "--location", "loc", "--outbox", tmp_path / "o.db"),
        *("--proxy", "http://127.0.0.1:9", "--json"),
    )
    assert result_of(done.stdout)["sent"] == 1
