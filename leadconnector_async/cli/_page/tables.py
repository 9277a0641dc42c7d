"""The tables of the page."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from leadconnector_async.cli._page.binning import unit
from leadconnector_async.cli._page.markup import Markup, element, join
from leadconnector_async.cli._page.reasons import in_plain_words
from leadconnector_async.cli._page.series import shown
from leadconnector_async.cli._page.wording import day, share
from leadconnector_async.cli._words import number

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from leadconnector_async._importing.account import Account, Ends, Why
    from leadconnector_async.cli._page.binning import Bin

MOST_REASONS: Final = 100
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


def _ends(ends: Ends) -> tuple[int, ...]:
    return ends.sent, ends.failed, ends.unresolved, ends.pending


def by_month(bins: Sequence[Bin], types: Sequence[str]) -> Markup:
    """The figures of the time line."""
    head = [unit(list(bins)).capitalize(), *map(shown, types), "Total", "Of these sent"]
    body = (
        row(found.name, *(found.types[name] for name in types), found.total, found.sent)
        for found in bins
    )
    totals = sum((found.types for found in bins), Counter[str]())
    sums = [*(totals[name] for name in types), totals.total(), sum(found.sent for found in bins)]
    return table("By the date of the message, in UTC.", head, body, row("Total", *sums))


def by_kind(account: Account) -> Markup:
    """Types, each with its directions and its ends."""
    directions = [
        (key, name)
        for key, name in (("inbound", "Inbound"), ("outbound", "Outbound"), (None, "Unknown"))
        if key is not None or any(way is None for _, way in account.kinds)
    ]
    totals: Counter[str | None] = Counter()
    for (type_, _), ends in account.kinds.items():
        totals[type_] += ends.total
    rows = [_kind(account, [type_], shown(type_), directions) for type_, _ in totals.most_common()]
    foot = _kind(account, list(totals), "Total", directions) if len(totals) > 1 else None
    head = ["Type", *(name for _, name in directions), "Total", *_ENDS]
    return table("Direction and state of each type of message.", head, rows, foot)


def _kind(
    account: Account,
    types: Sequence[str | None],
    name: str,
    directions: Sequence[tuple[str | None, str]],
) -> Markup:
    ways: Counter[str | None] = Counter()
    states: Counter[int] = Counter()
    for (type_, way), ends in account.kinds.items():
        if type_ in types:
            ways[way] += ends.total
            states.update(dict(enumerate(_ends(ends))))
    figures = [ways[way] for way, _ in directions]
    return row(name, *figures, ways.total(), *(states[at] for at in range(len(_ENDS))))


def by_location(account: Account) -> Markup:
    """Locations, the largest first."""
    places = sorted(account.locations.items(), key=lambda of: (-of[1][0].total, of[0]))
    rows = (
        row(name or "no location given", *_ends(ends), day(period.first), day(period.last))
        for name, (ends, period) in places
    )
    period = account.period
    foot = row("Total", *_ends(account.ends), day(period.first), day(period.last))
    head = ["Location", *_ENDS, "First message", "Last message"]
    caption = "What became of the messages of each location, and the dates they cover."
    return table(caption, head, rows, foot if len(places) > 1 else None)


def by_reason(account: Account, *, unresolved: bool) -> Markup:
    """Why messages are not sent, or not known to be; empty if there are none."""
    total = account.ends.unresolved if unresolved else account.ends.failed
    if not total:
        return Markup()
    found = [why for why in account.reasons if why.unresolved is unresolved]
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


def by_choice(account: Account) -> Markup:
    """What was not meant to be sent, and what was given up; empty if there is none."""
    parts = [
        _reasons(caption, found, sum(count for _, count in found))
        for caption, found in (
            ("Left out: not meant to be imported.", _as_it_stands(account.left_out)),
            (
                "Given up: could not be imported, and is not waited for.",
                in_plain_words(account.dismissed),
            ),
        )
        if found
    ]
    return join(*parts)


def _as_it_stands(reasons: Iterable[Why]) -> list[tuple[str, int]]:
    return [(why.reason, why.count) for why in reasons]


def _reasons(caption: str, found: list[tuple[str, int]], total: int) -> Markup:
    listed = found[:MOST_REASONS]
    rows = [row(reason, count, share(count, total)) for reason, count in listed]
    rest = total - sum(count for _, count in listed)
    if rest > 0:
        rows.append(row("Other reasons", rest, share(rest, total)))
    return table(caption, ["Reason", "Messages", "Share"], rows)
