"""``leadconnector verify``: what the outbox believes against what the API exports."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import click
from msgspec import Struct
from msgspec.structs import asdict

from leadconnector_async.api.endpoints import BASE_URL
from leadconnector_async.cli.exit_codes import Exit
from leadconnector_async.cli.format import counted, say
from leadconnector_async.cli.import_options import api_token
from leadconnector_async.cli.options import (
    ONE_SOURCE_OF_TOKENS,
    api_options,
    locations_option,
    obey_output_options,
    option,
    outbox_option,
    output_options,
)
from leadconnector_async.cli.report_lines import figures, print_json
from leadconnector_async.client import LeadConnector
from leadconnector_async.locations.toml_file import read_locations
from leadconnector_async.outbox.open import open_reader, shown_place
from leadconnector_async.outbox.reader import RecordCounts
from leadconnector_async.quota.limits import RateLimit
from leadconnector_async.records.draft import key_text
from leadconnector_async.verify import Verification, verify

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from leadconnector_async.outbox.reader import OutboxReader
    from leadconnector_async.verify import Difference


@click.command("verify")
@outbox_option
@option("--token", help="The private integration token. Better given in the environment.")
@locations_option
@api_options
@option("--location", metavar="ID", help="Compare this location alone.")
@output_options
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> None:  # noqa: ANN401 - click's values
    """Read back what the API holds, page by page, and report what is missing or double.

    Every message of the location is read, 500 in a request, within the same quota. Reads lag
    behind writes by seconds: wait a little after an import.

    Exit status: 0 each record is there once, 3 some are not, 1 stopped by an error.
    """
    obey_output_options(ctx, given)
    if given["token"] and given["locations"]:
        raise click.UsageError(ONE_SOURCE_OF_TOKENS)
    options = VerifyOptions(**given)
    if not (options.token or options.locations):
        raise click.UsageError(
            "give the token in LEADCONNECTOR_TOKEN, or --locations with each location's"
        )
    found, counts = asyncio.run(_verify_all(options))
    _print(options, found, counts)
    ctx.exit(Exit.DONE if all(one.agrees for one in found.values()) else Exit.FAILED)


MAX_SHOWN = 10
"""Differences of each kind that are shown; ``--json`` lists a thousand."""


class VerifyOptions(Struct, frozen=True, kw_only=True):
    """What the user asks for."""

    outbox: str
    token: str | None
    locations: str | None
    base_url: str | None
    api_version: str | None
    location: str | None
    as_json: bool
    quiet: bool

    def __repr__(self) -> str:
        return f"VerifyOptions({shown_place(self.outbox)!r})"


def _print(
    options: VerifyOptions, found: dict[str, Verification], counts: dict[str, RecordCounts]
) -> None:
    others = {name: _others(of) for name, of in counts.items() if name in found or not name}
    if options.as_json:
        told = {name: asdict(one) | others.get(name, _NONE) for name, one in found.items()}
        agrees = all(one.agrees for one in found.values())
        homeless = {key: n for key, n in others.get("", _NONE).items() if n}
        print_json({"locations": told, "agrees": agrees, "without_location": homeless})
    else:
        shown = {name: one for name, one in found.items() if not (options.quiet and one.agrees)}
        for location, result in shown.items():
            for line in _lines(location, result, others.get(location, _NONE)):
                say(line)
        if any(others.get("", _NONE).values()) and not options.quiet:
            say(f"Of no location, and not sent: {_terms(others[''])}.")


async def _verify_all(
    options: VerifyOptions,
) -> tuple[dict[str, Verification], dict[str, RecordCounts]]:
    async with await open_reader(options.outbox) as reader:
        found = await _verify_each(reader, options)
        return found, (await reader.summary()).locations


async def _verify_each(reader: OutboxReader, options: VerifyOptions) -> dict[str, Verification]:
    counts = (await reader.summary()).locations
    chosen = [options.location] if options.location else [name for name in counts if name]
    locations = read_locations(options.locations) if options.locations else None
    async with LeadConnector(
        api_token(options.token, locations),
        base_url=options.base_url or BASE_URL,
        version=options.api_version,
        limits={} if locations is None else locations.limits(RateLimit()),
    ) as api:
        return {name: await verify(api, name, _sent(reader, name)) for name in chosen}


async def _sent(reader: OutboxReader, location: str) -> AsyncIterator[list[tuple[str, str]]]:
    async for page in reader.sent(location):
        yield [(key_text(record.key), record.message_id or "") for record in page]


def _others(counts: RecordCounts) -> dict[str, int]:
    """How many records have not been sent, by what became of them."""
    return {
        "failed": counts.rejected,
        "unresolved": counts.unresolved,
        "pending": counts.left,
        "left_out": counts.left_out,
        "dismissed": counts.dismissed,
    }


_NONE: Final = _others(RecordCounts())


def _terms(others: dict[str, int]) -> str:
    return ", ".join(f"{n:,} {name.replace('_', ' ')}" for name, n in others.items() if n)


def _lines(location: str, result: Verification, others: dict[str, int]) -> Iterator[str]:
    yield f"Location {location}"
    bad = result.unreadable_count
    unreadable = (
        [("unreadable", bad, "exported, and not comparable, or not in full")] if bad else []
    )
    yield from figures(
        [
            ("sent", result.checked, "by the outbox"),
            ("exported", result.exported, "messages that the API holds, others' included"),
            ("missing", result.missing_count, ""),
            ("double", result.double_count, ""),
            *unreadable,
        ]
    )
    yield from _listed("Missing", map(_told, result.missing), result.missing_count)
    yield from _listed("Double", map(_told, result.doubles), result.double_count)
    yield from _listed("Unreadable", result.unreadable, bad)
    if any(others.values()):
        there = "Each record that was sent is there, once. " if result.agrees else ""
        yield f"{there}Not sent: {_terms(others)}."
    elif result.agrees:
        yield "Each record is there, once."


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
