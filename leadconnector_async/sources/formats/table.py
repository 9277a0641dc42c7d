"""Rows of cells under a header, from whatever kind of file, to records."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import tzinfo
from typing import Final

import orjson
from msgspec.structs import replace

from leadconnector_async.errors import SourceError
from leadconnector_async.models import Problem
from leadconnector_async.sources import fields
from leadconnector_async.sources.base import Identity, Parsed, SourceOptions
from leadconnector_async.sources.fields import OUTBOX_KEY, REASON_NAMES, folded, shown, stripped
from leadconnector_async.sources.formats.stream_source import SourceFormat
from leadconnector_async.sources.formats.table_doubts import Doubts
from leadconnector_async.sources.mappings.chat_sides import ChatSides
from leadconnector_async.sources.mappings.coerce import RowCoercer, identity_of, in_api_names
from leadconnector_async.sources.mappings.columns import Columns, NamedColumns, refuse_doubles
from leadconnector_async.sources.mappings.mapped import PHONE, RowMapper
from leadconnector_async.sources.mappings.mapping import (
    Definition,
    FieldRule,
    as_list,
    columns_of,
    columns_told_of,
)
from leadconnector_async.sources.mappings.mapping_files import choice_of
from leadconnector_async.sources.mappings.rules import Spelling
from leadconnector_async.sources.values.date_patterns import zone_and_rest, zone_named
from leadconnector_async.sources.values.dates import TIMELESS


class MappedColumns(Columns):
    """Makes the values of a row by a mapping.

    ``unknown`` are the columns that the mapping does not read, and ``foreign`` the ones of these
    that are named like ids that LeadConnector gives. ``wanting`` says what is missed.

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
        sides: ChatSides,
    ) -> None:
        super().__init__(source, header, mapping)
        dates = {folded(name) for name in columns_of(definition.fields.get("date", _NONE))}
        clear_first = sorted(self.names, key=lambda one: not isinstance(zone_named(one), tzinfo))
        self._spelled = {
            bare: name
            for name in reversed(clear_first)
            if (bare := folded(zone_and_rest(name)[1])) in dates
        }
        self._spelled |= {folded(name): name for name in reversed(self.names) if folded(name)}
        wants = definition.wants.items()
        self.wanting: list[str] = [told for name, told in wants if not self._find(name)]
        _refuse_missing(source, definition, self._find)
        kind = Spelling(self._find).kind(definition.table, mapping)
        for field, rule in kind.fields.items():
            kind.fields[field] = replace(rule, instead=[] if rule.column else rule.instead)
        self._reader = RowMapper(kind, definition, sides)
        self.feeds: dict[str, list[str]] = {
            field: columns_of(rule) for field, rule in kind.fields.items()
        }
        self.seconds: list[str] = [] if definition.requires else [*_seconds(kind.fields)]
        # What a list of failed records adds. Elsewhere a location is another system's.
        listed = [fields.LOCATION, OUTBOX_KEY] if OUTBOX_KEY in self.names else []
        self._listed = [name for name in listed if name in self.names]
        told = columns_told_of(kind)
        passed = told.union(*self.feeds.values(), REASON_NAMES, self._listed, [""])
        refuse_doubles(source, self.names, passed - {""})
        self.unknown: list[str] = [name for name in self.names if name not in passed]
        ids = {folded(name): name for name in fields.GIVEN_IDS - mapping.keys()}
        self.foreign: dict[str, str] = {
            name: ids[folded(name)] for name in self.unknown if folded(name) in ids
        }

    def read(self, cells: Sequence[str]) -> tuple[dict[str, object], str | None, list[str]]:
        """Make the values of a row, say why it is left out, and what of it is not sent."""
        row = dict(zip(self.names, cells, strict=True))
        values, reason, told = self._reader.read(row)
        return values | self._listed_values(row), reason, told + self.without_name(cells)

    def values(self, cells: Sequence[str]) -> dict[str, object]:
        """Name a row's values as the API does."""
        row = dict(zip(self.names, cells, strict=True))
        return self._reader.values(row) | self._listed_values(row)

    def _listed_values(self, row: Mapping[str, str]) -> dict[str, object]:
        """Take what a list of failed records adds."""
        return {name: text for name in self._listed if (text := row[name].strip())}

    def _find(self, name: str) -> str | None:
        return self._spelled.get(folded(name))


def _seconds(rules: Mapping[str, FieldRule]) -> Iterator[str]:
    """Tell of columns that are read only where another one is empty."""
    told = replace(rules.get("type", _NONE), maybe=[])  # by how a number begins
    ways = {**rules, "type": told}.values()
    times = Counter(name for rule in ways for name in columns_of(rule))
    for field, rule in rules.items():
        if field not in fields.LIST_FIELDS and not rule.join and rule.column:
            first, *others = dict.fromkeys(as_list(rule.column))
            for other in others:
                if times[other] == 1:
                    yield f"column {shown(other)} is not sent where column {shown(first)} is filled"


def _refuse_missing(source: str, definition: Definition, find: Callable[[str], str | None]) -> None:
    for field, rule in definition.fields.items():
        for column in (rule.column, rule.inbound, rule.outbound):
            if isinstance(column, str) and find(column) is None:
                told = fields.notice("no_such_column", column=column, field=field)
                raise SourceError(f"{source}: has no column {shown(column)}, {told}")


_NONE: Final = FieldRule()

_SPAN: Final = re.compile("dur|length|talk|wait|hold|ring|dauer|elapsed|total", re.IGNORECASE)
"""What is a span of time, and no time of day."""

_HALVES: Final = frozenset({"ampm", "meridiem", "meridian"})


class Table:
    """Makes records of rows, and counts those that a mapping leaves out.

    Another system's export, whose columns are none of the API's, is read by the mapping that they
    fit: ``recognised`` is its name, and a warning says so.

    ``place`` is where the header stands, for what is wrong with it.

    Raises:
        SourceError: the header, or the mapping, is not usable.
    """

    def __init__(
        self, place: str, header: Sequence[str], options: SourceOptions, coercer: RowCoercer
    ) -> None:
        self._options = options
        names = [stripped(name) for name in header]
        self._is_list = OUTBOX_KEY in names and names[0] in REASON_NAMES
        self._choice = choice_of(place, names, options)
        self._definition = self._choice.definition
        self.recognised: str | None = self._choice.recognised
        self._is_chat = self._definition is not None and self._definition.chat is not None
        self._coercer = coercer
        self.columns: NamedColumns | MappedColumns = (
            NamedColumns(place, header, options.mapping)
            if self._definition is None
            else MappedColumns(place, header, self._definition, options.mapping, coercer.sides)
        )
        self._doubts = Doubts(self.columns, options)
        self._rules = {} if self._definition is None else self._definition.fields
        self._lacking = [*self._lacks()]
        self._names = [name.casefold() for name in self.columns.names]
        self._halves = [name for name in self.columns.unknown if folded(name) in _HALVES]
        self._clocks = [name for name in self.columns.unknown if not _SPAN.search(name)]
        dated = folded(self._rules.get("attachments", _NONE).dated or "")
        found = (at for at, name in enumerate(names) if dated and folded(name) == dated)
        self._dated = next(found, None)
        rule = self._rules.get("date")
        self._is_joined = (rule is None or bool(rule.join)) and "date" not in options.mapping

    def form(self, *, marked: bool = False, delimiter: str = ",") -> bytes:
        """What a list of failed records needs to know: it is CSV with the same columns.

        One of chats has the API's names: whom a row is with only the whole file tells.
        """
        if self._is_chat:
            return SourceFormat.of(self._options, "jsonl").encoded()
        columns = {"columns": self.columns.names, "table": self._definition, "marked": marked}
        return SourceFormat.of(self._options, "csv", delimiter=delimiter, **columns).encoded()

    def parsed(self, line: int, cells: Sequence[str]) -> Parsed | None:
        """Read a row that has as many cells as the header. None for one that is no record."""
        first = stripped(cells[0])
        if not first and is_blank(cells):
            return None
        is_like = first.casefold() == self._names[0]
        if is_like and self._names == [stripped(cell).casefold() for cell in cells]:
            return Parsed(line, b"", None, (), left_out="rows that repeat the header")
        if self._is_list:
            self._coercer.of_list(cells[0])
        values, reason, told = self.columns.read(cells)
        if self._dated is not None and isinstance(files := values.get("attachments"), list):
            date, found = cells[self._dated], self._coercer.files.dated
            values["attachments"] = [found(date, one) for one in files]
        said = [*self._coercer.sides.chat, cells]
        raw = in_api_names(values, said) if self._is_chat and values else orjson.dumps(cells)
        if foreign := self.columns.foreign:
            filled = dict(zip(self.columns.names, cells, strict=True))
            given = {of: name for name, of in foreign.items() if filled[name].strip()}
            values |= self._coercer.alone(values, given)
        parsed = self._coercer.parsed(line, raw, values, told, reason)
        parsed = self._doubts.settled(parsed, cells, values)
        if parsed.row is not None and (TIMELESS in parsed.notices or self._halves):
            return self._timed(parsed, cells, identity_of(values))
        if parsed.problems and self._lacking:
            is_call = "Call" in str(values.get("type"))  # which needs no text
            lacking = [one for one in self._lacking if one.field != "message" or not is_call]
            told_of = {one.field for one in lacking}
            others = [one for one in parsed.problems if one.field not in told_of]
            return parsed._replace(problems=(*lacking, *others))
        return parsed

    def _lacks(self) -> Iterator[Problem]:
        """Tell what no column gives, beside the date, without which no rule of a type is tried."""
        if self.columns.feeds.get("date") or self._options.undated == "now":
            return
        told = {"direction"} if self._options.mine else set[str]()
        told |= {"direction", PHONE} if self._is_chat else set()
        for field, (others, fix) in fields.table_of("notices")["lacking"].items():
            ways = [self._rules.get(name, _NONE) for name in (field, *others)]
            is_made = any(rule.constant or rule.default or rule.cases for rule in ways)
            if not (is_made or field in told or any(map(self.columns.feeds.get, (field, *others)))):
                yield Problem(field, "is missing", fix)

    def _timed(self, parsed: Parsed, cells: Sequence[str], identity: Identity) -> Parsed:
        """Refuse a date where a column that is not read may hold its time, or half of the day."""
        dates = self.columns.feeds.get("date", ())
        row = dict(zip(self.columns.names, map(stripped, cells), strict=True))
        halves = [shown(name) for name in self._halves if row[name]]
        half = "has half of the day in a column of its own"
        told = [f"{half}, {one}, which is not read" for one in halves]
        if TIMELESS in parsed.notices and self._is_joined:
            is_clock = fields.expression("clock").fullmatch
            clocks = [name for name in (*self._clocks, *dates) if is_clock(row[name])]
            clocks += [name for name in dates if ":" in row[name]]
            told += [f"has no time of day, which column {shown(name)} may hold" for name in clocks]
        if not told:
            return parsed
        problem = fields.problem_of("time_beside", wrong=told[0])
        return Parsed(parsed.line, parsed.raw, None, (problem,), identity)

    @property
    def warnings(self) -> list[str]:
        """What was passed over. A mapping names what it takes, and so what it does not."""
        columns = self.columns
        undated = [] if columns.feeds.get("date") else [fields.notice("no_date_column")]
        foreign = [fields.foreign_id(name, field) for name, field in columns.foreign.items()]
        foreign += self._doubts.warnings
        if isinstance(columns, NamedColumns):
            unused = fields.not_sent("column", columns.unknown, apart=5)
            return unused + undated + foreign
        passed = [one for one in columns.unknown if one not in columns.foreign]
        unused = fields.not_sent("column", passed)
        told = [*self._choice.notes, *unused, *columns.seconds, *columns.wanting, *foreign]
        if self._definition is not None and not columns.feeds.get("direction"):
            rule = self._definition.fields.get("direction", _NONE)
            if not (rule.constant or self._options.mine):
                told.append(fields.notice("untold_sides"))
        return told if self.recognised is not None else told + undated


def is_blank(cells: Sequence[str]) -> bool:
    """Tell a row without anything in it, but the end of a file as DOS marks it."""
    return not any(cell.strip().strip("\x1a") for cell in cells)
