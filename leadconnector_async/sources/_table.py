"""Rows of cells under a header, from whatever kind of file, to records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson

from leadconnector_async.sources._columns import Columns
from leadconnector_async.sources._form import form_of
from leadconnector_async.sources._mapped_columns import MappedColumns
from leadconnector_async.sources._names import not_sent, shown
from leadconnector_async.sources._recognition import choice_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leadconnector_async.sources._shape import Shaper
    from leadconnector_async.sources.row import Parsed, SourceOptions

_UNDATED: Final = (
    "no column gives the date: the API will take the time of the import for that of each message"
)


class Table:
    """Makes records of rows, and counts those that a mapping leaves out.

    Another system's export, whose columns are none of the API's, is read by the mapping that they
    fit: ``recognised`` is its name, and a warning says so.

    Raises:
        SourceError: the header, or the mapping, is not usable.
    """

    def __init__(
        self, name: str, header: Sequence[str], options: SourceOptions, shaper: Shaper
    ) -> None:
        self._options = options
        names = [name.strip() for name in header]
        self._choice = choice_of(name, names, options)
        self._definition = self._choice.definition
        self.recognised = self._choice.recognised
        self._shaper = shaper
        self.columns: Columns | MappedColumns
        if self._definition is None:
            self.columns = Columns(name, header, options.mapping)
        else:
            self.columns = MappedColumns(
                name, header, self._definition, options.mapping, shaper.contacts
            )
        self._values = self.columns.values

    def form(self, *, marked: bool = False, delimiter: str = ",") -> bytes:
        """What a list of failed records needs to know: it is CSV with the same columns."""
        return form_of(
            self._options,
            "csv",
            marked=marked,
            columns=self.columns.names,
            delimiter=delimiter,
            table=self._definition,
        ).encoded()

    def parsed(self, line: int, cells: Sequence[str]) -> Parsed | None:
        """Read a row that has as many cells as the header. None for one that is no record."""
        if isinstance(self.columns, MappedColumns):
            if is_blank(cells):
                return None
            return self.columns.parsed(line, cells, orjson.dumps(cells), self._shaper)
        values = self._values(cells)
        if "type" not in values and is_blank(cells):
            return None
        return self._shaper.parsed(line, orjson.dumps(cells), values)

    @property
    def warnings(self) -> list[str]:
        """What was passed over. A mapping names what it takes, and so what it does not."""
        undated = [] if self.columns.feeds.get("date") else [_UNDATED]
        if isinstance(self.columns, Columns):
            return [
                *(f"column {shown(name)} is not sent" for name in self.columns.unknown),
                *undated,
            ]
        unused = not_sent("column", self.columns.unknown)
        told = [*self._choice.notes, *unused, *self.columns.wanting]
        return told if self.recognised is not None else [*told, *undated]


def is_blank(cells: Sequence[str]) -> bool:
    """Tell a row without anything in it."""
    return not any(cell.strip() for cell in cells)
