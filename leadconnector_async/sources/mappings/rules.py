"""Rules of a mapping in one table's own spellings, and what by them the texts of columns mean."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec.structs import replace

from leadconnector_async.errors import SourceError
from leadconnector_async.models import CHOICES
from leadconnector_async.sources.fields import WrongValueError, folded, notice, quoted
from leadconnector_async.sources.mappings.mapping import OF_CHAT, Case, FieldRule, LeaveOut, as_list
from leadconnector_async.sources.values import date_patterns
from leadconnector_async.sources.values.date_patterns import NUMBERS, LocalText, by_format

if TYPE_CHECKING:
    from leadconnector_async.sources.mappings.mapping import ColumnNames, RecordKind

Cell = str | list[object] | tuple[str, ...]
"""What a column holds: text, or, in JSON, a list, or the texts of all its items (``to[*]``)."""

Row = Mapping[str, Cell]

_UNIX_DIGITS: Final = (10, 13, 16)
"""How many a time between 2001 and 2286 has in seconds, milliseconds and microseconds."""

_T = TypeVar("_T")

_Where = TypeVar("_Where", Case, LeaveOut)


class Spelling:
    """A table's own spellings of the columns that rules name, as ``find`` gives them.

    Of several columns those that are not there are dropped; a single one has to be there.
    """

    def __init__(self, find: Callable[[str], str | None] = str) -> None:
        self._find = find

    def kind(self, kind: RecordKind, mapping: Mapping[str, str]) -> RecordKind:
        """Put them into the rules, and the columns that a user names for fields before these.

        What the words of the rules mean, they mean there too. Of a field that is mapped to nothing,
        what the rules say without a column stays.
        """
        fields = {field: self._rule(rule) for field, rule in kind.fields.items()}
        for field, column in mapping.items():
            known = fields.get(field, FieldRule())
            off = FieldRule(constant=known.constant, default=known.default)
            words = known.words and {word: word for word in CHOICES.get(field, ())} | known.words
            fields[field] = FieldRule(column=column, words=words) if column else off
        if not fields.get("message", FieldRule()).column and (told := fields.get("type")):
            fields["type"] = replace(told, present=told.present | told.without_text)
            told_by = dict.fromkeys(told.without_text, "*")
            rules = [replace(one, call=one.call and one.call | told_by) for one in kind.leave_out]
            kind = replace(kind, leave_out=rules)
        chat = kind.chat
        return replace(
            kind,
            fields=fields,
            skip=self._named(kind.skip),
            leave_out=self._leave_out(kind.leave_out),
            without_content=self._leave_out(kind.without_content),
            not_carried=self._named(kind.not_carried),
            chat=chat and replace(chat, **{at: self._all(getattr(chat, at)) for at in OF_CHAT}),
        )

    def _rule(self, rule: FieldRule) -> FieldRule:
        joined = [self._all(as_list(names)) for names in rule.join]
        cases = [
            replace(
                case, where=self._named(case.where), column=case.column and self._find(case.column)
            )
            for case in self._known(rule.cases)
        ]
        return replace(
            rule,
            **{at: self._columns(getattr(rule, at)) for at in ("column", "inbound", "outbound")},
            **{at: self._all(getattr(rule, at)) for at in _LISTS},
            **{at: self._named(getattr(rule, at)) for at in ("flags", "present", "without_text")},
            join=joined if all(joined) else [],
            cases=cases,
        )

    def _leave_out(self, rules: Iterable[LeaveOut]) -> list[LeaveOut]:
        return [
            replace(rule, **{at: self._named(getattr(rule, at)) for at in ("where", "but", "call")})
            for rule in self._known(rules)
        ]

    def _columns(self, columns: ColumnNames) -> ColumnNames:
        return self._find(columns) or "" if isinstance(columns, str) else self._all(columns)

    def _all(self, columns: list[str]) -> list[str]:
        return [found for column in columns if (found := self._find(column)) is not None]

    def _named(self, rules: Mapping[str, _T]) -> dict[str, _T]:
        return {found: rule for name, rule in rules.items() if (found := self._find(name))}

    def _known(self, rules: Iterable[_Where]) -> Iterator[_Where]:
        """Drop rules on columns that are not there: nobody can tell what they hold."""
        return (rule for rule in rules if all(self._find(name) for name in rule.where))


def translated(words: Mapping[str, str], text: str) -> str:
    """Translate a word, whatever its case and separators."""
    found = meant_by(words, text)
    if found is None:
        meanings = [[word for word in words if words[word] == one] for one in {*words.values()}]
        some = sorted(word for known in meanings for word in known[: 10 // len(meanings) + 1])
        fix = f"write one of {', '.join(some)}, add it to the words of a mapping"
        raise WrongValueError(f"is {quoted(text)}, which the mapping does not know", fix)
    return found


def meant_by(words: Mapping[str, str], text: str) -> str | None:
    """Give what a word means, if it is listed."""
    found = words.get(text)
    if found is None and (spelling := folded(text)):
        found = words.get(_spellings(tuple(words)).get(spelling, text))
    return found


@lru_cache(maxsize=64)
def _spellings(words: tuple[str, ...]) -> dict[str, str]:
    """Find words by their spelling: to spell all of them was most of what a row took."""
    return {folded(word): word for word in reversed(words)}


def by_prefix(prefixes: Iterable[tuple[str, str]], text: str) -> str:
    """Give what the beginning of a value means, by the first that fits."""
    for prefix, meant in prefixes:
        if text.startswith(prefix):
            return meant
    fix = 'add it, or "" for all others'
    raise WrongValueError("begins with nothing that the mapping knows", fix)


def date_of(rule: FieldRule, text: str) -> datetime | str | None:
    """Read a date by the formats of a rule. None for the zero of one; any form, if it has none.

    One without an offset stays text, since what its zone makes of it is told; so does a number of
    another unit than that of the rule.

    Raises:
        SourceError: the zone of the rule is none.
    """
    try:
        own = ZoneInfo(rule.zone) if rule.zone else None
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        wrong = f"the mapping's zone {rule.zone} is none: write one such as UTC"
        raise SourceError(wrong) from error
    zone = text.zone if isinstance(text, LocalText) else own
    if not rule.formats:
        return LocalText.of(text, zone) if zone else text
    for pattern in rule.formats:
        try:
            date = by_format(text, pattern)
        except ValueError:
            return None
        if date is not None:
            if date.tzinfo is not None:
                return date
            return LocalText.of(date.isoformat(), zone) if zone else date.isoformat()
    if text.isdecimal() and len(text) in _UNIX_DIGITS and not NUMBERS.isdisjoint(rule.formats):
        return text
    formats = ", ".join(rule.formats)
    raise WrongValueError("is no date in a format of the mapping", f"write it as one of {formats}")


_LISTS: Final = ("instead", "maybe", "sender", "before", "code")

_EXPRESSION: Final = re.compile(r"/.+/", re.DOTALL)


class ColumnValues:
    """Values of a column, whatever their case. ``*`` at the end of one stands for any rest.

    One between slashes is an expression that the whole of a value matches.

    Raises:
        SourceError: it is no expression.
    """

    def __init__(self, given: ColumnNames, empty: frozenset[str]) -> None:
        # Most values come again.
        self.match: Callable[..., bool] = lru_cache(maxsize=1024)(self._match)
        texts = as_list(given)
        patterns = [f"(?:{word[1:-1]})" for word in texts if _EXPRESSION.fullmatch(word)]
        either = "|".join(patterns) or r"(?!)"
        try:
            self.pattern: re.Pattern[str] = re.compile(either, re.IGNORECASE | re.DOTALL)
        except re.error as error:
            raise SourceError(f"the mapping's {patterns} holds no expression: {error}") from error
        words = [word.casefold() for word in texts]
        self._whole = frozenset(word for word in words if not word.endswith("*"))
        self._starts = tuple(word[:-1] for word in words if word.endswith("*"))
        self._empty = empty
        self.fits_nothing: bool = self._match("")

    def _match(self, text: str) -> bool:
        spelled = text.casefold()
        if spelled in self._whole or self.pattern.fullmatch(text):
            return True
        return bool(self._starts) and text not in self._empty and spelled.startswith(self._starts)


@lru_cache(maxsize=256)
def _values_of(given: tuple[str, ...], empty: frozenset[str]) -> ColumnValues:
    """Make them once for many columns and files."""
    return ColumnValues([*given], empty)


_Wheres = list[tuple[str, ColumnValues]]

ReadyRule = tuple[_Wheres, _Wheres, _Wheres, str, bool]
"""Which rows are left out: by values of columns, but not by others, nor by those of calls; what
they are; and whether only what was sent can be that."""


def left_out_by(rules: Iterable[LeaveOut], empty: frozenset[str]) -> list[ReadyRule]:
    """Make rules on what is left out ready."""

    def words(columns: Mapping[str, ColumnNames]) -> _Wheres:
        return [(name, _values_of(tuple(as_list(given)), empty)) for name, given in columns.items()]

    return [(words(x.where), words(x.but), words(x.call), x.reason, x.sent) for x in rules]


def first_met(
    rules: list[ReadyRule], row: Row, is_received: Callable[[Row], bool], kind: FieldRule
) -> str | None:
    """Say what a row is, by the first rule that it meets."""
    for where, but, call, reason, sent in rules:
        for name, words in where:
            # Of JSON, most records lack most of the columns that a general mapping knows.
            if not (words.match(word_of(row, name)) if name in row else words.fits_nothing):
                break
        else:
            is_other = _any(but, row) or (_any(call, row) and says(kind, row) in ("", "Call"))
            if not is_other and not (sent and is_received(row)):
                return reason
    return None


def _any(wheres: _Wheres, row: Row) -> bool:
    return any(words.match(word_of(row, name)) for name, words in wheres)


def says(rule: FieldRule, row: Row) -> str:
    """Give what a row's own word means for a field, without a guess."""
    texts = (word_of(row, name) for name in as_list(rule.column))
    return next(filter(None, (meant_by(rule.words, text) for text in texts if text)), "")


def word_of(row: Row, column: str) -> str:
    """Give the text of a column, without the space around it."""
    cell = row.get(column, "")
    return cell.strip() if isinstance(cell, str) else ""


def settled(rule: FieldRule, row: Row) -> str | None:
    """Give the value that needs no column of its own."""
    for case in rule.cases:
        if all(row.get(name, "") in as_list(given) for name, given in case.where.items()):
            return case.value if case.column is None else str(row.get(case.column, ""))
    return rule.constant


def named_file(rule: FieldRule, item: object) -> object:
    """Name a file: an object's by its URL, and by the mapping's folder, whatever its path was."""
    if isinstance(item, dict):
        item = item.get("url", item)
    return item if rule.folder is None else f"{rule.folder}/{str(item).rpartition('/')[2]}"


def parts_of(cell: str, separator: str) -> list[str]:
    """Take the values of a list apart; URLs also where something else is between them."""
    if "://" in cell:
        cell = _BETWEEN_LINKS.sub(separator, cell.strip(" []\"'"))
    return [part for one in cell.split(separator) if (part := one.strip())]


_BETWEEN_LINKS: Final = re.compile(r"[\s,;|\"'<>]+(?=https?://)", re.IGNORECASE)


def joined(cells: list[Cell | None], *, is_date: bool) -> str | None:
    """Make one text of several; None where one is missing, or one date has its time already."""
    texts = [cell for cell in cells if isinstance(cell, str)]
    if len(texts) < len(cells):
        return None
    text = date_patterns.joined_date(texts) if is_date else " ".join(texts)
    zone = next((one.zone for one in texts if isinstance(one, LocalText)), None)
    return text if text is None or zone is None else LocalText.of(text, zone)


def unique(items: Iterable[object]) -> list[object]:
    """Take each once."""
    kept: list[object] = []
    kept.extend(item for item in items if item not in kept)
    return kept


def amount_of(text: str, unit: str | None) -> str:
    """Write a duration as hours, minutes and seconds, and anything else as it is."""
    if parts := _DURATION.fullmatch(text):
        hours, minutes, seconds = (int(part or 0) for part in parts.groups())
        return str(timedelta(hours=hours, minutes=minutes, seconds=seconds))
    is_number = text.replace(".", "", 1).isdecimal()
    if unit is None or not is_number or (unit == "s" and _VAGUE.fullmatch(text)):
        return text  # nobody can tell 1.2 seconds from minutes, nor 0.0007 from days of Excel
    return str(timedelta(seconds=round(float(text) / _PARTS[unit])))


_PARTS: Final = {"ms": 1000, "s": 1, "min": 1 / 60}
_VAGUE: Final = re.compile(r"[0-5]?\d\.\d\d?|0?\.\d+")
_DURATION: Final = re.compile(r"PT(?=\d)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.\d+)?S)?")
"""As ISO 8601 has it."""


_MAILS: Final = frozenset({"Email", "Custom"})

_OF_MAIL: Final = ("subject", "emailFrom", "emailTo", "emailCc", "emailBcc")


def without_mail(values: dict[str, object]) -> list[str]:
    """Take away what only mails have, from what is none: the API would, without a word."""
    kind = values.get("type")
    if not isinstance(kind, str) or kind in _MAILS:
        return []
    lost = [values.pop(name) for name in _OF_MAIL if name in values]
    if "message" in values and "html" in values:
        lost.append(values.pop("html"))
    return [notice("subjects_of_no_mail")] if any(lost) else []
