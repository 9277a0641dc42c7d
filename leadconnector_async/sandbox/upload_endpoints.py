"""The endpoint for attachments, and the little of multipart that it needs.

By the OpenAPI files' model, and by the official SDKs, which send JSON, files may also be named by
``attachmentUrls``.
"""

from __future__ import annotations

import re
from mimetypes import guess_type
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote, urlsplit

from msgspec import Struct

from leadconnector_async.sandbox import replies
from leadconnector_async.sandbox.message_store import Upload

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leadconnector_async.sandbox.api_request import ApiRequest
    from leadconnector_async.sandbox.state import SandboxState

SUFFIXES: Final = frozenset(
    ["jpg", "jpeg", "png", "mp4", "mpeg", "zip", "rar", "pdf", "doc", "docx", "txt", "mp3", "wav"]
)

_BOUNDARY: Final = re.compile(r'boundary="?([^";]+)"?')

_NAME: Final = re.compile(r'\bname="([^"]*)"')

_FILENAME: Final = re.compile(r'\bfilename="(.*?)"(?=\s*(?:;|\r|$))')
"""A quotation mark ends the name only where the parameter ends: some clients escape none."""

_ESCAPES: Final = {'\\"': '"', "%22": '"', "%0D": "\r", "%0A": "\n"}
"""How clients write what would end a name: RFC 7578 and browsers."""


class Part(Struct, frozen=True):
    """One part of a multipart body."""

    name: str
    filename: str | None
    content: bytes


def parts(content_type: str, body: bytes) -> Iterator[Part]:
    """Take a multipart body apart."""
    boundary = _BOUNDARY.search(content_type)
    if boundary is None:
        return
    delimiter = b"\r\n--" + boundary[1].encode()
    for piece in (b"\r\n" + body).split(delimiter)[1:-1]:
        head, _, content = piece.partition(b"\r\n\r\n")
        header = head.decode("utf-8", "replace")
        name, filename = _NAME.search(header), _FILENAME.search(header)
        yield Part(name[1] if name else "", _plain(filename[1]) if filename else None, content)


def _plain(name: str) -> str:
    for escape, char in _ESCAPES.items():
        name = name.replace(escape, char)
    return name


def _received(request: ApiRequest) -> tuple[dict[str, Any], list[Part]]:
    """The fields and the files of a multipart body, or of JSON."""
    files: list[Part] = []
    if "json" in request.content_type.lower():
        fields = request.json()
        urls = fields.get("attachmentUrls") or []
    else:
        found = list(parts(request.content_type, request.body))
        texts = [part for part in found if part.filename is None]
        pairs = [(part.name, part.content.decode("utf-8", "replace")) for part in texts]
        fields, urls = dict(pairs), [text for name, text in pairs if name == "attachmentUrls"]
        files = [part for part in found if part not in texts and part.name == "fileAttachment"]
    if not isinstance(urls, list) or not all(isinstance(url, str) for url in urls):
        raise replies.invalid("each value in attachmentUrls must be a string")
    return fields, files + [Part("fileAttachment", _name_in(url), b"") for url in urls]


def _name_in(url: str) -> str:
    try:
        return unquote(urlsplit(url).path).rpartition("/")[2]
    except ValueError:
        raise replies.invalid("each value in attachmentUrls must be a URL") from None


def upload(state: SandboxState, request: ApiRequest) -> replies.Reply:
    """``POST /conversations/messages/upload``: 415 for a wrong type, 413 for too large a file."""
    fields, files = _received(request)
    needed = ("conversationId",) if state.config.conversation_first else ()
    for name in (*needed, "contactId", "locationId"):
        if not isinstance(fields.get(name), str) or not fields[name]:
            raise replies.refused(400, f"{name} is required")
    contact, conversation = fields["contactId"], fields.get("conversationId")
    location = request.location(fields["locationId"])
    if not files:
        raise replies.refused(400, "fileAttachment is required")
    if not state.knows_contact(location, contact):
        raise replies.ApiError(replies.NO_CONTACT)
    if conversation and state.closed and state.conversation(location, conversation) is None:
        raise replies.ApiError(replies.NO_CONVERSATION)
    for part in files:
        _check_file(part, state.config.upload_limit)
    urls = {}
    for part in files:
        name = part.filename or ""
        urls[name] = f"{state.url}/uploads/{state.ids()}/{quote(name)}"
        kept = Upload(
            url=urls[name],
            name=name,
            content=part.content,
            location_id=location,
            contact_id=contact,
            conversation_id=conversation or "",
        )
        state.uploads.append(kept)
    return replies.json_reply(200, {"uploadedFiles": urls})


def get_upload(state: SandboxState, request: ApiRequest) -> replies.Reply:
    """``GET /uploads/…``: an uploaded file, for whoever knows its URL."""
    id_, name = request.params
    for kept in state.uploads:
        if kept.name == name and f"/uploads/{id_}/" in kept.url:
            kind = guess_type(name)[0] or "application/octet-stream"
            return replies.Reply(200, kept.content, kind)
    raise replies.ApiError(replies.not_found("GET", request.path))


def _check_file(part: Part, most: int) -> None:
    if (part.filename or "").rpartition(".")[2].lower() not in SUFFIXES:
        raise replies.ApiError(
            replies.json_reply(415, {"status": 415, "message": "Unsupported file type"})
        )
    if len(part.content) > most:
        raise replies.ApiError(
            replies.json_reply(413, {"status": 413, "message": "File is too large"})
        )
