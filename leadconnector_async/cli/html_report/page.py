"""The page as a whole: what its template is told, and the template's environment."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from leadconnector_async.cli.format import counted, duration, rate
from leadconnector_async.cli.html_report import wording
from leadconnector_async.cli.html_report.chart import binned, chart, series_of, type_label, unit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from leadconnector_async.cli.html_report.chart import Bin
    from leadconnector_async.reports import history_report as history

MAX_REASONS: Final = 100

_MEANINGS: Final = {
    "Sent": ("✓", "confirmed by LeadConnector"),
    "Failed": ("✕", "not in LeadConnector"),
    "Unresolved": ("?", "may be there or not"),
    "Pending": ("…", "still to be sent"),
}
"""The sign of each state, and what it means."""

_CONTROLS: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""What may not stand in a page, escaped or not."""


class Table(NamedTuple):
    """A table whose first column is text, and the others figures."""

    caption: str
    head: Sequence[str]
    rows: list[Sequence[str]]
    foot: Sequence[str] | None = None


def page(report: history.HistoryReport, *, title: str | None, made_ms: int) -> str:
    """Write the page."""
    environment = Environment(
        loader=PackageLoader("leadconnector_async.cli.html_report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_cleaned,
    )
    of_figures = (counted, wording.clock, wording.day, duration, rate)
    environment.globals |= {function.__name__: function for function in of_figures}
    return environment.get_template("report.html.j2").render(
        title=title,
        made_ms=made_ms,
        report=report,
        headline=wording.headline(report.counts),
        tiles=list(_tiles(report.counts)),
        time_line=_time_line(report),
        by_type=_by_type(report),
        by_location=_by_location(report),
        not_sent=list(_by_reason(report)),
        left_out=list(_by_choice(report)),
    )


def _cleaned(value: object) -> object:
    """What the template prints: text without characters that harm a page, numbers in short."""
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    if isinstance(value, str) and not hasattr(value, "__html__"):  # that is the template's own
        return _CONTROLS.sub("\ufffd", value)
    return value


def _row(*cells: int | str) -> Sequence[str]:
    return [f"{of:,}" if isinstance(of, int) else of for of in cells]


def _by_state(counts: history.StateCounts) -> tuple[int, ...]:
    return counts.sent, counts.failed, counts.unresolved, counts.pending


def _tiles(counts: history.StateCounts) -> Iterator[dict[str, Any]]:
    """Each state, its count and what that means; ``x`` and ``width`` are its part of the bar.

    In the bar, 1000 wide, what is there at all can be seen.
    """
    widths = [max(1000 * n / counts.total, 4) if n else 0.0 for n in _by_state(counts)]
    scale = 1000 / (sum(widths) or 1)
    x = 0.0
    states = zip(_MEANINGS.items(), _by_state(counts), widths, strict=True)
    for (name, (sign, meaning)), n, width in states:
        remarks = [f"{wording.share(n, counts.total)}, {meaning}" if n else meaning]
        if name == "Sent" and counts.found:
            remarks.append(f"{counts.found:,} found there after a lost answer")
        shown = max(width * scale - 1.5, 1.5) if n else 0.0
        told = {"state": name.lower(), "name": f"{sign} {name}", "figure": f"{n:,}"}
        yield told | {"remarks": remarks, "x": x, "width": shown}
        x += width * scale


def _time_line(report: history.HistoryReport) -> dict[str, Any] | None:
    """The chart, its legend and its figures."""
    bins = binned(report.months, report.sent_months)
    if not bins:
        return None
    series = series_of(sum((found.types for found in bins), Counter[str]()))
    note = f"Messages per {unit(bins)} by the date they were written, whatever became of them."
    if undated := report.undated:
        has = counted(undated, "message has no date and is", "messages have no date and are")
        note += f" {has} not shown."
    types = [name for of in series for name in of.types]
    told = {"unit": unit(bins), "note": note, "series": series}
    return told | {"chart": chart(bins, series), "figures": _by_month(bins, types)}


def _by_month(bins: Sequence[Bin], types: Sequence[str]) -> Table:
    """The figures of the time line."""
    head = [unit(bins).capitalize(), *map(type_label, types), "Total", "Of these sent"]

    def row(name: str, counts: Counter[str], sent: int) -> Sequence[str]:
        return _row(name, *(counts[name] for name in types), counts.total(), sent)

    rows = [row(found.name, found.types, found.sent) for found in bins]
    totals = sum((found.types for found in bins), Counter[str]())
    foot = row("Total", totals, sum(found.sent for found in bins))
    return Table("By the date of the message, in UTC.", head, rows, foot)


def _by_type(report: history.HistoryReport) -> Table:
    """Types, each with its directions and its states."""
    directions = {"inbound": "Inbound", "outbound": "Outbound"}
    ways = [*directions, *{way for _, way in report.kinds} - {*directions}]

    def row(name: str, types: Iterable[str | None]) -> Sequence[str]:
        found = [(way, counts) for (type_, way), counts in report.kinds.items() if type_ in types]
        by_way = [sum(counts.total for way, counts in found if way == of) for of in ways]
        states = map(sum, zip(*(_by_state(counts) for _, counts in found), strict=True))
        return _row(name, *by_way, sum(by_way), *states)

    totals: Counter[str | None] = Counter()
    for (type_, _), counts in report.kinds.items():
        totals[type_] += counts.total
    rows = [row(type_label(type_), [type_]) for type_, _ in totals.most_common()]
    foot = row("Total", totals) if len(totals) > 1 else None
    head = ["Type", *(directions.get(way or "", "Unknown") for way in ways), "Total", *_MEANINGS]
    return Table("Direction and state of each type of message.", head, rows, foot)


def _by_location(report: history.HistoryReport) -> Table:
    """Locations, the largest first."""
    places = sorted(report.locations.items(), key=lambda of: (-of[1][0].total, of[0]))

    def row(name: str, counts: history.StateCounts, period: history.Period) -> Sequence[str]:
        return _row(name, *_by_state(counts), wording.day(period.first), wording.day(period.last))

    rows = [row(name or "no location given", *of) for name, of in places]
    foot = row("Total", report.counts, report.period)
    head = ["Location", *_MEANINGS, "First message", "Last message"]
    caption = "What became of the messages of each location, and the dates they cover."
    return Table(caption, head, rows, foot if len(places) > 1 else None)


def _by_reason(report: history.HistoryReport) -> Iterator[tuple[Table, Table]]:
    """Why messages are not sent, or not known to be: in plain words, and in technical ones."""
    for unresolved, total, caption in (
        (False, report.counts.failed, "Failed: not in LeadConnector."),
        (True, report.counts.unresolved, "Unresolved: may be in LeadConnector or not."),
    ):
        if total:
            found = [why for why in report.reasons if why.unresolved is unresolved]
            technical = _reasons("As the import put it.", _as_it_stands(found), total)
            yield _reasons(caption, wording.in_plain_words(found), total), technical


def _by_choice(report: history.HistoryReport) -> Iterator[Table]:
    """What was not meant to be sent, what was given up, and what was there twice."""
    given_up = wording.in_plain_words(report.dismissed)
    copies = [("It is the same as another message of the files.", report.copies)]
    for caption, found in (
        ("Left out: not meant to be imported.", _as_it_stands(report.left_out)),
        ("Given up: could not be imported, and is not waited for.", given_up),
        ("Copies: not imported a second time.", copies),
    ):
        if total := sum(count for _, count in found):
            yield _reasons(caption, found, total)


def _as_it_stands(reasons: Iterable[history.ReasonCount]) -> list[tuple[str, int]]:
    return [(why.reason, why.count) for why in reasons]


def _reasons(caption: str, found: list[tuple[str, int]], total: int) -> Table:
    shown = found[:MAX_REASONS]
    rows = [_row(reason, count, wording.share(count, total)) for reason, count in shown]
    rest = total - sum(count for _, count in shown)
    if rest > 0:
        rows.append(_row("Other reasons", rest, wording.share(rest, total)))
    return Table(caption, ["Reason", "Messages", "Share"], rows)
