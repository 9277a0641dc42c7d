"""Dates of files, in whatever form: UTC out, and a word on each that may not be what was meant."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache, lru_cache
from typing import Final

import msgspec

from leadconnector_async.errors import SourceError
from leadconnector_async.sources import fields
from leadconnector_async.sources.fields import WrongValueError, kind_of, stripped, wrong_value
from leadconnector_async.sources.files.encoding import with_usual_digits
from leadconnector_async.sources.values import date_patterns
from leadconnector_async.sources.values.date_forms import ORDERED, DateReading, readings
from leadconnector_async.sources.values.date_patterns import EARLIEST, EPOCH, Survey, ZoneName

EXAMPLE: Final = "2024-01-31T09:30:00Z"

_DAY: Final = timedelta(days=1)

_APPLE_AHEAD: Final = datetime(2001, 1, 1, tzinfo=UTC) - EPOCH

_NUMBER: Final = re.compile(r"[+-]?\d+(?:\.\d*)?", re.ASCII)

_UNITS: Final = (
    (timedelta(seconds=1), "Unix time"),
    (timedelta(milliseconds=1), "Unix time in ms"),
    (timedelta(microseconds=1), "Unix time in µs"),
)

_BASIC_DATE: Final = 8
"""``YYYYMMDD`` is the one ISO form that looks like a number."""

_OF_SCRIPT: Final = re.compile(r"/Date\((-?\d{1,14})(?:[+-]\d{4})?\)/", re.ASCII)
"""As .NET writes a date in JSON: milliseconds in UTC, and the offset where it was written."""

_DIRECTIVE: Final = re.compile(r"%-?([dmyY])")

_COMPACT: Final = re.compile(r"(?:19|20)\d{12}", re.ASCII)

_QUOTABLE: Final = re.compile(r"[0-9TZWtz:+\-./, ]{1,40}")

_NOTHING: Final = frozenset(
    ("", "null", "none", "nil", "nan", "nat", "n/a", "-", "0", "0000-00-00", "0000-00-00 00:00:00")
)
"""What programs write where they have no date. Zero is no message's date either."""

GAP: Final = "local time is skipped where clocks go forward: read as if they had not"

FOLD: Final = "local time occurs twice where clocks go back: the first of the two is taken"

EARLY: Final = "date is before 1990"

LATE: Final = "date is in the future"

_OF_WINTER: Final = re.compile(r"\b[ECMP]ST\b")

TIMELESS: Final = "date has no time of day: midnight is taken"


class Dates:
    """Reads the dates of one source.

    ``again`` reads the whole source anew and notes each date in surveys: it is called where day
    and month can be either way. ``notices`` are added to for the record that is being read.

    Raises:
        SourceError: ``form`` is no form of dates.
    """

    def __init__(self, zone: tzinfo | None, form: str | None = None) -> None:
        self._zone = zone
        self._form = form
        letters = "" if form is None else _checked(form).lower()
        self._order = next((order for order in ORDERED if order == letters), None)
        self._now = datetime.now(UTC)
        self.latest: datetime = self._now + _DAY
        self._surveys: dict[str, Survey] | None = None
        """One, or in a list of failed records one for each file that they came from."""
        self._voting = False
        self.place = ""
        self.again: Callable[[dict[str, Survey]], None] | None = None
        self.notices: list[str] = []

    def vote(self, surveys: dict[str, Survey]) -> None:
        """Let every date be noted, and none be decided."""
        self._surveys, self._voting = surveys, True

    def read(self, value: object) -> datetime | None:
        """Read ISO 8601, a Unix time, a day of Excel, or text as it is written about the world.

        None where there is none.

        RFC 3339 goes first, through msgspec, so that digits beyond the microsecond are rounded as
        they are where msgspec decodes a whole record.
        """
        if type(value) is int or type(value) is float:
            return self._read_text(repr(value), self._zone)
        if type(value) is datetime:
            return self.utc(value)
        if not isinstance(value, str):
            raise WrongValueError(kind_of(value), f"write ISO 8601 as text, as in {EXAMPLE}")
        zone = value.zone if isinstance(value, date_patterns.LocalText) else self._zone
        return self._read_text(stripped(value), zone)

    def utc(self, date: datetime, zone: tzinfo | ZoneName | None = None) -> datetime:
        """Move a date to UTC, and note what is odd about it.

        One without an offset is local time, with ``fold=0``.
        """
        if isinstance(zone, ZoneName):
            zone = self._named(date, zone)
        try:
            if date.tzinfo is None:
                date = self._of_zone(date, zone or self._zone)
            elif date.tzinfo is not UTC:
                date = date.astimezone(UTC)
        except OverflowError:
            raise wrong_value("outside_calendar") from None
        if date.year < 1900:  # noqa: PLR2004 - such as 1402, of Persia's calendar
            raise wrong_value("other_calendar", year=date.year)
        if not EARLIEST <= date <= self.latest:
            self.notices.append(EARLY if date < EARLIEST else LATE)
        return date

    def _named(self, date: datetime, name: ZoneName) -> tzinfo | None:
        """Find the zone that a column names, and note where something else goes before it."""
        if date.tzinfo is not None:
            zone = date_patterns.zone_in(name.text) if name.column is None else None
            if zone is not None and _offsets(date, zone)[0] != date.utcoffset():
                self.notices.append(fields.notice("offset_of_row"))
            return None
        zone = date_patterns.zone_at(name, date, self._zone)
        if zone is None:
            self.notices.append("time zone of the row is none that is known: --timezone is taken")
        elif name.column is None and self._zone:
            is_other = _offsets(date, zone) != _offsets(date, self._zone)
            self.notices += [fields.notice("zone_of_row")] if is_other else []
        return zone

    def _of_zone(self, date: datetime, zone: tzinfo | None) -> datetime:
        if zone is None:
            raise wrong_value("no_offset")
        offset = _offset_of_day(zone, date.toordinal())
        if offset is None:  # clocks change on that day
            offset, second = _offsets(date, zone)
            if offset != second:
                self.notices.append(GAP if offset < second else FOLD)
        return (date - offset).replace(tzinfo=UTC)

    def _read_text(self, text: str, zone: tzinfo | ZoneName | None) -> datetime | None:
        if self._form is not None:
            try:
                date = date_patterns.by_format(text, self._form)
            except ValueError:
                return None
            if date is not None:
                return self.utc(date, None if self._form in ("epoch", "epoch-ms") else zone)
        # Nearly all have a hyphen there, and are no number.
        is_basic = len(text) == _BASIC_DATE and "." not in text
        if text[4:5] != "-" and not is_basic and _NUMBER.fullmatch(text):
            return self._of_number(text, zone)
        try:
            date = _parse(text)
        except ValueError:
            if text.casefold() in _NOTHING:
                return None
            date = self._as_written(text)
            found = _OF_WINTER.search(text)
            if self._zone is not None and date.tzinfo is not None and found:
                local = date.replace(tzinfo=self._zone)
                is_odd = local.dst() and date - local == local.dst()
                self.notices += [fields.notice("winter")] if is_odd else []
                date = local if local.tzname() == found[0] else date  # of China, which has a CST
            return self.utc(date, zone)
        if len(text) <= len("2024-01-31"):
            self.notices.append(TIMELESS)
        return self.utc(date, zone)

    def _of_number(self, text: str, zone: tzinfo | ZoneName | None) -> datetime | None:
        """Read what can be one time alone: of seconds, milliseconds or days of Excel."""
        if _COMPACT.fullmatch(text) and (date := date_patterns.by_format(text, "%Y%m%d%H%M%S")):
            return self.utc(date, zone)
        value = float(text)
        if not value:
            return None
        last = self._now + 366 * _DAY
        for unit, name in _UNITS:
            try:
                date = EPOCH + value * unit
            except OverflowError:
                continue
            if EARLIEST <= date <= last:
                if (other := date + _APPLE_AHEAD) <= last:
                    raise wrong_value("unix_time_or_macs", date=date, other=other)
                self.notices.append(f"date is a number, read as {name}")
                return date
        local = date_patterns.of_serial(value) if 0 < value < 1e5 else None  # noqa: PLR2004 - 2173
        if local is not None and EARLIEST <= local.replace(tzinfo=UTC) <= last:
            self.notices.append("date is a number, read as Excel's count of days")
            self.notices += [TIMELESS] if text.isdecimal() else []
            return self.utc(local, zone)
        raise wrong_value("number_of_no_time")

    def _as_written(self, text: str) -> datetime:
        if of_script := _OF_SCRIPT.fullmatch(text):
            return EPOCH + timedelta(milliseconds=int(of_script[1]))
        plain = " ".join(text.split())
        found = readings(plain) if plain.isascii() else []
        found = found or readings(_translated(plain))
        if not found:
            quoted = f' ("{text}")' if _QUOTABLE.fullmatch(text) else ""
            raise wrong_value("no_known_form", length=len(text), quoted=quoted)
        if ":" not in text and not found[0].date.hour:
            self.notices.append(TIMELESS)
        if found[0].is_buddhist:
            self.notices.append("year is of Thailand's calendar, 543 ahead: read as such")
        return found[0].date if found[0].order == "any" else self._by_order(text, found)

    def _by_order(self, text: str, found: Sequence[DateReading]) -> datetime:
        if self._order is not None:
            known = [reading.date for reading in found if reading.order == self._order]
            if not known:
                raise wrong_value("other_order", text=text)
            return known[0]
        survey = self._surveyed(text, found)
        if self._voting:
            return found[0].date
        dates = {reading.date for reading in found if reading.order in survey.orders}
        if len(dates) != 1:
            raise survey.wrong()
        if len(survey.orders) == 1:
            (order,) = survey.orders
            self.notices.append(fields.notice("only_order", first=ORDERED[order]))
        return dates.pop()

    def _surveyed(self, text: str, found: Sequence[DateReading]) -> Survey:
        """Know the whole file, of which this is one date."""
        if self._surveys is None:
            if self.again is None:
                ways = date_patterns.patterns([one.order for one in found], text)
                raise wrong_value("read_once", ways=ways)
            self._surveys = {}
            self.again(self._surveys)
        survey = self._surveys.setdefault(self.place, Survey())
        if self._voting:
            survey.add(text, found)
        return survey


def _checked(form: str) -> str:
    """Refuse a form that no date can have, and give the letters of its day, month and year."""
    try:
        datetime.strptime("", form)  # noqa: DTZ007 - only the pattern counts
    except (ValueError, re.error) as error:
        sound = "does not match" in str(error) and "%" in form
        if not sound and form not in date_patterns.FORMATS:
            known = ", ".join(date_patterns.FORMATS)
            raise SourceError(fields.notice("no_form", form=form, known=known)) from None
    return "".join(_DIRECTIVE.findall(form))


def _parse(text: str) -> datetime:
    try:
        return msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        return datetime.fromisoformat(text)


@cache
def _words() -> list[tuple[re.Pattern[str], str]]:
    """What other languages write in dates, and what it stands for."""
    replaced = fields.table_of("date_words")["replaced"]
    return [(re.compile(word), meant) for word, meant in replaced]


def _translated(text: str) -> str:
    """Write a date of another language or script as the forms have it.

    A letter that stands for nothing known stays: the rest may not be what was meant.
    """
    text = with_usual_digits(text)
    for word, meant in _words():
        text = word.sub(meant, text)
    plain = unicodedata.normalize("NFKD", " ".join(text.split()).replace(" ,", ","))
    return "".join(c for c in plain if c.isascii() or c.isalnum())


@lru_cache(maxsize=16_384)
def _offset_of_day(zone: tzinfo, ordinal: int) -> timedelta | None:
    """Give the offset that a zone has all through a day. None for days on which clocks change."""
    start = datetime.fromordinal(ordinal)
    offsets = {*_offsets(start, zone), *_offsets(start + _DAY, zone)}
    return offsets.pop() if len(offsets) == 1 else None


def _offsets(date: datetime, zone: tzinfo) -> tuple[timedelta, timedelta]:
    """Give the offset of a local time, as the first of two and as the second."""
    first, second = (date.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1))
    return first or timedelta(), second or timedelta()
