"""``leadconnector report``: a page on the whole import, to be handed on."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

import click

from leadconnector_async.cli.atomic_write import atomic_write
from leadconnector_async.cli.format import counted, say
from leadconnector_async.cli.options import option, outbox_option


@click.command("report")
@outbox_option
@option(
    "--html",
    metavar="FILE",
    type=click.Path(dir_okay=False, allow_dash=True),
    help="The file to write, such as report.html, or - for standard output. An earlier page there "
    "is replaced.",
)
@option("--title", metavar="TEXT", help="What stands above it, such as the client's name.")
def command(outbox: str, html: str | None, title: str | None) -> None:
    """Write one HTML page on what became of all messages: by time, type, location and reason.

    It needs no other file and no network, and can be printed. It holds no text of a message and
    no contact. It only reads the outbox, and may be asked while an import runs.
    """
    if html is None:
        raise click.UsageError("give --html FILE, the file to write, such as --html report.html")
    if html != "-":
        _refuse_outbox(outbox, html)
    import asyncio  # noqa: PLC0415 - not needed for help

    try:
        from leadconnector_async.cli.html_report.page import page  # noqa: PLC0415 - the same
    except ModuleNotFoundError as error:
        if error.name != "jinja2":
            raise
        raise click.ClickException(
            "jinja2 is missing: pip install 'leadconnector-async[cli]'"
        ) from error
    from leadconnector_async.outbox.open import read_outbox  # noqa: PLC0415 - the same
    from leadconnector_async.reports.history_report import history_report_of  # noqa: PLC0415 - the same

    report = asyncio.run(read_outbox(outbox, history_report_of))
    text = page(report, title=(title or "").strip() or None, made_ms=time.time_ns() // 1_000_000)
    with atomic_write(html) as file:
        file.write(text.encode())
    if html != "-":
        counts = counted(report.counts.total, "record")
        say(f"A report on {counts} is in {html}.", err=True)


_DATABASE: Final = b"SQLite format 3\0"

_BESIDE: Final = ("", "-wal", "-shm", "-journal", ".lock")
"""The outbox and the files that belong to it."""


def _refuse_outbox(outbox: str, html: str) -> None:
    """Neither this outbox nor another may be lost to a slip of the hand."""
    target = Path(html)
    own = {os.path.realpath(outbox) + suffix for suffix in _BESIDE}
    if os.path.realpath(target) in own or _is_database(target):
        raise click.UsageError(
            f"--html {html} is an outbox: give another file, such as report.html"
        )


def _is_database(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_DATABASE)) == _DATABASE
    except OSError:
        return False
