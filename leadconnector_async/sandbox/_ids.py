"""Ids that look like the API's: 20 letters and digits, the same for the same seed."""

from __future__ import annotations

import re
import string
from hashlib import blake2b
from itertools import product
from typing import Final

_LETTERS: Final = string.ascii_letters + string.digits
_PAIRS: Final = ["".join(pair) for pair in product(_LETTERS, repeat=2)]
_SPACE: Final = len(_PAIRS) ** 5
_FORM: Final = re.compile(r"[0-9A-Za-z]{20}")
_FORM_OF_PROVIDERS: Final = re.compile(r"[0-9a-f]{24}|[0-9A-Za-z]{20}")


def is_own_form(text: str) -> bool:
    """Tell whether the API may have given out such an id, by the examples of its OpenAPI files."""
    return _FORM.fullmatch(text) is not None


def is_provider_form(text: str) -> bool:
    """The same of the id of a conversation provider."""
    return _FORM_OF_PROVIDERS.fullmatch(text) is not None


def _spell(number: int) -> str:
    """Ten letters for a number below `_SPACE`."""
    pairs, base = _PAIRS, len(_PAIRS)
    text = ""
    for _ in range(5):
        number, index = divmod(number, base)
        text += pairs[index]
    return text


def _numbers(*parts: object) -> tuple[int, int]:
    digest = blake2b("\0".join(map(str, parts)).encode(), digest_size=16).digest()
    return int.from_bytes(digest[:8]) % _SPACE, int.from_bytes(digest[8:]) % _SPACE


def derived_id(*parts: object) -> str:
    """The id that belongs to these parts."""
    first, second = _numbers(*parts)
    return _spell(first) + _spell(second)


class Ids:
    """A seeded sequence of ids without a repetition.

    Their second half is the same for all; the first walks through all its values, since the step
    shares no factor with 62.
    """

    def __init__(self, seed: int) -> None:
        self._at, tail = _numbers("ids", seed)
        self._tail = _spell(tail)
        self._step = _numbers("step", seed)[0] // 62 * 62 + 1

    def __call__(self) -> str:
        self._at = (self._at + self._step) % _SPACE
        return _spell(self._at) + self._tail
