"""Why records failed: reasons that differ by what one record holds are told as one.

A file whose dates are all of another form would otherwise have as many reasons as lines.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_REASONS: Final = 1_000

OTHERS: Final = "other reasons"
"""Takes what comes after so many different reasons: memory has to stay bounded."""

_OF_ONE_RECORD: Final = re.compile(
    r"""\ \("[^"]*"\)                                  # the value
    | \ \((?:byte\ 0x[0-9A-F]{2}\ at\ )?position\ \d+\)  # what cannot be decoded
    | \ at\ position\ \d+
    | (?<=\btext)\ of\ \d+\ characters
    """,
    re.VERBOSE,
)


def gist(reason: str) -> str:
    """A reason without the value, the length and the position that one record has."""
    if '("' in reason or "position" in reason or "characters" in reason:  # which is rare
        return _OF_ONE_RECORD.sub("", reason)
    return reason


class Group(Struct):
    """How many records ended so. ``reason`` is the gist where several reasons share it."""

    state: int
    reason: str | None
    count: int
    sources: list[tuple[int, int | None]]
    """Each reason with the first record that ended so: ``(seq, reason)``."""


def grouped(
    rows: Iterable[tuple[int, int | None, str | None, int, int]], most_sources: int
) -> list[Group]:
    """Put like reasons together, the most frequent first, with the earliest few of each group.

    ``rows`` are state, number and text of a reason, how many ended so, and the first of them.
    """
    groups: dict[tuple[int, str | None], Group] = {}
    for state, number, text, n, seq in rows:
        key = state, text and gist(text)
        if key not in groups and len(groups) >= MAX_REASONS:
            key = state, OTHERS
        group = groups.get(key)
        if group is None:
            first = OTHERS if key[1] == OTHERS else text
            groups[key] = Group(state, first, n, [(seq, number)])
            continue
        group.reason = key[1]
        group.count += n
        group.sources = sorted([*group.sources, (seq, number)])[:most_sources]
    return sorted(groups.values(), key=lambda group: -group.count)
