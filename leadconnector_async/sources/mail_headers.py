"""The head of a mail: who, when, about what, and in answer to which.

Read with the old, lenient half of the standard library: its new one parses every header by the
grammar, takes twenty times as long, and raises on headers that break it. Dates are those of
RFC 5322 with its obsolete forms, what programs make of it, and ISO 8601.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from email import utils
from email.errors import HeaderParseError
from email.header import decode_header
from email.utils import getaddresses
from typing import TYPE_CHECKING, Final, NamedTuple

from leadconnector_async.sources.encoding import decode_text, sound
from leadconnector_async.sources.values import WrongValueError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo
    from email.message import Message

FIX: Final = 'write one, such as "2024-01-31T09:30:00Z", as its date in the list of failed ones'

_MONTHS: Final = (
    "jan",
    "feb",
    "mar",
    "apr",
    "may",
    "jun",
    "jul",
    "aug",
    "sep",
    "oct",
    "nov",
    "dec",
)

_WEEKDAY: Final = r"\s*(?:[^\W\d]{2,12}\b\.?\s*,?\s*)?"

_TIME: Final = (
    r"(?P<hour>\d\d?)[:.](?P<minute>\d\d?)(?:[:.](?P<second>\d\d?)(?:[.,]\d+)?)?"
    r"(?:\s*(?P<half>[ap])\.?m\b\.?)?\s*(?P<rest>.*)"
)

_MONTH: Final = r"(?P<month>[a-z]{3,9})\.?"

_FORMS: Final = tuple(
    re.compile(day + _TIME, re.IGNORECASE)
    for day in (
        rf"{_WEEKDAY}(?P<day>\d{{1,2}})[\s-]*{_MONTH}[\s-]*(?P<year>\d{{2,4}}),?\s+",
        # asctime: the year can be last
        rf"{_WEEKDAY}{_MONTH}\s+(?P<day>\d{{1,2}})(?:,?\s+(?P<year>\d{{4}}))?,?\s+",
        r"\s*(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)(?:T|\s+)",
    )
)

_COMMENT: Final = re.compile(r"\(([^()]*)\)")

_LAST_YEAR: Final = re.compile(r"(?:^|\s)(\d{4})(?=\s|$)")

_OFFSET: Final = re.compile(r"(?:GMT|UTC?|Z)?\s*([+-])(\d{1,2})(?::?(\d\d))?(?!\d)", re.IGNORECASE)

_NAME: Final = re.compile(r"[A-Za-z]{1,5}(?![A-Za-z])")

_FURTHEST: Final = 15
"""Hours. No zone is further from UTC; a larger figure is no offset."""

_HOURS: Final[dict[str, float]] = {
    name: float(hours)
    for row in (
        # RFC 5322, 4.3, which gives those of America their meaning
        "0 UT UTC GMT Z|-5 EST|-4 EDT|-6 CST|-5 CDT|-7 MST|-6 MDT|-8 PST|-7 PDT",
        # names that are used for one offset alone
        "0 WET|1 WEST CET MEZ MET|2 CEST MESZ MEST EET SAST|3 EEST|8 HKT SGT AWST|9 JST KST",
        "-9 AKST|-8 AKDT|-10 HST|9.5 ACST|10 AEST|10.5 ACDT|11 AEDT|12 NZST|13 NZDT",
    )
    for hours, *names in (item.split() for item in row.split("|"))
    for name in names
}
"""Zones by name. Not here are those of several meanings: BST is of Britain and of Bangladesh, IST
of India, Ireland and Israel, AST of Canada and of Arabia, MSK was moved, and single letters mean
nothing (RFC 5322, 4.3)."""


def read_mail_date(text: str, zone: tzinfo | None = None) -> datetime:
    """Read a date; naive where it has no offset.

    ``-0000`` is UTC, of a sender whose zone is not known (RFC 5322, 3.3). ``zone`` is the user's: a
    name of several meanings is taken for the one that it has there.

    Raises:
        Wrong: it is no date, or its zone cannot be told. ``given`` is not set.
    """
    bare = _COMMENT.sub(" ", text)
    found = next((match for form in _FORMS if (match := form.match(bare))), None)
    if found is None:
        raise _unreadable()
    rest, year = found["rest"], found["year"]
    if year is None and (last := _LAST_YEAR.search(rest)):
        year, rest = last[1], f"{rest[: last.start()]} {rest[last.end() :]}"
    comment = _COMMENT.search(text)
    try:
        date = datetime(  # noqa: DTZ001 - its zone is read below
            _full_year(year or ""),
            _month(found["month"]),
            int(found["day"]),
            _hour(int(found["hour"]), found["half"]),
            int(found["minute"]),
            min(int(found["second"] or 0), 59),  # a leap second
        )
        return _placed(date, rest.strip() or (comment[1].strip() if comment else ""), zone)
    except (ValueError, OverflowError) as error:
        raise (error if isinstance(error, WrongValueError) else _unreadable()) from None


def _unreadable() -> WrongValueError:
    return WrongValueError("is no date that can be read", FIX)


def _full_year(text: str) -> int:
    """Complete a year of two or three digits (RFC 5322, 4.3)."""
    year = int(text)
    if len(text) > 3:  # noqa: PLR2004 - four digits are all of them
        return year
    return year + (2000 if len(text) == 2 and year < 50 else 1900)  # noqa: PLR2004 - as the RFC


def _month(text: str) -> int:
    return int(text) if text.isdigit() else _MONTHS.index(text[:3].lower()) + 1


def _hour(hour: int, half: str | None) -> int:
    if half is None:
        return hour
    if not 1 <= hour <= 12:  # noqa: PLR2004 - of half a day
        raise ValueError(hour)
    return hour % 12 + (12 if half.lower() == "p" else 0)


def _placed(date: datetime, text: str, zone: tzinfo | None) -> datetime:
    """Give a date the offset that a text names."""
    if offset := _OFFSET.match(text):
        hours, minutes = int(offset[2]), int(offset[3] or 0)
        if hours > _FURTHEST or minutes > 59:  # noqa: PLR2004 - of an hour
            raise ValueError(text)
        away = timedelta(hours=hours, minutes=minutes)
        return date.replace(tzinfo=timezone(-away if offset[1] == "-" else away) if away else UTC)
    if not text:
        return date
    name = _NAME.match(text)
    if name is None:
        raise ValueError(text)
    hours_off = _HOURS.get(name[0].upper())
    if hours_off is not None:
        return date.replace(tzinfo=timezone(timedelta(hours=hours_off)) if hours_off else UTC)
    for fold in (0, 1):
        local = date.replace(tzinfo=zone, fold=fold)
        if zone is not None and local.tzname() == name[0].upper():
            return local
    raise WrongValueError(
        f"is in the zone {name[0]}, a name that does not tell its offset from UTC",
        f"give --timezone, such as --timezone Europe/London, if it is of that zone; or else {FIX}",
    )


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
        wrong = WrongValueError("is missing", FIX)
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
