"""Which types have a colour of their own, and how they are told apart without it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from leadconnector_async.cli._page.markup import Markup, element, join, void

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable

MOST_SERIES: Final = 8
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
    own = names if len(names) <= MOST_SERIES else names[: MOST_SERIES - 1]
    found = [Series(shown(name), (name,), number) for number, name in enumerate(own)]
    rest = tuple(names[len(own) :])
    if rest:
        found.append(Series(f"{len(rest)} other types", rest, len(own)))
    return found


def shown(type_: str | None) -> str:
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
