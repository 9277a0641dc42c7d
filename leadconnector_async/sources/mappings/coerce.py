"""From named values, cells or JSON, to a row: the shape of each field, and no rule beyond it."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from hashlib import blake2b
from html import unescape
from typing import Final

from leadconnector_async.leave_out import LEAVE_OUT
from leadconnector_async.models import CHOICES, Contact, Problem
from leadconnector_async.sources import fields
from leadconnector_async.sources.base import SOURCE_LINE, Identity, Parsed, SourceOptions, SourceRow
from leadconnector_async.sources.files import encoding
from leadconnector_async.sources.files.attachments import Attachments, lost_files
from leadconnector_async.sources.files.members import Beside
from leadconnector_async.sources.mappings.chat_sides import ChatSides
from leadconnector_async.sources.values.contact_values import Contacts
from leadconnector_async.sources.values.date_patterns import LocalText, ZoneName
from leadconnector_async.sources.values.dates import Dates
from leadconnector_async.sources.values.phone_numbers import LETTER

_MAX_LISTED: Final = 10
"""Choices named in a problem. Of the message types, the first ten are the documented ones."""


def reader_of(choices: Sequence[str]) -> Callable[[object], str]:
    """Make the reader of a field that allows these words only."""
    allowed = frozenset(choices)
    known = ", ".join(choices[:_MAX_LISTED])

    def read(value: object) -> str:
        if type(value) is str and value in allowed:
            return value
        text = fields.read_text(value)
        meant = fields.nearest(text, choices)
        fix = f'write "{meant}"' if meant else f"write one of {known}"
        raise fields.WrongValueError(f"is {fields.quoted(text)}", fix)

    return read


_OF_CHOICES: Final = {name: reader_of(choices) for name, choices in CHOICES.items()}

_EXAMPLES: Final = {"call": '{"to": "+12125550100"}', "contact": '{"phone": "+12125550100"}'}

PLACE: Final = re.compile(r"(.*?):\d+: ")
"""What stands before the reason in a list of failed records."""

_MAX_UNKNOWN: Final = 100
"""Unknown names kept for the warning. Names can be data, and memory has to stay bounded."""


def identity_of(values: Mapping[str, object]) -> Identity:
    """Read what a refused record says of itself."""
    own, location, key = (values.get(name) for name in ("id", "locationId", "outboxKey"))
    return Identity(str(own) if type(own) is int else _said(own), _said(location), _said(key))


def as_given(values: Mapping[str, object]) -> dict[str, object]:
    """Name what can be given back to be mended: where a value could not be made, its text."""
    given = ((name, _given(value)) for name, value in values.items())
    return {name: value for name, value in given if value is not None}


def in_api_names(values: Mapping[str, object], said: object = None) -> bytes:
    """Write a record as a line of JSON that has the API's names.

    It is known by what its source ``said``, where options tell what is made of that.
    """
    given = as_given(values)
    if said is not None:  # last, as it is looked for there
        text = json.dumps(said, default=str).encode()
        given[SOURCE_LINE] = blake2b(text, digest_size=15).hexdigest()
    return json.dumps(given, ensure_ascii=False).encode("utf-8", "replace")


def _placed(values: Mapping[str, object]) -> dict[str, object]:
    """Put the date into the zone that its record names, unless its column tells it for sure."""
    placed = {name: value for name, value in values.items() if name != fields.ZONE}
    date, zone = values.get("date"), values[fields.ZONE]
    known = isinstance(date, LocalText) and not isinstance(date.zone, ZoneName)
    if isinstance(date, str) and isinstance(zone, str) and fields.stripped(zone) and not known:
        placed["date"] = LocalText.of(date, ZoneName(fields.stripped(zone)))
    return placed


def _is_findable(values: Mapping[str, object]) -> bool:
    return any(values.get(name) is not None for name in fields.FINDERS) or fields.is_known(values)


def _given(value: object) -> object:
    if isinstance(value, fields.WrongValueError):
        return value.given
    if isinstance(value, datetime):
        return value.isoformat()
    return value.in_full() if isinstance(value, LocalText) else value


def _said(value: object) -> str | None:
    # Stand-ins of bytes that could not be decoded would not be encoded anywhere else.
    sound = type(value) is str and not any("\ud800" <= char <= "\udfff" for char in value)
    return str(value) if sound else None


class RowCoercer:
    """Makes rows of named values, for one source. ``unknown`` collects what it passed over.

    Paths of attachments start ``beside`` the source. ``notices`` are those of the record that is
    being read: its readers add to them.
    """

    def __init__(self, options: SourceOptions, beside: Beside | None = None) -> None:
        self._options = options
        self.notices: list[str] = []
        self.dates: Dates = Dates(options.timezone, options.date_format)
        self.dates.notices = self.notices
        self.contacts: Contacts = Contacts(
            options.region,
            possible=options.numbers == "possible",
            notice=self.notices.append,
            mine=options.mine,
        )
        self.sides: ChatSides = ChatSides(self.contacts)
        self.files: Attachments = Attachments(options, beside or Beside())
        self._type: object = None
        readers: dict[str, Callable[[object], object]] = {
            **dict.fromkeys(fields.FIELDS, fields.read_text),
            **dict.fromkeys(fields.LIST_FIELDS, fields.read_list),
            **dict.fromkeys(("id", "altId"), fields.read_own_id),
            **_OF_CHOICES,
            "contact.phone": self.contacts.phone,
            "contact.email": self.contacts.email,
            **dict.fromkeys(fields.BODY_FIELDS, self._body),
            "message": self._message,
            "contact.name": lambda value: self._body(value).strip(),
            "date": self.dates.read,
            "attachments": lambda value: self.files.read(value, self._type, self.notices.append),
        }
        self._readers = {
            name: (readers[name], *attribute.partition(".")[::2])
            for name, attribute in fields.FIELDS.items()
        }
        """Of each field: what reads it, its attribute, and the attribute within that, or ""."""
        self.unknown: dict[str, None] = {}
        self._kinds: list[str] = []

    def of_list(self, error: object) -> None:
        """Learn from which file a failed record came: each may have its dates in another order."""
        found = PLACE.match(error) if isinstance(error, str) else None
        self.dates.place = found[1] if found else ""

    def parsed(
        self,
        line: int,
        raw: bytes,
        values: Mapping[str, object],
        notices: Iterable[str] = (),
        left_out: str | None = None,
    ) -> Parsed:
        """Make a record, unless it is ``left_out``. ``notices`` are its values' maker's."""
        if left_out is not None:
            return Parsed(line, raw, None, (), left_out=left_out)
        self.told()
        self.notices += notices
        self._kinds = []
        people, who = self._options.people, str(_given(values.get("contact.phone")) or "")
        if people and LETTER.search(who) and isinstance(people.settle(Contact(name=who)), Contact):
            values = {**values, "contact.phone": None, "contact.name": who}  # of From or To
        row, problems = self.row(_placed(values) if fields.ZONE in values else values)
        if row is not None and row.contact is not None:
            row.contact = self.contacts.noted(row.contact, row.type)
        told = self.told()
        if row is not None:
            if row.message or row.html or row.attachments or row.call or not lost_files(told):
                return Parsed(line, raw, row, (), notices=told)
            reason = "messages that hold nothing but files of other types"
            return Parsed(line, raw, None, (), identity_of(values), left_out=reason)
        identity = identity_of(values)
        for kind in self._kinds:
            if kind in self._options.leave_out:
                return Parsed(line, raw, None, (), identity, left_out=LEAVE_OUT[kind])
        return Parsed(line, raw, None, problems, identity, notices=told)

    def alone(self, values: Mapping[str, object], foreign: Mapping[str, str]) -> dict[str, object]:
        """Refuse another system's ids, by their names there, where nothing else says who it is."""
        is_named = self._options.people is not None and values.get("contact.name")
        ids = [] if is_named or _is_findable(values) else filter(fields.IDS.__contains__, foreign)
        return {of: fields.wrong_value("foreign_id", field=of, column=foreign[of]) for of in ids}

    def told(self) -> tuple[str, ...]:
        """Give the notices of the record that was read, and begin with the next."""
        if not self.notices:
            return ()
        told = tuple(self.notices)
        self.notices.clear()
        return told

    def row(self, values: Mapping[str, object]) -> tuple[SourceRow | None, tuple[Problem, ...]]:
        """Read every field. The row is None if there is any problem."""
        made: dict[str, object] = {}
        nested: dict[str, dict[str, object]] = {}
        problems: list[Problem] = []
        self._type = values.get("type")
        for name, value in values.items():
            if value is None:
                continue
            if name not in self._readers:
                problems.extend(self._pass_over(name, value, values))
                continue
            reader, outer, inner = self._readers[name]
            try:
                if isinstance(value, fields.WrongValueError):
                    raise value
                read = reader(value)
            except fields.WrongValueError as error:
                problems.append(Problem(name, error.wrong, error.fix))
                self._kinds += () if error.kind is None else (error.kind,)
                continue
            if inner:
                nested.setdefault(outer, {})[inner] = read
            else:
                made[outer] = read
        if "type" not in made and not any(problem.field == "type" for problem in problems):
            known = ", ".join(CHOICES["type"][:_MAX_LISTED])
            problems.insert(0, fields.problem_of("no_type", known=known))
        self._miss_date(made.get("date"), problems)
        if "contact" in nested and self._options.people is None and not _is_findable(values):
            problems.append(fields.problem_of("name_alone"))
        if problems and "type" in made and values.get("direction") is None:
            problems.append(fields.problem_of("untold"))
        return (None, tuple(problems)) if problems else self._settled(made, nested)

    def _settled(
        self, made: dict[str, object], nested: Mapping[str, dict[str, object]]
    ) -> tuple[SourceRow | None, tuple[Problem, ...]]:
        """Make the row, and look up whom it is with among the people that are given."""
        # Every value comes from the reader of its field.
        for outer, parts in nested.items():
            made[outer] = fields.NESTED[outer](**parts)  # type: ignore[arg-type]
        row = SourceRow(**made)  # type: ignore[arg-type]
        has_id = row.contact_id or row.conversation_id
        if self._options.people is not None and row.contact is not None and not has_id:
            settled = self._options.people.settle(row.contact)
            if isinstance(settled, Problem):
                return None, (settled,)
            row.contact = settled
        return row, ()

    def _miss_date(self, date: object, problems: list[Problem]) -> None:
        if date is not None:
            return
        missed = [problem for problem in problems if problem.field == "date"]
        is_now = self._options.undated == "now"
        if is_now and all(problem.wrong == "is missing" for problem in missed):
            problems[:] = [problem for problem in problems if problem not in missed]
            self.notices.append("date is missing: the message takes the time of the import")
        elif not missed:
            problems.append(fields.problem_of("undated"))

    def _body(self, value: object) -> str:
        """Take text, and note, or mend, what an earlier program did to it."""
        if type(value) is str and "\0" in value:
            if not self._options.repair_text:
                fix = "remove it, or give --repair-text"
                raise fields.wrong_value("nul", at=value.index("\0") + 1, fix=fix)
            value = value.replace("\0", "")
            self.notices.append(encoding.NULS)
        text = fields.read_text(value)
        if text.isascii() or (meant := encoding.mended(text)) is None:
            return text
        repairs = self._options.repair_text
        self.notices.append(encoding.MENDED if repairs else encoding.GARBLED)
        return meant if repairs else text

    def _message(self, value: object) -> str | None:
        """Take text, with the notes of a call or without."""
        if not isinstance(value, fields.NotedText):
            text = self._body(value)
            if "&" not in text or not encoding.ESCAPE.search(text):
                return text
            repairs = self._options.repair_text
            self.notices.append(encoding.UNESCAPED if repairs else encoding.ESCAPED)
            return encoding.ESCAPE.sub(lambda found: unescape(found[0]), text) if repairs else text
        if self._options.call_notes == "on":
            text = fields.NotedText(self._body(str(value)))
            text.own, text.told = value.own, ()
            return text
        self.notices += value.told
        return self._body(value.own) if value.own else None

    def _pass_over(self, name: str, value: object, values: Mapping[str, object]) -> list[Problem]:
        if name in fields.NESTED:
            # One that is an object has been taken apart into its dotted names.
            fix = f"write an object, such as {_EXAMPLES[name]}"
            return [Problem(name, fields.kind_of(value), fix)]
        meant = fields.near_field(name)
        if meant is not None and values.get(meant) is None and not fields.is_moot(meant, values):
            fix = f'write "{meant}", or give --map {meant}={name}'
            return [Problem(meant, f"is spelled {fields.shown(name)}", fix)]
        if len(self.unknown) < _MAX_UNKNOWN:
            self.unknown[name] = None
        return []
