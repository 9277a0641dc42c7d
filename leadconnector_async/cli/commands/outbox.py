"""``leadconnector outbox``: an outbox made before it is needed, looked after, and put away."""

from __future__ import annotations

import shlex
from functools import partial
from typing import TYPE_CHECKING

import click

from leadconnector_async.cli.app import Exit
from leadconnector_async.cli.format import counted, say
from leadconnector_async.cli.option_types import OUTBOX
from leadconnector_async.cli.options import options_of
from leadconnector_async.cli.progress_display import run_waiting
from leadconnector_async.cli.report_lines import print_json
from leadconnector_async.outbox.open import open_outbox, read_outbox, shown_place
from leadconnector_async.outbox.upkeep import back_up, forget_texts, move_outbox

if TYPE_CHECKING:
    from leadconnector_async.outbox.outbox_reader import OutboxReader

_file = partial(click.argument, "outbox", type=OUTBOX, envvar="LEADCONNECTOR_OUTBOX", required=True)


@click.group("outbox")
def command() -> None:
    """Make, check, copy, move or upgrade an outbox, or forget its texts.

    URL is postgresql://USER@HOST:PORT/DATABASE?schema=NAME; the schema is "leadconnector" by
    default. Better give it in LEADCONNECTOR_OUTBOX, and the password in PGPASSWORD.
    """


@command.command("init")
@_file(metavar="URL")
def init(outbox: str) -> None:
    """Make the schema and its tables in a database, where they are not there yet."""
    _open(outbox, create=True)


@command.command("upgrade")
@_file(metavar="FILE|URL")
def upgrade(outbox: str) -> None:
    """Bring an outbox that an older version wrote up to date, and change nothing else in it."""
    _open(outbox, create=False)


def _open(outbox: str, *, create: bool) -> None:
    async def opened() -> str:
        async with await open_outbox(outbox, create=create) as store:
            return store.place

    say(f"{run_waiting('Opening', opened())} is ready.")


@command.command("check")
@options_of("outbox.outbox", "output.json")
def check(outbox: str, *, as_json: bool) -> None:
    """See that every record is accounted for, and all counts are right.

    It only reads, and may be asked while an import runs. Exit status 1: something is wrong.
    """

    async def read(reader: OutboxReader) -> tuple[int, dict[str, int], int]:
        async with reader.at_one_moment():
            return (await reader.summary()).records, await reader.broken(), await reader.overtaken()

    records, broken, overtaken = run_waiting("Checking", read_outbox(outbox, read))
    if as_json:
        found = {"records": records, "broken": broken, "overtaken": overtaken}
        print_json({"outbox": shown_place(outbox)} | found)
    else:
        if not broken:
            say(f"{counted(records, 'record')}: each is accounted for.")
        if overtaken:
            early = f"{counted(overtaken, 'message')} sent before an earlier one"
            say(f"{early} of the conversation, which was read, put back or selected later.")
        say(f"{count:,} {what}" for what, count in broken.items())
    if broken:
        say(
            "The outbox is damaged: keep it, restore a copy beside it, and import the same files "
            "into that. What was sent since is looked for where the API is asked to "
            "(leadconnector verify).",
            err=True,
        )
        click.get_current_context().exit(Exit.ERROR)


@command.command("backup")
@options_of("outbox.outbox", "outbox.output")
def backup(outbox: str, output: str) -> None:
    """Copy an outbox as it is now, also while an import runs, and its folder of files with it."""
    run_waiting("Copying", back_up(outbox, output))
    say(f"{output} is a copy: leadconnector status --outbox {shlex.quote(output)}")


@command.command("forget")
@options_of("outbox.outbox", "outbox.yes")
def forget(outbox: str, *, yes: bool) -> None:
    """Forget what settled messages say, and whom they are with; for good.

    That is what is sent, left out or dismissed: texts, names, numbers, addresses, and the lines of
    the sources. Their keys, ids and digests stay, so that the same import knows them, and verify
    works. What failed or is still to be sent stays whole.
    """
    if not yes:
        raise click.UsageError("what is forgotten cannot be had back: give --yes to do it")
    done = run_waiting("Forgetting", forget_texts(outbox))
    say(f"{counted(done, 'record')} forgotten. Copies of the outbox still have them.")


@command.command("move")
@options_of("outbox.outbox", "outbox.to")
def move(outbox: str, to: str) -> None:
    """Move an outbox from a file to a database, or back, with all that it knows.

    Nobody may use it meanwhile. The old one is kept under another name, so that nobody goes on
    with both.
    """
    records, kept = run_waiting("Moving", move_outbox(outbox, to))
    say(f"{counted(records, 'record')} moved to {shown_place(to)}. The old one is kept: {kept}.")
