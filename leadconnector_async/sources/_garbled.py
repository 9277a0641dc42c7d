"""Text that was UTF-8 and was read as Latin-1 or Windows-1252: ``cafÃ©`` for ``café``.

What is found is certain: the whole text goes back to bytes, and these are UTF-8. So no library
that weighs likelihoods is needed, and no text is taken for garbled that is not; one that only in
part is stays unfound.
"""

from __future__ import annotations

import re
from typing import Final

GARBLED: Final = "text that looks decoded wrongly, as Ã© for é: --repair-text mends such"
MENDED: Final = "text that had been decoded wrongly, as Ã© for é, and was mended"
NULS: Final = "text with NUL characters, which were taken out"

_BYTES: Final = {
    ord(bytes([byte]).decode("cp1252", "ignore") or chr(byte)): byte for byte in range(0x80, 0xA0)
}
"""The bytes of the characters that Windows-1252 has where Latin-1 has controls."""
_LATER: Final = "".join(re.escape(chr(char)) for char in _BYTES)
_PAIR: Final = re.compile(f"[\u00c2-\u00f4][\u0080-\u00bf{_LATER}]")
_CAPITAL_AT_QUOTE: Final = re.compile("[\u00c4-\u00de][\u00a0\u00ab\u00bb]")
"""``CAFÉ»`` would be UTF-8 too, of a rare letter."""
_MOST_ROUNDS: Final = 3

# Both begin with text, for which a line is searched fastest.
garbled_perhaps: Final = re.compile(
    rb"\xc3[\x82-\xb4](?:\xc2[\x80-\xbf]|\xe2[\x80-\x84]|[\xc5\xc6\xcb])"
).search
"""Look at a line in UTF-8 quickly. None is certain."""
escaped_oddly: Final = re.compile(
    rb"\\u00(?:00|[c-fC-F][0-9a-fA-F]\\u(?:00[89abAB]|20|21|01|02))"
).search
"""The same for what JSON escapes, and for NULs."""


def mended(text: str) -> str | None:
    """Decode a text as it was meant. None for one that is as it should be."""
    found = None
    for _ in range(_MOST_ROUNDS):
        if _PAIR.search(text) is None or _CAPITAL_AT_QUOTE.sub("", text).isascii():
            break
        try:
            text = found = text.translate(_BYTES).encode("latin-1").decode("utf-8")
        except UnicodeError:
            break
    return found
