"""The endpoint for attachments, and the little of multipart that it needs."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from msgspec import Struct

from leadconnector_async.sandbox.message_store import Upload
from leadconnector_async.sandbox.replies import (
    NO_CONTACT,
    NO_CONVERSATION,
    ApiError,
    Reply,
    error,
    json_reply,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leadconnector_async.sandbox.api_request import ApiRequest
    from leadconnector_async.sandbox.state import SandboxState

SUFFIXES: Final = frozenset(
    ["jpg", "jpeg", "png", "mp4", "mpeg", "zip", "rar", "pdf", "doc", "docx", "txt", "mp3", "wav"]
)

_BOUNDARY: Final = re.compile(r'boundary="?([^";]+)"?')

_NAME: Final = re.compile(r'\bname="([^"]*)"')

_FILENAME: Final = re.compile(r'\bfilename="([^"]*)"')


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
        yield Part(name[1] if name else "", filename[1] if filename else None, content)


def upload(state: SandboxState, request: ApiRequest) -> Reply:
    """``POST /conversations/messages/upload``: 415 for a wrong type, 413 for too large a file."""
    found = list(parts(request.content_type, request.body))
    fields = {part.name: part.content.decode() for part in found if part.filename is None}
    files = [part for part in found if part.filename is not None and part.name == "fileAttachment"]
    missing = [
        name for name in ("conversationId", "contactId", "locationId") if not fields.get(name)
    ]
    if missing:
        raise ApiError(error(400, f"{missing[0]} is required"))
    location = request.location(fields["locationId"])
    if not files:
        raise ApiError(error(400, "fileAttachment is required"))
    if not state.knows_contact(location, fields["contactId"]):
        raise ApiError(NO_CONTACT)
    if state.closed and state.conversation(location, fields["conversationId"]) is None:
        raise ApiError(NO_CONVERSATION)
    for part in files:
        _check_file(part, state.config.upload_limit)
    urls = {}
    for part in files:
        name = part.filename or ""
        urls[name] = f"{state.url}/uploads/{state.ids()}/{quote(name)}"
        state.uploads.append(
            Upload(
                url=urls[name],
                name=name,
                content=part.content,
                location_id=location,
                contact_id=fields["contactId"],
                conversation_id=fields["conversationId"],
            )
        )
    return json_reply(200, {"uploadedFiles": urls})


def _check_file(part: Part, most: int) -> None:
    suffix = PurePosixPath(part.filename or "").suffix.removeprefix(".").lower()
    if suffix not in SUFFIXES:
        raise ApiError(json_reply(415, {"status": 415, "message": "Unsupported file type"}))
    if len(part.content) > most:
        raise ApiError(json_reply(413, {"status": 413, "message": "File is too large"}))
