"""What a file may be: the mapping that reads it, and which of its columns feed which field."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from leadconnector_async.errors import SourceError
from leadconnector_async.sources.csv import Delimited
from leadconnector_async.sources.exports import open_source
from leadconnector_async.sources.jsonl import JsonSource
from leadconnector_async.sources.mapping_files import names_in
from leadconnector_async.sources.spreadsheet import Spreadsheet
from leadconnector_async.sources.stream_source import StreamSource

if TYPE_CHECKING:
    from leadconnector_async.sources.base import Source, SourceOptions
    from leadconnector_async.sources.table import Table

_LAST: Final = "generic"
"""Reads nearly any table, and so is tried after the others."""


class Feed(Struct, frozen=True):
    """A field, and the columns that it is made of."""

    field: str
    columns: list[str]


class TableLayout(Struct, frozen=True):
    """The columns of a table, the fields they feed, and those that feed none."""

    columns: list[str]
    feeds: list[Feed]
    unused: list[str]


def guess(path: str, options: SourceOptions) -> SourceOptions:
    """Find the options that read a file: those given, or with a mapping beside them.

    Raises:
        SourceError: no mapping reads it; the reason is that of the options as given.
    """
    try:
        with open_source(path, options) as source:
            found = recognised_of(source)
            if found is None and not _is_foreign_json(source, options):
                return options
    except SourceError as error:
        found = _first_that_reads(path, options)
        if found is None:
            raise error from None
    else:
        found = found or _first_that_reads(path, options)
    return options if found is None else replace(options, mapping_file=found)


def recognised_of(source: Source) -> str | None:
    """Name the mapping by which a file is read without being told so."""
    table = _table_of(source)
    if table is not None:
        return table.recognised
    return source.recognised if isinstance(source, StreamSource) else None


def _is_foreign_json(source: Source, options: SourceOptions) -> bool:
    """Tell JSON that is read by the API's names, but has none."""
    if options.mapping_file is not None or not isinstance(source, JsonSource):
        return False
    return all(parsed.row is None for parsed in islice(source, 1))


def _first_that_reads(path: str, options: SourceOptions) -> str | None:
    if path == "-" or options.mapping_file is not None:
        return None
    names = sorted(names_in(options.mappings), key=lambda name: name == _LAST)
    return next((name for name in names if _reads(path, options, name)), None)


def _table_of(source: Source) -> Table | None:
    return source.table if isinstance(source, Delimited | Spreadsheet) else None


def layout_of(source: Source) -> TableLayout | None:
    """Describe the columns of a table. None for other kinds of file."""
    table = _table_of(source)
    if table is None:
        return None
    columns = table.columns
    feeds = [Feed(field, names) for field, names in columns.feeds.items() if names]
    return TableLayout([name for name in columns.names if name], feeds, columns.unknown)


def _reads(path: str, options: SourceOptions, name: str) -> bool:
    """Tell whether a mapping makes anything of a file."""
    try:
        with open_source(path, replace(options, mapping_file=name)) as source:
            layout = layout_of(source)
            if layout is not None:
                return len(layout.feeds) > 1
            return any(parsed.row is not None for parsed in islice(source, 1))
    except SourceError:
        return False
