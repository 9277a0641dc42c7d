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
    default="-",
    type=click.Path(dir_okay=False, writable=True, allow_dash=True),
    help="The file to write, readable by you alone, as it holds the messages. By default, and for "
    "-, standard output.",
)
@option(
    "--dismiss",
    metavar="REASON|FILE",
    help="Give up for good what failed for a reason, of which a part that no other one has is "
    "enough, or what is on a list that -o wrote.",
)
def command(outbox: str, output: str, dismiss: str | None) -> None:
    """Write the records that failed or are unresolved, in the form of the file they came from.

    All columns are kept. "error" says where the record stood and why it failed; "outboxKey" which
    record of the outbox it is. Mend the records, and import the file into the same outbox.

    With --dismiss nothing is written: those records count as dismissed from then on, and neither
    retry nor the same import brings them back.
    """
    if dismiss is not None:
        from leadconnector_async.cli._run_dismiss import run  # noqa: PLC0415 - not for help

        run(outbox, dismiss)
        return
    from leadconnector_async.cli._run_failed import write  # noqa: PLC0415 - not for help

    write(outbox, output)
