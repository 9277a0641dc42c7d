"""The time line: stacked bars, drawn as SVG."""

from __future__ import annotations

from itertools import groupby
from math import ceil, floor, log10
from typing import TYPE_CHECKING, Final

from leadconnector_async.cli.format import counted, number
from leadconnector_async.cli.html_report.markup import Markup, element, join, void
from leadconnector_async.cli.html_report.series import textures, unit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from leadconnector_async.cli.html_report.series import Bin, Series

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

_MONTHS_OF_A_YEAR: Final = 12


def chart(bins: Sequence[Bin], series: Sequence[Series]) -> Markup:
    """Draw bars of a time line that has at least one."""
    steps = ticks(max(found.total for found in bins))
    scale = (_BASE - _TOP) / steps[-1]
    room = (WIDTH - _LEFT) / len(bins)
    return element(
        "svg",
        element("title", f"Messages per {unit(list(bins))}, by type", id="chart-title"),
        element("desc", _described(bins), id="chart-desc"),
        textures(series),
        *_grid(steps, scale),
        *(_bar(found, series, _LEFT + at * room, room, scale) for at, found in enumerate(bins)),
        void("path", d=f"M{_LEFT} {_BASE}H{WIDTH}", class_="base"),
        *_labels(bins, room),
        class_="chart",
        role="img",
        aria_labelledby="chart-title chart-desc",
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
    )


def ticks(most: int) -> list[int]:
    """Round values from 0 to at least ``most``, some five steps apart: 0, 500, 1,000, 1,500."""
    rough = max(most, 1) / _STEPS
    power = 10 ** floor(log10(rough)) if rough >= 1 else 1
    step = next(n * power for n in (1, 2, 2.5, 5, 10) if n * power >= rough and n * power % 1 == 0)
    return [int(step) * n for n in range(ceil(max(most, 1) / step) + 1)]


def _described(bins: Sequence[Bin]) -> str:
    total = sum(found.total for found in bins)
    highest = max(bins, key=lambda found: found.total)
    if len(bins) == 1:
        return (
            f"{counted(total, 'message')}, all of {highest.name}. The table below has the figures."
        )
    return (
        f"{counted(total, 'message')} from {bins[0].name} to {bins[-1].name}. The most are of "
        f"{highest.name}: {number(highest.total)}. The table below has the figures."
    )


def _grid(steps: Sequence[int], scale: float) -> Iterator[Markup]:
    for value in steps:
        y = _BASE - value * scale
        if value:
            yield void("path", d=f"M{_LEFT} {y:.1f}H{WIDTH}", class_="grid")
        yield element("text", _compact(value), x=_LEFT - 8, y=y + 4, class_="value")


def _compact(value: int) -> str:
    """A value of the axis: ``5,000``, ``2.5M``."""
    for power, letter in ((10**9, "B"), (10**6, "M")):
        if value >= power:
            return f"{value / power:,g}{letter}"
    return number(value)


def _bar(found: Bin, series: Sequence[Series], x: float, room: float, scale: float) -> Markup:
    """The layers from the ground up, with a thin gap between two of them."""
    width = min(room * 0.78, _WIDEST_BAR)
    left = x + (room - width) / 2
    pieces = []
    y = float(_BASE)
    for layer in series:
        n = layer.of(found.types)
        height = n * scale
        y -= height
        if n:
            hint = element("title", f"{found.name}: {number(n)} {layer.name}")
            gap = min(1.0, height / 3)
            size = {"x": left, "y": y, "width": width, "height": max(height - gap, 0.3)}
            pieces.append(element("rect", hint, fill=layer.fill, **size))
    return join(*pieces)


def _labels(bins: Sequence[Bin], room: float) -> Iterator[Markup]:
    """A name for every bar that has room for one, and below months and quarters their years."""
    every = ceil(_LABEL / room)
    has_years = bins[0].months < _MONTHS_OF_A_YEAR
    if not has_years or every == 1:
        for at in range(0, len(bins), every):
            middle = _LEFT + (at + 0.5) * room
            yield element("text", bins[at].short_name, x=middle, y=_BASE + 17, class_="name")
    if has_years:
        yield from _years(bins, room, _BASE + (36 if every == 1 else 19))


def _years(bins: Sequence[Bin], room: float, y: float) -> Iterator[Markup]:
    """Each year in the middle of its bars, between ticks."""
    at = 0
    for year, of_year in groupby(bins, lambda found: found.start // 12):
        size = len(list(of_year))
        if at:
            yield void("path", d=f"M{_LEFT + at * room:.1f} {_BASE}V{y + 4:.1f}", class_="grid")
        if size * room >= _LABEL:
            middle = _LEFT + (at + size / 2) * room
            yield element("text", str(year), x=middle, y=y, class_="year")
        at += size
