"""Single values of a record: each reader gives the value, or says what is wrong with it."""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING, Final, Self

from leadconnector_async.sources.fields import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

MAX_LISTED: Final = 10
"""Choices named in a problem. Of the message types, the first ten are the documented ones."""

_WORD: Final = re.compile(r"[\w-]{1,24}", re.ASCII)
"""What may be quoted: where columns are shifted, any field can hold the text of a message."""

_MARKS: Final = "".join(
    chr(code)
    for first, last in ((0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x2069), (0xFEFF, 0xFEFF))
    for code in range(first, last + 1)
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


def kind_of(value: object) -> str:
    """Say what a JSON value is, and nothing of what it holds."""
    match value:
        case None:
            return "is null"
        case bool():
            return "is true or false"
        case int() | float():
            return "is a number"
        case str():
            return "is text"
        case list():
            return "is a list"
        case _:
            return "is an object"


def scalar_text(value: object) -> str:
    """Write a cell as CSV would hold it: whole numbers without a point, dates as ISO 8601."""
    match value:
        case bool():
            return "true" if value else "false"
        case float() if value.is_integer():
            return str(int(value))
        case date():
            return value.isoformat()
        case bytes():
            return value.decode(errors="replace")
        case _:
            return str(value)


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
        raise WrongValueError(
            f"has a NUL character at position {value.index(chr(0)) + 1}", "remove it"
        )
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
            raise WrongValueError(f"item {number} {error.wrong}", error.fix) from None
    return value or None


def quoted(text: str) -> str:
    """Show a word, but no text that could be a message."""
    return f'"{text}"' if _WORD.fullmatch(text) else f"text of {len(text)} characters"


def reader_of(choices: Sequence[str]) -> Callable[[object], str]:
    """Make the reader of a field that allows these words only."""
    allowed = frozenset(choices)
    known = ", ".join(choices[:MAX_LISTED])

    def read(value: object) -> str:
        if type(value) is str and value in allowed:
            return value
        text = read_text(value)
        meant = nearest(text, choices)
        fix = f'write "{meant}"' if meant else f"write one of {known}"
        raise WrongValueError(f"is {quoted(text)}", fix)

    return read
