"""The time line: months brought together, types told apart, and the stacked bars of both.

It is computed here, in the units of the drawing's own box, and drawn by the template.
"""

from calendar import month_abbr, month_name
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from math import ceil, floor, log10
from typing import Final, NamedTuple

from msgspec import Struct

from leadconnector_async.cli.format import counted

MAX_SERIES: Final = 8
"""As many colours as an eye tells apart. The rest of the types share the last."""


class Series(NamedTuple):
    """One layer of the bars: a type, or all the smaller ones together."""

    name: str
    types: list[str]
    number: int


def series_of(totals: Counter[str]) -> list[Series]:
    """The most frequent types first; ``totals`` counts all messages that are shown."""
    names = sorted(totals, key=lambda name: (-totals[name], name))
    own = names if len(names) <= MAX_SERIES else names[: MAX_SERIES - 1]
    layers = [(type_label(name), [name]) for name in own]
    if rest := names[len(own) :]:
        layers.append((f"{len(rest)} other types", rest))
    return [Series(*layer, n) for n, layer in enumerate(layers)]


def type_label(type_: str | None) -> str:
    """A type as people read it: ``Live_Chat`` is ``Live Chat``."""
    return type_.replace("_", " ") if type_ else "Unknown"


MAX_BARS: Final = 72

_LENGTHS: Final = (1, 3, 12, 60, 120, 1200, 12_000)
"""Months of a bar: a month, a quarter, a year, and more where dates are far apart."""

_YEAR: Final = 12


class Bin(Struct):
    """What is shown as one bar. ``start`` is its first month, as ``12 * year + month - 1``."""

    start: int
    months: int
    types: Counter[str]
    sent: int

    @property
    def name(self) -> str:
        """In full: ``March 2024``, ``2024, 1st quarter``, ``2024``, ``2020 to 2024``."""
        year, month = divmod(self.start, _YEAR)
        quarter = ("1st", "2nd", "3rd", "4th")[month // 3]
        one = f"{month_name[month + 1]} {year}"
        names = {1: one, 3: f"{year}, {quarter} quarter", _YEAR: f"{year}"}
        return names.get(self.months) or f"{year} to {year + self.months // _YEAR - 1}"

    @property
    def short_name(self) -> str:
        """For the axis, where years stand in a row of their own below months and quarters."""
        year, month = divmod(self.start, _YEAR)
        return {1: month_abbr[month + 1], 3: f"Q{month // 3 + 1}"}.get(self.months) or f"{year}"


def binned(months: Mapping[int, Counter[str]], sent: Mapping[int, int]) -> list[Bin]:
    """Bins from the first month to the last, those without messages included."""
    if not months:
        return []
    first, last = min(months), max(months)
    length = next((n for n in _LENGTHS if last // n - first // n < MAX_BARS), _LENGTHS[-1])
    starts = range(first // length * length, last + 1, length)
    bins = [Bin(start, length, Counter(), 0) for start in starts]
    for month, types in months.items():
        found = bins[month // length - first // length]
        found.types.update(types)
        found.sent += sent.get(month, 0)
    return bins


def unit(bins: Sequence[Bin]) -> str:
    """What one bar is: ``month``."""
    length = bins[0].months
    return {1: "month", 3: "quarter", _YEAR: "year"}.get(length) or f"{length // _YEAR} years"


WIDTH: Final = 920

HEIGHT: Final = 320

_LEFT: Final = 64

_TOP: Final = 12

_BASE: Final = HEIGHT - 44
"""Where the bars stand. Below it are two rows of labels."""

_WIDEST_BAR: Final = 56.0

_LABEL: Final = 30.0
"""Room that the label of a bar needs."""

_STEPS: Final = 5


class Label(NamedTuple):
    """Text at a point: a ``value`` of the axis, the ``name`` of a bar, or a ``year``."""

    kind: str
    x: float
    y: float
    text: str


class Piece(NamedTuple):
    """The part of a bar that one series has, and what it says when it is pointed at."""

    series: Series
    x: float
    y: float
    width: float
    height: float
    hint: str


class Chart(NamedTuple):
    """A drawing: lines (the path of each) and labels, with the bars between them."""

    box: str
    description: str
    grid: list[str]
    pieces: list[Piece]
    base: str
    labels: list[Label]


def chart(bins: Sequence[Bin], series: Sequence[Series]) -> Chart:
    """Compute the bars of a time line that has at least one."""
    steps = ticks(max(found.types.total() for found in bins))
    scale = (_BASE - _TOP) / steps[-1]
    room = (WIDTH - _LEFT) / len(bins)
    years = list(_years(bins, room))
    return Chart(
        box=f"0 0 {WIDTH} {HEIGHT}",
        description=_described(bins),
        grid=[f"M{_LEFT} {_BASE - value * scale:.1f}H{WIDTH}" for value in steps if value]
        + [f"M{x:.1f} {_BASE}V{label.y + 4:.1f}" for x, label in years if x > _LEFT],
        pieces=[
            piece
            for at, found in enumerate(bins)
            for piece in _bar(found, series, _LEFT + at * room, room, scale)
        ],
        base=f"M{_LEFT} {_BASE}H{WIDTH}",
        labels=[
            *(Label("value", _LEFT - 8, _BASE - n * scale + 4, _compact(n)) for n in steps),
            *_names(bins, room),
            *(label for _, label in years if label.text),
        ],
    )


def ticks(most: int) -> list[int]:
    """Round values from 0 to at least ``most``, some five steps apart: 0, 500, 1,000, 1,500."""
    rough = max(most, 1) / _STEPS
    power = 10 ** floor(log10(rough)) if rough >= 1 else 1
    step = next(n * power for n in (1, 2, 2.5, 5, 10) if n * power >= rough and n * power % 1 == 0)
    return [int(step) * n for n in range(ceil(max(most, 1) / step) + 1)]


def _described(bins: Sequence[Bin]) -> str:
    total = sum(found.types.total() for found in bins)
    highest = max(bins, key=lambda found: found.types.total())
    where = f", all of {highest.name}"
    if len(bins) > 1:
        where = f" from {bins[0].name} to {bins[-1].name}. The most are of {highest.name}: "
        where += f"{highest.types.total():,}"
    return f"{counted(total, 'message')}{where}. The table below has the figures."


def _compact(value: int) -> str:
    """A value of the axis: ``5,000``, ``2.5M``."""
    for power, letter in ((10**9, "B"), (10**6, "M")):
        if value >= power:
            return f"{value / power:,g}{letter}"
    return f"{value:,}"


def _bar(
    found: Bin, series: Sequence[Series], x: float, room: float, scale: float
) -> Iterator[Piece]:
    """The layers from the ground up, with a thin gap between two of them."""
    width = min(room * 0.78, _WIDEST_BAR)
    y = float(_BASE)
    for layer in series:
        if n := sum(found.types[name] for name in layer.types):
            height = n * scale
            y -= height
            shown = max(height - min(1.0, height / 3), 0.3)
            hint = f"{found.name}: {n:,} {layer.name}"
            yield Piece(layer, x + (room - width) / 2, y, width, shown, hint)


def _names(bins: Sequence[Bin], room: float) -> Iterator[Label]:
    """A name for every bar that has room for one; months and quarters may go without."""
    every = ceil(_LABEL / room)
    if every == 1 or bins[0].months >= _YEAR:
        for at in range(0, len(bins), every):
            yield Label("name", _LEFT + (at + 0.5) * room, _BASE + 17, bins[at].short_name)


def _years(bins: Sequence[Bin], room: float) -> Iterator[tuple[float, Label]]:
    """Below months and quarters, where each year begins, and its label in the middle of its bars.

    The label is empty where there is no room for it.
    """
    if bins[0].months >= _YEAR:
        return
    y = _BASE + (36 if room >= _LABEL else 19)
    at = 0
    for year, size in Counter(found.start // _YEAR for found in bins).items():
        text = str(year) if size * room >= _LABEL else ""
        yield _LEFT + at * room, Label("year", _LEFT + (at + size / 2) * room, y, text)
        at += size
