"""Progress on standard error: a bar on a terminal, a line now and then elsewhere.

And lines on standard output that are shown anew: in their place on a terminal.
"""

from __future__ import annotations

import sys
import time
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from leadconnector_async.cli.format import counted, figures, remaining, say, with_wait

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from leadconnector_async.cli.rich_progress import BarDisplay
    from leadconnector_async.reports.progress import ImportProgress

T = TypeVar("T")

LINE_EVERY: Final = 10.0
"""Seconds between two lines."""


class NoDisplay:
    """Shows nothing."""

    interval: Final = 1.0
    """Seconds between two calls of `show`."""

    def show(self, progress: ImportProgress, now: float) -> None:
        """Show what is now."""

    def close(self) -> None:
        """Leave the screen clean."""


class LineDisplay(NoDisplay):
    """Writes a line every ten seconds, with what is waited for; that at once where it is new."""

    def __init__(self) -> None:
        self._due = -1.0
        self._said: str | None = None

    def show(self, progress: ImportProgress, now: float) -> None:
        """Write a line, if it is time for one."""
        if self._due < 0:  # a run that is over soon needs no line
            self._due = now + LINE_EVERY
        notice = progress.notice
        text = notice.text if notice else None
        if notice and (text != self._said or now >= self._due):
            say(with_wait(notice), err=True)
        self._said = text
        if now >= self._due:
            self._due = now + LINE_EVERY
            say(line(progress), err=True)


def line(progress: ImportProgress) -> str:
    """Progress in words."""
    what, _, _, words = figures(progress, " of ")
    return f"{what}: {', '.join(filter(None, words))}"


def choose_display(*, quiet: bool, color: bool) -> NoDisplay | BarDisplay:
    """The bar where standard error is a terminal, and rich is installed."""
    if quiet:
        return NoDisplay()
    if not sys.stderr.isatty():
        return LineDisplay()
    try:
        from leadconnector_async.cli.rich_progress import BarDisplay  # noqa: PLC0415 - rich is slow to import
    except ModuleNotFoundError:
        return LineDisplay()
    return BarDisplay(color=color)


@contextmanager
def waiting(
    what: str, done: Callable[[], int] | None = None, *, quiet: bool = False
) -> Iterator[Callable[[], None]]:
    """Says on standard error what is waited for: each second on a terminal, else a line at times.

    ``done`` counts the records that it is through with. Gives what takes the words away, before
    something else is shown.
    """
    over, is_shown = Event(), sys.stderr.isatty()
    began = time.monotonic()

    def clear() -> None:
        if is_shown and not quiet and time.monotonic() - began >= 1:
            click.echo("\r\x1b[K", nl=False, err=True)

    def tell() -> None:
        while not over.wait(1.0 if is_shown else LINE_EVERY):
            records = "" if done is None else f"{counted(done(), 'record')}, "
            text = f"{what}: {records}{remaining(int(time.monotonic() - began))}"
            click.echo(f"\r\x1b[K{text}" if is_shown else text, nl=not is_shown, err=True)

    teller = Thread(target=tell, daemon=True)
    if not quiet:
        teller.start()
    try:
        yield clear
    finally:
        over.set()
        if not quiet:
            teller.join()
        clear()


def run_waiting(what: str, work: Coroutine[Any, Any, T], *, quiet: bool = False) -> T:
    """Run a coroutine to its end, and say meanwhile what is waited for."""
    import asyncio  # noqa: PLC0415 - slow to import

    with waiting(what, quiet=quiet):
        return asyncio.run(work)


def live_lines() -> AbstractContextManager[Callable[[str], None]]:
    """What shows lines in the place of those before, on a terminal and with rich; else below."""
    if sys.stdout.isatty():
        with suppress(ModuleNotFoundError):
            from leadconnector_async.cli.rich_progress import replaced_lines  # noqa: PLC0415 - the same

            return replaced_lines()
    return nullcontext(say)
