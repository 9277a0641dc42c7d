"""``leadconnector outbox``: making an outbox before it is needed, and upgrading it.

An import does both where it may. These are for an owner of the database, where the import's own
user may make no tables.
"""

from __future__ import annotations

import asyncio

import click

from leadconnector_async.cli.format import say
from leadconnector_async.cli.option_types import OUTBOX
from leadconnector_async.outbox.open import open_outbox

_place = click.argument(
    "outbox", metavar="URL", type=OUTBOX, envvar="LEADCONNECTOR_OUTBOX", required=True
)


@click.group("outbox")
def command() -> None:
    """Make an outbox in a database, or bring it up to date.

    URL is postgresql://USER@HOST:PORT/DATABASE?schema=NAME; the schema is "leadconnector" by
    default. Better give it in LEADCONNECTOR_OUTBOX, and the password in PGPASSWORD.
    """


@command.command("init")
@_place
def init(outbox: str) -> None:
    """Make the schema and its tables, where they are not there yet."""
    _open(outbox, create=True)


@command.command("upgrade")
@_place
def upgrade(outbox: str) -> None:
    """Bring the tables of an older version up to date."""
    _open(outbox, create=False)


def _open(outbox: str, *, create: bool) -> None:
    async def opened() -> str:
        async with await open_outbox(outbox, create=create) as store:
            return store.place

    say(f"{asyncio.run(opened())} is ready.")
