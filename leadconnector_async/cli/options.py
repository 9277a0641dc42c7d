"""Options that several commands share, and the rule that names their environment variables."""

from __future__ import annotations

import os
import re
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from leadconnector_async.cli import option_types as types
from leadconnector_async.leave_out import LEAVE_OUT, NUMBERLESS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from leadconnector_async.sources import SourceOptions

_F = TypeVar("_F", bound="Callable[..., Any]")


def option(
    *names: str,
    choices: Sequence[str] = (),
    **settings: Any,  # noqa: ANN401 - click's
) -> Callable[[_F], _F]:
    """Declare an option with its variable: ``--base-url URL`` is also ``LEADCONNECTOR_BASE_URL``.

    What follows the name stands for the value in the help. The first choice is the default, unless
    another one is given; a default is shown that does something.
    """
    given = next(name for name in names if name.startswith("--"))
    long, _, metavar = given.partition(" ")
    if metavar:
        settings["metavar"] = metavar
    if choices:
        settings = {"type": click.Choice(choices), "default": choices[0]} | settings
    settings.setdefault("show_default", bool(settings.get("default")))
    variable = "LEADCONNECTOR_" + long.removeprefix("--").replace("-", "_").upper()
    named = [long if name == given else name for name in names]
    return click.option(*named, envvar=variable, show_envvar=True, **settings)


def options_of(
    *parts: str | Callable[[Any], Any], **settings: dict[str, Any]
) -> Callable[[_F], _F]:
    """Declare several options as one, in this order.

    A text declares some as `option` does: a line with the names of each, and what stands for its
    value, and its help indented below. ``settings`` are what else is to be said of one, by its
    name; where that is nothing, and no value has a name, it is a flag.
    """
    texts = [_declared(one, settings) if isinstance(one, str) else [one] for one in parts]
    decorators = [one for some in texts for one in some]
    assert not settings, settings  # noqa: S101 - they are of no option

    def decorate(function: _F) -> _F:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


def _declared(text: str, settings: dict[str, Any]) -> Iterator[Callable[[Any], Any]]:
    for entry in re.split(r"\n(?=-)", dedent(text).strip()):
        head, *lines = entry.split("\n")
        names = head.split(", ")
        long, _, value = names[0].partition(" ")
        name = long.removeprefix("--").replace("-", "_")
        own = settings.pop(name, {} if value else {"is_flag": True})
        yield option(*names, help=" ".join(map(str.strip, lines)), **own)


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


source_options: Final = options_of(
    rf"""
    --map FIELD=COLUMN, mapping
        The column (or JSON key) that holds a field, where it is not named like the field; none
        after the equals sign switches the field off. Repeat it for more; in the environment
        separate them by ";".
    --timezone ZONE
        The time zone of dates without an offset, such as America/New_York.
    --encoding NAME
        The encoding of the files, such as cp1252. By default UTF-8; UTF-16, and any file with a
        byte order mark, is recognised.
    --format NAME
        What the files hold: jsonl, csv, mbox, eml, xml, excel, parquet, singer, or what a plug-in
        reads. By default their names say, or else their beginning.
    --delimiter CHAR
        What separates the cells of CSV, such as ';' or '\t'. By default it is recognised.
    --mapping NAME|FILE, mapping_file
        How another system's export is read: generic, the name of another mapping that comes with
        the library (docs/mappings.md lists them), or a TOML file of your own.
    --mappings FOLDER
        A folder of mappings of your own, which have names and are recognised like the library's.
        Repeat it for more.
    --region COUNTRY
        The country of telephone numbers without a country code, such as US.
    --mine ADDRESS
        Your own address in mails, or @example.com for all of a domain: it tells sent mails from
        received ones. Your own telephone number is no member of its groups, and your own name is
        that in chats. Repeat it for more; in the environment separate them by spaces.
    --leave-out KIND,...
        Do not send records of these kinds, and count them: {", ".join(LEAVE_OUT)}. By default those
        without a number to send to are refused.
    --no-number
        What becomes of records whose other side has no telephone number:
        {", ".join(sorted(NUMBERLESS))}.
    --numbers
        Which telephone numbers are taken: those that exist, or also others of their length.
    --groups
        Whom a message sent to a group is with: each of its members, or the first.
    --undated
        What becomes of a record without a date: it fails, or gets the time of the import.
    --date-format FORMAT
        The form of the dates, such as '%d/%m/%Y %H:%M', where it is not recognised.
    --labels LABEL,...
        Read mails under these labels too, that are left out otherwise: spam, trash, drafts, or
        "all".
    --sheet NAME
        Read one sheet of a workbook alone.
    --files FOLDER
        A folder that paths of attachments may reach, beside the source's own. Repeat it for more.
    --other-files
        What becomes of an attachment of a type that the API does not take.
    --fetch-attachments
        Fetch attachments that are URLs when the records are staged, as URLs may expire; not from
        private addresses.
    --fetch-private
        Fetch them from any address.
    --call-notes
        Write durations and transcripts of calls, for which the API has no field, into the text of
        the call.
    --people FILE
        Who is who: vCards, a CSV of Google's or HighLevel's contacts, or two columns. Records that
        know a name alone get its number or address, and all numbers of one person are one contact.
        Repeat it for more.
    --repair-text
        Mend text that was decoded wrongly before, such as Ã© for é.
    """,
    map={"type": types.mapping, "multiple": True},
    timezone={"type": types.zone},
    format={"type": types.file_format},
    delimiter={"type": types.delimiter},
    mappings={"multiple": True, "type": click.Path(exists=True, file_okay=False)},
    mine={"multiple": True},
    leave_out={"type": types.kinds, "multiple": True},
    no_number={"choices": ("fail", "leave-out")},
    numbers={"choices": ("valid", "possible")},
    groups={"choices": ("each", "first", "leave-out")},
    undated={"choices": ("fail", "now")},
    labels={"multiple": True},
    files={"multiple": True, "type": click.Path(exists=True, file_okay=False)},
    other_files={"choices": ("zip", "leave-out", "fail")},
    call_notes={"choices": ("on", "off")},
    people={"multiple": True, "type": click.Path(exists=True, dir_okay=False)},
)


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


api_options: Final = options_of(
    """
    --locations FILE
        A TOML file of locations, each with its own token, quota and providers, instead of --token.
        See docs/locations.md.
    --base-url URL
        Another address than the API's own.
    --api-version VERSION
        The API's version for every request, such as v3. By default the one that each endpoint is
        known by.
    --proxy URL
        The HTTP proxy to go through, such as http://proxy:3128. By default what HTTPS_PROXY says,
        unless NO_PROXY names the host. Better given in the environment if it has a password.
    --ca-file FILE
        Certificates in PEM that are trusted beside the system's, such as a company proxy's.
    """,
    locations={"type": click.Path(dir_okay=False)},
    ca_file={"type": click.Path(exists=True, dir_okay=False)},
)

outbox_option: Final = option(
    "--outbox FILE|URL",
    required=True,
    type=types.OUTBOX,
    help="The file in which the import keeps what became of each record, or the URL of a database.",
)


def read_access(given: dict[str, Any], *, is_needed: bool = True) -> None:
    """Read the file of locations where one is given; without one a token may be needed.

    Raises:
        click.UsageError: both or neither is given. LocationsError: the file cannot be read.
    """
    sandbox = given.get("sandbox")
    if given["token"] and given["locations"] and not sandbox:
        raise click.UsageError(
            "give --token or --locations, not both: unset LEADCONNECTOR_TOKEN to use the file's "
            "tokens"
        )
    if is_needed and not (given["token"] or given["locations"] or sandbox):
        or_try = "" if sandbox is None else ", or try it with --sandbox"
        raise click.UsageError(
            f"give the token in LEADCONNECTOR_TOKEN, or --locations with each location's{or_try}"
        )
    if given["locations"]:
        from leadconnector_async.locations.toml_file import read_locations  # noqa: PLC0415 - not for help

        given["locations"] = read_locations(given["locations"])


SANDBOX_LOCATION: Final = "sandbox"

token_option: Final = option(
    "--token TEXT",
    help="The private integration token. Better given in the environment: the command line can be "
    "seen in the list of processes.",
)

provider_option: Final = option(
    "--provider ID",
    help="The conversation provider of calls and custom messages that name none: exports of other "
    "systems do not know it.",
)

source_token_option: Final = option(
    "--source-token TOKEN",
    help="The token of a location that is read, leadconnector:ID, where --token and --locations "
    "have none for it. Better given in the environment.",
)

json_option: Final = option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print the result as one JSON object, last on standard output.",
)

output_options: Final = options_of(
    json_option,
    option("--quiet", "-q", is_flag=True, help="Show no progress and no notices."),
    option("--no-color", is_flag=True, help="Use no colors. So does the variable NO_COLOR."),
    option("--verbose", "-v", is_flag=True, help="Show rare events on standard error."),
)


def obey_output_options(ctx: click.Context, given: dict[str, Any]) -> None:
    """Take out of what click gives what concerns the output of any command: colors and logs.

    What the library logs is shown on standard error, or not even what Python shows by itself.
    """
    import logging  # noqa: PLC0415 - not needed for help

    class Echo(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            click.echo(self.format(record), err=True)

    if given.pop("no_color") or os.environ.get("NO_COLOR"):
        ctx.color = False
    logger, verbose = logging.getLogger("leadconnector_async"), given.pop("verbose")
    logger.addHandler(Echo() if verbose else logging.NullHandler())
    if verbose:
        logger.setLevel(logging.DEBUG)
