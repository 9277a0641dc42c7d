"""The sentences of the page: figures, dates and reasons as a client reads them."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Final

from leadconnector_async.cli.format import counted
from leadconnector_async.data_files import read_toml

if TYPE_CHECKING:
    from collections.abc import Iterable

    from leadconnector_async.reports.history_report import ReasonCount, StateCounts

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def share(part: int, whole: int) -> str:
    """Per cent, which never rounds to all or to none."""
    if not whole:
        return "\u2013"
    per_cent = 100 * part / whole
    if part in (0, whole):
        return f"{per_cent:.0f}%"
    if per_cent < 0.1:  # noqa: PLR2004 - what one decimal can say
        return "<0.1%"
    return ">99.9%" if per_cent > 99.9 else f"{per_cent:.1f}%"  # noqa: PLR2004 - the same


def day(moment_ms: int | None) -> str:
    """``1 March 2024``, in UTC."""
    if moment_ms is None:
        return "\u2013"
    found = _EPOCH + timedelta(milliseconds=moment_ms)
    return f"{found.day} {found:%B} {found.year}"


def clock(moment_ms: int) -> str:
    """``1 March 2024, 14:05 UTC``."""
    return f"{day(moment_ms)}, {_EPOCH + timedelta(milliseconds=moment_ms):%H:%M} UTC"


def headline(counts: StateCounts) -> str:
    """What the state means, in one sentence."""
    total, sent = counts.total, counts.sent
    if not total:
        return "Nothing has been imported yet."
    if sent == total:
        all_ = f"All {total:,} messages are" if total > 1 else "The one message is"
        return f"{all_} in LeadConnector."
    verb = "is" if total == 1 or sent == 1 else "are"
    if not sent:
        of = "The one message is not" if total == 1 else f"None of the {total:,} messages is"
        return f"{of} in LeadConnector{' yet' if counts.pending == total else ''}."
    return f"{sent:,} of {counted(total, 'message')} {verb} in LeadConnector."


@cache
def _sentences() -> list[tuple[re.Pattern[str], str]]:
    sentences = read_toml(__package__, "wording")["sentences"]
    return [(re.compile(rule), said) for rule, said in sentences]


def plain(why: ReasonCount) -> str:
    """A reason without the words of files and interfaces. Of several the first one counts."""
    if why.unresolved:
        return "LeadConnector gave no clear answer, and it could not be found out later."
    other = "It could not be used as it stands in the file."
    return next((said for rule, said in _sentences() if rule.match(why.reason)), other)


def in_plain_words(reasons: Iterable[ReasonCount]) -> list[tuple[str, int]]:
    """Reasons with their counts, the most frequent first."""
    counts: Counter[str] = Counter()
    for why in reasons:
        counts[plain(why)] += why.count
    return counts.most_common()
