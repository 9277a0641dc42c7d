"""What the rate-limit headers say.

Any may be missing, nonsense, or in contradiction to another: all of these read as None.
Source: the API's documentation of ``X-RateLimit-*``; ``X-RateLimit-Daily-Reset`` is undocumented.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Mapping

LARGEST_FIGURE: Final = 10**10
"""Anything larger is garbage: 10**10 milliseconds is a third of a year."""


class Allowance(Struct, frozen=True, kw_only=True, gc=False):
    """The quota as the server sees it at the moment of an answer."""

    max: int | None = None
    remaining: int | None = None
    interval_ms: int | None = None
    daily_limit: int | None = None
    daily_remaining: int | None = None
    daily_reset_ms: int | None = None


SILENT: Final = Allowance()


@lru_cache(maxsize=4096)  # limits never change, and what remains is mostly a small number
def _figure(text: str | None) -> int | None:
    if text is None or not text.isascii() or not text.isdigit() or len(text) > 11:
        return None
    value = int(text)
    return value if value <= LARGEST_FIGURE else None


def read_allowance(headers: Mapping[str, str]) -> Allowance:
    """Read the headers of one answer.

    More than all of a limit cannot remain: then neither of the two is believed.
    """
    get = headers.get
    most, remaining = _figure(get("X-RateLimit-Max")), _figure(get("X-RateLimit-Remaining"))
    if most is not None and remaining is not None and remaining > most:
        most = remaining = None
    daily = _figure(get("X-RateLimit-Limit-Daily"))
    daily_remaining = _figure(get("X-RateLimit-Daily-Remaining"))
    if daily is not None and daily_remaining is not None and daily_remaining > daily:
        daily = daily_remaining = None
    return Allowance(
        max=most,
        remaining=remaining,
        interval_ms=_figure(get("X-RateLimit-Interval-Milliseconds")),
        daily_limit=daily,
        daily_remaining=daily_remaining,
        daily_reset_ms=_figure(get("X-RateLimit-Daily-Reset")),
    )
