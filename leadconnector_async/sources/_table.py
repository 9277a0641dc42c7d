"""Rows of cells under a header, from whatever kind of file, to records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson

from leadconnector_async.sources._columns import Columns
from leadconnector_async.sources._form import form_of
from leadconnector_async.sources._mapped_columns import MappedColumns
from leadconnector_async.sources._mapping import Rule, load_mapping, recognised, with_date_format
from leadconnector_async.sources._names import not_ours, shown
from leadconnector_async.sources.row import Parsed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leadconnector_async.sources._shape import Shaper
    from leadconnector_async.sources.row import SourceOptions

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
        self.recognised = None if options.mapping_file else _recognised(header, options)
        mapping = options.mapping_file or self.recognised
        self._definition = None if mapping is None else load_mapping(mapping)
        if self._definition is not None and options.date_format is not None:
            self._definition = with_date_format(self._definition, options.date_format)
        self._shape = shaper.parsed
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
        values = self._values(cells)
        if self._definition is None:
            if "type" not in values and is_blank(cells):
                return None
        elif is_blank(cells):
            return None
        elif reason := self.columns.skipped(cells):
            return Parsed(line, orjson.dumps(cells), None, (), left_out=reason)
        return self._shape(line, orjson.dumps(cells), values)

    @property
    def warnings(self) -> list[str]:
        """What was passed over. A mapping names what it takes, and so what it does not."""
        feeds, foreign = self.columns.feeds, self.columns.foreign
        told = [] if feeds.get("date") else [_UNDATED]
        if self._definition is None:
            told = [f"column {shown(name)} is not sent" for name in self.columns.unknown] + told
            return told + [not_ours(name, beside) for name, beside in foreign.items()]
        if not (feeds.get("direction") or self._definition.fields.get("direction", _NONE).constant):
            told.append(_NO_DIRECTION)
        told += [_FOREIGN.format(shown(name), field, name) for name, field in foreign.items()]
        if self.recognised is None:
            return told
        return [f"its columns are those of --mapping {self.recognised}: read by it", *told]


def _recognised(header: Sequence[str], options: SourceOptions) -> str | None:
    """Name the mapping of a table that says nowhere what type its records are."""
    names = [name.strip() for name in header]
    return None if "type" in names or "type" in options.mapping else recognised(names)


def is_blank(cells: Sequence[str]) -> bool:
    """Tell a row without anything in it."""
    return not any(cell.strip() for cell in cells)
