"""Reading a body."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from leadconnector_async._errors import FateUnknownError

if TYPE_CHECKING:
    from aiohttp import StreamReader

LARGEST_ANSWER: Final = 32 * 1024 * 1024
"""Bytes. A page of 500 messages is far smaller; an endless answer ends here."""


async def read_body(content: StreamReader) -> bytes:
    """Read all of a body, but no more than is sane."""
    parts, size = [], 0
    while part := await content.readany():
        size += len(part)
        if size > LARGEST_ANSWER:
            raise FateUnknownError(f"the answer is larger than {LARGEST_ANSWER} bytes")
        parts.append(part)
    return b"".join(parts)
