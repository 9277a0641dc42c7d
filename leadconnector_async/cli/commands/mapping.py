"""``leadconnector mapping``: what helps to write a mapping."""

from __future__ import annotations

import click

from leadconnector_async.cli.exit_codes import Exit
from leadconnector_async.cli.format import say
from leadconnector_async.sources.mapping_examples import differences


@click.group("mapping")
def command() -> None:
    """Work on mappings, which say how another system's export is read."""


@command.command("test")
@click.argument("mappings", metavar="FILE...", nargs=-1, required=True)
@click.pass_context
def test(ctx: click.Context, mappings: tuple[str, ...]) -> None:
    """Run the examples that a mapping holds, and compare the records that it makes of them.

    A mapping is a TOML file, or one that comes with the library, by its name. Exit status 0: all
    agree. Else each difference is shown with its example, record and field.
    """
    good = True
    for name in mappings:
        count, told = differences(name)
        for line in told:
            say(f"{name}: {line}", err=True)
        if not count:
            say(f"{name}: holds no example: add [[examples]], as docs/mappings.md says", err=True)
        elif not told:
            say(f"{name}: {count} example{'s' * (count > 1)} agree{'s' * (count == 1)}")
        good = good and count > 0 and not told
    ctx.exit(Exit.DONE if good else Exit.ERROR)
