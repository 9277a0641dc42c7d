from __future__ import annotations

import pytest

from leadconnector_async.sources.encoding import body, decode_text, sound


@pytest.mark.parametrize(
    ("content", "charset", "text", "warned"),
    [
        ("grün".encode(), "utf-8", "grün", 0),
        ("grün".encode("latin-1"), "iso-8859-1", "grün", 0),
        ("日本".encode("iso-2022-jp"), "ISO-2022-JP", "日本", 0),
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
