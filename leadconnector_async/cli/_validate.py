"""``leadconnector validate``: what is wrong with files, line by line."""

from __future__ import annotations

from typing import Any

import click

from leadconnector_async.cli._exits import Exit
from leadconnector_async.cli._options import (
    json_option,
    option,
    source_options,
    source_options_of,
    sources,
)


@click.command("validate", short_help="Say what is wrong with files, line by line.")
@sources(required=True)
@source_options
@json_option
@option("--quiet", "-q", is_flag=True, help="Print the counts, and not every line.")
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> None:  # noqa: ANN401 - click's values
    """Read files of records, and print what is wrong with them. Nothing is stored or sent.

    SOURCE is a file of JSON Lines, CSV, mails (mbox, .eml or a folder of them), XML, Excel or
    Parquet, text also gzip-compressed, or - for standard input. Exit status: 0 if
    every record is good, 3 if some are not.
    """
    from leadconnector_async.cli._run_validate import Check  # noqa: PLC0415 - not for help

    as_json, quiet = given.pop("as_json"), given.pop("quiet")
    check = Check(source_options_of(given), echo=not (as_json or quiet))
    check.read(given["sources"])
    if as_json:
        check.print_json()
    else:
        check.print_summary()
    ctx.exit(Exit.FAILED if check.wrong else Exit.DONE)
