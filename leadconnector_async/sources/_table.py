"""Rows of cells under a header, from whatever kind of file, to records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson

from leadconnector_async.sources._columns import Columns
from leadconnector_async.sources._form import form_of
from leadconnector_async.sources._mapped_columns import MappedColumns
from leadconnector_async.sources._mapping import Rule
from leadconnector_async.sources._names import not_ours, not_sent, shown
from leadconnector_async.sources._recognition import choice_of
from leadconnector_async.sources._values import stripped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leadconnector_async.sources._shape import Shaper
    from leadconnector_async.sources.row import Parsed, SourceOptions

_UNDATED: Final = "no column gives the date: give --map date=COLUMN"
_FOREIGN: Final = (
    "column {} is not sent: the ids of another system are not LeadConnector's; if they are, give "
    "--map {}={}"
)
_NONE: Final = Rule()
_NO_DIRECTION: Final = "no column tells sent from received: give --map direction=COLUMN"


class Table:
    """Makes records of rows, and counts those that a mapping leaves out.

    Another system's export, whose columns are none of the API's, is read by the mapping that they
    fit: ``recognised`` is its name, and a warning says so.

    ``place`` is where the header stands, for what is wrong with it.

    Raises:
        SourceError: the header, or the mapping, is not usable.
    """

    def __init__(
        self,
        place: str,
        header: Sequence[str],
        options: SourceOptions,
        shaper: Shaper,
    ) -> None:
        self._options = options
        names = [stripped(name) for name in header]
        self._choice = choice_of(place, names, options)
        self._definition = self._choice.definition
        self.recognised = self._choice.recognised
        self._shaper = shaper
        self.columns: Columns | MappedColumns
        if self._definition is None:
            self.columns = Columns(place, header, options.mapping)
        else:
            self.columns = MappedColumns(
                place, header, self._definition, options.mapping, shaper.contacts
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
        columns = self.columns
        undated = [] if columns.feeds.get("date") else [_UNDATED]
        if isinstance(columns, Columns):
            unused = [f"column {shown(name)} is not sent" for name in columns.unknown]
            return unused + undated + [not_ours(*foreign) for foreign in columns.foreign.items()]
        unused = not_sent("column", [one for one in columns.unknown if one not in columns.foreign])
        told = [*self._choice.notes, *unused, *columns.wanting]
        told += [_FOREIGN.format(shown(name), id_, name) for name, id_ in columns.foreign.items()]
        if self._definition is not None and not columns.feeds.get("direction"):
            rule = self._definition.fields.get("direction", _NONE)
            told += [] if rule.constant else [_NO_DIRECTION]
        return told if self.recognised is not None else told + undated


def is_blank(cells: Sequence[str]) -> bool:
    """Tell a row without anything in it."""
    return not any(cell.strip() for cell in cells)
