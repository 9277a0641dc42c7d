from __future__ import annotations

import asyncio
import json
import os
import socket
import tracemalloc
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import AsyncMock
from urllib.parse import urlencode

import aiohttp
import pytest

from leadconnector_async.errors import FateUnknownError, NotSentError
from leadconnector_async.sandbox import OAuthApp, OAuthInstallation, Sandbox, SandboxConfig
from leadconnector_async.transport import aiohttp_session
from leadconnector_async.transport.aiohttp_session import AiohttpTransport, Timeouts
from leadconnector_async.transport.base import FORM, FileUpload, Request
from leadconnector_async.transport.http1 import read_body

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

UPLOAD = "/conversations/messages/upload"
TOKEN = "pit-4e1c9f-Blue-Heron"
MIB = 1 << 20
OURS = Path("/proc/self/fd")


@asynccontextmanager
async def transport_to(url: str, read: float = 10) -> AsyncIterator[AiohttpTransport]:
    """A transport that is closed at the end."""
    transport = AiohttpTransport(url, timeouts=Timeouts(read=read), connections=2)
    try:
        yield transport
    finally:
        await transport.close()


def upload_of(path: Path, name: str, location: str = "") -> Request:
    """The upload of a file as an attachment."""
    texts = {"conversationId": "c-1", "contactId": "Zoë", "locationId": location}
    upload = FileUpload(texts, "fileAttachment", path, name)
    return Request("POST", UPLOAD, "2021-04-15", upload=upload)


def is_open(path: Path) -> bool:
    """Whether this process holds a file open."""
    found = []
    for descriptor in OURS.iterdir():
        with suppress(OSError):  # the descriptor of this very listing is gone by now
            found.append(descriptor.readlink())
    return path in found


@pytest.mark.parametrize(
    ("name", "called"),
    [
        ("scan.pdf", "scan.pdf"),
        ("Grüße an alle.txt", "Grüße an alle.txt"),
        ("two\r\nlines.mp3", "two__lines.mp3"),
    ],
)
async def test_an_upload_carries_texts_and_a_file(tmp_path: Path, name: str, called: str) -> None:
    """Whatever the file is called; a name that would break a header is mended."""
    path, content = tmp_path / "some file", os.urandom(700_000)
    path.write_bytes(content)
    async with Sandbox(SandboxConfig()) as sandbox, transport_to(sandbox.url) as transport:
        request = upload_of(path, name, sandbox.location_id)
        response = await transport.send(request, sandbox.token)
        assert response.status == 200, response.body
        (stored,) = sandbox.uploads
        assert (stored.name, stored.content) == (called, content)
        assert (stored.contact_id, stored.conversation_id) == ("Zoë", "c-1")
        assert json.loads(response.body) == {"uploadedFiles": {called: stored.url}}


async def received(request: Request, token: str = TOKEN) -> bytes:
    """What a server reads of a request; of a large body only its beginning is kept."""
    kept = bytearray()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        kept.extend(await reader.readuntil(b"\r\n\r\n"))
        head = bytes(kept).lower()
        left = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
        while left > 0:
            part = await reader.read(MIB)
            left -= len(part)
            kept.extend(part[: 2000 - len(kept)] if len(kept) < 2000 else b"")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with transport_to(f"http://127.0.0.1:{port}") as transport:
            assert (await transport.send(request, token)).status == 200
    return bytes(kept)


@pytest.mark.parametrize(
    ("name", "kind"), [("a.png", b"image/png"), ("a.unheard-of", b"application/octet-stream")]
)
def test_a_part_says_what_kind_of_file_it_is(tmp_path: Path, name: str, kind: bytes) -> None:
    """By its name. The type of the whole is the form's, and it comes with the usual headers."""
    path = tmp_path / "a"
    path.write_bytes(b"content")
    head, _, body = asyncio.run(received(upload_of(path, name))).partition(b"\r\n\r\n")
    assert head.count(b"Content-Type:") == 1
    assert b"\r\nContent-Type: multipart/form-data; boundary=" in head
    assert b"\r\nAuthorization: Bearer " + TOKEN.encode() in head
    assert b"\r\nVersion: 2021-04-15" in head
    assert b"Content-Type: " + kind in body


@pytest.mark.slow
def test_a_file_is_never_in_memory_as_a_whole(tmp_path: Path) -> None:
    """It is read as it is sent."""
    path = tmp_path / "video.mp4"
    with path.open("wb") as file:
        file.truncate(64 * MIB)
    tracemalloc.start()
    try:
        asyncio.run(received(upload_of(path, "video.mp4")))
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 16 * MIB


def test_a_large_file_has_more_time(tmp_path: Path) -> None:
    """A slow line needs minutes for what the API takes."""
    path = tmp_path / "a.mp4"
    with path.open("wb") as file:
        file.truncate(25 << 20)
    assert aiohttp_session.seconds_for(upload_of(path, "a.mp4").upload) == 400
    assert aiohttp_session.seconds_for(None) == 0


async def test_a_file_that_cannot_be_opened_sends_nothing(tmp_path: Path) -> None:
    """There is no need to ask the API what became of it."""
    async with Sandbox(SandboxConfig()) as sandbox, transport_to(sandbox.url) as transport:
        for path in (tmp_path / "missing", tmp_path, Path("a\0b")):
            with pytest.raises(NotSentError, match="the file cannot be read"):
                await transport.send(upload_of(path, "a.pdf"), sandbox.token)
        assert not sandbox.requests


@pytest.mark.slow
@pytest.mark.skipif(not OURS.exists(), reason="needs to see which files are open")
async def test_the_file_is_closed_whatever_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an answer, without one, when cancelled, and when nobody listens."""
    monkeypatch.setattr(aiohttp_session, "SLOWEST", 1 << 40)  # else its size would buy it a minute
    path = tmp_path / "a.pdf"
    path.write_bytes(b"x" * 5 * MIB)
    request = upload_of(path, "a.pdf")
    async with Sandbox(SandboxConfig()) as sandbox, transport_to(sandbox.url) as transport:
        assert (await transport.send(request, sandbox.token)).status == 400
        assert not is_open(path)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"http://127.0.0.1:{mute.getsockname()[1]}"
        async with transport_to(url, read=0.3) as transport:
            sending = asyncio.ensure_future(transport.send(request, TOKEN))
            await asyncio.sleep(0)
            assert is_open(path)
            with pytest.raises(FateUnknownError):
                await sending
            assert not is_open(path)
            sending = asyncio.ensure_future(transport.send(request, TOKEN))
            await asyncio.sleep(0.01)
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
            assert not is_open(path)
    async with transport_to(url) as transport:
        with pytest.raises(NotSentError):
            await transport.send(request, TOKEN)
        assert not is_open(path)


async def test_a_form_goes_without_a_token() -> None:
    """The credentials are in the form itself, where tokens are asked for."""
    app = OAuthApp(
        client_id="app",
        client_secret="secret",  # noqa: S106 - opens nothing
        installations=(OAuthInstallation(refresh_token="r", company_id="c", location_id="l"),),  # noqa: S106
    )
    fields = {"client_id": "app", "client_secret": "secret", "grant_type": "refresh_token"}
    body = urlencode(fields | {"refresh_token": "r"}).encode()
    request = Request("POST", "/oauth/token", "2021-07-28", body, FORM)
    async with (
        Sandbox(SandboxConfig(oauth=app)) as sandbox,
        transport_to(sandbox.url) as transport,
    ):
        response = await transport.send(request, "")
        assert response.status == 200, response.body
        assert json.loads(response.body)["access_token"]
    head = (await received(request, "")).partition(b"\r\n\r\n")[0]
    assert b"authorization" not in head.lower()
    assert b"\r\nContent-Type: application/x-www-form-urlencoded" in head


async def test_a_body_of_any_size_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """By way of aiohttp's own reader, which has no bound."""
    monkeypatch.setattr("leadconnector_async.transport.http1.MAX_ANSWER", 8)
    content = AsyncMock(aiohttp.StreamReader)
    content.readany.side_effect = [b"1234", b"5678", b""]
    assert await read_body(content) == b"12345678"
    content.readany.side_effect = [b"1234", b"5678", b"9", b""]
    with pytest.raises(FateUnknownError, match="larger than"):
        await read_body(content)
