"""Field names as files spell them, and single values: each reader says what is wrong with one."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from difflib import get_close_matches
from functools import cache, lru_cache
from typing import Any, Final, Self

from msgspec.structs import fields

from leadconnector_async.data_files import read_toml
from leadconnector_async.models import Call, Contact, Problem
from leadconnector_async.sources.base import SourceRow

NESTED: Final[dict[str, type[Call | Contact]]] = {"call": Call, "contact": Contact}
"""Fields that are objects in JSON, and dotted names elsewhere."""

FIELDS: Final[dict[str, str]] = {
    **{field.encode_name: field.name for field in fields(SourceRow) if field.name not in NESTED},
    **{
        f"{name}.{field.encode_name}": f"{name}.{field.name}"
        for name, struct in NESTED.items()
        for field in fields(struct)
    },
}
"""The API's name of each field, with the dotted ones of objects, and its name here."""

BODY_FIELDS: Final = frozenset({"message", "subject", "html"})
"""Free text: every character counts, and none is ever quoted in a problem."""

FINDERS: Final = frozenset({"contact.phone", "contact.email"})
"""Either of them is enough to find a contact."""

LIST_FIELDS: Final = frozenset({"emailCc", "emailBcc", "attachments", "inReplyTo"})

IDS: Final = ("contactId", "conversationId")
"""Either of them says who a record is with, whatever ``contact`` says."""

LOCATION: Final = "locationId"

GIVEN_IDS: Final = frozenset({*IDS, "conversationProviderId", LOCATION})
"""Ids that LeadConnector gives. Other systems have ids of these names too, which mean nothing to
it, or somebody else."""

OUTBOX_KEY: Final = "outboxKey"

REASON: Final = "error"

SPARE_REASON: Final = "importError"
"""Holds the reason in lists of failed records whose source has an ``error`` of its own."""

REASON_NAMES: Final = frozenset({REASON, SPARE_REASON})
"""Passed over in silence when a list of failed records is read."""

_OUTER: Final = frozenset(name.partition(".")[0] for name in FIELDS)

_UNTELLING: Final = REASON_NAMES | {*IDS, "id", LOCATION, OUTBOX_KEY, ""}

ZONE: Final = "timezone"
"""The zone of a record's date, where that has no offset. It is not sent."""

MAPPABLE: Final = frozenset(FIELDS) - {OUTBOX_KEY} | {ZONE}

_MIN_SLIP: Final = 6
"""In shorter names one letter makes another word: ``ids``, ``date2``."""


def table_of(name: str) -> dict[str, Any]:
    """Read a file of words beside this one."""
    return read_toml(__package__, name)


def notice(name: str, **facts: object) -> str:
    """Give what ``notices.toml`` says under that name to the owner of a record, or of a file."""
    return str(table_of("notices")["notices"][name]).format(**facts)


def problem_of(name: str, **facts: object) -> Problem:
    """Give what is wrong with a record, as ``notices.toml`` has it under that name."""
    return Problem(*(text.format(**facts) for text in table_of("notices")["problems"][name]))


_PART: Final = re.compile(r"\{([a-z_]+)\}")


def compiled(text: str) -> re.Pattern[str]:
    """Compile an expression, in which ``{name}`` stands for another one of their file."""
    others = table_of("expressions")
    while _PART.search(text):
        text = _PART.sub(lambda part: others[part[1]], text)
    return re.compile(text, re.VERBOSE)


@cache
def expression(name: str) -> re.Pattern[str]:
    """Compile the expression of that name when it is first asked for."""
    return compiled(table_of("expressions")[name])


def folded(name: str) -> str:
    """Spell a name without case, accents, spaces and separators, and the form of its values."""
    plain = name if name.isascii() else unicodedata.normalize("NFKD", name)
    if "(" in plain or "[" in plain:
        plain = expression("form_of_values").sub("", plain)
    return re.sub(r"[\W_]", "", plain.casefold())


_FOLDED: Final = {folded(name): name for name in FIELDS}


def _one_slip(left: str, right: str) -> bool:
    pairs = enumerate(zip(left, right, strict=False))
    slip = next((at for at, (a, b) in pairs if a != b), min(len(left), len(right)))
    here, after = slice(slip, None), slice(slip + 1, None)
    added, dropped = left[after] == right[here], left[here] == right[after]
    return added or dropped or left[after] == right[after]


@lru_cache(maxsize=1024)
def near_field(name: str) -> str | None:
    """The field that a name which is none stands for, if it is hardly anything else.

    That is a name of other case or with separators (``Contact ID``), or, for names of six letters
    or more, one letter off (``attachment``). Passing such a name over would lose data, so readers
    refuse it instead.
    """
    if len(name) > 40:  # noqa: PLR2004 - twice the longest field name: no spelling of one
        return None
    spelling = folded(name)
    if spelling in _FOLDED:
        return _FOLDED[spelling]
    if len(spelling) < _MIN_SLIP:
        return None
    return next((field for near, field in _FOLDED.items() if _one_slip(spelling, near)), None)


@lru_cache(maxsize=1024)
def is_foreign(name: str) -> bool:
    """Tell a name that other systems have for a field of a message, and LeadConnector has not.

    Ids beside such a name are most likely that system's too.
    """
    return len(name) <= 40 and folded(name) in table_of("names")["foreign"]  # noqa: PLR2004 - as above


def is_known(values: Mapping[str, object]) -> bool:
    """Tell a record (or a header) that says by an id who it is with."""
    return any(values.get(name) for name in IDS)


def is_plainly_ours(names: Iterable[str]) -> bool:
    """Tell names that are the API's from those of another system, which may share some.

    There is a type, and most of what can be said of a message has the API's name. Ids tell
    nothing: every system has a ``conversationId``.
    """
    telling = {re.split(r"[.\[]", name, maxsplit=1)[0] for name in names} - _UNTELLING
    known = telling & _OUTER
    return "type" in known and 2 * len(known) > len(telling)


def is_moot(field: str, values: Mapping[str, object]) -> bool:
    """Tell a name or number of a contact that is known by its id."""
    return field.startswith("contact.") and is_known(values)


def nearest(text: str, choices: Sequence[str]) -> str | None:
    """The choice that a wrong value looks like."""
    spellings = {folded(choice): choice for choice in choices}
    close = get_close_matches(folded(text[:40]), spellings, n=1)
    return spellings[close[0]] if close else None


def shown(name: str) -> str:
    """Quote a column's name, cut where it is too long to be one."""
    kept = name if len(name) <= 40 else f"{name[:40]}…"  # noqa: PLR2004 - fits a line
    return '"' + "".join(c if c.isprintable() else "\ufffd" for c in kept) + '"'


def listed(names: Sequence[str], most: int = 30) -> str:
    """Quote several names, and count those beyond ``most``."""
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(shown(name) for name in names[:most]) + rest


def not_sent(what: str, names: Sequence[str], apart: int = 1) -> list[str]:
    """Say which columns, or fields, are passed over; nothing if there are none.

    So many have a line each; more of them stand in one.
    """
    if len(names) <= apart:
        return [f"{what} {shown(name)} is not sent" for name in names]
    return [f"{what}s {listed(names)} are not sent"]


def foreign_id(name: str, field: str) -> str:
    """Say that an id is passed over, since beside other names it is hardly LeadConnector's."""
    taken = "is taken for another system's id and not sent: if it is LeadConnector's, give --map"
    return f"{shown(name)} {taken} {field}={name}"


def flat(values: dict[str, object]) -> dict[str, object]:
    """Take objects apart into dotted names."""
    for name in NESTED:
        inner = values.get(name)
        if isinstance(inner, dict):
            del values[name]
            for key, value in inner.items():
                path = f"{name}.{key}"
                same = values.get(path) in (None, value)
                values[path] = value if same else WrongValueError("has two values", "write one")
    return values


def api_names(record: Mapping[str, object], mapping: Mapping[str, str]) -> dict[str, object]:
    """Name a record's values as the API does, and leave the reason of an earlier failure out.

    A field that is mapped to nothing is not read.
    """
    if not mapping:
        return {key: value for key, value in record.items() if key not in REASON_NAMES}
    off = (field for field, key in mapping.items() if not key)
    passed = REASON_NAMES.union(mapping.values(), off)
    values = {key: value for key, value in record.items() if key not in passed}
    for field, key in mapping.items():
        if key and record.get(key) is not None:
            values[field] = record[key]
    return values


_WORD: Final = re.compile(r"[\w-]{1,24}", re.ASCII)
"""What may be quoted: where columns are shifted, any field can hold the text of a message."""

_MARKS: Final = "".join(
    map(chr, (*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x206A), 0xFEFF))
)
"""Characters without a width: phones and spreadsheets put them around numbers and dates."""


class WrongValueError(ValueError):
    """A value of the wrong shape: what it is, and what to do.

    A reader that makes values of something else, such as a mail, puts one in place of a value that
    it could not make, with what was given. ``kind`` is the one of `LEAVE_OUT` that a
    record with such a value is of.
    """

    def __init__(
        self, wrong: str, fix: str, given: object = None, *, kind: str | None = None
    ) -> None:
        super().__init__(wrong)
        self.wrong = wrong
        self.fix = fix
        self.given = given
        self.kind = kind


def wrong_value(name: str, *, kind: str | None = None, **facts: object) -> WrongValueError:
    """Give what is wrong with a value, as ``notices.toml`` has it under that name."""
    wrong, fix = (text.format(**facts) for text in table_of("notices")["values"][name])
    return WrongValueError(wrong, fix, kind=kind)


class NotedText(str):
    """The text of a call, with notes beneath it for which the API has no fields.

    ``own`` is the text without them, ``told`` what is told where they are left out.
    """

    __slots__ = ("own", "told")

    own: str | None
    told: tuple[str, ...]

    @classmethod
    def of(cls, own: str | None, notes: Mapping[str, str]) -> Self:
        """Write notes, each of which comes with what is told of it."""
        text = cls("\n".join([*([own] if own else []), *notes]))
        text.own, text.told = own, tuple(dict.fromkeys(notes.values()))
        return text


_JSON_KINDS: Final[tuple[tuple[type | tuple[type, ...], str], ...]] = (
    *((type(None), "is null"), (bool, "is true or false"), ((int, float), "is a number")),
    *((str, "is text"), (list, "is a list"), (object, "is an object")),
)


def kind_of(value: object) -> str:
    """Say what a JSON value is, and nothing of what it holds."""
    return next(told for kind, told in _JSON_KINDS if isinstance(value, kind))


def scalar_text(value: object) -> str:
    """Write a cell as CSV would hold it: whole numbers without a point, dates as ISO 8601."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, date):
        return value.isoformat()
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def stripped(text: str) -> str:
    """Take away the space around a value, and marks that nobody sees."""
    plain = text.strip()
    if plain.isascii():
        return plain
    while plain and (plain[0] in _MARKS or plain[-1] in _MARKS):
        plain = plain.strip(_MARKS).strip()
    return plain


def read_text(value: object) -> str:
    """Take text as it is."""
    if type(value) is not str:
        raise WrongValueError(kind_of(value), "write it as text, in double quotes")
    if "\0" in value:
        raise wrong_value("nul", at=value.index("\0") + 1, fix="remove it")
    return value


def read_own_id(value: object) -> str:
    """Take a sender's own id, often an integer of a database. The API's ids never are."""
    return str(value) if type(value) is int else read_text(value)


def read_list(value: object) -> list[str] | None:
    """Take a list of texts. An empty one is none: the API answers 422 to it."""
    if type(value) is not list:
        raise WrongValueError(kind_of(value), 'write a list of texts, such as ["a", "b"]')
    for number, item in enumerate(value, 1):
        try:
            read_text(item)
        except WrongValueError as error:
            key = ", or name its key for a mapping, as in --map attachments=attachments[*].link"
            fix = error.fix + key * isinstance(item, dict)
            raise WrongValueError(f"item {number} {error.wrong}", fix) from None
    return value or None


def quoted(text: str) -> str:
    """Show a word, but no text that could be a message."""
    return f'"{text}"' if _WORD.fullmatch(text) else f"text of {len(text)} characters"
