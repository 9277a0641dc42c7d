"""``leadconnector verify``: what the outbox believes against what the API exports."""

from __future__ import annotations

from typing import Any

import click

from leadconnector_async.cli.options import (
    ONE_SOURCE_OF_TOKENS,
    api_options,
    locations_option,
    obey_output_options,
    option,
    outbox_option,
    output_options,
)


@click.command("verify")
@outbox_option
@option("--token", help="The private integration token. Better given in the environment.")
@locations_option
@api_options
@option("--location", metavar="ID", help="Compare this location alone.")
@output_options
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> None:  # noqa: ANN401 - click's values
    """Read back what the API holds, page by page, and report what is missing or double.

    Every message of the location is read, 500 in a request, within the same quota. Reads lag
    behind writes by seconds: wait a little after an import.

    Exit status: 0 each record is there once, 3 some are not, 1 stopped by an error.
    """
    from leadconnector_async.cli.commands.run_verify import VerifyOptions, run  # noqa: PLC0415 - not for help

    obey_output_options(ctx, given)
    if given["token"] and given["locations"]:
        raise click.UsageError(ONE_SOURCE_OF_TOKENS)
    ctx.exit(run(VerifyOptions(**given)))
