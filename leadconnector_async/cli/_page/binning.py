"""Months brought together, so that a time line has as many bars as an eye can follow."""

from __future__ import annotations

from calendar import month_abbr, month_name
from collections import Counter
from typing import TYPE_CHECKING, Final

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_BARS: Final = 72
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
        (n for n in _LENGTHS if last // n - first // n < MOST_BARS),
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
