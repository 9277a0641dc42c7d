"""The header of a table: where it stands, below titles, and which column feeds which field."""

from __future__ import annotations

import re
import shlex
from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Final

from leadconnector_async.errors import SourceError
from leadconnector_async.models import MESSAGE_TYPES
from leadconnector_async.sources import fields
from leadconnector_async.sources.base import Identity, SourceOptions
from leadconnector_async.sources.fields import OUTBOX_KEY, REASON_NAMES, folded, shown, stripped
from leadconnector_async.sources.mappings.coerce import identity_of
from leadconnector_async.sources.mappings.mapping import FieldRule, as_list, columns_of
from leadconnector_async.sources.mappings.mapping_files import NAMES, load_mapping, names_in
from leadconnector_async.sources.mappings.rules import ColumnValues, Row, parts_of, word_of
from leadconnector_async.sources.values.date_patterns import LocalText, ZoneName, zone_named

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from datetime import tzinfo

LIST_SEPARATOR: Final = ";"

ZONE_NAMES: Final = frozenset({fields.ZONE, "tz", "utcoffset", "gmtoffset", "timezoneoffset"})
"""Columns of the zone of a row's date, beside those with the API's names."""


def _cleaner(field: str, column: str) -> Callable[[str], object]:
    if field in fields.LIST_FIELDS:
        return partial(parts_of, separator=LIST_SEPARATOR)
    if field == "date" and (zone := zone_named(column)) is not None:
        return lambda cell: LocalText.of(stripped(cell), zone)
    return _CLEANERS.get(field, stripped)


def whole(cell: str) -> str:
    """Write a number without the ``.0`` that a column of floats gives it."""
    text = stripped(cell)
    return text[:-2] if text.endswith(".0") and text[:-2].lstrip("+").isdecimal() else text


_CLEANERS: Final[dict[str, Callable[[str], str]]] = {
    **dict.fromkeys(fields.BODY_FIELDS, str),
    # Fields that spreadsheets take for numbers, and write with a fraction.
    **dict.fromkeys(("id", "altId", "contact.phone", "call.to", "call.from"), whole),
}


NAMELESS: Final = "cells in a column without a name are not sent"


class Columns(ABC):
    """Names the cells of a row, and reads them.

    ``feeds`` are the columns of each field, ``unknown`` the others. ``foreign`` are those of ids
    that are most likely another system's. ``source`` is the name of the source and, after a colon,
    the place of the header.

    Raises:
        SourceError: the header is not usable.
    """

    feeds: dict[str, list[str]]
    unknown: list[str]
    foreign: dict[str, str]

    def __init__(self, source: str, header: Sequence[str], mapping: Mapping[str, str]) -> None:
        self.names: list[str] = [stripped(name) for name in header]
        self._nameless = [at for at, name in enumerate(self.names) if not name]
        self._source = source
        self._mapping = mapping
        for field, column in mapping.items():
            if column and column not in self.names:
                wrong = f"--map {field}={column}: there is no such column"
                raise SourceError(f"{source}: {wrong}: write one of {fields.listed(self.names)}")

    def read(self, cells: Sequence[str]) -> tuple[dict[str, object], str | None, list[str]]:
        """Make the values of a row, say why it is left out, and what of it is not sent."""
        return self.values(cells), None, self.without_name(cells)

    def without_name(self, cells: Sequence[str]) -> list[str]:
        """Tell of what stands in a column without a name."""
        return [NAMELESS] if any(cells[at].strip() for at in self._nameless) else []

    @abstractmethod
    def values(self, cells: Sequence[str]) -> dict[str, object]:
        """Name a row's values as the API does. An empty cell is an absent field."""

    def identity(self, cells: Sequence[str]) -> Identity | None:
        """Read which record a refused row is, as far as its cells are where they should be.

        In a list of failed records its key stands in front, where no missing cell moves it.
        """
        if len(cells) == len(self.names):
            return identity_of(self.values(cells))
        listed_as_failed = self.names[0] in REASON_NAMES and self.names[1:2] == [OUTBOX_KEY]
        return Identity(None, None, cells[1]) if listed_as_failed and len(cells) > 1 else None


_NEEDED: Final = (
    *(("type",), ("direction",), ("date",), ("contact.phone", "contact.email", *fields.IDS)),
    ("message", "html", "attachments", "call.to", "call.from", "call.status"),
)
"""Columns of which a table by the API's names needs one each."""


class NamedColumns(Columns):
    """Names the cells as the API does."""

    def __init__(self, source: str, header: Sequence[str], mapping: Mapping[str, str]) -> None:
        super().__init__(source, header, mapping)
        feeds = self._feeds()
        others = (name for name in self.names if name not in feeds.values())
        is_mixed = any(map(fields.is_foreign, others))
        foreign = fields.GIVEN_IDS - mapping.keys() if is_mixed else set()
        if OUTBOX_KEY in feeds:  # of a list of failed records, which adds the location
            foreign -= {fields.LOCATION}
        self._foreign_ids = foreign
        self.foreign: dict[str, str] = {name: name for name in self.names if name in foreign}
        feeds = {field: name for field, name in feeds.items() if field not in self.foreign}
        self._refuse_wrong(feeds)
        self.feeds: dict[str, list[str]] = {field: [name] for field, name in feeds.items()}
        self._plan = [
            (field, self.names.index(name), _cleaner(field, name)) for field, name in feeds.items()
        ]
        fed = {*self._passed(feeds), ""}
        refuse_doubles(source, self.names, fed - {""})
        self.unknown: list[str] = [name for name in self.names if name not in fed]

    def values(self, cells: Sequence[str]) -> dict[str, object]:
        """Name a row's values as the API does. An empty cell is an absent field."""
        values: dict[str, object] = {}
        for field, index, clean in self._plan:
            cell = cells[index]
            if cell and (value := clean(cell)):
                values[field] = value
        return values

    def _feeds(self) -> dict[str, str]:
        """Find the column of each field."""
        mapped = {*self._mapping, *self._mapping.values()}
        own = {name: name for name in self.names if name in fields.FIELDS and name not in mapped}
        zones = [name for name in self.names if folded(name) in ZONE_NAMES and name not in mapped]
        if zones:
            own[fields.ZONE] = zones[0]
        return own | {field: column for field, column in self._mapping.items() if column}

    def _refuse_wrong(self, feeds: Mapping[str, str]) -> None:
        """Refuse a header of other names, with all that is wrong with it."""
        passed, known = self._passed(feeds), {*feeds, *self._mapping}
        wrong = {
            field: f"column {shown(name)} is spelled differently from the field "
            f'"{field}": rename it, or give --map "{field}={name}"'
            for name in reversed(self.names)
            if name not in passed and (field := _meant(name, feeds)) is not None
            if field not in known | self._foreign_ids and not fields.is_moot(field, feeds)
        }
        if not wrong and "type" in feeds:
            return
        known = feeds.keys() | wrong.keys()
        names = {*map(str.strip, self.names)}  # of which one may be Email
        is_header = len(_shipped().intersection(map(folded, names))) > _FEWEST_KNOWN
        if not (is_header or "type" in known or names.isdisjoint(MESSAGE_TYPES)):
            raise SourceError(f"{self._source}: {fields.notice('no_header')}")
        told = [*wrong.values()][::-1]
        lacking = [names[0] for names in _NEEDED if known.isdisjoint(names)]
        if lacking:
            columns = ", nor ".join(f'"{name}"' for name in lacking)
            maps = " ".join(f"--map {name}=COLUMN" for name in lacking)
            told.append(fields.notice("no_columns", columns=columns, maps=maps))
        path = self._source.rpartition(": ")[0] or self._source
        if path != "standard input":
            told.append(
                f'"leadconnector inspect {shlex.quote(path)}" shows whether a mapping reads it'
            )
        raise SourceError(f"{self._source}: {'; '.join(told)}")

    def _passed(self, feeds: Mapping[str, str]) -> set[str]:
        return {*feeds.values(), *self.foreign, *REASON_NAMES}


def _meant(name: str, feeds: Mapping[str, str]) -> str | None:
    """The field that a column stands for, if it is hardly anything else."""
    if (bare := folded(name)) in ("phone", "email") and _WHO.isdisjoint(feeds):
        return f"contact.{bare}"
    return fields.near_field(name)


_WHO: Final = frozenset((*fields.IDS, "contact.phone", "contact.email", "call.to", "call.from"))


def refuse_doubles(source: str, names: Sequence[str], read: Collection[str]) -> None:
    """Refuse a header in which a name that is ``read`` says nothing, since it occurs twice."""
    doubles = sorted(name for name, times in Counter(names).items() if times > 1 and name in read)
    if doubles:
        wrong = f"columns occur more than once: {fields.listed(doubles)}"
        raise SourceError(f"{source}: {wrong}: rename or remove all but one of each")


MAX_ABOVE: Final = 20
"""Rows among which the header is looked for."""

_FEWEST_KNOWN: Final = 2


@cache
def _shipped() -> frozenset[str]:
    """Every column that a mapping of the library's knows: each file of an export asks."""
    return frozenset[str]().union(*(load_mapping(name).columns() for name in NAMES))


_VALUE: Final = re.compile(r"\s*(?:\d{4}-\d\d-\d\d|\d\d?[/.]\d\d?[/.]\d\d|\+?\d{7})")
"""What dates and numbers begin with, and names of columns do not."""


class Vocabulary:
    """Names that columns may have under these options, in one spelling."""

    def __init__(self, options: SourceOptions) -> None:
        given = options.mapping_file
        own = set(names_in(options.mappings)).difference(NAMES) if given is None else {given}
        names = {*fields.FIELDS, *REASON_NAMES, *options.mapping.values()}
        known = {folded(name) for name in names}.union(_shipped() if given is None else ())
        self._known = known.union(*(load_mapping(name).columns() for name in own)) - {""}

    def count(self, cells: Sequence[str]) -> int:
        """Count the different names that a row holds."""
        return len(self._known.intersection(map(folded, cells)))

    def header(self, rows: Sequence[Sequence[str]]) -> int:
        """Find the first row that can be a header, from 0; the first of all, if none can.

        A row above, with dates of the export or over several columns each, can have their names.
        """
        found = next((n for n, row in enumerate(rows[:MAX_ABOVE]) if self.is_header(row)), 0)
        known = [self.count(row) for row in rows[found : found + 2] if self.is_header(row)]
        return found + (known != sorted(known, reverse=True))

    def is_header(self, cells: Sequence[str]) -> bool:
        """Tell a row that can be a header: ``From: 2024-01-01 To: 2024-04-01`` is a title."""
        return self.count(cells) >= _FEWEST_KNOWN and not any(map(_VALUE.match, cells))


def skipped(first: int, last: int, what: str = "line") -> str:
    """Say what is above the header, and so no record."""
    if first == last:
        return f"{what} {first} is above the header: not read"
    return f"{what}s {first} to {last} are above the header: not read"


class _Matched(frozenset[str]):
    """Values, of which some are expressions."""

    match: Callable[..., object]

    def __contains__(self, value: object) -> bool:
        return super().__contains__(value) or self.match(value) is not None


def empty_values(given: Iterable[str]) -> frozenset[str]:
    """Gather what means nothing; one between slashes is an expression."""
    values = frozenset(given) | {""}
    if texts := [one for one in values if one[:1] == one[1:][-1:] == "/"]:
        values = matched = _Matched(values)
        matched.match = ColumnValues(texts, frozenset()).pattern.fullmatch
    return values


@dataclass(eq=False, repr=False)
class FieldPlan:
    """A rule made ready: the columns by direction, and what its field is."""

    field: str
    rule: FieldRule
    empty: frozenset[str]
    make: Callable[[str], object] | None
    """What makes the value of a cell's text. None: it is the text itself."""

    def __post_init__(self) -> None:
        field, rule, empty, make = self.field, self.rule, self.empty, self.make
        self.is_list: bool = field in fields.LIST_FIELDS
        self.is_plain: bool = make is None and not rule.strip and not rule.kinds
        self.clean: Callable[[str], str] = _CLEANERS.get(field, stripped)
        self.empty = empty if rule.empty is None else empty_values(rule.empty)
        self.kinds: list[tuple[str, ColumnValues]] = [
            (kind, ColumnValues(words, empty)) for kind, words in rule.kinds.items()
        ]
        own = as_list(rule.column)
        self.columns: dict[object, list[str]] = {
            None: own,
            "inbound": own + as_list(rule.inbound),
            "outbound": own + as_list(rule.outbound),
        }
        dates = [*own, *(name for names in rule.join for name in as_list(names))]
        self.zones: dict[str, tzinfo | ZoneName] = {
            name: zone for name in dates if field == "date" and (zone := zone_named(name))
        }
        ways = rule.maybe, rule.sender, rule.present
        told = (rule.cases, rule.join, rule.before, rule.flags, *ways)
        is_fixed = rule.constant is not None
        self.is_composed: bool = self.is_list or is_fixed or bool(self.zones) or any(told)

    def or_map(self, row: Row) -> str:
        """Name the column of a word that is not known, and the way to another one."""
        rule, field = self.rule, self.field
        column = next((name for name in columns_of(rule) if word_of(row, name)), None)
        if not rule.words or column is None:
            return ""
        or_none = f", or --map {field}= for {rule.default}" if rule.default else ""
        return f", or give --map {field}=COLUMN with another column than {shown(column)}{or_none}"
