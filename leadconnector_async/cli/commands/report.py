"""``leadconnector report``: a page on the whole import, to be handed on, or a table of it."""

from __future__ import annotations

import csv
import io
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from leadconnector_async.cli.atomic_write import atomic_write, refuse_outbox
from leadconnector_async.cli.format import counted, say
from leadconnector_async.cli.options import options_of
from leadconnector_async.cli.progress_display import run_waiting

if TYPE_CHECKING:
    from leadconnector_async.outbox.outbox_reader import OutboxReader
    from leadconnector_async.outbox.reader import RecordLife


@click.command("report")
@options_of("outbox.outbox", "report")
def command(outbox: str, html: str | None, as_csv: str | None, title: str | None) -> None:
    """Write down what became of all messages: as one HTML page, or as a table of the records.

    The page tells it by time, type, location and reason. It needs no other file and no network,
    and can be printed. Neither holds the text of a message or a contact, but a reason quotes the
    value that was wrong. The outbox is only read, also while an import runs.
    """
    if html is None and as_csv is None:
        raise click.UsageError("give --html FILE or --csv FILE, such as --html report.html")
    if html is not None and as_csv is not None and Path(html).resolve() == Path(as_csv).resolve():
        raise click.UsageError(f"--html and --csv are both {html}: give one of them another file")
    for given, what in ((html, "--html"), (as_csv, "--csv")):
        if given is not None and given != "-":
            refuse_outbox(outbox, given, what, such_as=f"report.{what[2:]}")
    from leadconnector_async.outbox.open import read_outbox  # noqa: PLC0415 - not needed for help
    from leadconnector_async.sources.base import needs  # noqa: PLC0415 - the same

    if html is not None:
        with needs("--html", "jinja2", "cli"):
            import jinja2  # noqa: F401, PLC0415 - only whether it is there
        work = read_outbox(outbox, lambda reader: _write_page(reader, html, title))
        run_waiting("Reading the outbox", work)
    if as_csv is not None:
        work = read_outbox(outbox, lambda reader: _write_table(reader, as_csv))
        run_waiting("Writing the table", work, quiet=as_csv == "-")


async def _write_page(reader: OutboxReader, html: str, title: str | None) -> None:
    from leadconnector_async.cli.html_report.page import page  # noqa: PLC0415 - the same
    from leadconnector_async.reports.history_report import history_report_of  # noqa: PLC0415 - the same

    report = await history_report_of(reader)
    text = page(report, title=(title or "").strip() or None, made_ms=time.time_ns() // 1_000_000)
    with atomic_write(html) as file:
        file.write(text.encode())
    if html != "-":
        say(f"A report on {counted(report.counts.total, 'record')} is in {html}.", err=True)


async def _write_table(reader: OutboxReader, path: str) -> None:
    count = 0
    with atomic_write(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
        try:
            writer = csv.writer(text)
            writer.writerow(_COLUMNS)
            async with reader.at_one_moment():
                async for page in reader.ends():
                    writer.writerows(map(_row, page))
                    count += len(page)
        finally:
            text.detach()
    if path != "-":
        say(f"{counted(count, 'row')} on what became of each record in {path}.", err=True)


_COLUMNS: Final = (
    *("source", "line", "key", "location", "type", "direction", "date"),
    *("state", "reason", "settledAt", "attempts", "messageId", "conversationId"),
)


def _row(life: RecordLife) -> tuple[object, ...]:
    from leadconnector_async.records.keys import key_text  # noqa: PLC0415 - not needed for help
    from leadconnector_async.reports.outbox_status import STATES  # noqa: PLC0415 - the same

    source, line = life.places[0] if life.places else ("", "")
    named = (source, line, key_text(life.key), life.location, life.type, life.direction)
    return (
        *(f"'{of}" if _FORMULA.match(str(of)) else of for of in named),
        *(_moment(life.date), STATES[life.state], life.reason, _moment(life.at)),
        *(life.attempts, life.message_id, life.conversation_id),
    )


_FORMULA: Final = re.compile(r"[=@\t\r]|[+-](?![\d ]*$)")
"""What a spreadsheet would run, such as a Message-ID of a stranger's: a quote makes it a text."""


def _moment(ms: int | None) -> str:
    return "" if ms is None else f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"
