"""Making HTML. Text is escaped unless it is `Markup` already, so that forgetting is safe."""

from __future__ import annotations

import re
from html import escape
from typing import Final

_CONTROLS: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""What may not stand in a page, escaped or not."""


class Markup(str):
    """Text that is HTML."""

    __slots__ = ()


def text(value: str) -> Markup:
    """Escape text, also for an attribute."""
    return value if isinstance(value, Markup) else Markup(escape(_CONTROLS.sub("\ufffd", value)))


def element(name: str, *content: str, **attributes: str | float) -> Markup:
    """An element: ``element("td", "a < b", class_="x")``. An underscore is a hyphen."""
    return Markup(f"{_start(name, attributes)}>{join(*content)}</{name}>")


def void(name: str, **attributes: str | float) -> Markup:
    """An element without content, as HTML and SVG both read it."""
    return Markup(f"{_start(name, attributes)}/>")


def join(*content: str) -> Markup:
    """Pieces one after the other."""
    return Markup("".join(map(text, content)))


def _start(name: str, attributes: dict[str, str | float]) -> str:
    words = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{text(_written(value))}"'
        for key, value in attributes.items()
    )
    return f"<{name}{words}"


def _written(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")
