"""The report of a dry run: what an import would do, and how long it would take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leadconnector_async.cli._import_report import AUTOMATIONS, HEADINGS
from leadconnector_async.cli._report import (
    MOST_LOCATIONS,
    account_line,
    all_reasons,
    copies_remark,
    figures,
    reason_sections,
)
from leadconnector_async.cli._words import duration, number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leadconnector_async._importing.summary import LocationPlan, Summary
    from leadconnector_async.cli._settings import ImportOptions


def plan_lines(summary: Summary, options: ImportOptions) -> Iterator[str]:
    """The whole report, line by line."""
    yield HEADINGS["planned"]
    yield ""
    yield from figures(_figures(summary))
    yield ""
    yield account_line(summary.account)
    yield _estimate(summary, options)
    yield from _locations(summary.plan)
    yield from reason_sections(all_reasons(summary))
    if summary.pending and not options.sandbox:
        yield ""
        yield AUTOMATIONS


def _figures(summary: Summary) -> list[tuple[str, int, str]]:
    plan = summary.plan
    least = sum(of.requests_least for of in plan)
    most = sum(of.requests_most for of in plan)
    up_to = f"at least, {number(most)} at most, if none fails" if most > least else ""
    rows = [
        ("to send", summary.pending, ""),
        ("known already", summary.skipped, "are in the outbox already"),
        ("failed", summary.failed, "would be on the list of failed records"),
        ("copies", summary.copies, copies_remark(summary)),
        ("left out", summary.left_out, ""),
        ("dismissed", summary.dismissed, "given up after they had failed"),
        ("contacts", sum(of.contacts for of in plan), "to find, or else to create"),
        ("files", sum(of.files for of in plan), "to upload, each content once"),
        ("conversations", sum(of.conversations for of in plan), "to open, for files and calls"),
        ("requests", least, up_to),
    ]
    return [row for row in rows if row[1] or row[0] in ("to send", "known already", "failed")]


def _estimate(summary: Summary, options: ImportOptions) -> str:
    limit, least, most = options.limit(), summary.estimate_s, summary.estimate_most_s or 0.0
    if least and any(own != limit for own in options.limits().values()):
        return f"Sending takes {_span(least, most)} at least, by each location's quota."
    if limit is None or summary.estimate_s is None:
        return "No quota limits the speed."
    daily = f" and {number(limit.daily)} a day" if limit.daily else ""
    quota = f"{number(limit.requests)} per {limit.interval:g} s{daily}"
    return f"Sending takes {_span(least or 0.0, most)} at least, by the quota of {quota}."


def _span(least: float, most: float) -> str:
    return duration(least) if most <= least else f"{duration(least)} to {duration(most)}"


def _locations(plans: list[LocationPlan]) -> Iterator[str]:
    """A table, where there are several: the slowest ones first."""
    if len(plans) < 2:  # noqa: PLR2004 - one location is the total
        return
    width = max(len("location"), *(len(of.location) for of in plans))
    yield ""
    heads = ("records", "contacts", "files", "conversations", "requests")
    yield f"  {'location':<{width}}{''.join(f'{head:>15}' for head in heads)}  time"
    for of in sorted(plans, key=lambda of: -of.estimate_most_s)[:MOST_LOCATIONS]:
        requests = number(of.requests_least)
        if of.requests_most > of.requests_least:
            requests += f" to {number(of.requests_most)}"
        cells = (*map(number, (of.records, of.contacts, of.files, of.conversations)), requests)
        time = _span(of.estimate_s, of.estimate_most_s)
        yield f"  {of.location:<{width}}{''.join(f'{cell:>15}' for cell in cells)}  {time}"
    if len(plans) > MOST_LOCATIONS:
        yield f"  and {len(plans) - MOST_LOCATIONS} more"
