from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from email import message_from_bytes

import pytest

from leadconnector_async.sources.fields import WrongValueError
from leadconnector_async.sources.formats.mail_headers import Head, MailPerson, header_text


def head(text: str | bytes) -> Head:
    """Read headers."""
    raw = text.encode() if isinstance(text, str) else text
    return Head(message_from_bytes(raw + b"\n\n"))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        ("=?utf-8?q?J=C3=B6rg?= Meyer", "Jörg Meyer"),
        ("=?utf-8?b?SsO2?= =?utf-8?b?cmc=?=", "Jörg"),
        ("=?utf-8?b?SsM=?= =?utf-8?b?tnJn?=", "Jörg"),
        ("=?nonsense?q?J=F6rg?=", "Jörg"),
        ("=?utf-8?b?abcde?=", "=?utf-8?b?abcde?="),
        ("folded\n\tsubject", "folded subject"),
        ("naïve", "naïve"),
        ("a\0b", "ab"),
    ],
)
def test_texts_are_decoded(value: str, text: str) -> None:
    """Encoded words, raw UTF-8, unknown charsets, and what is no encoded word after all."""
    assert header_text(head(f"Subject: {value}").first("subject")) == text


def test_bytes_of_no_charset_are_read_as_cp1252() -> None:
    """As old programs for Windows wrote them."""
    assert header_text(head(b"Subject: caf\xe9 \x80").first("subject")) == "café €"


def test_a_header_that_is_not_there_is_empty() -> None:
    """Never an error."""
    assert header_text(head("X: y").first("subject")) == ""
    assert head("X: y").people("to") == []
    assert head("X: y").id is None


@pytest.mark.parametrize(
    ("value", "people"),
    [
        ("Kim@Example.org", [("", "Kim@Example.org")]),
        ("Kim Lee <k@a.b>, c@d.e", [("Kim Lee", "k@a.b"), ("", "c@d.e")]),
        ('"Lee, Kim" <k@a.b>', [("Lee, Kim", "k@a.b")]),
        ("=?utf-8?q?J=C3=B6rg?= <j@a.b>", [("Jörg", "j@a.b")]),
        ("Team: k@a.b, c@d.e;", [("", "k@a.b"), ("", "c@d.e")]),
        ("undisclosed-recipients:;", []),
        ("Lee, Kim <k@a.b>", [("Kim", "k@a.b")]),
        ("k@a.b <k@a.b>, c@d.e <C@d.e>", [("", "k@a.b"), ("", "c@d.e")]),
        ("'k@a.b'", [("", "k@a.b")]),
        ("nobody", []),
        ("@", []),
    ],
)
def test_people_are_those_with_an_address(value: str, people: list[tuple[str, str]]) -> None:
    """Groups and lists are taken apart, names decoded, the rest passed over."""
    assert head(f"To: {value}").people("to") == [MailPerson(*person) for person in people]


@pytest.mark.parametrize(
    ("value", "id_"),
    [
        ("<a@b>", "a@b"),
        ("<a@b> (added by x)", "a@b"),
        ("a@b", "a@b"),
        ("<a\n b@c>", "ab@c"),
        ("<>", "<>"),
        ("", None),
    ],
)
def test_an_id_has_no_brackets(value: str, id_: str | None) -> None:
    """They are no part of it, and not every program writes them."""
    assert head(f"Message-ID: {value}").id == id_


def test_ancestors_are_nearest_first_and_once() -> None:
    """In-Reply-To names the parent; References begins with the root."""
    text = "Message-ID: <me@x>\nIn-Reply-To: <c@x>\nReferences: <a@x> <b@x>\n <c@x> <me@x>"
    assert head(text).ancestors == ["c@x", "b@x", "a@x"]
    assert head("In-Reply-To: your mail of Monday").ancestors == []
    many = " ".join(f"<{number}@x>" for number in range(500))
    assert head(f"References: {many}").ancestors[:2] == ["499@x", "498@x"]
    assert len(head(f"References: {many}").ancestors) == 100


def test_a_date_has_the_offset_that_it_says() -> None:
    """Without one it is naive, to be read in the user's zone."""
    plus_one = timezone(timedelta(hours=1))
    dates = {
        "Wed, 31 Jan 2024 10:30:00 +0100": datetime(2024, 1, 31, 10, 30, tzinfo=plus_one),
        "31 Jan 24 10:30 GMT": datetime(2024, 1, 31, 10, 30, tzinfo=UTC),
        "Wed, 31 Jan 2024 10:30:00": datetime(2024, 1, 31, 10, 30),  # noqa: DTZ001 - as it says
    }
    for text, date in dates.items():
        assert head(f"Date: {text}").date() == date


def test_the_arrival_stands_in_for_a_date_that_is_none() -> None:
    """The last Received is the first in the mail."""
    text = (
        "Received: from a by b; Wed, 31 Jan 2024 10:30:00 +0000\n"
        "Received: from c by a; Tue, 30 Jan 2024 10:30:00 +0000\nDate: yesterday"
    )
    assert head(text).date() == datetime(2024, 1, 31, 10, 30, tzinfo=UTC)


@pytest.mark.parametrize("text", ["yesterday", "31 Feb 2024 10:30:00 +0000", "1 Jan 99999 1:1 +0"])
def test_no_date_is_made_up(text: str) -> None:
    """What cannot be read is given back, to be mended."""
    date = head(f"Date: {text}").date()
    assert isinstance(date, WrongValueError)
    assert date.wrong == "is no date that can be read"
    assert date.given == text
    missing = head("X: y").date()
    assert isinstance(missing, WrongValueError)
    assert (missing.wrong, missing.given) == ("is missing", None)
