from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import orjson
import pytest

from leadconnector_async.sandbox import Sandbox, SandboxConfig
from leadconnector_async.sandbox.app import respond
from leadconnector_async.sandbox.state import SandboxState
from leadconnector_async.sandbox.storing_endpoints import parts

IDS = {"conversationId": "conv", "contactId": "c", "locationId": "loc"}
HEADERS = {"Authorization": "Bearer any", "Version": "2021-04-15"}


def send(
    ids: dict[str, str], files: dict[str, bytes], config: SandboxConfig | None = None
) -> tuple[int, Any, list[tuple[str, bytes]]]:
    """Upload files with aiohttp; the status, the answer, and what the sandbox holds."""

    async def run() -> tuple[int, Any, list[tuple[str, bytes]]]:
        # Quoting would rename the files: servers take the name as it is written.
        form = aiohttp.FormData(ids, quote_fields=False)
        for name, content in files.items():
            form.add_field("fileAttachment", content, filename=name)
        async with (
            Sandbox(config) as sandbox,
            aiohttp.ClientSession(headers=HEADERS) as session,
            session.post(
                f"{sandbox.url}/conversations/messages/upload",
                data=form if files else aiohttp.FormData(ids, default_to_multipart=True),
            ) as answer,
        ):
            held = [(upload.url, upload.content) for upload in sandbox.uploads]
            return answer.status, orjson.loads(await answer.read()), held

    return asyncio.run(run())


def test_files_arrive_as_they_are() -> None:
    """Bytes are kept exactly, and each file gets a URL under its name."""
    files = {"a b.PNG": bytes(range(256)) * 3 + b"\r\n--", "voice.mp3": b""}
    status, answer, held = send(IDS, files)
    assert status == 200
    assert answer["uploadedFiles"].keys() == files.keys()
    assert held == [(answer["uploadedFiles"][name], content) for name, content in files.items()]
    assert answer["uploadedFiles"]["a b.PNG"].endswith("/a%20b.PNG")


@pytest.mark.parametrize("written", ['a"b.png', 'a\\"b.png', "a%22b.png"])
def test_a_quotation_mark_in_a_name_is_kept(written: str) -> None:
    """Clients escape it as RFC 7578 says, as browsers do, or not at all."""
    head = f'Content-Disposition: form-data; name="fileAttachment"; filename="{written}"'
    body = f"--x\r\n{head}\r\nContent-Type: image/png\r\n\r\nabc\r\n--x--\r\n".encode()
    (part,) = parts("multipart/form-data; boundary=x", body)
    assert (part.name, part.filename, part.content) == ("fileAttachment", 'a"b.png', b"abc")


def test_files_may_be_named_by_their_urls() -> None:
    """As JSON, which is what the official SDKs send, or in a form."""
    url = "https://x.example/files/a%20b.png?size=1"
    fields = [*IDS.items(), ("attachmentUrls", url)]
    form = "".join(
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'
        for name, text in fields
    )
    for kind, body in (
        ("application/json", orjson.dumps(IDS | {"attachmentUrls": [url]})),
        ("multipart/form-data; boundary=x", f"{form}--x--\r\n".encode()),
    ):
        state = SandboxState(SandboxConfig())
        headers = HEADERS | {"Content-Type": kind}
        reply = respond(state, "POST", "/conversations/messages/upload", headers, body).reply
        assert (reply.status, [*orjson.loads(reply.body)["uploadedFiles"]]) == (200, ["a b.png"])


def test_wrong_types_are_415() -> None:
    """The API lists what it takes; one wrong file refuses all."""
    status, answer, held = send(IDS, {"a.png": b"x", "b.exe": b"x"})
    assert (status, answer["status"]) == (415, 415)
    assert held == []


def test_large_files_are_413() -> None:
    """The limit is the largest size that is taken."""
    config = SandboxConfig(upload_limit=10)
    assert send(IDS, {"a.png": b"x" * 10}, config)[0] == 200
    assert send(IDS, {"a.png": b"x" * 11}, config)[0] == 413


@pytest.mark.parametrize("missing", [*IDS, "fileAttachment"])
def test_what_is_missing_is_400(missing: str) -> None:
    """All three ids and a file are needed; where a contact is enough, its conversation is not."""
    ids = {name: value for name, value in IDS.items() if name != missing}
    files = {} if missing == "fileAttachment" else {"a.png": b"x"}
    status, answer, _ = send(ids, files, SandboxConfig(conversation_first=True))
    assert (status, answer["message"]) == (400, f"{missing} is required")


def test_a_body_that_is_no_multipart_has_no_parts() -> None:
    """Nor has one without a boundary."""
    assert list(parts("application/json", b"{}")) == []
    assert list(parts("multipart/form-data; boundary=x", b"rubbish")) == []


async def test_what_was_uploaded_can_be_fetched_by_its_url() -> None:
    """Without a token, as the API's URLs are public; what was not is 404."""
    form = aiohttp.FormData(IDS)
    form.add_field("fileAttachment", b"abc", filename="a b.png")
    async with Sandbox() as sandbox, aiohttp.ClientSession() as session:
        address = f"{sandbox.url}/conversations/messages/upload"
        await session.post(address, data=form, headers=HEADERS)
        url = sandbox.uploads[0].url
        async with session.get(url) as answer:
            assert (answer.status, answer.content_type) == (200, "image/png")
            assert await answer.read() == b"abc"
        async with session.get(f"{url}x") as answer:
            assert answer.status == 404
