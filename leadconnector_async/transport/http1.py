"""What a request says before its body, made once for all requests that share it.

Reading a body.
"""

from __future__ import annotations

import platform
import sys
from typing import TYPE_CHECKING, Final

from multidict import CIMultiDict
from yarl import URL

from leadconnector_async.errors import FateUnknownError

if TYPE_CHECKING:
    from aiohttp import StreamReader

    from leadconnector_async.transport.base import Request

MAX_TOKENS: Final = 4096


def user_agent(own: str | None = None) -> str:
    """What the library calls itself, and then the program, by its ``own`` name.

    Raises:
        ValueError: its name has characters that no header may have.
    """
    if own is not None and not (own.strip() and own.isascii() and own.isprintable()):
        raise ValueError("user_agent is empty or no line of ASCII: give such as my-app/1.2")
    version = sys.modules[__name__.partition(".")[0]].__version__
    ours = f"leadconnector-async/{version} python/{platform.python_version()}"
    return f"{ours} {own.strip()}" if own else ours


def headers_of(request: Request, token: str, agent: str) -> CIMultiDict[str]:
    """The headers of a request, less those that its body and the host decide.

    Raises:
        ValueError: one would end in the middle, and begin another.
    """
    headers = CIMultiDict({"Authorization": f"Bearer {token}"} if token else {})
    headers["Version"] = request.version
    if request.upload is None:
        headers["Content-Type"] = request.content_type
    headers["Accept"] = "application/json"
    headers["Accept-Encoding"] = "identity"
    headers["User-Agent"] = agent
    for name, value in headers.items():
        if not value.isascii() or not value.isprintable():
            raise ValueError(f"{name} has characters that no header may have")
    return headers


def check_target(request: Request) -> None:
    """Refuse what would not stay within the first line of a request.

    Raises:
        ValueError: it would not.
    """
    path = request.path
    if not path.isascii() or not path.isprintable() or " " in path or "#" in path:
        raise ValueError("the path of a request has characters that must be encoded")
    if not request.method.isascii() or not request.method.isalpha():
        raise ValueError("the method of a request is no word")


class Heads:
    """Writes requests with a body as they go over the wire, and remembers their heads."""

    def __init__(self, base_url: str, agent: str = "leadconnector-async") -> None:
        url = URL(base_url)
        self._agent = agent
        self._prefix = url.raw_path.rstrip("/")
        self._host = url.host_port_subcomponent or ""
        self._made: dict[tuple[str, str, str, str, str], bytes] = {}

    def written(self, request: Request, token: str) -> bytes:
        """The whole request.

        Raises:
            ValueError: it would say something else than it should.
        """
        body = request.body or b""
        key = request.method, request.path, request.version, token, request.content_type
        head = self._made.get(key)
        if head is None:
            if len(self._made) >= MAX_TOKENS:  # tokens rotate: forget the old ones
                self._made.clear()
            head = self._made[key] = self._make(request, token)
        return b"%b%d\r\n\r\n%b" % (head, len(body), body)

    def _make(self, request: Request, token: str) -> bytes:
        check_target(request)
        lines = [f"{request.method} {self._prefix}{request.path} HTTP/1.1", f"Host: {self._host}"]
        lines += [
            f"{name}: {value}" for name, value in headers_of(request, token, self._agent).items()
        ]
        return "\r\n".join([*lines, "Content-Length: "]).encode("ascii")


MAX_ANSWER: Final = 32 * 1024 * 1024
"""Bytes. A page of 500 messages is far smaller; an endless answer ends here."""


async def read_body(content: StreamReader) -> bytes:
    """Read all of a body, but no more than is sane."""
    parts, size = [], 0
    while part := await content.readany():
        size += len(part)
        if size > MAX_ANSWER:
            raise FateUnknownError(f"the answer is larger than {MAX_ANSWER} bytes")
        parts.append(part)
    return b"".join(parts)
