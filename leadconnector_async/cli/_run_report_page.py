"""What ``leadconnector report`` does."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

import click

from leadconnector_async._importing.account import account_of
from leadconnector_async.cli._page.page import page
from leadconnector_async.cli._prose import say
from leadconnector_async.cli._whole_file import whole_file
from leadconnector_async.cli._words import counted

_DATABASE: Final = b"SQLite format 3\0"
_BESIDE: Final = ("", "-wal", "-shm", "-journal", ".lock")
"""The outbox and the files that belong to it."""


def write(outbox: str, html: str, title: str | None) -> None:
    """Write the page.

    Raises:
        OutboxError: the outbox does not exist, or cannot be read.
        click.ClickException: the page cannot be written.
    """
    if html != "-":
        _refuse_outbox(outbox, html)
    account = account_of(outbox)
    text = page(account, title=(title or "").strip() or None, made_ms=time.time_ns() // 1_000_000)
    with whole_file(html) as file:
        file.write(text.encode())
    if html != "-":
        counts = counted(account.ends.total, "record")
        say(f"A report on {counts} is in {html}.", err=True)


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
