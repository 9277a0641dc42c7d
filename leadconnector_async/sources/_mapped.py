"""Rows of other systems' exports, by the rules of a mapping."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec.structs import replace

from leadconnector_async._errors import SourceError
from leadconnector_async.sources._mapping import NotCarried, as_list
from leadconnector_async.sources._names import BODY_FIELDS, LIST_FIELDS
from leadconnector_async.sources._values import Wrong, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from leadconnector_async.sources._contacts import Contacts
    from leadconnector_async.sources._mapping import ColumnNames, Definition, Kind, LeaveOut, Rule

    Values = dict[str, object]

DIRECTION: Final = "direction"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS: Final = {"epoch": timedelta(seconds=1), "epoch-ms": timedelta(milliseconds=1)}


class Reader:
    """Reads rows of one kind, given by the names of their columns."""

    def __init__(self, kind: Kind, definition: Definition, contacts: Contacts) -> None:
        self._skip = {column: frozenset(values) for column, values in kind.skip.items()}
        self._leave_out = kind.leave_out
        self._not_carried = {
            column: NotCarried(rule) if isinstance(rule, str) else rule
            for column, rule in kind.not_carried.items()
        }
        self._empty = frozenset(definition.empty) | {""}
        self._empties = {
            field: frozenset(rule.empty) | {""}
            for field, rule in kind.fields.items()
            if rule.empty is not None
        }
        self._contacts = contacts
        rules = dict(kind.fields)
        direction = rules.pop(DIRECTION, None)
        self._direction = direction
        self._rules = list(rules.items())

    def skipped(self, row: Mapping[str, str]) -> str | None:
        """Say why a row is left out."""
        for column, values in self._skip.items():
            value = row.get(column, "").strip()
            if value in values:
                return f'rows whose "{column}" is "{value}"'
        return self.first(self._leave_out, row)

    def first(self, rules: Iterable[LeaveOut], row: Mapping[str, str]) -> str | None:
        """Say what a row is, by the first rule that it meets."""
        for rule in rules:
            if all(self._is_one_of(row.get(name, ""), given) for name, given in rule.where.items()):
                return rule.reason
        return None

    def not_carried(self, row: Mapping[str, str]) -> list[str]:
        """Say what of a row is not sent."""
        return [
            rule.told
            for column, rule in self._not_carried.items()
            if self._is_filled(row.get(column, ""))
        ]

    def values(self, row: Mapping[str, str]) -> Values:
        """Make the values of a row; those that cannot be made are `Wrong`."""
        values: Values = {}
        direction: object = None
        if self._direction is not None:
            direction = self._value(DIRECTION, self._direction, row, None)
            if direction is not None:
                values[DIRECTION] = direction
        for field, rule in self._rules:
            value = self._value(field, rule, row, direction)
            if value is not None:
                values[field] = value
        return values

    def _value(self, field: str, rule: Rule, row: Mapping[str, str], direction: object) -> object:
        if rule.constant is not None:
            return rule.constant
        for case in rule.cases:
            if all(row.get(name) == given for name, given in case.where.items()):
                return case.value
        empty = self._empties.get(field, self._empty)
        text = self._text(rule.column, row, field, empty)
        if text is None and direction in ("inbound", "outbound"):
            columns = rule.inbound if direction == "inbound" else rule.outbound
            text = self._text(columns, row, field, empty)
        for column in rule.before:
            above = self._text(column, row, field, self._empty)
            if above is not None and above.strip() != (text or "").strip():
                text = above if text is None else f"{above}\n{text}"
        if text is None:
            return rule.default
        for prefix in rule.strip:
            text = text.removeprefix(prefix)
        try:
            return self._made(field, rule, text)
        except Wrong as error:
            return Wrong(error.wrong, error.fix, text, kind=error.kind)

    def _text(
        self, columns: ColumnNames, row: Mapping[str, str], field: str, empty: Collection[str]
    ) -> str | None:
        for column in (columns,) if isinstance(columns, str) else columns:
            text = row.get(column, "")
            if field not in BODY_FIELDS:
                text = text.strip()
            if text not in empty:
                return text
        return None

    def _made(self, field: str, rule: Rule, text: str) -> object:
        if rule.words:
            return _translated(rule.words, text)
        if rule.prefixes:
            return _by_prefix(rule.prefixes, text)
        if rule.formats or rule.zone:
            return _date(rule, text)
        if field in LIST_FIELDS:
            return [item for part in text.split(rule.separator or ";") if (item := part.strip())]
        if rule.phone:
            return self._phone(text)
        return text

    def _phone(self, text: str) -> str:
        try:
            return self._contacts.phone(text)
        except Wrong:  # such as client:kim, or a number of the owner's own system
            return text

    def _is_one_of(self, text: str, patterns: ColumnNames) -> bool:
        text = text.casefold()
        for pattern in as_list(patterns):
            if pattern.endswith("*"):
                if text not in self._empty and text.startswith(pattern[:-1].casefold()):
                    return True
            elif text == pattern.casefold():
                return True
        return False

    def _is_filled(self, text: str) -> bool:
        """Tell what holds something. A count or a duration of nothing is none."""
        text = text.strip()
        return text not in self._empty and bool(text.strip("0.:")) and text != "false"


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
    try:
        if pattern == "iso":
            return datetime.fromisoformat(text)
        if pattern in _UNITS:
            return _EPOCH + float(text) * _UNITS[pattern]
        return datetime.strptime(text, pattern)  # noqa: DTZ007 - the mapping names the zone
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
        )
        for field, rule in kind.fields.items()
    }
    skip = {found: values for name, values in kind.skip.items() if (found := find(name))}
    return replace(kind, fields=fields, skip=skip)


def columns_of(rule: Rule) -> list[str]:
    """Every column that a rule reads, once."""
    groups = (rule.column, rule.inbound, rule.outbound)
    names = (name for one in groups for name in ([one] if isinstance(one, str) else one))
    return list(dict.fromkeys(names))
