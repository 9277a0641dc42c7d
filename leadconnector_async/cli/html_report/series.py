"""Which types have a colour of their own, and how they are told apart without it.

Months brought together, so that a time line has as many bars as an eye can follow.
"""

from __future__ import annotations

from calendar import month_abbr, month_name
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec import Struct

from leadconnector_async.cli.html_report.markup import Markup, element, join, void

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAX_SERIES: Final = 8
"""As many colours as an eye tells apart. The rest of the types share the last."""

_TEXTURES: Final = (
    "",
    "M-2 2L2 -2M0 8L8 0M6 10L10 6",
    "M0 2H8M0 6H8",
    "M2 2h1.6v1.6h-1.6zM6 6h1.6v1.6h-1.6z",
    "M-2 6L2 10M0 0L8 8M6 -2L10 2",
    "M2 0V8M6 0V8",
    "M0 0L8 8M8 0L0 8",
    "M0 4H8M4 0V8",
)
"""What is drawn over each colour, in a square of eight: lines, dots, and none on the first."""


class Series(NamedTuple):
    """One layer of the bars: a type, or all the smaller ones together."""

    name: str
    types: tuple[str, ...]
    number: int

    @property
    def fill(self) -> str:
        """The paint of its pieces."""
        return f"url(#t{self.number})"

    def of(self, types: Counter[str]) -> int:
        """How many messages of a bar are its own."""
        return sum(types[name] for name in self.types)


def series_of(totals: Counter[str]) -> list[Series]:
    """The most frequent types first; ``totals`` counts all messages that are shown."""
    names = sorted(totals, key=lambda name: (-totals[name], name))
    own = names if len(names) <= MAX_SERIES else names[: MAX_SERIES - 1]
    found = [Series(type_label(name), (name,), number) for number, name in enumerate(own)]
    rest = tuple(names[len(own) :])
    if rest:
        found.append(Series(f"{len(rest)} other types", rest, len(own)))
    return found


def type_label(type_: str | None) -> str:
    """A type as people read it: ``Live_Chat`` is ``Live Chat``."""
    return type_.replace("_", " ") if type_ else "Unknown"


def textures(series: Iterable[Series]) -> Markup:
    """The paints, defined once for the page."""
    return element("defs", *map(_texture, series))


def _texture(series: Series) -> Markup:
    square = void("rect", width=8, height=8, class_=f"c{series.number}")
    lines = _TEXTURES[series.number]
    drawn = void("path", d=lines, class_="texture") if lines else Markup()
    return element(
        "pattern",
        join(square, drawn),
        id=f"t{series.number}",
        width=8,
        height=8,
        patternUnits="userSpaceOnUse",
    )


def legend(series: Iterable[Series]) -> Markup:
    """What each paint stands for."""
    return element("ul", *map(_entry, series), class_="legend")


def _entry(series: Series) -> Markup:
    swatch = void("rect", x=0.5, y=0.5, width=15, height=15, rx=3, fill=series.fill)
    icon = element("svg", swatch, width=16, height=16, viewBox="0 0 16 16", aria_hidden="true")
    return element("li", icon, series.name)


MAX_BARS: Final = 72

_LENGTHS: Final = (1, 3, 12, 60, 120, 1200, 12_000)
"""Months of a bar: a month, a quarter, a year, and more where dates are far apart."""

_MONTH: Final = 1

_QUARTER: Final = 3

_YEAR: Final = 12


class Bin(Struct):
    """What is shown as one bar. ``start`` is its first month, as ``12 * year + month - 1``."""

    start: int
    months: int
    types: Counter[str]
    sent: int

    @property
    def total(self) -> int:
        """Messages of all types."""
        return self.types.total()

    @property
    def name(self) -> str:
        """In full: ``March 2024``, ``2024, 1st quarter``, ``2024``, ``2020 to 2024``."""
        year, month = divmod(self.start, 12)
        if self.months == _MONTH:
            return f"{month_name[month + 1]} {year}"
        if self.months == _QUARTER:
            return f"{year}, {('1st', '2nd', '3rd', '4th')[month // 3]} quarter"
        if self.months == _YEAR:
            return str(year)
        return f"{year} to {year + self.months // 12 - 1}"

    @property
    def short_name(self) -> str:
        """For the axis, where years stand in a row of their own below months and quarters."""
        year, month = divmod(self.start, 12)
        if self.months == _MONTH:
            return month_abbr[month + 1]
        return f"Q{month // 3 + 1}" if self.months == _QUARTER else str(year)


def binned(months: Mapping[int, Counter[str]], sent: Mapping[int, int]) -> list[Bin]:
    """Bins from the first month to the last, those without messages included."""
    if not months:
        return []
    first, last = min(months), max(months)
    length = next(
        (n for n in _LENGTHS if last // n - first // n < MAX_BARS),
        _LENGTHS[-1],
    )
    bins = [
        Bin(start, length, Counter(), 0)
        for start in range(first // length * length, last + 1, length)
    ]
    for month, types in months.items():
        found = bins[month // length - first // length]
        found.types.update(types)
        found.sent += sent.get(month, 0)
    return bins


def unit(bins: list[Bin]) -> str:
    """What one bar is: ``month``."""
    length = bins[0].months if bins else _MONTH
    names = {_MONTH: "month", _QUARTER: "quarter", _YEAR: "year"}
    return names.get(length, f"{length // 12} years")
