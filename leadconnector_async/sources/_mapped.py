"""Rows of other systems' exports, by the rules of a mapping."""

from __future__ import annotations

from datetime import UTC
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec.structs import replace

from leadconnector_async._errors import SourceError
from leadconnector_async.sources._columns import NUMBER_FIELDS, names_utc, whole
from leadconnector_async.sources._date_patterns import LocalText, by_format
from leadconnector_async.sources._mapping import columns_of
from leadconnector_async.sources._names import BODY_FIELDS, LIST_FIELDS, folded, shown
from leadconnector_async.sources._values import Wrong, quoted, stripped

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import tzinfo

    from leadconnector_async.sources._contacts import Contacts
    from leadconnector_async.sources._mapping import ColumnNames, Definition, Kind, Rule

    Values = dict[str, object]

DIRECTION: Final = "direction"
_TRUE: Final = frozenset({"true", "yes", "y", "1"})
_FALSE: Final = frozenset({"false", "no", "n", "0"})
_FIX_FLAG: Final = "correct it, or give --map direction=COLUMN with another column"


class Reader:
    """Reads rows of one kind, given by the names of their columns."""

    def __init__(self, kind: Kind, definition: Definition, contacts: Contacts) -> None:
        self._skip = {column: frozenset(values) for column, values in kind.skip.items()}
        self._undelivered = kind.undelivered
        self._type = kind.fields.get("type")
        self._empty = frozenset(definition.empty) | {""}
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
        for column, states in self._undelivered.items():
            if folded(row.get(column, "")) in states and not self._is_call(row):
                return "messages that were never delivered"
        return None

    def _is_call(self, row: Mapping[str, str]) -> bool:
        """Tell a call, which has failed and is a part of the history all the same."""
        return self._type is not None and self._value("type", self._type, row, None) == "Call"

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
        if (address := _address_for_a_number(values)) is not None:
            values["contact.email"] = address
            del values["contact.phone"]
        return values

    def _value(self, field: str, rule: Rule, row: Mapping[str, str], direction: object) -> object:
        if rule.constant is not None:
            return rule.constant
        text = self._joined(rule.join, row) or self._text(rule.column, row, field)
        if text is None and direction in ("inbound", "outbound"):
            text = self._text(rule.inbound if direction == "inbound" else rule.outbound, row, field)
        if text is None:
            known = self._known(rule, row)
            return rule.default if known is None else known
        for prefix in rule.strip:
            text = text.removeprefix(prefix)
        try:
            made = self._made(field, rule, text)
        except Wrong as error:
            return Wrong(error.wrong, error.fix + _or_map(field, rule, row), text)
        return rule.default if made == "" else made

    def _joined(self, columns: list[str], row: Mapping[str, str]) -> str | None:
        texts = (self._text(column, row, "") for column in columns)
        return " ".join(text for text in texts if text is not None) or None

    def _known(self, rule: Rule, row: Mapping[str, str]) -> object:
        """Find the value in columns that tell it by true or false, or only by some words."""
        for column, meant in rule.flags.items():
            flag = row.get(column, "").strip().casefold()
            if flag in _TRUE:
                return meant
            if flag in _FALSE:
                return "outbound" if meant == "inbound" else "inbound"
            if flag:
                return Wrong(f"is {quoted(flag)} where true or false is expected", _FIX_FLAG)
        for column in rule.maybe:
            word = self._text(column, row, "")
            if word is not None and (known := _meant(rule.words, word)):
                return known
        return None

    def _text(self, columns: ColumnNames, row: Mapping[str, str], field: str) -> str | None:
        for column in (columns,) if isinstance(columns, str) else columns:
            text = row.get(column, "")
            if field not in BODY_FIELDS:
                text = whole(text) if field in NUMBER_FIELDS else stripped(text)
            if text not in self._empty:
                return _of_column(field, column, text)
        return None

    def _made(self, field: str, rule: Rule, text: str) -> object:
        if rule.words:
            return _translated(rule.words, text)
        if rule.prefixes:
            return _by_prefix(rule.prefixes, text)
        if field == "date" or rule.formats or rule.zone:
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


def _address_for_a_number(values: Values) -> str | None:
    """Find the address of a sender who is named by it where others are by their number."""
    phone = values.get("contact.phone")
    if not isinstance(phone, str) or "@" not in phone or "contact.email" in values:
        return None
    other = ":" in phone or phone.partition("@")[0].lstrip("+").isdecimal()  # sip:…, …@c.us
    return None if other else phone


def _or_map(field: str, rule: Rule, row: Mapping[str, str]) -> str:
    """Name the column of a word that is not known, and the way to another one."""
    column = next((name for name in columns_of(rule) if row.get(name, "").strip()), None)
    if not rule.words or column is None:
        return ""
    or_none = f", or {field}= for {rule.default}" if rule.default else ""
    return f", or give --map {field}=COLUMN with another column than {shown(column)}{or_none}"


def _translated(words: Mapping[str, str], text: str) -> str:
    found = _meant(words, text)
    if found is None:
        fix = f"write one of {', '.join(list(words)[:10])}, add it to the words of a mapping"
        raise Wrong(f"is {quoted(text)}, which the mapping does not know", fix)
    return found


def _of_column(field: str, column: str, text: str) -> str:
    return LocalText.of(text, UTC) if field == "date" and names_utc(column) else text


def _meant(words: Mapping[str, str], text: str) -> str | None:
    found = words.get(text)
    if found is None and (spelling := folded(text)):
        found = next((meant for word, meant in words.items() if folded(word) == spelling), None)
    return found


def _by_prefix(prefixes: Mapping[str, str], text: str) -> str:
    for prefix in sorted(prefixes, key=len, reverse=True):
        if text.startswith(prefix):
            return prefixes[prefix]
    raise Wrong("begins with nothing that the mapping knows", 'add it, or "" for all others')


def _date(rule: Rule, text: str) -> str | None:
    """Read a date by the formats of a rule. None for the zero of one; any form, if it has none."""
    zone: tzinfo | None = zone_of(rule.zone) if rule.zone else None
    if isinstance(text, LocalText):
        zone = text.zone
    if not rule.formats:
        return LocalText.of(text, zone) if zone else text
    for pattern in rule.formats:
        try:
            date = by_format(text, pattern)
        except ValueError:
            return None
        if date is not None:
            written = date.isoformat()
            return LocalText.of(written, zone) if zone and date.tzinfo is None else written
    formats = ", ".join(rule.formats)
    raise Wrong("is no date in a format of the mapping", f"write it as one of {formats}")


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
            join=_all_of(rule.join, find) or [],
            maybe=spelled(field, rule.maybe),
            flags={found: meant for name, meant in rule.flags.items() if (found := find(name))},
            default=next((rule.present[name] for name in rule.present if find(name)), rule.default),
            inbound=spelled(field, rule.inbound),
            outbound=spelled(field, rule.outbound),
        )
        for field, rule in kind.fields.items()
    }
    skip, undelivered = (
        {found: values for name, values in columns.items() if (found := find(name))}
        for columns in (kind.skip, kind.undelivered)
    )
    return replace(kind, fields=fields, skip=skip, undelivered=undelivered)


def _all_of(names: list[str], find: Callable[[str], str | None]) -> list[str] | None:
    found = [find(name) for name in names]
    return None if None in found else [name for name in found if name]
