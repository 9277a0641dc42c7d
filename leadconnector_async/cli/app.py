"""The group of commands. Each command's module is imported when the command is asked for."""

import io
import sys
from difflib import get_close_matches
from enum import IntEnum
from importlib import import_module
from pathlib import Path
from typing import Any, Final, TextIO

import click

from leadconnector_async import __version__
from leadconnector_async.cli.format import fitted, say
from leadconnector_async.data_files import read_toml
from leadconnector_async.errors import DailyQuotaSpentError, LeadConnectorError


class Exit(IntEnum):
    """How the command ends. Scripts rely on the numbers."""

    DONE = 0
    ERROR = 1
    """Stopped by an error, or a location could not go on."""
    USAGE = 2
    FAILED = 3
    """Finished, and some records failed or are unresolved."""
    DAY_SPENT = 4
    """The day's quota, or the time that the run was given, is spent: run again later."""
    INTERRUPTED = 130
    """Run again to go on."""


COMMANDS: Final[dict[str, tuple[str, str]]] = read_toml(__package__, "commands")
"""Each command's module, and its line in the list of all."""

_ERROR: Final = "Error: "
"""What click puts before a message."""


class CommandGroup(click.Group):
    """Finds commands on demand, and turns what ends them into exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Every command, in the order in which people meet them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        module, short_help = COMMANDS[cmd_name]
        found: click.Command = import_module(f"leadconnector_async.cli.commands.{module}").command
        found.short_help = short_help
        return found

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take the words apart; an option of a command stands behind it."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            hint = " Options stand behind the command: leadconnector COMMAND --help"
            error.message += hint  # type: ignore[misc] # click prints it
            raise

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; a wrong word is told with what may be meant."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            like = get_close_matches(name.lower(), COMMANDS, 1)
            meant = ["import FILE"] if Path(name).exists() else like
            hint = f" Did you mean leadconnector {meant[0]}?" if meant else ""
            ctx.fail(f"No such command {name!r}.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's signature
        """Run the command; an error becomes one line on standard error."""
        try:
            return super().invoke(ctx)
        except LeadConnectorError as error:
            say(f"leadconnector: {error}", err=True)
            ctx.exit(Exit.DAY_SPENT if isinstance(error, DailyQuotaSpentError) else Exit.ERROR)
        except click.ClickException as error:
            shown = fitted(f"{_ERROR}{error.message}").removeprefix(_ERROR)
            error.message = shown  # type: ignore[misc] # click prints it on one line
            raise
        except KeyboardInterrupt:
            say("leadconnector: interrupted", err=True)
            ctx.exit(Exit.INTERRUPTED)


@click.group(
    cls=CommandGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit status: 0 all sent, 1 stopped by an error, 2 wrong usage, 3 some records failed "
    "or are unresolved, 4 the day's quota or the time of --for is spent (run again later), 130 "
    "interrupted (run again to go on).",
)
@click.version_option(__version__, prog_name="leadconnector")
def app() -> None:
    """Move message history into LeadConnector conversations: fast, complete, once.

    Every option can also be given as an environment variable, which its help names.
    """
    # Reports quote other systems' texts, which a terminal may not be able to show.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def written_whole(stream: TextIO) -> TextIO:
    """The stream, or another one to the same end where it would lose a part of what it is given.

    With ``PYTHONUNBUFFERED`` a text goes to the system in one call, which need not take all of it.
    """
    if isinstance(stream, io.TextIOWrapper) and isinstance(stream.buffer, io.RawIOBase):
        whole = io.BufferedWriter(stream.buffer)
        return io.TextIOWrapper(whole, stream.encoding, stream.errors, write_through=True)
    return stream
