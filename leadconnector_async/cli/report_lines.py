"""Pieces of reports that several commands print."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from leadconnector_async.cli.format import number, places, width, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from leadconnector_async.reports.reason_counts import Notes, Reason
    from leadconnector_async.reports.summary import (
        ImportSummary,
        LocationCounts,
        OutboxStatus,
        Tallied,
    )

MAX_REASONS: Final = 20

MAX_LOCATIONS: Final = 20

_COUNT: Final = 11
"""Columns of a count, right-aligned."""


def print_json(fields: Any) -> None:  # noqa: ANN401 - whatever msgspec encodes
    """Print one JSON object on a line of its own."""
    click.echo(msgspec.json.encode(fields).decode())


def figures(rows: Sequence[tuple[str, int, str]]) -> Iterator[str]:
    """A table of names, counts and remarks."""
    for name, count, remark in rows:
        yield f"  {name:<14}{number(count):>{_COUNT}}{'  ' + remark if remark else ''}"


def reason_sections(reasons: Sequence[Reason]) -> Iterator[str]:
    """The reasons of what is not sent, by what became of it, each under its heading."""
    for state in ("failed", "unresolved", "left out", "dismissed"):
        group = [reason for reason in reasons if reason.state == state]
        if group:
            yield ""
            yield f"{state.capitalize()}:"
            yield from reason_lines(group)


def all_reasons(found: OutboxStatus | ImportSummary) -> list[Reason]:
    """Why records are not sent."""
    return [*found.by_reason, *found.left_out_by_reason, *found.dismissed_by_reason]


def copies_remark(found: OutboxStatus | ImportSummary) -> str:
    """Say where the first copies stand."""
    return f"equal others: {places(found.copies_lines, found.copies)}"


def account_line(account: Tallied) -> str:
    """Say what became of all that was ever read into the outbox."""
    return f"All runs together: {account.text}."


def reason_lines(reasons: Sequence[Reason]) -> Iterator[str]:
    """Each reason with its count and, under it, the first places of it."""
    indent = " " * (_COUNT + 2)
    for reason in reasons[:MAX_REASONS]:
        first, *rest = wrapped(reason.reason, width() - len(indent))
        yield f"{number(reason.count):>{_COUNT}}  {first}"
        yield from (indent + line for line in rest)
        if reason.lines:
            yield indent + places(reason.lines, reason.count)
    hidden = reasons[MAX_REASONS:]
    if hidden:
        count = number(sum(reason.count for reason in hidden))
        yield f"{count:>{_COUNT}}  for {len(hidden)} other reasons"


def note_lines(notes: Notes) -> Iterator[str]:
    """What was left out, and what else is to be known of the records, the most frequent first."""
    for reason in notes.left_out.most_frequent():
        yield f"{reason.count:,} left out: {reason.reason} ({places(reason.lines, reason.count)})"
    for reason in notes.notices.most_frequent():
        yield f"{reason.count:,}: {reason.reason} ({places(reason.lines, reason.count)})"


def location_lines(locations: Sequence[LocationCounts]) -> Iterator[str]:
    """A table of the locations, where there are several: those with the most to do first."""
    if len(locations) < 2:  # noqa: PLR2004 - one location is the total
        return
    width = max(len("location"), *(len(location.location) for location in locations))
    yield ""
    yield f"  {'location':<{width}}{'sent':>{_COUNT}}{'failed':>8}{'unresolved':>12}{'pending':>10}"
    by_work = sorted(locations, key=lambda of: (-of.pending, -of.failed - of.unresolved))
    for of in by_work[:MAX_LOCATIONS]:
        yield (
            f"  {of.location or '(none)':<{width}}{number(of.sent):>{_COUNT}}"
            f"{number(of.failed):>8}{number(of.unresolved):>12}{number(of.pending):>10}"
        )
        if of.error is not None:
            yield f"    {of.error}"
    if len(locations) > MAX_LOCATIONS:
        yield f"  and {len(locations) - MAX_LOCATIONS} more"
