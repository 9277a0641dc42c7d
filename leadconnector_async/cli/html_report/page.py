"""The page as a whole.

The tables of the page.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from leadconnector_async.cli.format import counted, number
from leadconnector_async.cli.html_report.chart import chart
from leadconnector_async.cli.html_report.markup import STYLE, Markup, element, join, void
from leadconnector_async.cli.html_report.reason_tables import in_plain_words
from leadconnector_async.cli.html_report.series import binned, legend, series_of, type_label, unit
from leadconnector_async.cli.html_report.wording import (
    clock,
    course,
    day,
    headline,
    period_words,
    remainder,
    share,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from leadconnector_async.cli.html_report.series import Bin
    from leadconnector_async.reports.history_report import HistoryReport, ReasonCount, StateCounts

MAX_REASONS: Final = 100

_ENDS: Final = ("Sent", "Failed", "Unresolved", "Pending")


def table(
    caption: str, head: Sequence[str], body: Iterable[Markup], foot: Markup | None = None
) -> Markup:
    """A table whose first column is text, and the others figures."""
    first, *others = head
    cells = [
        element("th", first, scope="col", class_="text"),
        *(element("th", name, scope="col") for name in others),
    ]
    parts = [
        element("caption", caption),
        element("thead", element("tr", *cells)),
        element("tbody", *body),
    ]
    if foot is not None:
        parts.append(element("tfoot", foot))
    return element("div", element("table", *parts), class_="wide")


def row(name: str, *cells: int | str) -> Markup:
    """A row of figures, with its name as the heading. Whatever its script, it harms no other."""
    heading = element("th", element("bdi", name), scope="row", class_="text long")
    return element("tr", heading, *map(_cell, cells))


def _cell(value: int | str) -> Markup:
    if value == 0:
        return element("td", "0", class_="zero")
    return element("td", number(value) if isinstance(value, int) else value)


def _ends(counts: StateCounts) -> tuple[int, ...]:
    return counts.sent, counts.failed, counts.unresolved, counts.pending


def by_month(bins: Sequence[Bin], types: Sequence[str]) -> Markup:
    """The figures of the time line."""
    head = [unit(list(bins)).capitalize(), *map(type_label, types), "Total", "Of these sent"]
    body = (
        row(found.name, *(found.types[name] for name in types), found.total, found.sent)
        for found in bins
    )
    totals = sum((found.types for found in bins), Counter[str]())
    sums = [*(totals[name] for name in types), totals.total(), sum(found.sent for found in bins)]
    return table("By the date of the message, in UTC.", head, body, row("Total", *sums))


def by_kind(report: HistoryReport) -> Markup:
    """Types, each with its directions and its ends."""
    directions = [
        (key, name)
        for key, name in (("inbound", "Inbound"), ("outbound", "Outbound"), (None, "Unknown"))
        if key is not None or any(way is None for _, way in report.kinds)
    ]
    totals: Counter[str | None] = Counter()
    for (type_, _), counts in report.kinds.items():
        totals[type_] += counts.total
    rows = [
        _kind(report, [type_], type_label(type_), directions) for type_, _ in totals.most_common()
    ]
    foot = _kind(report, list(totals), "Total", directions) if len(totals) > 1 else None
    head = ["Type", *(name for _, name in directions), "Total", *_ENDS]
    return table("Direction and state of each type of message.", head, rows, foot)


def _kind(
    report: HistoryReport,
    types: Sequence[str | None],
    name: str,
    directions: Sequence[tuple[str | None, str]],
) -> Markup:
    ways: Counter[str | None] = Counter()
    states: Counter[int] = Counter()
    for (type_, way), counts in report.kinds.items():
        if type_ in types:
            ways[way] += counts.total
            states.update(dict(enumerate(_ends(counts))))
    figures = [ways[way] for way, _ in directions]
    return row(name, *figures, ways.total(), *(states[at] for at in range(len(_ENDS))))


def by_location(report: HistoryReport) -> Markup:
    """Locations, the largest first."""
    places = sorted(report.locations.items(), key=lambda of: (-of[1][0].total, of[0]))
    rows = (
        row(name or "no location given", *_ends(counts), day(period.first), day(period.last))
        for name, (counts, period) in places
    )
    period = report.period
    foot = row("Total", *_ends(report.counts), day(period.first), day(period.last))
    head = ["Location", *_ENDS, "First message", "Last message"]
    caption = "What became of the messages of each location, and the dates they cover."
    return table(caption, head, rows, foot if len(places) > 1 else None)


def by_reason(report: HistoryReport, *, unresolved: bool) -> Markup:
    """Why messages are not sent, or not known to be; empty if there are none."""
    total = report.counts.unresolved if unresolved else report.counts.failed
    if not total:
        return Markup()
    found = [why for why in report.reasons if why.unresolved is unresolved]
    caption = (
        "Unresolved: may be in LeadConnector or not."
        if unresolved
        else "Failed: not in LeadConnector."
    )
    technical = _reasons("As the import put it.", _as_it_stands(found), total)
    return join(
        _reasons(caption, in_plain_words(found), total),
        element("details", element("summary", "The same in technical words"), technical),
    )


def by_choice(report: HistoryReport) -> Markup:
    """What was not meant to be sent, and what was given up; empty if there is none."""
    parts = [
        _reasons(caption, found, sum(count for _, count in found))
        for caption, found in (
            ("Left out: not meant to be imported.", _as_it_stands(report.left_out)),
            (
                "Given up: could not be imported, and is not waited for.",
                in_plain_words(report.dismissed),
            ),
        )
        if found
    ]
    return join(*parts)


def _as_it_stands(reasons: Iterable[ReasonCount]) -> list[tuple[str, int]]:
    return [(why.reason, why.count) for why in reasons]


def _reasons(caption: str, found: list[tuple[str, int]], total: int) -> Markup:
    listed = found[:MAX_REASONS]
    rows = [row(reason, count, share(count, total)) for reason, count in listed]
    rest = total - sum(count for _, count in listed)
    if rest > 0:
        rows.append(row("Other reasons", rest, share(rest, total)))
    return table(caption, ["Reason", "Messages", "Share"], rows)


_HEADING: Final = "Message history in LeadConnector"

_FEW: Final = 3

_STATES: Final = (
    ("sent", "✓ Sent", "confirmed by LeadConnector"),
    ("failed", "✕ Failed", "not in LeadConnector"),
    ("unresolved", "? Unresolved", "may be there or not"),
    ("pending", "… Pending", "still to be sent"),
)

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"


def page(report: HistoryReport, *, title: str | None, made_ms: int) -> str:
    """Write the page."""
    name = f"{title} \u2013 {_HEADING}" if title else _HEADING
    head = element(
        "head",
        Markup('<meta charset="utf-8">'),
        Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'),
        element("title", name),
        element("style", Markup(STYLE)),
    )
    main = element("main", *_sections(report, title, made_ms))
    html = element("html", head, element("body", main, _footer()), lang="en")
    return f"<!DOCTYPE html>\n{html}\n"


def _sections(report: HistoryReport, title: str | None, made_ms: int) -> list[Markup]:
    parts = [_header(report, title, made_ms), _totals(report.counts)]
    if not report.counts.total:
        return parts + _choice(report)
    parts += [element("h2", "Messages over time"), _time_line(report)]
    parts += [element("h2", "By type and direction"), by_kind(report)]
    parts += [element("h2", "By location"), by_location(report)]
    reasons = [by_reason(report, unresolved=which) for which in (False, True)]
    if any(reasons):
        parts += [element("h2", "Failed and unresolved, by reason"), *reasons]
    parts += _choice(report)
    lookups = course(report.times, report.counts.sent)
    if lookups:
        parts += [element("h2", "Course of the import"), _facts(lookups)]
    return parts


def _choice(report: HistoryReport) -> list[Markup]:
    choice = by_choice(report)
    return [element("h2", "Left out and given up"), choice] if choice else []


def _header(report: HistoryReport, title: str | None, made_ms: int) -> Markup:
    names = sorted(report.locations)
    where = ", ".join(name or "no location given" for name in names[:_FEW])
    if len(names) > _FEW:
        where = f"{number(len(names))} locations, listed below"
    lookups = [("Report made", clock(made_ms))]
    if report.period.first is not None:
        lookups.append(("Messages from", period_words(report.period)))
    if names:
        lookups.append(("Location" if len(names) == 1 else "Locations", where))
    kicker = element("p", _HEADING if title else "Report", class_="kicker")
    heading = element("h1", element("bdi", title or _HEADING))
    return element("header", kicker, heading, _facts(lookups))


def _facts(lookups: list[tuple[str, str]]) -> Markup:
    return element(
        "dl",
        *(join(element("dt", term), element("dd", element("bdi", what))) for term, what in lookups),
        class_="facts",
    )


def _totals(counts: StateCounts) -> Markup:
    parts = [element("p", headline(counts), class_="verdict")]
    rest = " ".join(remainder(counts))
    if rest:
        parts.append(element("p", rest, class_="soft"))
    if counts.total:
        parts += [_shares(counts), element("ul", *_tiles(counts), class_="tiles")]
    return element("section", *parts)


def _shares(state_counts: StateCounts) -> Markup:
    """A bar of what stands where. What is there at all can be seen."""
    counts = [
        (name, getattr(state_counts, name)) for name, _, _ in _STATES if getattr(state_counts, name)
    ]
    widths = [max(1000 * n / state_counts.total, 4) for _, n in counts]
    scale = 1000 / sum(widths)
    x = 0.0
    pieces = []
    for (name, _), width in zip(counts, widths, strict=True):
        size = {"x": x, "width": max(width * scale - 1.5, 1.5), "height": 14}
        pieces.append(void("rect", fill="currentColor", class_=name, **size))
        x += width * scale
    box = {"viewBox": "0 0 1000 14", "preserveAspectRatio": "none"}
    return element("svg", *pieces, class_="share", aria_hidden="true", **box)


def _tiles(counts: StateCounts) -> list[Markup]:
    tiles = []
    for name, shown, meaning in _STATES:
        n = getattr(counts, name)
        parts = [
            element("span", shown, class_="name"),
            element("b", number(n)),
            element("span", f"{share(n, counts.total)}, {meaning}" if n else meaning),
        ]
        if name == "sent" and counts.found:
            parts.append(element("span", f"{number(counts.found)} found there after a lost answer"))
        tiles.append(element("li", *parts, class_=name))
    return tiles


def _time_line(report: HistoryReport) -> Markup:
    bins = binned(report.months, report.sent_months)
    if not bins:
        return element("p", "None of the messages has a date.", class_="soft")
    series = series_of(sum((found.types for found in bins[1:]), bins[0].types.copy()))
    undated = report.undated
    note = f"Messages per {unit(bins)} by the date they were written, whatever became of them."
    if undated:
        verb = "has no date and is" if undated == 1 else "have no date and are"
        note += f" {counted(undated, 'message')} {verb} not shown."
    drawing = element("div", chart(bins, series), class_="wide")
    types = [name for of in series for name in of.types]
    return join(
        element("p", note, class_="note"),
        element("figure", legend(series), drawing),
        element("details", element("summary", "The same in figures"), by_month(bins, types)),
    )


def _footer() -> Markup:
    words = (
        "Sent: LeadConnector confirmed the message with an id, or it was found in its conversation "
        "after an answer was lost. Failed: LeadConnector, or a check before sending, refused it. "
        "Unresolved: an answer was lost, and it could not be found out whether the message was "
        "stored. Pending: not sent yet. All dates and times are in UTC. Addresses and telephone "
        "numbers in reasons are replaced by “…”."
    )
    return element("footer", element("h2", "How to read this"), element("p", words, class_="note"))
