"""``leadconnector report``: a page on the whole import, to be handed on."""

from __future__ import annotations

import click

from leadconnector_async.cli._options import option, outbox_option


@click.command("report", short_help="Write a page on the import, to hand to a client.")
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
    from leadconnector_async.cli._run_report_page import write  # noqa: PLC0415 - not for help

    write(outbox, html, title)
