"""Text for people: at a terminal as wide as that, and broken between words alone."""

from __future__ import annotations

import os
import sys
import textwrap
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from typing import TextIO

USUAL: Final = 100
"""Columns where there is no terminal."""
_LEAST, _MOST = 40, 120
_COMMAND: Final = "leadconnector "


def say(text: str = "", *, err: bool = False) -> None:
    """Print lines. What does not go to a terminal stays as it is, for programs."""
    click.echo(fitted(text, err=err), err=err)


def fitted(text: str, *, err: bool = True) -> str:
    """The lines as `say` prints them."""
    columns = _columns(sys.stderr if err else sys.stdout)
    if columns is None:
        return text
    return "\n".join(_fitted(line, columns) for line in text.split("\n"))


def width() -> int:
    """The columns of standard output."""
    return _columns(sys.stdout) or USUAL


def wrapped(text: str, columns: int, indent: str = "") -> list[str]:
    """Lines of so many columns; all but the first are indented. A longer word stays whole."""
    return textwrap.wrap(
        text,
        columns,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [text]


def _fitted(line: str, columns: int) -> str:
    if len(line) <= columns:
        return line
    margin = " " * (len(line) - len(line.lstrip()))
    if line.lstrip().startswith(_COMMAND):  # to be copied as it stands
        return " \\\n".join(wrapped(line, columns - 2, margin + "  "))
    return "\n".join(wrapped(line, columns, margin or "  "))


def _columns(stream: TextIO) -> int | None:
    """Columns of a terminal; None for anything else."""
    if not stream.isatty():
        return None
    chosen = os.environ.get("COLUMNS", "")
    found = int(chosen) if chosen.isdecimal() else os.get_terminal_size(stream.fileno()).columns
    return max(_LEAST, min(found or USUAL, _MOST))
