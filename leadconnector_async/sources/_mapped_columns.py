"""The header of a table that a mapping describes. Stands in for `Columns`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leadconnector_async._errors import SourceError
from leadconnector_async.sources._columns import listed_identity, refuse_doubles, refuse_unmapped
from leadconnector_async.sources._mapped import Reader
from leadconnector_async.sources._mapped_rules import resolved, with_columns
from leadconnector_async.sources._mapping import columns_of, columns_told_of
from leadconnector_async.sources._names import (
    GIVEN_IDS,
    LOCATION,
    OUTBOX_KEY,
    REASON_NAMES,
    folded,
    shown,
)
from leadconnector_async.sources._shape import identity_of
from leadconnector_async.sources._values import stripped
from leadconnector_async.sources.row import Parsed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from leadconnector_async.sources._contacts import Contacts
    from leadconnector_async.sources._mapping import Definition
    from leadconnector_async.sources._shape import Shaper
    from leadconnector_async.sources.row import Identity


class MappedColumns:
    """Makes the values of a row by a mapping.

    ``feeds`` are the columns of each field, ``unknown`` those that the mapping does not read.
    ``foreign`` are the ones of these that are named like ids that LeadConnector gives.

    Names of columns are compared without case and separators: ``Start Time`` is ``StartTime``.
    A column that ``--map`` names for a field feeds it as it stands, whatever the mapping says.

    Raises:
        SourceError: columns are missing.
    """

    def __init__(
        self,
        source: str,
        header: Sequence[str],
        definition: Definition,
        mapping: Mapping[str, str],
        contacts: Contacts,
    ) -> None:
        self.names = [stripped(name) for name in header]
        refuse_doubles(source, self.names)
        refuse_unmapped(source, self.names, mapping)
        self._spelled = {folded(name): name for name in reversed(self.names) if folded(name)}
        self.wanting = [told for name, told in definition.wants.items() if not self._find(name)]
        kind = resolved(definition.table, self._find, lambda *what: _missing(source, *what))
        with_columns(kind, mapping)
        self._reader = Reader(kind, definition, contacts)
        self.feeds = {field: columns_of(rule) for field, rule in kind.fields.items()}
        read = {name for names in self.feeds.values() for name in names}
        # What a list of failed records adds. Elsewhere a location is another system's.
        self._listed = [LOCATION, OUTBOX_KEY] if OUTBOX_KEY in self.names else []
        self._listed = [name for name in self._listed if name in self.names]
        passed = read.union(columns_told_of(kind), REASON_NAMES, self._listed, [""])
        self.unknown = [name for name in self.names if name not in passed]
        ids = {folded(name): name for name in GIVEN_IDS - mapping.keys()}
        self.foreign = {name: ids[folded(name)] for name in self.unknown if folded(name) in ids}

    def parsed(self, line: int, cells: Sequence[str], raw: bytes, shaper: Shaper) -> Parsed:
        """Make a record, or say why it is left out."""
        row = dict(zip(self.names, cells, strict=True))
        reason = self._reader.skipped(row)
        if reason is None:
            values = self.values(cells)
            reason, told = self._reader.not_carried(row, values)
        if reason is not None:
            return Parsed(line, raw, None, (), left_out=reason)
        return shaper.parsed(line, raw, values, told)

    def values(self, cells: Sequence[str]) -> dict[str, object]:
        """Name a row's values as the API does."""
        row = dict(zip(self.names, cells, strict=True))
        values = self._reader.values(row)
        for name in self._listed:  # what a list of failed records adds
            if text := row[name].strip():
                values[name] = text
        return values

    def identity(self, cells: Sequence[str]) -> Identity | None:
        """Read which record a refused row is, as far as its cells are where they should be."""
        if len(cells) == len(self.names):
            return identity_of(self.values(cells))
        return listed_identity(self.names, cells)

    def _find(self, name: str) -> str | None:
        return self._spelled.get(folded(name))


def _missing(source: str, field: str, column: str) -> SourceError:
    return SourceError(
        f"{source}: has no column {shown(column)}, of which the mapping makes {field}: "
        f'export it with that column, or write ["{column}"] in the mapping where it may be missing'
    )
