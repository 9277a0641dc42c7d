"""The progress bar. The only module that imports rich."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from leadconnector_async.cli.format import figures, with_wait

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from leadconnector_async.reports.progress import ImportProgress


class BarDisplay:
    """Draws a bar for reading, then one for sending, with a line below while something waits."""

    interval: Final = 0.2

    def __init__(self, *, color: bool) -> None:
        console = Console(stderr=True, no_color=not color, highlight=False)
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def show(self, progress: ImportProgress, now: float) -> None:  # noqa: ARG002 - see `NoDisplay`
        """Draw it anew."""
        self._live.start()
        self._live.update(picture(progress), refresh=True)

    def close(self) -> None:
        """Take the bar away: the report says it all."""
        self._live.stop()


def picture(progress: ImportProgress) -> RenderableType:
    """One bar with its figures, and the notice below."""
    what, done, total, words = figures(progress, "/")
    row, notice = Table.grid(padding=(0, 2)), progress.notice
    row.add_row(what, ProgressBar(total, done, width=32, pulse=total is None), *words)
    if notice is None or not progress.sending:
        return row
    return Group(row, Text(with_wait(notice), style="yellow"))


@contextmanager
def replaced_lines() -> Iterator[Callable[[str], None]]:
    """What shows lines on standard output in the place of those before; the last ones stay."""
    with Live(auto_refresh=False, console=Console(highlight=False)) as live:
        yield lambda text: live.update(Text(text), refresh=True)
