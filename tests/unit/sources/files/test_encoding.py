from __future__ import annotations

import codecs
import io
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from leadconnector_async.errors import SourceError
from leadconnector_async.sources.files.byte_stream import ByteStream
from leadconnector_async.sources.files.encoding import Utf8Text, body, decode_text, sound

CONTENT = 'type,message\nSMS,"Grüße, 名前 😀"\n'


class _Pipe(io.BytesIO):
    """A file that is read in the pieces in which it was written."""

    def __init__(self, *pieces: bytes) -> None:
        super().__init__(b"".join(pieces))
        self._sizes = [len(piece) for piece in pieces]

    def read(self, size: int | None = -1) -> bytes:
        return super().read(self._sizes.pop(0) if self._sizes else size)


def _text(*pieces: bytes, encoding: str | None = None) -> Utf8Text:
    return Utf8Text(ByteStream(_Pipe(*pieces), "history.csv"), encoding)


def _read(*pieces: bytes, encoding: str | None = None) -> bytes:
    return b"".join(_text(*pieces, encoding=encoding).chunks())


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
    ],
)
def test_a_byte_order_mark_settles_the_encoding(mark: bytes, encoding: str) -> None:
    """Spreadsheets write it; it wins over what the user says, since it is in the file."""
    content = mark + CONTENT.encode(encoding)
    assert _read(content) == _read(content, encoding="cp1252") == CONTENT.encode()
    assert _text(content).marked
    assert _text(content).encoding == encoding


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_is_known_without_a_mark(encoding: str) -> None:
    """Records begin with ASCII, so NULs beside it give UTF-16 away."""
    content = CONTENT.encode(encoding)
    assert _read(content) == _read(content, encoding="utf-16") == CONTENT.encode()


@pytest.mark.parametrize("encoding", ["utf-16", "UTF-32"])
def test_a_file_that_is_not_in_the_named_encoding_is_refused(encoding: str) -> None:
    """Of UTF-16 and UTF-32 the beginning has to tell the order of the bytes."""
    with pytest.raises(SourceError, match=f"--encoding {encoding} is no encoding, or not this"):
        _text(CONTENT.encode(), encoding=encoding)


@pytest.mark.parametrize("encoding", ["utf-8", "UTF8", "utf-8-sig", "utf-16-le", "gb18030"])
def test_a_named_encoding_is_read(encoding: str) -> None:
    """``--encoding`` takes every name that Python knows."""
    content = CONTENT.encode(encoding).removeprefix(codecs.BOM_UTF8)
    assert _read(content, encoding=encoding) == CONTENT.encode()


def test_a_file_that_is_utf_8_stays_so_where_another_one_is_not() -> None:
    """``--encoding`` is for all files of an import: the texts of these were sent again, garbled."""
    for text in ("Größe", "Привет", "你好", "🚲"):
        content = f"message\n{text}\n".encode()
        for cut in range(len(content)):
            assert _read(content[:cut], content[cut:], encoding="cp1252") == content
    for encoding in ("cp1252", "cp1250", "mac-roman", "cp850"):
        assert _read("Größe »Ö«".encode(encoding), encoding=encoding) == "Größe »Ö«".encode()
    for text, encoding in (
        *(("Привет", "cp1251"), ("你好", "gb18030"), ("こんにちは", "cp932")),
        ("联通", "gbk"),  # whose bytes are UTF-8, too
    ):
        assert _read(text.encode(encoding), encoding=encoding) == text.encode()


def test_codecs_that_are_no_text_encodings_are_refused() -> None:
    """Python knows codecs from bytes to bytes under the same names."""
    for encoding in ("hex", "zip", "nonsense", "undefined", "punycode"):
        with pytest.raises(SourceError, match=f"--encoding {encoding} is no encoding, or"):
            _text(b"type\n", encoding=encoding)


@given(st.lists(st.integers(0, 60)), st.sampled_from(["utf-8", "utf-16", "shift_jis", "utf-7"]))
def test_pieces_may_cut_characters(cuts: list[int], encoding: str) -> None:
    """A character of several bytes can lie across the border of two pieces."""
    text = "type,message\nSMS,名前です\n" * 300
    content = text.encode(encoding)
    at = [0, *sorted(4096 + cut for cut in cuts), len(content)]
    pieces = [content[start:end] for start, end in pairwise(at)]
    given_encoding = None if encoding == "utf-16" else encoding
    assert _read(*filter(None, pieces), encoding=given_encoding) == text.encode()


def test_bad_bytes_are_found_in_any_encoding() -> None:
    """What cannot be decoded is invalid in the UTF-8 that comes out, at the same character."""
    text = _text("SMS,h\n".encode("utf-16") + b"\x00\xdc" + "S\n".encode("utf-16-le"))
    first, second, _ = b"".join(text.chunks()).split(b"\n")
    assert text.undecodable(first) is None
    problem = text.undecodable(second)
    assert problem is not None
    assert str(problem) == "line is not UTF-16-LE (position 1): save the file as UTF-8"


def test_a_bad_byte_of_utf_8_is_named() -> None:
    """Byte and position lead to the place; the fix names the option."""
    problem = _text(b"type\n").undecodable(b"SMS,caf\xe9,x")
    assert problem is not None
    assert problem.wrong == "is not UTF-8 (byte 0xE9 at position 8)"
    assert "--encoding cp1252" in problem.fix


def test_a_half_character_at_the_end_is_found() -> None:
    """UTF-16 with an odd number of bytes is cut short."""
    with pytest.raises(UnicodeDecodeError):
        _read("ab".encode("utf-16") + b"x").decode()


def test_carriage_returns_alone_end_lines() -> None:
    """Old spreadsheets write them; a carriage return in a file with line feeds is left alone."""
    assert _read(b"type\rSMS\r", b"Email\r") == b"type\nSMS\nEmail\n"
    assert _read(b"type\r\nS\rMS\r\n") == b"type\r\nS\rMS\r\n"
    assert _read(b"x" * 5000 + b"\r", b"\ny") == b"x" * 5000 + b"\r\ny"


def test_the_head_is_long_enough_to_judge_by() -> None:
    """Pipes give short pieces: they are joined before anything is judged."""
    text = _text(b"\xef", b"\xbb\xbf", b"ty", b"pe\n")
    assert text.head == b"type\n"
    assert b"".join(text.chunks()) == b"type\n"


@pytest.mark.parametrize(
    ("content", "charset", "text", "warned"),
    [
        ("grün".encode(), "utf-8", "grün", 0),
        ("grün".encode("latin-1"), "iso-8859-1", "grün", 0),
        ("“grün” €".encode("cp1252"), "iso-8859-1", "“grün” €", 0),
        (b"gr\xfcn \x81", "iso-8859-1", "grün \x81", 0),
        ("日本".encode("iso-2022-jp"), "ISO-2022-JP", "日本", 0),
        ("“镕”".encode("gb18030"), "gb2312", "“镕”", 0),
        ("שלום".encode("iso-8859-8"), "iso-8859-8-i", "שלום", 0),
        ("é".encode("mac-roman"), "x-mac-roman", "é", 0),
        ("grün".encode(), None, "grün", 0),
        ("grün".encode(), "us-ascii", "grün", 0),
        ("grün".encode("cp1252"), "us-ascii", "grün", 0),
        (b"gr\xfcn", "utf-8", "gr\ufffdn", 1),
        ("grün".encode(), "nonsense", "grün", 1),
        (b"gr\xfcn", "base64", "grün", 1),
        (b"a", "nul\0", "a", 1),
        (b"a", "undefined", "a", 1),
    ],
)
def test_every_text_is_decoded_somehow(
    content: bytes, charset: str | None, text: str, warned: int
) -> None:
    """With a warning where the result may be wrong."""
    warnings: list[str] = []
    assert decode_text(content, charset, warnings.append) == text
    assert len(warnings) == warned


def test_texts_hold_only_what_json_can() -> None:
    """UTF-7 can make halves of characters, which no other encoding can write."""
    assert sound(decode_text(b"a+2AA-b\0", "utf-7")) == "a?b"


def test_bodies_have_line_feeds_alone() -> None:
    """And no empty lines around them; indentation stays."""
    assert body("\r\n\r\n  a\r\nb\n\n") == "  a\nb"
