"""``leadconnector retry``: failed records back among the pending ones."""

from __future__ import annotations

import click

from leadconnector_async.cli._options import json_option, outbox_option


@click.command("retry", short_help="Put failed records back, to be tried again.")
@outbox_option
@json_option
def command(outbox: str, *, as_json: bool) -> None:
    """Put failed records back, after the cause was mended in the account.

    The next import sends those that the API refused again, and looks for unresolved ones before.

    Records that are wrong themselves stay: write them with "leadconnector failed", mend them, and
    import that file.
    """
    from leadconnector_async.cli._run_retry import retry  # noqa: PLC0415 - not for help

    retry(outbox, as_json=as_json)
