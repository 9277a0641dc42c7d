"""The page as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from leadconnector_async.cli._page import tables
from leadconnector_async.cli._page.binning import binned, unit
from leadconnector_async.cli._page.chart import chart
from leadconnector_async.cli._page.markup import Markup, element, join, void
from leadconnector_async.cli._page.series import legend, series_of
from leadconnector_async.cli._page.style import STYLE
from leadconnector_async.cli._page.wording import (
    clock,
    course,
    period_words,
    remainder,
    share,
    verdict,
)
from leadconnector_async.cli._words import counted, number

if TYPE_CHECKING:
    from leadconnector_async._importing.account import Account, Ends

_HEADING: Final = "Message history in LeadConnector"
_FEW: Final = 3
_STATES: Final = (
    ("sent", "✓ Sent", "confirmed by LeadConnector"),
    ("failed", "✕ Failed", "not in LeadConnector"),
    ("unresolved", "? Unresolved", "may be there or not"),
    ("pending", "… Pending", "still to be sent"),
)
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"


def page(account: Account, *, title: str | None, made_ms: int) -> str:
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
    main = element("main", *_sections(account, title, made_ms))
    html = element("html", head, element("body", main, _footer()), lang="en")
    return f"<!DOCTYPE html>\n{html}\n"


def _sections(account: Account, title: str | None, made_ms: int) -> list[Markup]:
    parts = [_header(account, title, made_ms), _totals(account.ends)]
    if not account.ends.total:
        return parts + _choice(account)
    parts += [element("h2", "Messages over time"), _time_line(account)]
    parts += [element("h2", "By type and direction"), tables.by_kind(account)]
    parts += [element("h2", "By location"), tables.by_location(account)]
    reasons = [tables.by_reason(account, unresolved=which) for which in (False, True)]
    if any(reasons):
        parts += [element("h2", "Failed and unresolved, by reason"), *reasons]
    parts += _choice(account)
    facts = course(account.times, account.ends.sent)
    if facts:
        parts += [element("h2", "Course of the import"), _facts(facts)]
    return parts


def _choice(account: Account) -> list[Markup]:
    choice = tables.by_choice(account)
    return [element("h2", "Left out and given up"), choice] if choice else []


def _header(account: Account, title: str | None, made_ms: int) -> Markup:
    names = sorted(account.locations)
    where = ", ".join(name or "no location given" for name in names[:_FEW])
    if len(names) > _FEW:
        where = f"{number(len(names))} locations, listed below"
    facts = [("Report made", clock(made_ms))]
    if account.period.first is not None:
        facts.append(("Messages from", period_words(account.period)))
    if names:
        facts.append(("Location" if len(names) == 1 else "Locations", where))
    kicker = element("p", _HEADING if title else "Report", class_="kicker")
    heading = element("h1", element("bdi", title or _HEADING))
    return element("header", kicker, heading, _facts(facts))


def _facts(facts: list[tuple[str, str]]) -> Markup:
    return element(
        "dl",
        *(join(element("dt", term), element("dd", element("bdi", what))) for term, what in facts),
        class_="facts",
    )


def _totals(ends: Ends) -> Markup:
    parts = [element("p", verdict(ends), class_="verdict")]
    rest = " ".join(remainder(ends))
    if rest:
        parts.append(element("p", rest, class_="soft"))
    if ends.total:
        parts += [_shares(ends), element("ul", *_tiles(ends), class_="tiles")]
    return element("section", *parts)


def _shares(ends: Ends) -> Markup:
    """A bar of what stands where. What is there at all can be seen."""
    counts = [(name, getattr(ends, name)) for name, _, _ in _STATES if getattr(ends, name)]
    widths = [max(1000 * n / ends.total, 4) for _, n in counts]
    scale = 1000 / sum(widths)
    x = 0.0
    pieces = []
    for (name, _), width in zip(counts, widths, strict=True):
        size = {"x": x, "width": max(width * scale - 1.5, 1.5), "height": 14}
        pieces.append(void("rect", fill="currentColor", class_=name, **size))
        x += width * scale
    box = {"viewBox": "0 0 1000 14", "preserveAspectRatio": "none"}
    return element("svg", *pieces, class_="share", aria_hidden="true", **box)


def _tiles(ends: Ends) -> list[Markup]:
    tiles = []
    for name, shown, meaning in _STATES:
        n = getattr(ends, name)
        parts = [
            element("span", shown, class_="name"),
            element("b", number(n)),
            element("span", f"{share(n, ends.total)}, {meaning}" if n else meaning),
        ]
        if name == "sent" and ends.found:
            parts.append(element("span", f"{number(ends.found)} found there after a lost answer"))
        tiles.append(element("li", *parts, class_=name))
    return tiles


def _time_line(account: Account) -> Markup:
    bins = binned(account.months, account.sent_months)
    if not bins:
        return element("p", "None of the messages has a date.", class_="soft")
    series = series_of(sum((found.types for found in bins[1:]), bins[0].types.copy()))
    undated = account.undated
    note = f"Messages per {unit(bins)} by the date they were written, whatever became of them."
    if undated:
        verb = "has no date and is" if undated == 1 else "have no date and are"
        note += f" {counted(undated, 'message')} {verb} not shown."
    drawing = element("div", chart(bins, series), class_="wide")
    types = [name for of in series for name in of.types]
    return join(
        element("p", note, class_="note"),
        element("figure", legend(series), drawing),
        element("details", element("summary", "The same in figures"), tables.by_month(bins, types)),
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
