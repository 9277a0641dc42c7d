"""``leadconnector status``: where an import stands."""

from __future__ import annotations

import click

from leadconnector_async.cli._options import json_option, outbox_option


@click.command("status", short_help="Say where an import stands, also while it runs.")
@outbox_option
@json_option
def command(outbox: str, *, as_json: bool) -> None:
    """Say how many records are sent, failed and pending, how fast it goes, and how long it takes.

    It only reads, and may be asked while an import runs. The time is by the documented quota.
    """
    from leadconnector_async.cli._run_status import status  # noqa: PLC0415 - not for help

    status(outbox, as_json=as_json)
