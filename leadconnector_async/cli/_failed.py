"""``leadconnector failed``: the records that failed, fit to be mended and imported again."""

from __future__ import annotations

import click

from leadconnector_async.cli._options import option, outbox_option


@click.command("failed", short_help="Write the failed records down, each with its reason.")
@outbox_option
@option(
    "--output",
    "-o",
    metavar="FILE",
    type=click.Path(dir_okay=False, writable=True),
    help="The file to write, readable by you alone, as it holds the messages. By default standard "
    "output.",
)
def command(outbox: str, output: str | None) -> None:
    """Write the records that failed or are unresolved, in the form of the file they came from.

    All columns are kept. "error" says where the record stood and why it failed; "outboxKey" which
    record of the outbox it is. Mend the records, and import the file into the same outbox.
    """
    from leadconnector_async.cli._run_failed import write  # noqa: PLC0415 - not for help

    write(outbox, output)
