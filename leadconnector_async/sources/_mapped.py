"""Rows of other systems' exports, by the rules of a mapping."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from time import strptime
from typing import TYPE_CHECKING, Final, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec.structs import replace

from leadconnector_async._errors import SourceError
from leadconnector_async.sources._mapping import LeaveOut, NotCarried, as_list
from leadconnector_async.sources._names import BODY_FIELDS, FINDERS, LIST_FIELDS
from leadconnector_async.sources._values import Wrong, kind_of, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from leadconnector_async.sources._contacts import Contacts
    from leadconnector_async.sources._mapping import ColumnNames, Definition, Kind, Rule

    Values = dict[str, object]

_T = TypeVar("_T")
DIRECTION: Final = "direction"
Cell = str | list[object]
"""What a column holds: text, or, in JSON, a list."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS: Final = {"epoch": timedelta(seconds=1), "epoch-ms": timedelta(milliseconds=1)}
_COMMENT: Final = re.compile(r"\s*\([^()]*\)\s*$")
"""Behind a date: ``(Eastern Daylight Time)`` of JavaScript, ``(UTC)`` of RFC 5322."""
_NAMED_ZONE: Final = "%Z"
_UTC_NAMES: Final = frozenset({"UTC", "GMT"})
_CONTENT: Final = BODY_FIELDS | {"attachments"}
_KINDS: Final = {
    "withheld": ("is withheld", "give the number, if you know it"),
    "names": ("is a name in its own system", "give the telephone number of whom it stands for"),
    "short-codes": ("is a short code", "give a whole number, if it has one"),
    "service-numbers": ("is the number of a service", "give the number of a contact"),
}


class Reader:
    """Reads rows of one kind, given by the names of their columns."""

    def __init__(self, kind: Kind, definition: Definition, contacts: Contacts) -> None:
        empty = frozenset(definition.empty) | {""}
        self._skip = {column: frozenset(values) for column, values in kind.skip.items()}
        self._leave_out = _ready(kind.leave_out, empty)
        self._without_content = _ready(kind.without_content, empty)
        self._not_carried = {
            column: NotCarried(rule) if isinstance(rule, str) else rule
            for column, rule in kind.not_carried.items()
        }
        self._empty = empty
        self._contacts = contacts
        plans = {field: _Plan(field, rule, empty) for field, rule in kind.fields.items()}
        self._direction = plans.pop(DIRECTION, None)
        self._plans = list(plans.values())
        self._missing = [plan for plan in self._plans if plan.rule.missing is not None]

    def skipped(self, row: Mapping[str, Cell]) -> str | None:
        """Say why a row is left out."""
        for column, values in self._skip.items():
            value = _word(row, column)
            if value in values:
                return f'rows whose "{column}" is "{value}"'
        return _first(self._leave_out, row)

    def without_content(self, row: Mapping[str, Cell]) -> str | None:
        """Say why a row is left out that has neither text nor files."""
        return _first(self._without_content, row)

    def not_carried(
        self, row: Mapping[str, Cell], values: Mapping[str, object]
    ) -> tuple[str | None, list[str]]:
        """Say why a row is left out that has nothing to send, and what of it is not sent."""
        told: list[str] = []
        for column, rule in self._not_carried.items():
            if not self._is_filled(row.get(column, "")) or rule.unless in values:
                continue
            if rule.alone is not None and _CONTENT.isdisjoint(values):
                return rule.alone, []
            told.append(rule.told)
        return None, told

    def values(self, row: Mapping[str, Cell]) -> Values:
        """Make the values of a row; those that cannot be made are `Wrong`."""
        values: Values = {}
        direction: object = None
        if self._direction is not None:
            direction = self._value(self._direction, row, None)
            if direction is not None:
                values[DIRECTION] = direction
        for plan in self._plans:
            value = self._value(plan, row, direction)
            if value is not None:
                values[plan.field] = value
        for plan in self._missing:
            is_finder = plan.field in FINDERS and not FINDERS.isdisjoint(values)
            if plan.field not in values and not is_finder:
                values[plan.field] = Wrong("is missing", plan.rule.missing or "")
        return values

    def _value(self, plan: _Plan, row: Mapping[str, Cell], direction: object) -> object:
        settled = _settled(plan.rule, row)
        return self._read(plan, row, direction) if settled is None else settled

    def _read(self, plan: _Plan, row: Mapping[str, Cell], direction: object) -> object:
        rule = plan.rule
        columns = plan.columns.get(direction, plan.columns[None])
        if plan.is_list:
            cells = [cell for name in columns if (cell := self._cell((name,), row)) is not None]
            return _unique(item for cell in cells for item in _items(cell, rule)) or rule.default
        cell = self._cell(columns, row, strip=not plan.is_body, empty=plan.empty)
        if isinstance(cell, list):
            return Wrong(kind_of(cell), "name what is in it, such as to[0].phone, in the mapping")
        if rule.before:
            texts = [str(text) for name in rule.before if (text := self._cell((name,), row))]
            own = (cell or "").strip()
            texts = [text for text in texts if text.strip() != own] + (
                [] if cell is None else [cell]
            )
            cell = "\n".join(texts) or None
        if cell is None:
            return rule.default
        for prefix in rule.strip:
            cell = cell.removeprefix(prefix)
        try:
            return self._made(plan, cell)
        except Wrong as error:
            return Wrong(error.wrong, error.fix, cell, kind=error.kind)

    def _cell(
        self,
        columns: Sequence[str],
        row: Mapping[str, Cell],
        *,
        strip: bool = True,
        empty: frozenset[str] | None = None,
    ) -> Cell | None:
        """Give the first of the columns that is filled."""
        empty = self._empty if empty is None else empty
        for column in columns:
            cell = row.get(column, "")
            if isinstance(cell, str):
                if strip:
                    cell = cell.strip()
                if cell in empty:
                    continue
            return cell
        return None

    def _made(self, plan: _Plan, text: str) -> object:
        rule = plan.rule
        for kind, words in plan.kinds:
            if words.match(text):
                wrong, fix = _KINDS[kind]
                raise Wrong(wrong, f"{fix}, or leave such out: --leave-out {kind}", kind=kind)
        if rule.words:
            return _translated(rule.words, text)
        if rule.prefixes:
            return _by_prefix(rule.prefixes, text)
        if rule.formats or rule.zone:
            return _date(rule, text)
        if rule.phone:
            return self._phone(text)
        return text

    def _phone(self, text: str) -> str:
        try:
            return self._contacts.phone(text)
        except Wrong:  # such as client:kim, or a number of the owner's own system
            return text

    def _is_filled(self, cell: Cell) -> bool:
        """Tell what holds something. A count or a duration of nothing is none."""
        if not isinstance(cell, str):
            return True
        text = cell.strip()
        return text not in self._empty and bool(text.strip("0.:")) and text != "false"


class _Words:
    """Values of a column, whatever their case. ``*`` at the end of one stands for any rest."""

    def __init__(self, given: ColumnNames, empty: frozenset[str]) -> None:
        words = [word.casefold() for word in as_list(given)]
        self._whole = frozenset(word for word in words if not word.endswith("*"))
        self._starts = tuple(word[:-1] for word in words if word.endswith("*"))
        self._empty = empty

    def match(self, text: str) -> bool:
        folded = text.casefold()
        return folded in self._whole or (
            bool(self._starts) and text not in self._empty and folded.startswith(self._starts)
        )


class _Plan:
    """A rule made ready: the columns by direction, and what its field is."""

    def __init__(self, field: str, rule: Rule, empty: frozenset[str]) -> None:
        self.field = field
        self.rule = rule
        self.is_list = field in LIST_FIELDS
        self.is_body = field in BODY_FIELDS
        self.empty = empty if rule.empty is None else frozenset(rule.empty) | {""}
        self.kinds = [(kind, _Words(words, empty)) for kind, words in rule.kinds.items()]
        own = as_list(rule.column)
        self.columns: dict[object, list[str]] = {
            None: own,
            "inbound": own + as_list(rule.inbound),
            "outbound": own + as_list(rule.outbound),
        }


_Ready = list[tuple[list[tuple[str, _Words]], str]]


def _ready(rules: Iterable[LeaveOut], empty: frozenset[str]) -> _Ready:
    return [
        ([(name, _Words(given, empty)) for name, given in rule.where.items()], rule.reason)
        for rule in rules
    ]


def _first(rules: _Ready, row: Mapping[str, Cell]) -> str | None:
    """Say what a row is, by the first rule that it meets."""
    for where, reason in rules:
        if all(words.match(_word(row, name)) for name, words in where):
            return reason
    return None


def _settled(rule: Rule, row: Mapping[str, Cell]) -> str | None:
    """Give the value that needs no column of its own."""
    for case in rule.cases:
        if all(row.get(name) == given for name, given in case.where.items()):
            return case.value
    return rule.constant


def _word(row: Mapping[str, Cell], column: str) -> str:
    cell = row.get(column, "")
    return cell.strip() if isinstance(cell, str) else ""


def _items(cell: Cell, rule: Rule) -> Iterator[object]:
    if isinstance(cell, str):
        parts = (part.strip() for part in cell.split(rule.separator or ";"))
        yield from (part for part in parts if part)
    else:
        yield from cell


def _unique(items: Iterable[object]) -> list[object]:
    kept: list[object] = []
    kept.extend(item for item in items if item not in kept)
    return kept


def _translated(words: Mapping[str, str], text: str) -> str:
    found = words.get(text)
    if found is None:
        folded = text.casefold()
        found = next((meant for word, meant in words.items() if word.casefold() == folded), None)
    if found is None:
        fix = f"write one of {', '.join(list(words)[:10])}, or add it to the words of the mapping"
        raise Wrong(f"is {quoted(text)}, which the mapping does not know", fix)
    return found


def _by_prefix(prefixes: Mapping[str, str], text: str) -> str:
    for prefix in sorted(prefixes, key=len, reverse=True):
        if text.startswith(prefix):
            return prefixes[prefix]
    raise Wrong("begins with nothing that the mapping knows", 'add it, or "" for all others')


def _date(rule: Rule, text: str) -> str:
    for pattern in rule.formats or ("iso",):
        date = _parsed(text, pattern)
        if date is not None:
            if date.tzinfo is None and rule.zone:
                date = date.replace(tzinfo=zone_of(rule.zone))
            return date.isoformat()
    formats = ", ".join(rule.formats) or "iso"
    raise Wrong("is no date in a format of the mapping", f"write it as one of {formats}")


def _parsed(text: str, pattern: str) -> datetime | None:
    found = _by_pattern(text, pattern)
    bare = text if found else _COMMENT.sub("", text)
    return found if bare == text else _by_pattern(bare, pattern)


def _by_pattern(text: str, pattern: str) -> datetime | None:
    try:
        if pattern == "iso":
            return datetime.fromisoformat(text)
        if pattern in _UNITS:
            return _EPOCH + float(text) * _UNITS[pattern]
        if _NAMED_ZONE in pattern and strptime(text, pattern).tm_zone not in _UTC_NAMES:
            return None  # it would be read as the machine's own zone, or as none
        date = datetime.strptime(text, pattern)  # noqa: DTZ007 - the mapping names the zone
        return date.replace(tzinfo=UTC) if _NAMED_ZONE in pattern else date
    except (ValueError, OverflowError):
        return None


@lru_cache
def zone_of(name: str) -> ZoneInfo:
    """Find a time zone.

    Raises:
        SourceError: there is none of that name.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise SourceError(f"the mapping's zone {name} is none: write one such as UTC") from error


def resolved(
    kind: Kind, find: Callable[[str], str | None], missing: Callable[[str, str], SourceError]
) -> Kind:
    """Put a table's own spellings of its columns into the rules.

    Of several columns those that are not there are dropped; a single one has to be there.

    Raises:
        SourceError: as ``missing`` makes it of a field and a column.
    """

    def spelled(field: str, columns: ColumnNames) -> ColumnNames:
        if isinstance(columns, str):
            found = find(columns)
            if found is None:
                raise missing(field, columns)
            return found
        return [found for column in columns if (found := find(column)) is not None]

    fields = {
        field: replace(
            rule,
            column=spelled(field, rule.column),
            inbound=spelled(field, rule.inbound),
            outbound=spelled(field, rule.outbound),
            before=as_list(spelled(field, list(rule.before))),
        )
        for field, rule in kind.fields.items()
    }

    def named(rules: Mapping[str, _T]) -> dict[str, _T]:
        return {found: rule for name, rule in rules.items() if (found := find(name))}

    leave_out = [LeaveOut(named(rule.where), rule.reason) for rule in kind.leave_out]
    return replace(
        kind,
        fields=fields,
        skip=named(kind.skip),
        # Of columns that are not there nobody can tell what they hold.
        leave_out=[
            new
            for new, old in zip(leave_out, kind.leave_out, strict=True)
            if len(new.where) == len(old.where)
        ],
        not_carried=named(kind.not_carried),
    )


def columns_of(rule: Rule) -> list[str]:
    """Every column that a rule reads, once."""
    groups = (rule.before, rule.column, rule.inbound, rule.outbound)
    return list(dict.fromkeys(name for names in groups for name in as_list(names)))


def columns_told_of(kind: Kind) -> set[str]:
    """Every column that decides what is left out, or whose loss is told with its records."""
    wheres = (column for rule in kind.leave_out for column in rule.where)
    return {*kind.skip, *kind.not_carried, *wheres}
