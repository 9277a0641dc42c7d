"""The header of a table: which column feeds which field."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from leadconnector_async._errors import SourceError
from leadconnector_async._messages import MESSAGE_TYPES
from leadconnector_async.sources._names import (
    BODY_FIELDS,
    FIELDS,
    LIST_FIELDS,
    MAPPABLE,
    OUTBOX_KEY,
    REASON_NAMES,
    listed,
    near_field,
    shown,
)
from leadconnector_async.sources._shape import identity_of
from leadconnector_async.sources.row import Identity

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

LIST_SEPARATOR: Final = ";"


def _items(cell: str) -> list[str]:
    return [item for part in cell.split(LIST_SEPARATOR) if (item := part.strip())]


def _cleaner(field: str) -> Callable[[str], object]:
    if field in LIST_FIELDS:
        return _items
    return str if field in BODY_FIELDS else str.strip


class Columns:
    """Names the cells of a row. ``unknown`` are the columns that feed no field."""

    def __init__(self, source: str, header: Sequence[str], mapping: Mapping[str, str]) -> None:
        self.names = [name.strip() for name in header]
        self._source = source
        self._mapping = mapping
        self._refuse_doubles()
        feeds = self._feeds()
        self._refuse_near(feeds)
        self._refuse_without_type(feeds)
        self._plan = [
            (field, self.names.index(name), _cleaner(field)) for field, name in feeds.items()
        ]
        fed = {*feeds.values(), *REASON_NAMES, ""}
        self.unknown = [name for name in self.names if name not in fed]

    def values(self, cells: Sequence[str]) -> dict[str, object]:
        """Name a row's values as the API does. An empty cell is an absent field."""
        values: dict[str, object] = {}
        for field, index, clean in self._plan:
            cell = cells[index]
            if cell and (value := clean(cell)):
                values[field] = value
        return values

    def identity(self, cells: Sequence[str]) -> Identity | None:
        """Read which record a refused row is, as far as its cells are where they should be.

        In a list of failed records the key stands in front, where no missing cell moves it.
        """
        if len(cells) == len(self.names):
            return identity_of(self.values(cells))
        listed_as_failed = self.names[0] in REASON_NAMES and self.names[1:2] == [OUTBOX_KEY]
        return Identity(None, None, cells[1]) if listed_as_failed and len(cells) > 1 else None

    def _feeds(self) -> dict[str, str]:
        """Find the column of each field."""
        for field, column in self._mapping.items():
            if column not in self.names:
                raise SourceError(
                    f"{self._source}: --map {field}={column}: there is no such column: "
                    f"write one of {listed(self.names)}"
                )
        mapped = {*self._mapping, *self._mapping.values()}
        own = {name: name for name in self.names if name in FIELDS and name not in mapped}
        return own | dict(self._mapping)

    def _refuse_doubles(self) -> None:
        doubles = sorted(name for name, times in Counter(self.names).items() if name and times > 1)
        if doubles:
            raise SourceError(
                f"{self._source}: line 1: columns occur more than once: {listed(doubles)}: "
                "rename or remove all but one of each"
            )

    def _refuse_near(self, feeds: Mapping[str, str]) -> None:
        for name in self.names:
            meant = near_field(name)
            if meant is None or meant in feeds or name in {*feeds.values(), *REASON_NAMES}:
                continue
            raise SourceError(
                f"{self._source}: line 1: column {shown(name)} is spelled differently from "
                f'the field "{meant}": rename it, or give --map "{meant}={name}"'
            )

    def _refuse_without_type(self, feeds: Mapping[str, str]) -> None:
        if "type" in feeds:
            return
        if not {name.strip() for name in self.names}.isdisjoint(MESSAGE_TYPES):
            raise SourceError(
                f"{self._source}: line 1: holds a record: put a header above it, "
                "such as type,contactId,direction,date,message"
            )
        raise SourceError(
            f'{self._source}: line 1: no column is named "type": '
            "write the API's field names in the first line, or give --map type=COLUMN"
        )


def check_mapping(source: str, mapping: Mapping[str, str]) -> None:
    """Refuse fields that the API does not have.

    Raises:
        SourceError: with the names of all that it has.
    """
    for field, column in mapping.items():
        if field not in MAPPABLE:
            meant = near_field(field)
            fix = f"write {meant}" if meant else f"write one of {', '.join(sorted(MAPPABLE))}"
            raise SourceError(f"{source}: --map {field}={column}: there is no such field: {fix}")
