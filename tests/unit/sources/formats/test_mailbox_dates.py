from __future__ import annotations

from datetime import UTC, datetime
from email import message_from_string
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import msgspec
import pytest
from mails import ME

from leadconnector_async.sources.fields import WrongValueError
from leadconnector_async.sources.formats.mail_headers import Head
from leadconnector_async.sources.formats.mailbox import MailReader
from leadconnector_async.sources.formats.mbox import MailPiece
from leadconnector_async.sources.values.date_forms import read_mail_date

if TYPE_CHECKING:
    from leadconnector_async.sources import Parsed

DENVER = ZoneInfo("America/Denver")
LONDON = ZoneInfo("Europe/London")
MAIL = b"From: kim@a.example\nTo: me@example.com\nSubject: x\n"


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("Thu, 28 Oct 2004 17:00:38 -0000", "2004-10-28 17:00:38"),
        ("Fri, 29 Mar 2024 15:11:41 -0000 (UTC)", "2024-03-29 15:11:41"),
        ("Fri, 29 Mar 2024 15:11:41 CEST", "2024-03-29 13:11:41"),
        ("Fri, 29 Mar 2024 15:11:41 EST", "2024-03-29 20:11:41"),
        ("29 Mar 24 15:11 PDT", "2024-03-29 22:11:00"),
        ("2024-03-29T15:11:41Z", "2024-03-29 15:11:41"),
        ("2024-03-29 15:11:41.5 +0130", "2024-03-29 13:41:41"),
        ("Fri, 1 Mar 2024 10:00:00 +0100 (CET)", "2024-03-01 09:00:00"),
        ("Fri, 1 Mar 2024 10:00:00 (PST)", "2024-03-01 18:00:00"),
        ("(comment) Fri , 1 Mar 2024 10:00:00 GMT", "2024-03-01 10:00:00"),
        ("Fri Mar 01 2024 10:00:00 GMT+0100 (Central European Time)", "2024-03-01 09:00:00"),
        ("Fri Mar  1 10:00:00 MST 2024", "2024-03-01 17:00:00"),
        ("Fri Mar  1 10:00:00 +0000 2024", "2024-03-01 10:00:00"),
        ("March 1, 2024 12:05 AM +0000", "2024-03-01 00:05:00"),
        ("01 Jan 2001 00:01+0000", "2001-01-01 00:01:00"),
        ("1 Jan 49 10:00 UT", "2049-01-01 10:00:00"),
        ("1 Jan 50 10:00 UT", "1950-01-01 10:00:00"),
        ("1 Jan 103 10:00 UT", "2003-01-01 10:00:00"),
        ("Fri, 1 Mar 2024 10:00:60 +0000", "2024-03-01 10:00:59"),
    ],
)
def test_a_date_that_names_its_zone_is_read_the_same_everywhere(text: str, utc: str) -> None:
    """By number or by a name of one meaning; -0000 is UTC; short years as RFC 5322 completes them.

    The user's zone changes nothing.
    """
    for zone in (None, DENVER):
        read = read_mail_date(text, zone)
        assert read.tzinfo is not None
        assert str(read.astimezone(UTC)) == f"{utc}+00:00"


@pytest.mark.parametrize(
    "text",
    [
        "Fri, 1 Mar 2024 10:00:00 BST",
        "Fri, 1 Mar 2024 10:00:00 IST",
        "Fri, 1 Mar 2024 10:00:00 A",
        "Fri, 1 Mar 2024 10:00:00 XYZ",
        "Fri, 1 Mar 2024 10:00:00 +9900",
        "Fri, 1 Mar 2024 13:00:00 PM +0000",
        "3/4/2024 10:00:00 +0000",
        "1 Mar 2024",
        "Fri Mar  1 10:00:00 +0000",
        "Thu, 01 Jan 1970 00:00:00 +0000",
        "Wed, 31 Dec 1969 16:00:00 -0800",
    ],
)
def test_what_can_mean_several_times_is_no_date(text: str) -> None:
    """A zone of two countries, an offset that none has, a day of two months: nothing is guessed."""
    with pytest.raises(WrongValueError):
        read_mail_date(text, DENVER)


def test_a_zones_name_is_that_of_the_users_zone() -> None:
    """BST is British summer time for who says that London is their zone, and in summer alone."""
    summer = read_mail_date("Mon, 1 Jul 2024 10:00:00 BST", LONDON)
    assert summer.astimezone(UTC) == datetime(2024, 7, 1, 9, tzinfo=UTC)
    twice = [read_mail_date(f"Sun, 27 Oct 2024 01:30:00 {name}", LONDON) for name in ("BST", "GMT")]
    assert [date.astimezone(UTC).hour for date in twice] == [0, 1]
    with pytest.raises(WrongValueError, match="BST") as caught:
        read_mail_date("Mon, 1 Jan 2024 10:00:00 BST", LONDON)
    assert "--timezone Europe/London" in caught.value.fix


def _parsed(headers: bytes, postmark: bytes = b"", **options: object) -> Parsed:
    reader = MailReader("inbox", msgspec.structs.replace(ME, **options))
    content = headers + MAIL + b"\nhi\n"
    return reader.parsed(MailPiece(1, content, len(content), postmark=postmark))


def test_a_mail_without_a_date_takes_that_of_its_from_line() -> None:
    """In UTC where it names no zone, whatever the user's is, and a notice says so."""
    for postmark in (
        b"From kim@a.example Fri Mar 29 15:11:41 2024",
        b"From 1791@xxx Fri Mar 29 16:11:41 +0100 2024\r",
        b"From - Fri Mar 29 15:11:41 2024",
    ):
        parsed = _parsed(b"", postmark, timezone=DENVER)
        assert parsed.row is not None
        assert parsed.row.date == datetime(2024, 3, 29, 15, 11, 41, tzinfo=UTC)
        assert parsed.notices == (
            'mails with no date: that of their "From " line is taken, in UTC',
        )


def test_a_from_line_of_nobody_dates_no_mail() -> None:
    """Programs write MAILER-DAEMON and the time of writing where they know neither."""
    postmark = b"From MAILER-DAEMON Fri Mar 29 15:11:41 2024"
    assert [str(problem.field) for problem in _parsed(b"", postmark).problems] == ["date"]
    bounce = _parsed(b"Return-Path: <>\n", postmark)
    assert bounce.row is not None
    assert bounce.row.date == datetime(2024, 3, 29, 15, 11, 41, tzinfo=UTC)


def test_the_arrival_goes_before_the_from_line() -> None:
    """It was written by whoever took the mail in."""
    parsed = _parsed(
        b"Received: from a by b; Fri, 29 Mar 2024 10:00:00 -0400 (EDT)\n",
        b"From kim@a.example Sat Mar 30 15:11:41 2024",
    )
    assert parsed.row is not None
    assert parsed.row.date == datetime(2024, 3, 29, 14, tzinfo=UTC)
    assert parsed.notices == ("mails with no date: that of their arrival is taken",)


def test_the_arrival_stands_in_for_the_zero_of_unix_time() -> None:
    """Which programs write that have no date."""
    parsed = _parsed(
        b"Date: Thu, 01 Jan 1970 00:00:00 +0000\n"
        b"Received: from a by b; Fri, 29 Mar 2024 10:00:00 -0400 (EDT)\n"
    )
    assert parsed.row is not None
    assert parsed.row.date == datetime(2024, 3, 29, 14, tzinfo=UTC)
    said = "mails with a date that cannot be read: that of their arrival is taken"
    assert parsed.notices == (said,)


def test_the_zero_of_unix_time_is_not_given_back_as_a_date() -> None:
    """A list of failed records takes any date: it made an import of 1970 of the mail."""
    parsed = _parsed(b"Date: Thu, 01 Jan 1970 00:00:00 +0000\n")
    assert [str(problem).partition(":")[0] for problem in parsed.problems] == [
        "date is of 1970-01-01, which stands for none"
    ]
    assert b"1970" not in parsed.raw


def test_a_date_that_cannot_be_read_is_not_replaced_by_that_of_a_copy() -> None:
    """The From line can be of a copy made years later: here the mail does say something."""
    parsed = _parsed(b"Date: 1 Mar 2024 10:00 BST\n", b"From k@a.example Fri Mar 29 15:11:41 2024")
    assert parsed.row is None
    assert [problem.field for problem in parsed.problems] == ["date"]
    assert b"1 Mar 2024 10:00 BST" in parsed.raw


def test_a_mail_without_any_date_can_be_one_of_now() -> None:
    """For who says so; one that cannot be read stays a problem."""
    assert [problem.field for problem in _parsed(b"").problems] == ["date"]
    undated = _parsed(b"", undated="now")
    assert undated.row is not None
    assert undated.row.date is None
    assert _parsed(b"Date: yesterday\n", undated="now").row is None


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("'Kim Lee' <k@a.b>", "Kim Lee"),
        ('"k@a.b" <k@a.b>', ""),
        ("=?utf-8?q?J=F6rg <k@a.b>", ""),
        ("=?utf-8?q?J=F6?= <k@a.b>", ""),
        ('"?" <k@a.b>', ""),
        ("=?utf-8?q?Kim_=40_Lee?= <k@a.b>", "Kim @ Lee"),
    ],
)
def test_what_is_left_of_a_name_is_none(value: str, name: str) -> None:
    """Half an encoded word, characters that were lost, or an address names nobody."""
    (person,) = Head(message_from_string(f"From: {value}\n\n")).people("from")
    assert (person.name, person.address) == (name, "k@a.b")
