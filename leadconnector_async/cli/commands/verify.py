"""``leadconnector verify``: what the outbox believes against what the API exports."""

from __future__ import annotations

from contextlib import closing, nullcontext
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click
from msgspec.structs import asdict

from leadconnector_async.cli import options
from leadconnector_async.cli.app import Exit
from leadconnector_async.cli.format import counted, say
from leadconnector_async.cli.import_options import ApiOptions
from leadconnector_async.cli.progress_display import run_waiting
from leadconnector_async.cli.report_lines import figures, print_json
from leadconnector_async.errors import AccessError
from leadconnector_async.location_reader import LocationReader
from leadconnector_async.outbox.base import State
from leadconnector_async.outbox.open import files_of, open_reader
from leadconnector_async.outbox.reader import RecordCounts
from leadconnector_async.quota.limits import RateLimit
from leadconnector_async.records.keys import key_text
from leadconnector_async.reports.outbox_status import by_state
from leadconnector_async.sources import SourceOptions, open_source
from leadconnector_async.sources.base import location_in
from leadconnector_async.sources.batch_reader import SourceReader
from leadconnector_async.verify import FoundMessages, verify

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from leadconnector_async.client import LeadConnector
    from leadconnector_async.outbox.outbox_reader import OutboxReader
    from leadconnector_async.verify import Difference, SourceVerification, Verification


class _Result(NamedTuple):
    """Of locations, and of the sources that are other ones; and why some could not be read.

    ``unread`` says whether any of these has records that are there, or are yet to be.
    """

    found: dict[str, Verification]
    sources: dict[str, SourceVerification]
    counts: dict[str, RecordCounts]
    refused: dict[str, str]
    unread: bool


@click.command("verify")
@options.options_of(
    *("outbox.outbox", "access.token", "access.source-token", "api", "verify.location", "output")
)
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> None:  # noqa: ANN401 - click's values
    """Read back what the API holds, page by page, and report what is missing or double.

    Every message of the location is read, 500 in a request, within the same quota. Reads lag
    behind writes by seconds: wait a little after an import. What was read from another location is
    compared with what that one has now.

    Exit status: 0 each record is there once, 3 some are not, 4 the day's quota is spent, 1 stopped
    by another error, or a location could not be read.
    """
    options.obey_output_options(ctx, given)
    options.read_access(given)
    asked = VerifyOptions(**given)
    result = run_waiting("Comparing", _verify_all(asked), quiet=asked.quiet)
    found, moved, _, refused, unread = result
    agrees = all(of.agrees for of in found.values()) and all(of.agrees for of in moved.values())
    agrees = agrees and not unread
    _print(asked, result, agrees=agrees)
    for name, why in refused.items():
        say(f"leadconnector: location {name}: {why}", err=True)
    ctx.exit(Exit.ERROR if unread else Exit.DONE if agrees else Exit.FAILED)


MAX_SHOWN = 10
"""Differences of each kind that are shown; ``--json`` lists a thousand."""


class VerifyOptions(ApiOptions, frozen=True, kw_only=True):
    """What the user asks for."""

    outbox: str
    source_token: str | None
    location: str | None
    as_json: bool
    quiet: bool


def _print(options: VerifyOptions, result: _Result, *, agrees: bool) -> None:
    found, sources, counts, refused, _ = result
    others = {name: _others(of) for name, of in counts.items() if name in found or not name}
    if options.as_json:
        told = {name: asdict(one) | others.get(name, _NONE) for name, one in found.items()}
        homeless = {key: n for key, n in others.get("", _NONE).items() if n}
        whole = {"locations": told, "agrees": agrees, "without_location": homeless}
        more = {"sources": {name: asdict(one) for name, one in sources.items()}, "errors": refused}
        print_json(whole | {key: of for key, of in more.items() if of})
    else:
        shown = {name: one for name, one in found.items() if not (options.quiet and one.agrees)}
        for location, one in shown.items():
            say(_lines(location, one, others.get(location, _NONE)))
        for name, source in sources.items():
            say(() if options.quiet and source.agrees else _source_lines(name, source))
        if any(others.get("", _NONE).values()) and not options.quiet:
            say(f"Of no location, and not sent: {_terms(others[''])}.")


async def _verify_all(options: VerifyOptions) -> _Result:
    async with await open_reader(options.outbox) as reader:
        with closing(FoundMessages()) as there:
            limits = {} if options.locations is None else options.locations.limits(RateLimit())
            async with options.client(options.own_token(options.outbox), limits=limits) as api:
                counts = (await reader.summary()).locations
                if options.location not in (None, "", *counts):
                    known = ", ".join(filter(None, islice(counts, MAX_SHOWN))) or "no other one"
                    wrong = f"the outbox has no records of location {options.location}"
                    raise click.UsageError(f"{wrong}, but of {known}")
                found: dict[str, Verification] = {}
                refused: dict[str, str] = {}
                for of in [options.location] if options.location else filter(None, counts):
                    try:
                        found[of] = await verify(api, of, _sent(reader, of), found=there)
                    except AccessError as error:  # the others are compared all the same
                        refused[of] = str(error)
                async for page in reader.failed():
                    refusals = (one for one in page if one.state is State.REJECTED)
                    there.add((key_text(one.key), None, "refused") for one in refusals)
                unread = any(sum(n := counts[of]) - n.left_out - n.dismissed for of in refused)
                names = [] if unread else await reader.sources()
                sources = await _verify_sources(names, options, api, there)
        return _Result(found, sources, (await reader.summary()).locations, refused, unread)


async def _verify_sources(
    names: list[str], options: VerifyOptions, api: LeadConnector, there: FoundMessages
) -> dict[str, SourceVerification]:
    """Read the locations again that records came from, and compare."""
    found: dict[str, SourceVerification] = {}
    reading = SourceOptions(spool=files_of(options.outbox))
    for name in (name for name in names if location_in(name) is not None):
        own = options.client(options.source_token) if options.source_token else nullcontext(api)
        async with own as origin:
            reader = LocationReader(origin, files_of(options.outbox), None)
            await reader.read(SourceReader([name], reading))
        with open_source(name, reading) as source:
            found[name] = there.compare(source)
    return found


async def _sent(reader: OutboxReader, location: str) -> AsyncIterator[list[tuple[str, str]]]:
    async for page in reader.sent(location):
        yield [(key_text(record.key), record.message_id or "") for record in page]


def _others(counts: RecordCounts) -> dict[str, int]:
    """How many records have not been sent, by what became of them."""
    return {name: n for name, n in by_state(counts).items() if name != "sent"}


_NONE: Final = _others(RecordCounts())


def _terms(others: dict[str, int]) -> str:
    return ", ".join(f"{n:,} {name.replace('_', ' ')}" for name, n in others.items() if n)


def _lines(location: str, result: Verification, others: dict[str, int]) -> Iterator[str]:
    yield f"Location {location}"
    yield from figures("verify", asdict(result))
    yield from _listed("Missing", map(_told, result.missing), result.missing_count)
    yield from _listed("Double", map(_told, result.doubles), result.double_count)
    yield from _listed("Unreadable", result.unreadable, result.unreadable_count)
    if any(others.values()):
        there = "Each record that was sent is there, once. " if result.agrees else ""
        yield f"{there}Not sent: {_terms(others)}."
    elif result.agrees:
        yield "Each record is there, once."


def _source_lines(name: str, result: SourceVerification) -> Iterator[str]:
    yield f"Source {name}"
    yield from figures("verify_source", asdict(result))
    yield from _listed("Absent", result.absent, result.absent_count)
    yield from _listed("Different", result.differing, result.differing_count)


def _told(difference: Difference) -> str:
    copies = f", {difference.copies} times" if difference.copies else ""
    return f"{difference.key} (message {difference.message_id}{copies})"


def _listed(heading: str, listed: Iterable[str], count: int) -> Iterator[str]:
    if not count:
        return
    yield f"{heading}:"
    for line in islice(listed, MAX_SHOWN):
        yield f"  {line}"
    if count > MAX_SHOWN:
        yield f"  and {counted(count - MAX_SHOWN, 'more', 'more')}: see --json"
