"""``leadconnector doctor``: whether an import would work, and what to do first."""

from __future__ import annotations

import asyncio
import platform
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Final

import click
from msgspec.structs import replace

from leadconnector_async import __version__
from leadconnector_async.canary import fly
from leadconnector_async.cli import options
from leadconnector_async.cli.app import Exit
from leadconnector_async.cli.format import say, width, wrapped
from leadconnector_async.cli.import_options import ApiOptions, providers_of
from leadconnector_async.cli.report_lines import print_json
from leadconnector_async.doctor import AllNeeds, Finding, Needs, examine, note_record
from leadconnector_async.records.builder import RowDrafter
from leadconnector_async.sources.batch_reader import SourceReader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leadconnector_async.sandbox import SandboxThread
    from leadconnector_async.sources import SourceOptions

_SIGNS: Final = {"ok": "ok", "note": "note", "warning": "WARNING", "fault": "FAULT"}


@click.command("doctor")
@options.sources(required=False)
@options.options_of(
    *("doctor.location", "doctor.outbox", "access.token", "api", "doctor.sandbox"),
    *("doctor.canary", "source", "access.provider", "output"),
)
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> None:  # noqa: ANN401 - click's values
    """Say whether an import would work, before the first one: each finding names its fix.

    SOURCE are the files that are to be imported. Token and scopes, quota, clock, automations,
    versions, disk space and the outbox are looked at; nothing is changed but by --canary. What may
    be written is asked with requests that the API refuses for their fields.

    Exit status: 0 an import would work, 3 something stands in its way, 1 stopped by an error.
    """
    options.obey_output_options(ctx, given)
    _check(given)
    source = options.source_options_of(given)
    needs = _needs(given, source) if given["sources"] else None
    with _sandbox(given) as sandbox:
        found = asyncio.run(_examine(given, sandbox, needs))
    works = not any(finding.state == "fault" for finding in found)
    if given["as_json"]:
        print_json({"works": works, "findings": found})
    else:
        say(_lines(found, works=works, quiet=given["quiet"]))
    ctx.exit(Exit.DONE if works else Exit.FAILED)


def _check(given: dict[str, Any]) -> None:
    options.read_access(given)
    if given["locations"]:
        given["location"] = given["location"] or given["locations"].only
    if given["sandbox"]:
        given["location"] = given["location"] or options.SANDBOX_LOCATION
    if not (given["location"] or given["locations"]):
        raise click.UsageError("give --location ID: the one to import into")
    if given["canary"] and not given["sources"]:
        raise click.UsageError("--canary needs a SOURCE: it writes what the files use")


def _needs(given: dict[str, Any], options: SourceOptions) -> AllNeeds:
    """What the files hold for each location, and their bytes; read once.

    Raises:
        SourceError: one cannot be read.
    """
    drafter = RowDrafter(given["location"], 0, providers_of(given["provider"], given["locations"]))
    reader = SourceReader(given["sources"], options)
    found = AllNeeds({given["location"] or "": Needs()}, reader.size or 0)
    reader.check()
    for source in reader.sources():
        while batch := reader.batch():
            for parsed in batch:
                draft = drafter.draft_of(parsed, source.name)
                note_record(found.needs.setdefault(draft.location, Needs()), draft)
    return found


def _sandbox(given: dict[str, Any]) -> AbstractContextManager[SandboxThread | None]:
    """A sandbox that runs as long as the block, where one is asked for."""
    if not given["sandbox"]:
        return nullcontext()
    from leadconnector_async.sandbox import Limits, SandboxConfig, SandboxThread  # noqa: PLC0415 - a server's imports

    config = SandboxConfig(location_id=given["location"], trusting=True, limits=Limits())
    return SandboxThread(config)


async def _examine(
    given: dict[str, Any], sandbox: SandboxThread | None, read: AllNeeds | None
) -> list[Finding]:
    locations = [given["location"]] if given["location"] else list(given["locations"].locations)
    options = ApiOptions(**{name: given[name] for name in ApiOptions.__struct_fields__})
    token = sandbox.token if sandbox else options.own_token(given["outbox"])
    own = sandbox.url if sandbox else None
    async with options.client(token, own, location_id=given["location"]) as api:
        to = "the sandbox" if sandbox else api.base_url.rstrip("/")
        ours = f"leadconnector-async {__version__}, Python {platform.python_version()}"
        found = [Finding("version", "ok", ours)]
        found += await examine(api, locations, outbox=given["outbox"], destination=to, sources=read)
        faults = {one.check for one in found if one.state == "fault"}
        if given["canary"] and read is not None and not faults & {"api", "token", "sources"}:
            for location in locations:
                if location in read.needs and read.needs[location].kinds:
                    flown = await fly(api, location, read.needs[location].kinds)
                    found += [replace(finding, location=location) for finding in flown]
        return found


def _lines(found: list[Finding], *, works: bool, quiet: bool) -> Iterator[str]:
    shown = [one for one in found if not quiet or one.state in ("warning", "fault")]
    several = len({one.location for one in found if one.location}) > 1
    for finding in shown:
        of = f"{finding.location}: " if several and finding.location else ""
        fix = [] if finding.fix is None else wrapped(f"Fix: {finding.fix}.", width() - 9)
        head, *rest = wrapped(f"{of}{finding.check}: {finding.found}", width() - 9) + fix
        yield f"{_SIGNS[finding.state]:<9}{head}"
        yield from (" " * 9 + line for line in rest)
    if not quiet:
        yield ""
    yield "An import would work." if works else "An import would not work: see what is a FAULT."
