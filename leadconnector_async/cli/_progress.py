"""Progress on standard error: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final, Protocol

import click

from leadconnector_async._importing.progress import Reading, Sending
from leadconnector_async.cli._words import counted, number, rate, remaining, size

if TYPE_CHECKING:
    from leadconnector_async._importing.progress import Progress

LINE_EVERY: Final = 10.0
"""Seconds between two lines."""


class Display(Protocol):
    """Shows progress until it is closed."""

    @property
    def interval(self) -> float:
        """Seconds between two calls of `show`."""

    def show(self, progress: Progress, now: float) -> None:
        """Show what is now."""

    def close(self) -> None:
        """Leave the screen clean."""


class Nothing:
    """Shows nothing."""

    interval: Final = 1.0

    def show(self, progress: Progress, now: float) -> None:
        """Show nothing."""

    def close(self) -> None:
        """Nothing to clean."""


class Lines:
    """Writes a line every ten seconds, and at once when there is something new to say."""

    interval: Final = 1.0

    def __init__(self) -> None:
        self._due = -1.0
        self._said: str | None = None

    def show(self, progress: Progress, now: float) -> None:
        """Write a line, if it is time for one."""
        if self._due < 0:  # a run that is over soon needs no line
            self._due = now + LINE_EVERY
        notice = progress.notice if isinstance(progress, Sending) else None
        text = notice.text if notice else None
        if text and text != self._said:
            click.echo(text, err=True)
        self._said = text
        if now >= self._due:
            self._due = now + LINE_EVERY
            click.echo(line(progress), err=True)

    def close(self) -> None:
        """Lines leave nothing behind."""


def line(progress: Progress) -> str:
    """Progress in words."""
    match progress:
        case Reading(read, whole, records):
            of = f" of {size(whole)}" if whole else ""
            return f"Reading: {size(read)}{of}, {counted(records, 'record')}"
        case Sending(done, total, per_second, left):
            speed = "" if per_second is None else f", {rate(per_second)}"
            wait = "" if left is None else f", {remaining(left)} left"
            return f"Sending: {number(done)} of {number(total)}{speed}{wait}"


def choose_display(*, quiet: bool, color: bool) -> Display:
    """The bar where standard error is a terminal, and rich is installed."""
    if quiet:
        return Nothing()
    if not sys.stderr.isatty():
        return Lines()
    try:
        from leadconnector_async.cli._screen import Screen  # noqa: PLC0415 - rich is slow to import
    except ModuleNotFoundError:
        return Lines()
    return Screen(color=color)
