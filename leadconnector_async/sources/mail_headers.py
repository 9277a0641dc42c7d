"""The head of a mail: who, when, about what, and in answer to which.

Read with the old, lenient half of the standard library: its new one parses every header by the
grammar, takes twenty times as long, and raises on headers that break it.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime
from email import utils
from email.errors import HeaderParseError
from email.header import decode_header
from email.utils import getaddresses
from typing import TYPE_CHECKING, Final, NamedTuple

from leadconnector_async.sources.date_forms import FIX_DATE, read_mail_date
from leadconnector_async.sources.encoding import decode_text, sound
from leadconnector_async.sources.fields import WrongValueError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo
    from email.message import Message

_FOLD: Final = re.compile(r"[\r\n]+")

_MSG_ID: Final = re.compile(r"<([^<>]+)>")

_MAX_ANCESTORS: Final = 100

# Newer versions give nobody where a list of addresses is odd; here a half is better than nothing.
_LOOSE: Final = {"strict": False} if getattr(utils, "supports_strict_parsing", False) else {}

_NO_NAME: Final = re.compile(r"=\?|\?=|\ufffd|\A\S+@\S+\Z|\A[\W_]*\Z")
"""What is left of a name that was encoded or cut wrongly, an address in its place, or no letter."""


class Person(NamedTuple):
    """A name, which may be empty, and an address."""

    name: str
    address: str

    @property
    def folded(self) -> str:
        """The address as it compares with others."""
        return self.address.lower()


class Head:
    """The headers of one mail, by their names in lower case."""

    def __init__(self, mail: Message) -> None:
        self._values: dict[str, list[str]] = {}
        self._people: dict[str, list[Person]] = {}
        for name, value in mail.raw_items():
            unfolded = _FOLD.sub("", str(value))
            self._values.setdefault(name.lower(), []).append(unfolded)

    def first(self, name: str) -> str:
        """The first header of that name, as it stands; empty if there is none."""
        values = self._values.get(name)
        return values[0].strip() if values else ""

    def text(self, name: str) -> str:
        """The first header of that name, decoded."""
        return header_text(self.first(name))

    def people(self, name: str) -> list[Person]:
        """Everybody whom the headers of that name give an address of."""
        if name not in self._people:
            values = [_raw_text(value) for value in self._values.get(name, ())]
            self._people[name] = _people(values) if values else []
        return self._people[name]

    @property
    def id(self) -> str | None:
        """The Message-ID without its brackets, which are no part of it (RFC 5322, 3.6.4)."""
        value = self.first("message-id")
        found = _MSG_ID.search(value)
        return _bare(found[1] if found else value)

    @property
    def ancestors(self) -> list[str]:
        """The ids of the mails that this one answers, nearest first."""
        names = _MSG_ID.findall(self.first("in-reply-to"))
        names += reversed(_MSG_ID.findall(self.first("references")))
        bare = (_bare(name) for name in names)
        return list(dict.fromkeys(name for name in bare if name and name != self.id))[
            :_MAX_ANCESTORS
        ]

    def date(
        self,
        zone: tzinfo | None = None,
        postmark: tuple[str, str] | None = None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> datetime | WrongValueError:
        """When it was sent, or else when it arrived. Naive where its offset is not known.

        The last resort, of a mail without a date, is that of its ``From`` line, in UTC (RFC 4155).
        ``tell`` is told where it is not the mail's own. ``zone`` is the user's.
        """
        given = self.first("date")
        wrong = WrongValueError("is missing", FIX_DATE)
        if given:
            try:
                return read_mail_date(_raw_text(given), zone)
            except WrongValueError as error:
                wrong = WrongValueError(error.wrong, error.fix, sound(_raw_text(given)))
        for value in self._values.get("received", ()):
            with suppress(WrongValueError):
                date = read_mail_date(value.rpartition(";")[2], zone)
                what = "a date that cannot be read" if given else "no date"
                tell(f"mails with {what}: that of their arrival is taken")
                return date
        if postmark and not given:
            with suppress(WrongValueError):
                date = read_mail_date(postmark[1], zone)
                tell('mails with no date: that of their "From " line is taken, in UTC')
                return date if date.tzinfo else date.replace(tzinfo=UTC)
        return wrong


def _people(values: list[str]) -> list[Person]:
    return [
        Person(_name(name), address.strip())
        for name, address in getaddresses(values, **_LOOSE)
        if "@" in address.strip("@")
    ]


def _name(text: str) -> str:
    name = " ".join(_words(text).split()).strip("'\"").strip()
    return "" if _NO_NAME.search(name) else name


def header_text(value: str) -> str:
    """Decode a header."""
    return " ".join(_words(_raw_text(value)).split())


def _bare(name: str) -> str | None:
    bare = "".join(_raw_text(name).split())
    return bare if bare and bare.isprintable() else None


def _raw_text(value: str) -> str:
    """Decode the bytes of a header that were not encoded as they should."""
    if value.isascii():
        return value
    return decode_text(value.encode("utf-8", "surrogateescape"), None)


def _words(text: str) -> str:
    """Decode encoded words (RFC 2047)."""
    if "=?" not in text:
        return sound(text)
    try:
        pieces = decode_header(text)
    except (HeaderParseError, ValueError):
        return sound(text)
    return sound(
        "".join(
            piece
            if isinstance(piece, str)
            else decode_text(
                piece, charset or "raw-unicode-escape"
            )  # what decode_header uses itself
            for piece, charset in pieces
        )
    )
