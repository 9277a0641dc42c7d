"""``leadconnector import``: the options, and what each means."""

from __future__ import annotations

from typing import Any, Final

import click

from leadconnector_async.cli.option_types import OUTBOX, QUOTA_OR_OFF
from leadconnector_async.cli.options import (
    ONE_SOURCE_OF_TOKENS,
    api_options,
    locations_option,
    obey_output_options,
    option,
    output_options,
    source_options,
    source_options_of,
    sources,
)
from leadconnector_async.outbox.open import exists

SANDBOX_LOCATION: Final = "sandbox"

SANDBOX_OUTBOX: Final = "leadconnector-sandbox.db"


@click.command("import")
@sources(required=False)
@option(
    "--location",
    metavar="ID",
    help='The location of the records; one that names its own ("locationId") goes there. By '
    "default the one of --locations, where it lists just one.",
)
@option(
    "--outbox",
    metavar="FILE|URL",
    type=OUTBOX,
    help="The file in which the import keeps what became of each record, or the URL of a database, "
    "postgresql://USER@HOST/DATABASE?schema=NAME. Give the same one to go on. Required, but for "
    f"--sandbox ({SANDBOX_OUTBOX}).",
)
@option(
    "--token",
    help="The private integration token. Better given in the environment: the command line can be "
    "seen in the list of processes.",
)
@locations_option
@api_options
@option(
    "--sandbox",
    is_flag=True,
    help="Send to a stand-in for the API inside this program: no account and no token are needed, "
    "and nothing leaves the machine.",
)
@option(
    "--dry-run",
    is_flag=True,
    help="Do everything but the requests, write nothing, and estimate the time by the quota.",
)
@source_options
@option(
    "--concurrency",
    type=click.IntRange(1, 1024),
    help="Requests in flight at most. By default 64, and some more for each further location.",
)
@option(
    "--connect-timeout",
    type=click.FloatRange(0, min_open=True),
    default=10.0,
    show_default=True,
    help="Seconds to open a connection.",
)
@option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    default=60.0,
    show_default=True,
    help="Seconds without an answer after which it is unknown whether a message was stored.",
)
@option(
    "--attempts",
    type=click.IntRange(1),
    default=4,
    show_default=True,
    help="How often a message is sent before it is given up. An answer 429 is not counted.",
)
@option(
    "--on-unknown",
    type=click.Choice(["look", "send", "hold"]),
    default="look",
    show_default=True,
    help="When it is unknown whether a message was stored: look for it in its conversation, and "
    "send it again only if it is not there (needs the permission to read messages; where nothing "
    "tells them apart, it becomes unresolved); send it again at once (it may be stored twice); or "
    "hold it as unresolved (it may be missing).",
)
@option(
    "--look-after",
    metavar="SECONDS",
    type=click.FloatRange(0),
    default=8.0,
    show_default=True,
    help="When to look for the last time: what is stored can be read some seconds later. A first "
    "look is made at a quarter of it. Too short, and messages may be stored twice.",
)
@option(
    "--no-stamp",
    is_flag=True,
    help="Do not send the record's key as altId where it has none. Looking then has to compare "
    "type, direction, date and text.",
)
@option(
    "--patience",
    metavar="SECONDS",
    type=click.FloatRange(0),
    default=1800.0,
    show_default=True,
    help="How long the API may be out of reach before the import stops, and how long a location "
    "may answer nothing but 429 before it stops alone.",
)
@option(
    "--contacts",
    type=click.Choice(["find", "create", "upsert"]),
    default="create",
    show_default=True,
    help="For records that name their contact by number or address: find one that exists, and let "
    "the record fail if there is none; or create what is not found. No contact that exists is "
    "changed. upsert does the same as create: the API's own upsert can delete the first address of "
    "a contact.",
)
@option(
    "--provider",
    metavar="ID",
    help="The conversation provider of calls and custom messages that name none: exports of other "
    "systems do not know it.",
)
@option("--wait", is_flag=True, help="When the day's quota is spent, wait instead of exit 4.")
@option(
    "--quota",
    type=QUOTA_OR_OFF,
    help='The quota of each location, as REQUESTS/SECONDS, or "off". By default 100/10. What the '
    "API announces wins.",
)
@option(
    "--daily",
    type=click.IntRange(1),
    help="The quota of a day. By default 200000. What the API announces wins.",
)
@output_options
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> None:  # noqa: ANN401 - click's values
    """Import message history from files.

    SOURCE is a file of JSON Lines, CSV, mails (mbox, .eml or a folder of them), XML, Excel or
    Parquet, text also gzip-compressed, or - for standard input. All records are checked and
    written to the outbox before the first is sent. The same command again goes on where the last
    one ended: nothing is sent twice, and new records are added. Without a SOURCE, only what is
    pending in the outbox is sent.

    Ctrl-C once: finish what is in flight. Twice: stop now; what was in flight is looked for the
    next time.
    """
    _fill_in(given)
    from leadconnector_async.cli.commands.run_import import run  # noqa: PLC0415 - not needed for help
    from leadconnector_async.cli.import_options import ImportOptions  # noqa: PLC0415 - the same

    obey_output_options(ctx, given)
    _fill_in_location(given)
    options = ImportOptions(source=source_options_of(given), **given)
    ctx.exit(run(options, color=ctx.color is not False))


def _fill_in(given: dict[str, Any]) -> None:
    """Give --sandbox what it can do without, and refuse what a real import cannot."""
    if given["sandbox"]:
        given["outbox"] = given["outbox"] or SANDBOX_OUTBOX
    elif not given["outbox"] and not given["dry_run"]:
        raise click.UsageError(
            "an import needs --outbox FILE, such as --outbox history.db: there it keeps what "
            "became of each record, so that the same command can go on later"
        )
    elif not (given["token"] or given["locations"] or given["dry_run"]):
        raise click.UsageError(
            "an import needs a token: set LEADCONNECTOR_TOKEN to your private integration token, "
            "or try it with --sandbox"
        )
    elif given["token"] and given["locations"]:
        raise click.UsageError(ONE_SOURCE_OF_TOKENS)
    if not given["sources"] and not (given["outbox"] and exists(given["outbox"])):
        raise click.UsageError("name at least one SOURCE: a file, or - for standard input")


def _fill_in_location(given: dict[str, Any]) -> None:
    """Read the file of locations, and find where the records go that name no location."""
    if given["locations"]:
        from leadconnector_async.locations.toml_file import read_locations  # noqa: PLC0415 - not for help

        given["locations"] = read_locations(given["locations"])
        given["location"] = given["location"] or given["locations"].only
    elif given["sandbox"]:
        given["location"] = given["location"] or SANDBOX_LOCATION
