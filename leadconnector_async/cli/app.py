"""The group of commands. Each command's module is imported when the command is asked for."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any, Final

import click

from leadconnector_async import __version__
from leadconnector_async.cli.exit_codes import Exit
from leadconnector_async.cli.format import fitted, say
from leadconnector_async.errors import LeadConnectorError

COMMANDS: Final = {
    "import": "import_",
    "validate": "validate",
    "inspect": "inspect",
    "status": "status",
    "failed": "failed",
    "retry": "retry",
    "verify": "verify",
    "report": "report",
    "sandbox": "sandbox",
    "completion": "completion",
}
"""The module of each command, which holds it as ``command``."""

_ERROR: Final = "Error: "
"""What click puts before a message."""


class CommandGroup(click.Group):
    """Finds commands on demand, and turns what ends them into exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Every command, in the order in which people meet them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command."""
        module = COMMANDS.get(cmd_name)
        if module is None:
            return None
        found = import_module(f"leadconnector_async.cli.commands.{module}").command
        assert isinstance(found, click.Command)  # noqa: S101 - tells the type checker
        return found

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's signature
        """Run the command; an error becomes one line on standard error."""
        try:
            return super().invoke(ctx)
        except LeadConnectorError as error:
            say(f"leadconnector: {error}", err=True)
            ctx.exit(Exit.ERROR)
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
    "or are unresolved, 4 the day's quota is spent (run again later), 130 interrupted (run again "
    "to go on).",
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
