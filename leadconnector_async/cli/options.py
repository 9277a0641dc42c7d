"""Options, as ``options.toml`` declares them, and what their values mean to several commands."""

from __future__ import annotations

import os
import tomllib
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from leadconnector_async.cli import option_types
from leadconnector_async.leave_out import LEAVE_OUT, NUMBERLESS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from leadconnector_async.sources import SourceOptions

_F = TypeVar("_F", bound="Callable[..., Any]")

SANDBOX_LOCATION: Final = "sandbox"

SANDBOX_OUTBOX: Final = "leadconnector-sandbox.db"


@cache
def _tables() -> dict[str, dict[str, dict[str, Any]]]:
    """Read what ``options.toml`` says of each option, by its table and its name."""
    text = Path(__file__).with_suffix(".toml").read_text("utf-8")
    text = text.replace("{KINDS}", ", ".join(LEAVE_OUT)).replace("{SANDBOX_OUTBOX}", SANDBOX_OUTBOX)
    return tomllib.loads(text.replace("{NUMBERLESS}", ", ".join(sorted(NUMBERLESS))))


def options_of(*names: str) -> Callable[[_F], _F]:
    """Declare options in this order: ``TABLE`` for all of one, ``TABLE.OPTION`` for one alone."""

    def decorate(function: _F) -> _F:
        for name in reversed(names):
            table, _, alone = name.partition(".")
            found = _tables()[table]
            for long in [alone] if alone else reversed(found):
                function = _declared(long, found[long])(function)
        return function

    return decorate


def _declared(long: str, said: dict[str, Any]) -> Callable[[_F], _F]:
    """Declare an option with its variable: ``--base-url URL`` is also ``LEADCONNECTOR_BASE_URL``.

    A default is shown that does something.
    """
    settings = said | {"help": " ".join(said["help"].split("\n"))}
    names = [settings.pop(key) for key in ("short", "name") if key in settings]
    if choices := settings.pop("choices", ()):
        settings = {"type": click.Choice(choices), "default": choices[0]} | settings
    elif isinstance(kind := settings.get("type"), str):
        settings["type"] = getattr(option_types, kind)
    elif kind is not None:
        ((name, bounds),) = kind.items()
        settings["type"] = (getattr(option_types, name, None) or getattr(click, name))(**bounds)
    settings.setdefault("show_default", bool(settings.get("default")))
    variable = "LEADCONNECTOR_" + long.replace("-", "_").upper()
    return click.option(f"--{long}", *names, envvar=variable, show_envvar=True, **settings)


def sources(*, required: bool) -> Callable[[_F], _F]:
    """Declare the files to read."""
    return click.argument(
        "sources",
        metavar="SOURCE..." if required else "[SOURCE]...",
        nargs=-1,
        required=required,
        type=click.Path(allow_dash=True),
        callback=_check_sources,
    )


def _check_sources(
    _ctx: click.Context, _param: click.Parameter, given: Sequence[str]
) -> Sequence[str]:
    if list(given).count("-") > 1:
        raise click.BadParameter("- (standard input) can be read once only")
    return given


def source_options_of(given: dict[str, Any]) -> SourceOptions:
    """Take the source options out of what click gives."""
    from msgspec.structs import replace  # noqa: PLC0415 - not for help

    from leadconnector_async.sources import SourceOptions, read_people  # noqa: PLC0415 - not for help

    taken = {name: given.pop(name) for name in SourceOptions.__struct_fields__ if name in given}
    leave_out = {kind for kinds in taken["leave_out"] for kind in kinds}
    if given.pop("no_number") == "leave-out":
        leave_out |= NUMBERLESS
    if taken["groups"] == "leave-out":
        leave_out.add("groups")
        taken["groups"] = "each"
    people = taken.pop("people")
    labels = (label for labels in taken["labels"] for label in labels.split(","))
    taken |= {
        "mapping": dict(taken["mapping"]),
        "leave_out": frozenset(leave_out),
        "labels": frozenset(label.strip().casefold() for label in labels),
        "files": tuple(map(Path, taken["files"])),
        "mappings": tuple(map(Path, taken["mappings"])),
    }
    options = SourceOptions(**taken)
    return replace(options, people=read_people(people, options)) if people else options


def read_access(given: dict[str, Any], *, is_needed: bool = True) -> None:
    """Read the file of locations where one is given; without one a token may be needed.

    Raises:
        click.UsageError: both or neither is given. LocationsError: the file cannot be read.
    """
    sandbox = given.get("sandbox")
    if given["token"] and given["locations"] and not sandbox:
        fix = "unset LEADCONNECTOR_TOKEN to use the file's tokens"
        raise click.UsageError(f"give --token or --locations, not both: {fix}")
    if is_needed and not (given["token"] or given["locations"] or sandbox):
        fix = "give the token in LEADCONNECTOR_TOKEN, or --locations with each location's"
        raise click.UsageError(fix + ("" if sandbox is None else ", or try it with --sandbox"))
    if given["locations"]:
        from leadconnector_async.locations.toml_file import read_locations  # noqa: PLC0415 - not for help

        given["locations"] = read_locations(given["locations"])


def obey_output_options(ctx: click.Context, given: dict[str, Any]) -> None:
    """Take out of what click gives what concerns the output of any command: colors and logs.

    What the library logs is shown on standard error, or not even what Python shows by itself.
    """
    import logging  # noqa: PLC0415 - not needed for help

    class Echo(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            with suppress(OSError):  # nobody reads any more
                click.echo(self.format(record), err=True)

    if given.pop("no_color") or os.environ.get("NO_COLOR"):
        ctx.color = False
    logger, verbose = logging.getLogger("leadconnector_async"), given.pop("verbose")
    logger.addHandler(Echo() if verbose else logging.NullHandler())
    if verbose:
        logger.setLevel(logging.DEBUG)
