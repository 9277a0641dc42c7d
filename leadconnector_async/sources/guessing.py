"""What a file may be: the mapping that reads it, and which of its columns feed which field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from leadconnector_async._errors import SourceError
from leadconnector_async.sources._grid import Grid
from leadconnector_async.sources._mapping import NAMES, load_mapping
from leadconnector_async.sources.delimited import Delimited
from leadconnector_async.sources.opening import open_source

if TYPE_CHECKING:
    from leadconnector_async.sources._table import Table
    from leadconnector_async.sources.row import Source, SourceOptions

_LAST: Final = "generic"
"""Reads nearly any table, and so is tried after the others."""


class Feed(Struct, frozen=True):
    """A field, and the columns that it is made of."""

    field: str
    columns: list[str]


class Layout(Struct, frozen=True):
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
            table = _table_of(source)
    except SourceError as error:
        if path == "-" or options.mapping_file is not None:
            raise
        found = next((name for name in _ordered() if _reads(path, options, name)), None)
        if found is None:
            raise error from None
        return replace(options, mapping_file=found)
    if table is not None and table.recognised is not None:
        return replace(options, mapping_file=table.recognised)
    return options


def _table_of(source: Source) -> Table | None:
    return source.table if isinstance(source, Delimited | Grid) else None


def layout_of(source: Source) -> Layout | None:
    """Describe the columns of a table. None for other kinds of file."""
    table = _table_of(source)
    if table is None:
        return None
    columns = table.columns
    feeds = [Feed(field, names) for field, names in columns.feeds.items() if names]
    return Layout([name for name in columns.names if name], feeds, columns.unknown)


def about(name: str) -> str:
    """Say what a mapping is for."""
    return load_mapping(name).about


def is_recognised(name: str) -> bool:
    """Tell whether a table is read by this mapping without being told so."""
    return bool(load_mapping(name).requires)


def _ordered() -> list[str]:
    return [*(name for name in NAMES if name != _LAST), _LAST]


def _reads(path: str, options: SourceOptions, name: str) -> bool:
    """Tell whether a mapping makes anything of a file."""
    try:
        with open_source(path, replace(options, mapping_file=name)) as source:
            layout = layout_of(source)
            if layout is not None:
                return len(layout.feeds) > 1
            return next(iter(source), None) is not None
    except SourceError:
        return False
