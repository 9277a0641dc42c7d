"""Text of mails, whatever its charset is said to be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_UNSAID: Final = frozenset({None, "", "us-ascii", "ascii", "unknown-8bit", "x-unknown", "8bit"})
"""Charsets of mails whose writer did not know."""


def decode_text(
    content: bytes, charset: str | None, warn: Callable[[str], None] = lambda _: None
) -> str:
    """Decode a text; what cannot be is replaced, with a warning.

    Text without a charset is UTF-8 where it can be, else cp1252: nearly no other text is UTF-8 by
    chance, and bytes of any kind are cp1252 or Latin-1.
    """
    if charset in _UNSAID:
        try:
            return content.decode()
        except UnicodeDecodeError:
            return content.decode("cp1252", "replace")
    assert charset is not None  # noqa: S101 - tells the type checker
    try:
        return content.decode(charset)
    except (LookupError, ValueError):
        pass  # no such charset, or not text of it
    try:
        text = content.decode(charset, "replace")
    except (LookupError, ValueError):
        warn("a charset that is not known: characters may be wrong")
        return decode_text(content, None)
    warn("characters that are not of their charset: they are replaced")
    return text


def sound(text: str) -> str:
    """Leave out what no JSON and no header can hold: NULs, and halves of characters."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def body(text: str) -> str:
    """A text with line feeds alone, and without the empty lines around it."""
    return sound(text).replace("\r\n", "\n").strip("\r\n")
