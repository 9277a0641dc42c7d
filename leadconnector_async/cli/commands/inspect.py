"""``leadconnector inspect``: what a file holds, and what would be made of it."""

from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import islice
from typing import Any, Final
from urllib.parse import unquote

import click
import msgspec

from leadconnector_async.cli.commands.validate import RowChecker
from leadconnector_async.cli.format import counted, say
from leadconnector_async.cli.options import options_of, source_options_of
from leadconnector_async.errors import SourceError
from leadconnector_async.models import Contact
from leadconnector_async.reports.outbox_status import told_of
from leadconnector_async.sources import Parsed, SourceRow, open_sources
from leadconnector_async.sources.base import SettledContact, Source, SourceOptions
from leadconnector_async.sources.exports import Export, open_source
from leadconnector_async.sources.fields import listed
from leadconnector_async.sources.files.spool import SpooledUrl
from leadconnector_async.sources.formats.jsonl import JsonSource
from leadconnector_async.sources.formats.table import Table
from leadconnector_async.sources.mappings.mapping_files import load_mapping, names_in
from leadconnector_async.sources.people import People


@click.command("inspect")
@click.argument("path", metavar="[FILE]", required=False, type=click.Path(allow_dash=True))
@options_of("source")
def command(path: str | None, **given: Any) -> None:  # noqa: ANN401 - click's values
    """Look at a file before it is imported.

    Its columns are shown, which field each feeds, and its first three records as they would be
    sent, texts included; of a folder or a zip archive those of each source in it. Where the columns
    are not named like the API's fields, the mapping is guessed that reads them. With --people it
    shows who is who, and whom it cannot tell apart, with or without a FILE. Nothing is stored or
    sent.
    """
    options = source_options_of(given)
    if isinstance(options.people, People):
        say(_people(options.people))
    elif path is None:
        raise click.UsageError("name a FILE, or give --people FILE to look at that")
    if path is not None:
        _look(path, options)


def _people(people: People) -> Iterator[str]:
    """Tell who is who, and what of it nobody can tell."""
    everybody = people.everybody
    phones, emails = sum(len(p.phones) for p in everybody), sum(len(p.emails) for p in everybody)
    yield f"People: {len(everybody):,}, with {phones:,} numbers and {emails:,} addresses"
    groups = {
        "Several numbers, which become one contact, the first one's": [
            f"{p.name}: {', '.join(p.phones)}" for p in everybody if len(p.phones) > 1
        ],
        "One name of several people: records with the name alone are refused": [
            f"{some[0].name}: {', '.join(place for p in some for place in p.places)}"
            for some in people.by_name.values()
            if len(some) > 1
        ],
        "One number or address of several names: each record keeps what it has": [
            f"{handle}: {', '.join(p.name for p in some)}"
            for handle, some in people.by_handle.items()
            if len(some) > 1
        ],
        "Not read": people.warnings,
    }
    for title, lines in groups.items():
        if lines:
            yield f"\n{title} ({len(lines):,}):"
            yield from (f"  {line}" for line in lines[:PEOPLE])
            yield from (f"  and {len(lines) - PEOPLE:,} more" for _ in lines[PEOPLE:][:1])
    yield ""


def _look(path: str, options: SourceOptions) -> None:
    sources = open_sources(path, options)
    is_export = isinstance(sources, Export)
    guessed = options if is_export else guess(path, options)
    shown = sources if is_export else open_sources(path, guessed)
    with closing(RowChecker()) as checker:
        for number, source in enumerate(shown, 1):
            with source:
                if is_export and number <= SOURCES:
                    say(f"Source: {source.name}")
                if number <= SOURCES:
                    _show(source, checker, _heading(guessed, table_of(source), options))
    if isinstance(shown, Export):
        if number > SOURCES:
            say(f"{counted(number - SOURCES, 'source')} more")
        if shown.others:
            say(f"Other files, named by records or not read: {listed(shown.others)}")


def _show(source: Source, checker: RowChecker, heading: Iterable[str]) -> None:
    say(heading)
    found = list(islice(source, RECORDS))
    say("\nFirst records:" if found else "\nIt holds no records.")
    for parsed in found:
        say(_record(parsed, source.name, checker))
    say()


PEOPLE: Final = 20
"""Of each kind, those that are shown."""

SOURCES: Final = 10
"""Of an export, those that are shown."""

RECORDS: Final = 3

_OURS: Final = ("id", "locationId", "outboxKey")
"""Fields that no message has."""


def _heading(options: SourceOptions, table: Table | None, given: SourceOptions) -> Iterator[str]:
    name = options.mapping_file
    if name is not None:
        mapping = load_mapping(name)
        yield f"Mapping: {name} ({mapping.about or 'your own'})"
        if options is not given:
            by_itself, told = "import reads it so by itself", f"import it with --mapping {name}"
            yield f"         guessed: {by_itself if mapping.is_recognised else told}"
    if table is None:
        return
    columns = table.columns
    yield f"Columns: {', '.join(filter(None, columns.names))}\n"
    yield f"  {'field':<24}made of"
    for field, names in columns.feeds.items():
        if names:
            yield f"  {field:<24}{', '.join(names)}"
    if columns.unknown:
        yield f"\nNot sent: {', '.join(columns.unknown)}"


def _record(parsed: Parsed, source: str, checker: RowChecker) -> Iterator[str]:
    yield f"\n  {parsed.line}:"
    if parsed.row is not None:
        body = msgspec.json.format(_body(parsed.row), indent=2).decode()
        yield from (f"    {line}" for line in body.splitlines())
    # A contact that has no id yet is found or made before its records are sent.
    for problem in checker.check(parsed, source).problems:
        yield f"    {problem}"
    for notice in told_of(parsed):
        yield f"    Note: {notice}"
    if parsed.left_out is not None:
        yield f"    left out: {parsed.left_out}"


def _as_text(value: object) -> str:
    """What a file is called that is within the source: it is written nowhere here."""
    return unquote(value.rpartition("/")[2]) if isinstance(value, SpooledUrl) else str(value)


def _body(row: SourceRow) -> bytes:
    contact = row.contact
    if isinstance(contact, SettledContact):
        row.contact = Contact(contact.phone, contact.email, contact.name)
    fields = msgspec.to_builtins(row, builtin_types=(), enc_hook=_as_text)
    return msgspec.json.encode({name: fields[name] for name in fields if name not in _OURS})


_LAST: Final = "generic"
"""Reads nearly any table, and so is tried after the others."""


def guess(path: str, options: SourceOptions) -> SourceOptions:
    """Find the options that read a file: those given, or with a mapping beside them.

    Raises:
        SourceError: no mapping reads it; the reason is that of the options as given.
    """
    try:
        with open_source(path, options) as source:
            found: str | None = getattr(source, "recognised", None)
            # JSON is read by the API's names, and may have none of them.
            is_json = options.mapping_file is None and isinstance(source, JsonSource)
            if found is None and not (is_json and _makes_nothing(source)):
                return options
    except SourceError as error:
        found = _first_that_reads(path, options)
        if found is None:
            raise error from None
    else:
        found = found or _first_that_reads(path, options)
    return options if found is None else msgspec.structs.replace(options, mapping_file=found)


def _makes_nothing(source: Source) -> bool:
    return all(parsed.row is None for parsed in islice(source, 1))


def _first_that_reads(path: str, options: SourceOptions) -> str | None:
    if path == "-" or options.mapping_file is not None:
        return None
    names = sorted(names_in(options.mappings), key=lambda name: name == _LAST)
    return next((name for name in names if _reads(path, options, name)), None)


def table_of(source: Source) -> Table | None:
    """The table that a source reads; None for other kinds of file."""
    table = getattr(source, "table", None)
    return table if isinstance(table, Table) else None


def _reads(path: str, options: SourceOptions, name: str) -> bool:
    """Tell whether a mapping makes anything of a file."""
    try:
        with open_source(path, msgspec.structs.replace(options, mapping_file=name)) as source:
            if (table := table_of(source)) is not None:
                return sum(map(bool, table.columns.feeds.values())) > 1
            return not _makes_nothing(source)
    except SourceError:
        return False
