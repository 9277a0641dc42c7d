"""Whatever the encoding of a source, UTF-8 comes out: the formats read nothing else.

Text that was UTF-8 and was read as Latin-1 or Windows-1252, ``cafÃ©`` for ``café``, is found for
certain: all of it goes back to bytes, and these are UTF-8. One that is garbled in part stays.
"""

import codecs
import re
import unicodedata
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import suppress
from email import errors
from email.message import Message
from typing import Final, cast

from leadconnector_async.errors import SourceError
from leadconnector_async.models import Problem
from leadconnector_async.sources.fields import notice, problem_of
from leadconnector_async.sources.files.byte_stream import ByteStream

_HEAD: Final = 4096
"""Bytes to judge a source by."""

_MARKED: Final = ("utf-8", "utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be")
"""Encodings that a mark tells: UTF-32 before UTF-16, with whose mark its own begins."""

_UNDECODABLE: Final = "\udcff"
"""Stands for what could not be decoded. As UTF-8 it is invalid in turn, so the line that holds it
is found by the same check, and refused with the same words, as a bad byte in a UTF-8 file."""


_MARK: Final = "leadconnector_async.mark"

codecs.register_error(_MARK, lambda e: (_UNDECODABLE, cast("UnicodeDecodeError", e).end))


class Utf8Text:
    """A ``stream`` as UTF-8. ``head`` is its beginning, ``encoding`` what it was written in."""

    def __init__(self, stream: ByteStream, encoding: str | None) -> None:
        self.stream = stream
        self._raw = stream.chunks()
        start = b""
        while len(start) < _HEAD and (chunk := next(self._raw, b"")):
            start += chunk
        mark, name = _recognise(stream.name, start, encoding)
        self.encoding: str = name
        self.marked: bool = bool(mark)
        """The source began with a byte order mark."""
        self._decoder = None if name == "utf-8" else codecs.getincrementaldecoder(name)(_MARK)
        self.head: bytes = self._utf8(start[len(mark) :])
        # Spreadsheets on old Macs end lines with a carriage return alone.
        self._returns = b"\r" in self.head[:-1] and b"\n" not in self.head
        if self._returns:
            self.head = self.head.replace(b"\r", b"\n")

    def chunks(self) -> Iterator[bytes]:
        """Give all of it, the head included."""
        yield self.head
        for chunk in self._raw:
            text = self._utf8(chunk)
            yield text.replace(b"\r", b"\n") if self._returns else text
        yield self._utf8(b"", final=True)

    def _utf8(self, chunk: bytes, *, final: bool = False) -> bytes:
        if self._decoder is None:
            return chunk
        return self._decoder.decode(chunk, final).encode("utf-8", "surrogatepass")

    def undecodable(self, line: bytes) -> Problem | None:
        """Say where a line is not in the source's encoding."""
        try:
            line.decode()
        except UnicodeDecodeError as error:
            where = f"byte 0x{line[error.start]:02X} at position {error.start + 1}"
            if self._decoder is not None:
                where = f"position {len(line[: error.start].decode()) + 1}"
            facts = {"encoding": self.encoding.upper(), "where": where}
            if self.marked:
                return problem_of("undecodable", **facts)
            return problem_of("undecodable_unmarked", **facts)
        return None


def _recognise(name: str, start: bytes, encoding: str | None) -> tuple[bytes, str]:
    """Find byte order mark and encoding. What is in the file wins over what the user says."""
    for marked in _MARKED:
        if start.startswith(mark := "\ufeff".encode(marked)):
            return mark, marked
    # Every format begins with an ASCII character, so NULs beside it give UTF-16 away.
    if start[1:4:2] == b"\0\0" and start[0] and start[2]:
        return b"", "utf-16-le"
    if start[0:4:2] == b"\0\0" and start[1] and start[3]:
        return b"", "utf-16-be"
    if encoding is not None:
        try:
            b"a".decode(encoding, "replace")
            known = codecs.lookup(encoding).name
            codecs.getincrementaldecoder(known)(_MARK).decode(start)
        except (LookupError, UnicodeError) as error:
            raise SourceError(f"{name}: {notice('no_encoding', given=encoding)}") from error
        is_utf_8 = known == "utf-8-sig"
        with suppress(UnicodeError):  # no text of single bytes is UTF-8 by chance
            if known != "ascii" and len(bytes(range(256)).decode(known, "replace")) == 256:  # noqa: PLR2004 - a character for each
                is_utf_8 |= not codecs.getincrementaldecoder("utf-8")().decode(start).isascii()
        return b"", "utf-8" if is_utf_8 else known
    return b"", "utf-8"


GARBLED: Final = "text that looks decoded wrongly, as Ã© for é: --repair-text mends such"

MENDED: Final = "text that had been decoded wrongly, as Ã© for é, and was mended"

ESCAPE: Final = re.compile(r"&(?:amp|lt|gt|quot|apos|nbsp|#\d{2,6}|#[xX][0-9a-fA-F]{2,5});")

escaped_perhaps: Final = re.compile(ESCAPE.pattern.encode()).search
"""Tell a line whose text may hold escapes of HTML."""

ESCAPED: Final = "text with escapes of HTML, as &amp; for &: --repair-text reads such"

UNESCAPED: Final = "text in which escapes of HTML, as &amp; for &, were read"

NULS: Final = "text with NUL characters, which were taken out"

_BYTES: Final = {
    ord(bytes([byte]).decode("cp1252", "ignore") or chr(byte)): byte for byte in range(0x80, 0xA0)
}
"""The bytes of the characters that Windows-1252 has where Latin-1 has controls."""

_PAIR: Final = re.compile(f"[\u00c2-\u00f4][\u0080-\u00bf{re.escape(''.join(map(chr, _BYTES)))}]")

_CAPITAL_AT_QUOTE: Final = re.compile("[\u00c4-\u00de][\u00a0\u00ab\u00bb]")
"""``CAFÉ»`` would be UTF-8 too, of a rare letter."""

# Both begin with text, for which a line is searched fastest.
_GARBLED: Final = re.compile(
    rb"\xc3[\x82-\xb4](?:\xc2[\x80-\xbf]|\xe2[\x80-\x84]|[\xc5\xc6\xcb])"
).search

_C2, _C5, _C6, _CB, _E2 = b"\xc2\xc5\xc6\xcb\xe2"
"""What follows the first character in that pattern."""

escaped_oddly: Final = re.compile(
    rb"\\u00(?:00|[c-fC-F][0-9a-fA-F]\\u(?:00[89abAB]|20|21|01|02))"
).search
"""Look quickly for what JSON escapes oddly, and for NULs. None is certain."""


def garbled_perhaps(line: bytes) -> bool:
    """Look at a line in UTF-8 quickly. False is certain."""
    # That a byte is missing is seen sooner than that a pattern is.
    follows = _C2 in line or _C5 in line or _C6 in line or _CB in line or _E2 in line
    return follows and _GARBLED(line) is not None


def mended(text: str) -> str | None:
    """Decode a text as it was meant. None for one that is as it should be."""
    found = None
    for _ in range(3):
        if _PAIR.search(text) is None or _CAPITAL_AT_QUOTE.sub("", text).isascii():
            break
        try:
            text = found = text.translate(_BYTES).encode("latin-1").decode("utf-8")
        except UnicodeError:
            break
    return found


_UNSAID: Final = frozenset({"", "us-ascii", "ascii", "unknown-8bit", "x-unknown", "8bit"})
"""Charsets of mails whose writer did not know."""

_RATHER: Final = {"iso8859-1": "cp1252", "iso8859-9": "cp1254"}
"""What mails with these names are written in: where these have controls, it has quotes and €."""

_WIDER: Final = {"gb2312": "gb18030", "euc_kr": "cp949", "shift_jis": "cp932", "big5": "big5hkscs"}
"""Charsets that hold these, and are written under their names (WHATWG's Encoding has both)."""

_ODD_NAME: Final = re.compile(r"\Ax-(?=\D)|(?<=\d)-[ie]\Z", re.IGNORECASE)
"""In names such as ``x-mac-roman``, and ``iso-8859-8-i``, of which it says how lines run."""


def decode_text(
    content: bytes, charset: str | None, warn: Callable[[str], None] = lambda _: None
) -> str:
    """Decode a text; what cannot be is replaced, with a warning.

    Text without a charset is UTF-8 where it can be, else cp1252: nearly no other text is UTF-8 by
    chance, and bytes of any kind are cp1252 or Latin-1.
    """
    if charset is None or charset in _UNSAID:
        try:
            return content.decode()
        except UnicodeDecodeError:
            return content.decode("cp1252", "replace")
    known = _ODD_NAME.sub("", charset)
    with suppress(LookupError, ValueError):
        known = codecs.lookup(known).name
    for name in (_RATHER.get(known), known, _WIDER.get(known)):
        with suppress(LookupError, ValueError):  # no such charset, or not text of it
            if name is not None:
                return content.decode(name)
    try:
        text = content.decode(known, "replace")
    except (LookupError, ValueError):
        warn("a charset that is not known: characters may be wrong")
        return decode_text(content, None)
    warn("characters that are not of their charset: they are replaced")
    return text


_TRANSFER: Final = re.compile(r"[\s\"']*(base64|quoted-printable)\b", re.IGNORECASE)

_FAULTY: Final = (
    errors.InvalidBase64CharactersDefect,
    errors.InvalidBase64LengthDefect,
    errors.InvalidBase64PaddingDefect,
)

_BASE64: Final = re.compile(rb"[A-Za-z0-9+/=]*")

_LONG_WORD: Final = 32

_NO_BASE64: Final = re.compile(rb"[^A-Za-z0-9+/=]+")


def payload_of(part: Message, warn: Callable[[str], None]) -> bytes:
    """Undo the transfer encoding of a part, whose name may have a comment.

    Of base64 that is cut short what is there is read; where texts of it were joined, all of them;
    and the plain text that lists and relays put behind one is a part of it.
    """
    named = str(part.get("Content-Transfer-Encoding", ""))
    if (found := _TRANSFER.match(named)) and found[1] != named:
        part.replace_header("Content-Transfer-Encoding", found[1])
    payload = part.get_payload(decode=True)
    if not any(isinstance(one, _FAULTY) for one in part.defects):
        return payload if isinstance(payload, bytes) else b""
    raw = str(part.get_payload()).encode("utf-8", "surrogateescape")
    lines = [line.strip() for line in raw.splitlines()]
    end = len(lines)
    if part.get_content_maintype() == "text":
        ends = (at for at, line in enumerate(lines[:-1], 1) if not line or line.endswith(b"="))
        end = next((at for at in ends if not _is_coded(lines[at])), end)
    given = b"".join(b"".join(lines[:end]).split())
    coded = _NO_BASE64.sub(b"", given)
    pieces = [piece for piece in coded.split(b"=") if piece]
    if len(pieces) > 1 or len(given) % 4 or given != coded or lines[end:]:
        warn("parts whose base64 breaks off, or goes on behind its end: all that can be read is")
    return b"\n".join((b"".join(map(_decoded, pieces)), *lines[end:]))


def _is_coded(line: bytes) -> bool:
    """Whether a line is base64 of a text, and no word of a footer."""
    if len(line) % 4 or not _BASE64.fullmatch(line):
        return False
    if len(line) > _LONG_WORD:
        return True
    with suppress(UnicodeDecodeError):
        _decoded(line.rstrip(b"=")).decode()
        return True
    return False


def _decoded(piece: bytes) -> bytes:
    whole = piece[: len(piece) - (len(piece) % 4 == 1)]
    return b64decode(whole + b"=" * (-len(whole) % 4))


def with_usual_digits(text: str) -> str:
    """Write the digits and signs of any script in the usual one, without marks that nobody sees."""
    plain = unicodedata.normalize("NFKC", text)
    seen = (char for char in plain if unicodedata.category(char) != "Cf")
    return "".join(str(unicodedata.decimal(char, char)) for char in seen)


def sound(text: str) -> str:
    """Leave out what no JSON and no header can hold: NULs, and halves of characters."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def body(text: str) -> str:
    """A text with line feeds alone, and without the empty lines around it."""
    return sound(text).replace("\r\n", "\n").strip("\r\n")
