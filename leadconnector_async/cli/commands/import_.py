"""``leadconnector import``: the options, and what each means."""

from typing import Any

import click

from leadconnector_async.cli import options


@click.command("import")
@options.sources(required=False)
@options.options_of(
    *("import.location", "import.outbox", "access.token", "access.source-token", "api"),
    *("import.sandbox", "import.dry-run", "import.stage-only", "source", "access.provider"),
    *("piece", "sending", "output"),
)
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> None:  # noqa: ANN401 - click's values
    """Import message history from files.

    SOURCE is a file of JSON Lines, CSV, mails (mbox, .eml), XML, Excel or Parquet, text also
    gzip-compressed, a folder or a zip archive of such files, or - for standard input; or
    leadconnector:ID, another location, which is read through the API. All records are checked and
    written to the outbox before the first is sent. The same command again goes on where the last
    one ended: nothing is sent twice, and new records are added. Without a SOURCE, only what is
    pending in the outbox is sent.

    Ctrl-C once: finish what is in flight. Twice: stop now; what was in flight is looked for the
    next time.
    """
    _check_origin(given)
    _fill_in(given)
    from leadconnector_async.cli import import_options as of  # noqa: PLC0415 - not needed for help
    from leadconnector_async.cli.commands.run_import import run  # noqa: PLC0415 - the same

    options.obey_output_options(ctx, given)
    source = options.source_options_of(given)
    piece, policy, limit = of.piece_of(given, source), of.policy_of(given), of.limit_of(given)
    asked = of.ImportOptions(source=source, piece=piece, policy=policy, limit=limit, **given)
    ctx.exit(run(asked, color=ctx.color is not False))


def _check_origin(given: dict[str, Any]) -> None:
    """Refuse a location as a source where no token can open it."""
    from leadconnector_async.sources.base import location_in  # noqa: PLC0415 - not for help

    own = given["source_token"] or (not given["sandbox"] and (given["token"] or given["locations"]))
    if not own and not given["dry_run"] and any(map(location_in, given["sources"])):
        fix = "give its token with --source-token, or in LEADCONNECTOR_SOURCE_TOKEN"
        raise click.UsageError(f"a location is read through the API: {fix}")


def _fill_in(given: dict[str, Any]) -> None:
    """Give --sandbox what it can do without, and refuse what a real import cannot."""
    from leadconnector_async.outbox.open import exists  # noqa: PLC0415 - not for help

    if given["sandbox"]:
        given["outbox"] = given["outbox"] or options.SANDBOX_OUTBOX
    elif not given["outbox"] and not given["dry_run"]:
        raise click.UsageError(
            "an import needs --outbox FILE, such as --outbox history.db: there it keeps what "
            "became of each record, so that the same command can go on later"
        )
    options.read_access(given, is_needed=not (given["dry_run"] or given["stage_only"]))
    if given["stage_only"] and not given["locations"]:
        given["token"] = given["token"] or "not-sent"  # a client wants one, and nothing is sent
    if given["stage_only"] and given["mark_read"]:
        raise click.UsageError("--mark-read is for the import that sends, not for --stage-only")
    if not given["sources"] and not (given["outbox"] and exists(given["outbox"])):
        raise click.UsageError("name at least one SOURCE: a file, or - for standard input")
    if given["locations"]:
        given["location"] = given["location"] or given["locations"].only
    elif given["sandbox"]:
        given["location"] = given["location"] or options.SANDBOX_LOCATION
