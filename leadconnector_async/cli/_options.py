"""Options that several commands share, and the rule that names their environment variables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from leadconnector_async.cli._types import DELIMITER, MAPPING, ZONE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from leadconnector_async.sources import SourceOptions

_F = TypeVar("_F", bound="Callable[..., Any]")


def option(name: str, *names: str, **settings: Any) -> Callable[[_F], _F]:  # noqa: ANN401 - click's
    """Declare an option with its variable: ``--base-url`` is also ``LEADCONNECTOR_BASE_URL``."""
    variable = "LEADCONNECTOR_" + name.removeprefix("--").replace("-", "_").upper()
    return click.option(name, *names, envvar=variable, show_envvar=True, **settings)


def _all(*decorators: Callable[[_F], _F]) -> Callable[[_F], _F]:
    def decorate(function: _F) -> _F:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


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


source_options: Final = _all(
    option(
        "--map",
        "mapping",
        metavar="FIELD=COLUMN",
        type=MAPPING,
        multiple=True,
        help="The column (or JSON key) that holds a field, where it is not named like the field. "
        'Repeat it for more; in the environment separate them by ";".',
    ),
    option(
        "--timezone",
        metavar="ZONE",
        type=ZONE,
        help="The time zone of dates without an offset, such as America/New_York.",
    ),
    option(
        "--encoding",
        metavar="NAME",
        help="The encoding of the files, such as cp1252. By default UTF-8; UTF-16, and any file "
        "with a byte order mark, is recognised.",
    ),
    option(
        "--format",
        type=click.Choice(["jsonl", "csv", "mbox", "eml", "xml", "excel", "parquet"]),
        help="What the files hold. By default their names say, or else their beginning.",
    ),
    option(
        "--delimiter",
        metavar="CHAR",
        type=DELIMITER,
        help=r"What separates the cells of CSV, such as ';' or '\t'. By default it is recognised.",
    ),
    option(
        "--mapping",
        "mapping_file",
        metavar="NAME|FILE",
        help="How another system's export is read: generic, sms-backup-restore, twilio-calls, "
        "twilio-messages, or a TOML file of your own.",
    ),
    option(
        "--region",
        metavar="COUNTRY",
        help="The country of telephone numbers without a country code, such as US.",
    ),
    option(
        "--mine",
        metavar="ADDRESS",
        multiple=True,
        help="Your own address in mails, or @example.com for all of a domain: it tells sent mails "
        "from received ones. Repeat it for more; in the environment separate them by spaces.",
    ),
)


def source_options_of(given: dict[str, Any]) -> SourceOptions:
    """Take the source options out of what click gives."""
    from leadconnector_async.sources import SourceOptions  # noqa: PLC0415 - not needed for help

    mapping = dict(given.pop("mapping"))
    names = ("timezone", "encoding", "format", "delimiter", "mapping_file", "region", "mine")
    return SourceOptions(mapping=mapping, **{name: given.pop(name) for name in names})


outbox_option: Final = option(
    "--outbox",
    metavar="FILE",
    required=True,
    type=click.Path(dir_okay=False),
    help="The file in which the import keeps what became of each record.",
)

ONE_SOURCE_OF_TOKENS: Final = (  # an explanation, no secret
    "give --token or --locations, not both: unset LEADCONNECTOR_TOKEN to use the file's tokens"
)
locations_option: Final = option(
    "--locations",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="A TOML file of locations, each with its own token, quota and providers, instead of "
    "--token. See docs/locations.md.",
)

json_option: Final = option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print the result as one JSON object, last on standard output.",
)

output_options: Final = _all(
    json_option,
    option("--quiet", "-q", is_flag=True, help="Show no progress and no notices."),
    option("--no-color", is_flag=True, help="Use no colors. So does the variable NO_COLOR."),
    option("--verbose", "-v", is_flag=True, help="Show rare events on standard error."),
)
