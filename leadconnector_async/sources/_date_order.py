"""The order of day and month in the dates of a file, which one date alone need not tell."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from leadconnector_async.sources._date_forms import ORDERED
from leadconnector_async.sources._values import Wrong

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leadconnector_async.sources._date_forms import Order, Reading

_DIRECTIVE: Final = re.compile(r"%-?([dmyY])")


class Survey:
    """What all dates of a file say of the order in which they have day and month."""

    def __init__(self) -> None:
        self.orders: set[Order] = set(ORDERED)
        self.either: list[Reading] = []
        """The first date that can be two."""
        self.sample = ""
        self.apart: dict[tuple[Order, ...], str] = {}
        """A date for each choice of orders that dates leave."""

    def add(self, text: str, found: Sequence[Reading]) -> None:
        """Note one date."""
        orders = tuple(sorted(reading.order for reading in found))
        self.orders.intersection_update(orders)
        self.apart.setdefault(orders, text)
        if not self.either and len({reading.date for reading in found}) > 1:
            self.either, self.sample = list(found), text

    def wrong(self) -> Wrong:
        """Say why no order can be taken."""
        if self.orders:
            dates = " or ".join(_spelled(reading) for reading in self.either)
            wrong = f"can be {dates}, and no date of the file tells which" + f' ("{self.sample}")'
            orders = [reading.order for reading in self.either]
        else:
            several = " and ".join(f'"{text}"' for text in list(self.apart.values())[:3])
            wrong = f"has no one order of day and month in this file, which holds {several}"
            orders = list(ORDERED)[:2]
        sample = self.sample or next(iter(self.apart.values()))
        return Wrong(wrong, f"give --date-format {patterns(orders, sample)}")


def order_of(form: str) -> Order | None:
    """Tell in which order a pattern has day, month and year, where all are numbers."""
    letters = "".join(_DIRECTIVE.findall(form)).lower()
    return next((order for order in ORDERED if order == letters), None)


def _spelled(reading: Reading) -> str:
    date = reading.date
    return f"{date:%B} {date.day}" if reading.order == "mdy" else f"{date.day} {date:%B %Y}"


def patterns(orders: Sequence[Order], sample: str) -> str:
    """Write the patterns that would decide, with the separator that a sample has."""
    separator = next((char for char in sample if char in "/.-"), "/")
    year = "%Y" if re.search(r"\d{4}", sample) else "%y"
    letters = {"d": "%d", "m": "%m", "y": year}
    return " or ".join(separator.join(letters[one] for one in order) for order in orders)
