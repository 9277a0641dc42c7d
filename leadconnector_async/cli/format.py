"""Figures and text as people read them: as wide as the terminal, broken between words alone."""

from __future__ import annotations

import math
import os
import sys
import textwrap
from contextlib import nullcontext, suppress
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Final, TextIO

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from leadconnector_async.reports.progress import ImportProgress, Notice

_UNITS: Final = ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))

_MAX_PLACES: Final = 5


def counted(count: int, one: str, many: str | None = None) -> str:
    """A count with its noun: ``1 record``, ``1,234 records``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def duration(seconds: float) -> str:
    """Two units at most: ``0.4 s``, ``42 s``, ``3 min 20 s``, ``4 d 22 h``."""
    # From ten on a tenth of a second matters to nobody.
    return f"{seconds:.1f} s" if seconds < 9.95 else remaining(round(seconds))  # noqa: PLR2004


def remaining(seconds: float) -> str:
    """The same in whole seconds, rounded up: the time that is left."""
    seconds = math.ceil(seconds)
    for large, large_name, small, small_name in _UNITS:
        if seconds >= large:
            whole, rest = divmod(seconds, large)
            part = rest // small
            return f"{whole} {large_name}" + (f" {part} {small_name}" if part else "")
    return f"{seconds} s"


def with_wait(notice: Notice) -> str:
    """A notice, and when what it waits for is over, where that is known."""
    text, seconds = notice
    return text if seconds is None else f"{text} in {remaining(seconds)}"


def moment(ms: int) -> str:
    """Unix milliseconds: ``2024-01-31 09:30:00 UTC``."""
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"


def by_quota(quota: str, share: float, needed: float, each: float) -> str:
    """How a time is meant that a quota sets, or its ``share``; and in how many runs that is done.

    ``needed`` are the seconds of all, ``each`` those of a run: infinite where it is not bounded.
    """
    part = "" if share == 1 else f"{share * 100:g} % of "
    count = math.ceil(needed / each)
    runs = f" That is {counted(count, 'run')} of {duration(each)}." if count else ""
    return f"at least, by {part}{quota}.{runs}"


def rate(per_second: float) -> str:
    """``9.8/s``, ``1,240/s``, or by the minute where that is more than none: ``12/min``."""
    if per_second >= 100:  # noqa: PLR2004 - three digits say enough
        return f"{per_second:,.0f}/s"
    return f"{per_second:.1f}/s" if per_second >= 1 else f"{per_second * 60:.0f}/min"


def size(count: int) -> str:
    """Bytes: ``12 kB``, ``3.4 MB``."""
    if count < 100_000:  # noqa: PLR2004 - a change of unit
        return f"{count / 1000:.0f} kB"
    if count < 1_000_000_000:  # noqa: PLR2004 - a change of unit
        return f"{count / 1_000_000:.1f} MB"
    return f"{count / 1_000_000_000:.1f} GB"


def figures(progress: ImportProgress, of: str) -> tuple[str, int, int | None, list[str]]:
    """What is under way, how much is done of how much, and that in words, with speed and time.

    ``of`` stands between how many are sent and all.
    """
    read, done, whole = counted(progress.read, "record"), progress.bytes_read, progress.bytes_total
    if progress.sending:
        speed, left = progress.rate, progress.seconds_left
        words = [f"{progress.done:,}{of}{progress.total:,}", "" if speed is None else rate(speed)]
        words.append("" if left is None else f"{remaining(left)} left")
        return "Sending", progress.done, progress.total, words
    if progress.is_read:
        return "Putting in order", 0, None, [read]
    return "Reading", done, whole, [f"{size(done)} of {size(whole)}" if whole else size(done), read]


def places(found: Sequence[str], count: int) -> str:
    """Where records stand: ``a.csv:17, 43, b.csv:9, …``, the name of a file once in a row."""
    words, last = [], None
    for place in found[:_MAX_PLACES]:
        name, _, line = place.rpartition(":")
        words.append(line if name and name == last else place)
        last = name
    if count > len(words):
        words.append("…")
    return ", ".join(words)


USUAL: Final = 100
"""Columns where there is no terminal."""

_LEAST, _MOST = 40, 120

_COMMAND: Final = "leadconnector "


def say(text: str | Iterable[str] = "", *, err: bool = False) -> None:
    """Print a text, or several. What does not go to a terminal stays as it is, for programs.

    With ``err``, what cannot be written is left: a full disk of a log ends no import.
    """
    for one in (text,) if isinstance(text, str) else text:
        with suppress(OSError) if err else nullcontext():
            click.echo(fitted(one, err=err), err=err)


def fitted(text: str, *, err: bool = True) -> str:
    """The lines as `say` prints them."""
    columns = _columns(sys.stderr if err else sys.stdout)
    if columns is None:
        return text
    return "\n".join(_fitted(line, columns) for line in text.split("\n"))


def width() -> int:
    """The columns of standard output."""
    return _columns(sys.stdout) or USUAL


_wrap: Final = partial(textwrap.wrap, break_long_words=False, break_on_hyphens=False)


def wrapped(text: str, columns: int, indent: str = "") -> list[str]:
    """Lines of so many columns; all but the first are indented. A longer word stays whole."""
    return _wrap(text, columns, subsequent_indent=indent) or [text]


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
