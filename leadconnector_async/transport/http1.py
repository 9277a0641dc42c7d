"""HTTP/1.1 as it goes over a connection: requests, and answers (RFC 9112).

Heads of requests are made once for all that share them. An answer whose end could be read in two
ways is none.
"""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Iterator, Mapping
from functools import lru_cache
from math import inf
from typing import TYPE_CHECKING, Any, Final

from multidict import CIMultiDict
from yarl import URL

from leadconnector_async.errors import AccessError, FateUnknownError
from leadconnector_async.models import Refusal
from leadconnector_async.transport.base import Request, Response

if TYPE_CHECKING:
    from aiohttp import StreamReader


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
        AccessError: the token is no text, or would end in the middle, as that of a file whose line
            it is.
        ValueError: another one would, and begin another.
    """
    if not isinstance(token, str):  # as of a provider that asks a dict for a location it has not
        what = f"what was given is no text but {type(token).__name__}"
        raise AccessError(Refusal(status=401, message=what))
    headers = CIMultiDict({"Authorization": f"Bearer {token}"} if token else {})
    headers["Version"] = request.version
    if request.upload is None:
        headers["Content-Type"] = request.content_type
    headers["Accept"] = "application/json"
    headers["Accept-Encoding"] = "identity"
    headers["User-Agent"] = agent
    for name, value in headers.items():
        if not value.isascii() or not value.isprintable():
            if name == "Authorization":
                what = "what was given has characters that none has, such as a line's end"
                raise AccessError(Refusal(status=401, message=what))
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
    """Writes requests as they go over the wire, and remembers the heads of those with a body."""

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
        body = request.body
        if body is None:
            return self._make(request, token, b"\r\n")
        key = request.method, request.path, request.version, token, request.content_type
        head = self._made.get(key)
        if head is None:
            if len(self._made) >= MAX_TOKENS:  # tokens rotate: forget the old ones
                self._made.clear()
            head = self._made[key] = self._make(request, token, b"Content-Length: ")
        return b"%b%d\r\n\r\n%b" % (head, len(body), body)

    def _make(self, request: Request, token: str, end: bytes) -> bytes:
        check_target(request)
        lines = [f"{request.method} {self._prefix}{request.path} HTTP/1.1", f"Host: {self._host}"]
        lines += [
            f"{name}: {value}" for name, value in headers_of(request, token, self._agent).items()
        ]
        return "\r\n".join([*lines, ""]).encode("ascii") + end


MAX_ANSWER: Final = 32 * 1024 * 1024
"""Bytes. A page of 500 messages is far smaller; an endless answer ends here."""
MAX_HEAD: Final = 64 * 1024
"""Bytes of an answer's head, or of what stands between two of its chunks."""

_BEGIN: Final = b"HTTP/1."
_STATUS: Final = re.compile(rb"HTTP/1\.([01]) ([1-9]\d\d)(?: .*)?")
_FINAL: Final = 200
_SWITCHED: Final = 101
"""After it there is no more HTTP."""
_BODILESS: Final = frozenset({204, 304})
_HEAD_END: Final = b"\r\n\r\n"
_TOO_LARGE: Final = f"the answer is larger than {MAX_ANSWER} bytes"
_DECIDES: Final = re.compile(
    rb"\n(?:[ \t]|[cC](?i:ontent-length|onnection):[^\r]*|[tT](?i:ransfer-encoding):[^\r]*)"
)
"""What says where an answer ends, or goes on with the line before. Most lines are passed over by
their first letter, which costs least where it stands apart."""
_CLOSES: Final = re.compile(rb"\bclose\b")
_CHUNK: Final = re.compile(rb"[0-9A-Fa-f]{1,8}(?=[ \t]*(?:;|\Z))")


@lru_cache(maxsize=64)
def _values_of(name: bytes) -> re.Pattern[bytes]:
    """Finds the rests of the lines that begin so, in any case."""
    return re.compile(rb"\n(?i:%b)([^\r]*)" % re.escape(name))


class AnswerHeaders(Mapping[str, str]):
    """The headers of a head, less the end of its last line; in any case, read when asked for."""

    __slots__ = ("_read", "head")

    def __init__(self, head: bytes) -> None:
        self.head: bytes = head
        self._read: CIMultiDict[str] | None = None

    def _all(self) -> CIMultiDict[str]:
        if self._read is None:
            lines = self.head.decode("utf-8", "surrogateescape").split("\r\n")[1:]
            parts = [line.partition(":") for line in lines]
            self._read = CIMultiDict([(name, value.strip(" \t")) for name, _, value in parts])
        return self._read

    def get(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - as `Mapping` has it
        """The first value of a header, found without reading the others."""
        found = _values_of(f"{name}:".encode()).search(self.head)
        if found is None:
            return default
        return found[1].decode("utf-8", "surrogateescape").strip(" \t")

    def group(self, prefix: bytes) -> list[bytes]:
        """The lines of all headers whose names begin so, in any case, less this."""
        return _values_of(prefix).findall(self.head)

    def __getitem__(self, name: str) -> str:
        return self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())


def _framing(head: bytes) -> tuple[int, int | None, bool, bool]:
    """Read the head of an answer, less the end of its last line: its status, and how it ends.

    That is after so many bytes, or else with its last chunk (True), or with its connection; and
    whether its connection serves no further request.

    Raises:
        ValueError: it is no HTTP/1, or does not clearly say where the answer ends.
    """
    text = head.replace(b"\r\n", b"  ")  # as long, which takes two thirds of the time
    if text.partition(b"\r")[1] or text.partition(b"\n")[1]:  # at half of what `find` costs
        raise ValueError("half an end of a line")
    return _framing_by(head.partition(b"\r\n")[0], *_DECIDES.findall(head))


@lru_cache(maxsize=128)  # the same few lines come again and again
def _framing_by(status_line: bytes, *lines: bytes) -> tuple[int, int | None, bool, bool]:
    """See `_framing`; by those lines of a head that decide."""
    began = _STATUS.fullmatch(status_line)
    if began is None:
        raise ValueError("no status line")
    status, said = int(began[2]), _decisive(lines)
    last = began[1] == b"0" or status == _SWITCHED
    last = last or _CLOSES.search(said.get(b"connection", b"")) is not None
    length, coding = said.get(b"content-length"), said.get(b"transfer-encoding")
    if status < _FINAL or status in _BODILESS:
        return status, 0, False, last
    if coding is not None:
        if coding != b"chunked" or length is not None:
            raise ValueError("an encoding that was not asked for")
        return status, None, True, last
    if length is None:
        return status, None, False, True
    if not length.isdigit():
        raise ValueError("a length that is no number")
    if int(length) > MAX_ANSWER:
        raise FateUnknownError(_TOO_LARGE)
    return status, int(length), False, last


def _decisive(lines: tuple[bytes, ...]) -> dict[bytes, bytes]:
    """The headers that say where an answer ends; all values of the one that may be there twice."""
    said: dict[bytes, bytes] = {}
    for line in lines:
        name, colon, value = line[1:].lower().partition(b":")
        if not colon:
            raise ValueError("a header goes on in the next line")
        if name in said and name != b"connection":
            raise ValueError("a header that decides on the answer's end is there twice")
        said[name] = (said.get(name, b"") + b" " + value).strip(b" \t")
    return said


class AnswerReader:
    """Reads the answers that come over one connection.

    ``last`` says of the one that was read whether its connection serves no further request, and
    ``is_cut`` whether the end of one is missing whose head has been read.
    """

    def __init__(self) -> None:
        self.last: bool = False
        self.is_cut: bool = False
        self._held: list[bytes] = []
        self._size = 0
        self._needs: float = 0
        self._chunks: list[bytes] | None = None
        self._sum = 0
        self._status = 0
        self._headers = AnswerHeaders(b"")

    def feed(self, data: bytes) -> Response | None:
        """Take bytes in; return the answer once it is complete.

        Raises:
            ValueError: these are not the bytes of one answer.
            FateUnknownError: it is larger than any answer of the API.
        """
        if self._held:
            self._held.append(data)
            self._size += len(data)
            if self._size < self._needs:
                if self._size > MAX_ANSWER + MAX_HEAD:
                    raise FateUnknownError(_TOO_LARGE)
                return None
            data = b"".join(self._held)
            self._held.clear()
        return self._from_head(data) if self._chunks is None else self._from_chunks(data)

    def end(self) -> Response | None:
        """Return the answer that ends with its connection, if it is one."""
        if self._needs != inf:
            return None
        head, _, body = b"".join(self._held).partition(_HEAD_END)
        return Response(_framing(head)[0], AnswerHeaders(head), body)

    def _hold(self, data: bytes, needs: float) -> Response | None:
        self._held, self._size, self._needs = [data], len(data), needs
        return None

    def _from_head(self, data: bytes) -> Response | None:
        while True:
            head, end, body = data.partition(_HEAD_END)
            if not end or len(head) > MAX_HEAD:
                if data[: len(_BEGIN)] != _BEGIN[: len(data)] or len(data) > MAX_HEAD:
                    raise ValueError("no HTTP")
                return self._hold(data, len(data) + 1)
            status, length, chunked, self.last = _framing(head)
            if status >= _FINAL or status == _SWITCHED:
                break
            data = body  # another one follows: maybe thousands
        if length is not None:
            rest = len(body) - length
            if rest < 0:
                self.is_cut = True
                return self._hold(data, len(data) - rest)
            if rest:
                self.last, body = True, body[:length]
            self.is_cut = False
            return Response(status, AnswerHeaders(head), body)
        self.is_cut = True
        if not chunked:
            return self._hold(data, inf)
        self._status, self._headers, self._chunks, self._sum = status, AnswerHeaders(head), [], 0
        return self._from_chunks(body)

    def _from_chunks(self, data: bytes) -> Response | None:
        chunks, at = self._chunks or [], 0
        self._chunks = chunks
        while (line_end := data.find(b"\r\n", at)) >= 0:
            size = _CHUNK.match(data[at:line_end])
            if size is None:
                raise ValueError("no size of a chunk")
            begin = line_end + 2
            stop = begin + int(size[0], 16)
            if stop == begin:
                if (end := data.find(_HEAD_END, line_end)) < 0:
                    break
                self._chunks, self.is_cut = None, False
                self.last = self.last or len(data) > end + len(_HEAD_END)
                return Response(self._status, self._headers, b"".join(chunks))
            if stop - begin + self._sum > MAX_ANSWER:
                raise FateUnknownError(_TOO_LARGE)
            if len(data) < stop + 2:
                return self._hold(data[at:], stop + 2 - at)
            if data[stop : stop + 2] != b"\r\n":
                raise ValueError("a chunk is longer than it says")
            chunks.append(data[begin:stop])
            self._sum += stop - begin
            at = stop + 2
        if len(data) - at > MAX_HEAD:
            raise ValueError("no end of a line")
        return self._hold(data[at:], len(data) - at + 1)


async def read_body(content: StreamReader) -> bytes:
    """Read all of a body, but no more than is sane."""
    parts, size = [], 0
    while part := await content.readany():
        size += len(part)
        if size > MAX_ANSWER:
            raise FateUnknownError(_TOO_LARGE)
        parts.append(part)
    return b"".join(parts)
