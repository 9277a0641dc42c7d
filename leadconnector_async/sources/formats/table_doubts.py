"""What of a table may not be what its owner meant, though each cell can be read."""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Final

import orjson
from msgspec.structs import replace

from leadconnector_async.models import Problem
from leadconnector_async.sources.base import Parsed, SourceOptions
from leadconnector_async.sources.fields import expression, notice, problem_of
from leadconnector_async.sources.mappings.coerce import identity_of
from leadconnector_async.sources.mappings.columns import Columns, Vocabulary

_ERRORS: Final = frozenset(("#NAME?", "#REF!", "#VALUE!", "#DIV/0!", "#NUM!")).union(
    ("#NULL!", "#N/A", "#CALC!", "#SPILL!", "#ERROR!")
)

_MOST: Final = 32_767
"""Characters that a cell of Excel holds."""

_PATH: Final = re.compile(r"[:\\]\\")
"""Of Windows, of which a folder may begin with n; and a backslash that is itself written out."""

_FEWEST_NAMES: Final = 3

_MANY_DAYS: Final = 60

_MANY_NUMBERS: Final = 10


class Doubts:
    """Refuses rows that are most likely none of the table, or whose text is lost.

    ``warnings`` are those of the whole.
    """

    def __init__(self, columns: Columns, options: SourceOptions) -> None:
        date = next((name for name in columns.feeds.get("date", ()) if name), None)
        self._dated = None if date is None else columns.names.index(date)
        self._days: set[str] = set()
        self._options = options
        self._has_ended = False

    def settled(self, parsed: Parsed, cells: Sequence[str], values: Mapping[str, object]) -> Parsed:
        """Refuse a row, of which these values are made, or let it be."""
        self._has_ended = self._has_ended or (bool(parsed.problems) and self._is_header(cells))
        if self._has_ended:  # its text alone is listed: as cells it would be read from the list
            text = io.StringIO(newline="")
            csv.writer(text, lineterminator="").writerow(cells)
            raw = orjson.dumps(text.getvalue())
            return _refused(parsed, problem_of("other_table"), values)._replace(raw=raw)
        self._note_day(cells)
        message = None if parsed.row is None else parsed.row.message
        contact = None if parsed.row is None else parsed.row.contact
        if parsed.row and contact and contact.name in _ERRORS:  # as of a person who was not found
            parsed.row.contact = replace(contact, name=None)
        if message in _ERRORS:
            return _refused(parsed, problem_of("lost_text"), values)
        told = [notice("may_be_cut")] if message is not None and len(message) == _MOST else []
        if message and ("<" in message or "{" in message) and expression("markup").search(message):
            told.append(notice("is_markup"))
        if parsed.row and type(message) is str and r"\n" in message and not _PATH.search(message):
            repairs = self._options.repair_text
            told.append(notice("lines_read") if repairs else notice("written_lines"))
            if repairs:
                parsed.row.message = message.replace(r"\r\n", "\n").replace(r"\n", "\n")
        return parsed._replace(notices=(*parsed.notices, *told)) if told else parsed

    def _is_header(self, cells: Sequence[str]) -> bool:
        filled = {cell for cell in cells if cell.strip()}
        return _FEWEST_NAMES <= len(filled) == self._vocabulary.count([*filled])

    @cached_property
    def _vocabulary(self) -> Vocabulary:
        return Vocabulary(self._options)

    def _note_day(self, cells: Sequence[str]) -> None:
        """Note the days of ISO dates, until one of them can be no month."""
        if self._dated is None:
            return
        day = cells[self._dated].strip()[:10]
        if day[8:] > "12":
            self._dated = None
        elif day[4:5] == day[7:8] == "-" and len(self._days) < _MANY_DAYS:
            self._days.add(day)

    @property
    def warnings(self) -> list[str]:
        """Say that days may be months: of so many days, of so many numbers, it is no chance."""
        is_full = self._dated is not None and len(self._days) >= _MANY_DAYS
        has_many = is_full and len({day[8:] for day in self._days}) >= _MANY_NUMBERS
        return [notice("days_for_months", days=_MANY_DAYS)] if has_many else []


def _refused(parsed: Parsed, problem: Problem, values: Mapping[str, object]) -> Parsed:
    identity = identity_of(values) if values else None
    return parsed._replace(row=None, problems=(problem,), identity=identity)
