"""Texts of columns as a mapping means them: words, beginnings and dates."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from leadconnector_async.errors import SourceError
from leadconnector_async.sources.date_forms import LocalText, by_format
from leadconnector_async.sources.fields import folded
from leadconnector_async.sources.values import WrongValueError, quoted

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import tzinfo

    from leadconnector_async.sources.mapping import FieldRule


def translated(words: Mapping[str, str], text: str) -> str:
    """Translate a word, whatever its case and separators."""
    found = meant_by(words, text)
    if found is None:
        fix = f"write one of {', '.join(list(words)[:10])}, add it to the words of a mapping"
        raise WrongValueError(f"is {quoted(text)}, which the mapping does not know", fix)
    return found


def meant_by(words: Mapping[str, str], text: str) -> str | None:
    """Give what a word means, if it is listed."""
    found = words.get(text)
    if found is None and (spelling := folded(text)):
        found = next((meant for word, meant in words.items() if folded(word) == spelling), None)
    return found


def by_prefix(prefixes: Mapping[str, str], text: str) -> str:
    """Give what the beginning of a value means."""
    for prefix in sorted(prefixes, key=len, reverse=True):
        if text.startswith(prefix):
            return prefixes[prefix]
    raise WrongValueError(
        "begins with nothing that the mapping knows", 'add it, or "" for all others'
    )


def date_of(rule: FieldRule, text: str) -> str | None:
    """Read a date by the formats of a rule. None for the zero of one; any form, if it has none."""
    zone: tzinfo | None = zone_of(rule.zone) if rule.zone else None
    if isinstance(text, LocalText):
        zone = text.zone
    if not rule.formats:
        return LocalText.of(text, zone) if zone else text
    for pattern in rule.formats:
        try:
            date = by_format(text, pattern)
        except ValueError:
            return None
        if date is not None:
            written = date.isoformat()
            return LocalText.of(written, zone) if zone and date.tzinfo is None else written
    formats = ", ".join(rule.formats)
    raise WrongValueError("is no date in a format of the mapping", f"write it as one of {formats}")


@lru_cache
def zone_of(name: str) -> ZoneInfo:
    """Find a time zone.

    Raises:
        SourceError: there is none of that name.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise SourceError(f"the mapping's zone {name} is none: write one such as UTC") from error
