"""``leadconnector inspect``: what a file holds, and what would be made of it."""

from __future__ import annotations

from typing import Any

import click

from leadconnector_async.cli._options import source_options, source_options_of


@click.command("inspect", short_help="Show a file's columns, and records as they would be sent.")
@click.argument("source", metavar="FILE", type=click.Path(allow_dash=True))
@source_options
def command(source: str, **given: Any) -> None:  # noqa: ANN401 - click's values
    """Look at a file before it is imported.

    Its columns are shown, which field each feeds, and its first three records as they would be
    sent, texts included. Where the columns are not named like the API's fields, the mapping is
    guessed that reads them. Nothing is stored or sent.
    """
    from leadconnector_async.cli._run_inspect import inspect  # noqa: PLC0415 - not for help

    inspect(source, source_options_of(given))
