from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import pytest

from leadconnector_async.sources.base import MAIL_LIMIT
from leadconnector_async.sources.files.byte_stream import TooLong
from leadconnector_async.sources.formats.mbox import MailPiece, split, whole

if TYPE_CHECKING:
    from collections.abc import Iterator


def _split(content: bytes) -> list[MailPiece]:
    return list(split(content.split(b"\n")))


@pytest.mark.parametrize(
    "begin",
    [
        b"From a@b.c Wed Jan 31 10:30:00 2024",
        b"From - Wed Jan 31 10:30:00 2024",
        b"From 1789@xxx Wed Jan 31 10:30:00 +0000 2024",
        b"From a@b.c Wed Jan 31 10:30 2024\r",
        b"From - ",
        b"From ",
    ],
)
def test_mails_begin_with_a_from_line(begin: bytes) -> None:
    """As the many programs write it, after an empty line."""
    content = begin + b"\nA: 1\n\none\n\n" + begin + b"\nA: 2\n\ntwo\n"
    first, second = _split(content)
    assert (first.line, first.content) == (1, b"A: 1\n\none\n")
    assert (second.line, second.content) == (6, b"A: 2\n\ntwo\n")


def test_texts_that_begin_with_from_stay_texts() -> None:
    """Quoted ones lose their quote, and unquoted ones have no time, or no empty line before."""
    content = (
        b"From a@b.c Wed Jan 31 10:30:00 2024\nA: 1\n\n>From me\n>>From you\n\n"
        b"From now on all is well\nFrom 10:30 to 11:30 we are closed\n> From\n"
    )
    (mail,) = _split(content)
    assert mail.content.endswith(
        b"From me\n>From you\n\nFrom now on all is well\nFrom 10:30 to 11:30 we are closed\n"
        b"> From\n"
    )


def test_what_comes_before_the_first_mail_is_none() -> None:
    """Other files have no mails at all."""
    assert _split(b"type,message\nSMS,hi\n") == []
    assert [mail.line for mail in _split(b"junk\n\nFrom - \nA: 1\n")] == [3]


def test_a_mail_that_is_too_long_costs_no_memory() -> None:
    """Its beginning is kept, which says whose mail it is, and what follows is read."""

    def lines() -> Iterator[bytes]:
        yield b"From - "
        yield b"A: 1"
        for _ in range(60):
            yield bytes(1 << 20)
        yield TooLong(5 << 20)
        yield b""
        yield b"From - "
        yield b"A: 2"

    tracemalloc.start()
    first, second = split(lines())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert first.size > 65 << 20
    assert len(first.content) <= MAIL_LIMIT
    assert first.content.startswith(b"A: 1\n")
    assert second.content == b"A: 2"
    assert peak < 3 * MAIL_LIMIT


def test_a_single_mail_is_taken_whole() -> None:
    """Less the From line of an mbox, and up to the limit."""
    assert whole([b"A: 1\n\nFrom ", b"me"]) == MailPiece(1, b"A: 1\n\nFrom me", 13)
    assert whole([b"From - \nA: 1"]).content == b"A: 1"
    long = whole(bytes(1 << 20) for _ in range(50))
    assert (long.size, len(long.content)) == (50 << 20, MAIL_LIMIT)


def _count(content: bytes) -> int:
    return len(_split(content))


MARK = b"From k@a.example Fri Mar  1 10:00:00 2024\n"
HEAD = b"From: k@a.example\nSubject: x\n\nhi\n"


@pytest.mark.parametrize(
    "mark",
    [
        MARK,
        b"From \n",
        b"From - Fri Mar 01 10:00:00 2024\n",
        b"From k@a.example\n",
        b"From 1791@xxx Fri Mar 01 10:00:00 +0000 2024\r\n",
        b'From "Kim Lee" <k@a.example> Fri Mar  1 10:00:00 2024\n',
        b"From k@a.example Fri, 1 Mar 2024 10:00:00 +0100\n",
        b"From k@a.example 2024-03-01T10:00:00Z\n",
        b"From MAILER-DAEMON Fri Mar  1 10:00:00 CET 2024 remote from host\n",
    ],
)
def test_a_header_after_it_makes_a_from_line_the_beginning_of_a_mail(mark: bytes) -> None:
    """Whether an empty line stands before it or not."""
    for between in (b"", b"\n"):
        first, second, third = _split((mark + HEAD + between) * 3)
        assert first.content.rstrip() == second.content.rstrip() == third.content.rstrip()
        assert second.line == 6 + len(between)
        assert second.postmark == mark.rstrip(b"\n")


@pytest.mark.parametrize(
    "text",
    [
        b"From 9:30 to 11:00 we are open\nand closed then\n",
        b"From 9:30 to 11:00 we are open\nMonday: closed\n",
        b"From the team:\nNote: x\n",
        b"From Berlin\nNote: x\n",
        b"From here on\n\nSubject: y\n",
        b"From k@a.example\nPhone: 5\n",
        b"From k@a.example Fri Mar  1 10:00:00 2024\nis when it came\n",
        b"From: k@a.example\nSubject: y\n",
        b"From \nNote to self\n",
    ],
)
def test_a_text_that_begins_with_from_is_no_mail(text: bytes) -> None:
    """Without a header after it, or with words that no program writes there."""
    for between in (b"", b"\n"):
        mail = MARK + HEAD + between + text + b"more\n"
        (first, second) = _split(mail + b"\n" + MARK + HEAD)
        assert first.content == (HEAD + between + text + b"more\n")
        assert second.content == HEAD[:-1] + b"\n"


def test_a_false_length_is_not_believed() -> None:
    """Programs that edit a file leave Content-Length as it was."""
    length = b"Content-Length: 9999\n"
    assert _count((MARK + length + HEAD + b"\n") * 2) == 2


def test_a_mail_without_its_from_line_is_read() -> None:
    """At the beginning of a file, where it can be nothing else."""
    first, second = _split(HEAD + b"\n" + MARK + HEAD)
    assert (first.line, first.content) == (1, HEAD)
    assert second.line == 6


def test_lines_before_the_first_mail_are_told() -> None:
    """Nobody can say whose they are."""
    lost: list[int] = []
    mails = list(
        split(b"end of a mail\n\nFrom me\nmore\n".split(b"\n") + MARK.split(b"\n")[:1], lost.append)
    )
    assert mails == []
    assert lost == [1, 3, 4, 6]


def test_apple_mails_files_are_read_by_their_count() -> None:
    """What follows the mail is no part of it, and holds what became of it."""
    trailer = b"<plist><dict><key>flags</key>\n<integer>%d</integer></dict></plist>"
    for flags, state in ((1, []), (1 << 1, ["deleted"]), (1 << 6, ["drafts"])):
        content = b"%d       \n%b" % (len(HEAD), HEAD) + trailer % flags
        piece = whole([content[:20], content[20:]])
        assert (piece.content, list(piece.states)) == (HEAD, state)
    cut = whole([b"12\nFrom: k"])
    assert (cut.content, cut.is_cut) == (b"From: k", True)


def test_a_byte_order_mark_hides_no_mail() -> None:
    """Editors for Windows put one at the beginning."""
    assert _split(b"\xef\xbb\xbf" + MARK + HEAD)[0].content == HEAD
    assert whole([b"\xef\xbb\xbf" + HEAD]).content == HEAD


@pytest.mark.parametrize("date", [b"2024-03-01", b"Fri 1 Mar, 2024"])
def test_a_date_without_a_time_begins_a_mail_after_an_empty_line(date: bytes) -> None:
    """Each of the mails was taken for a text of the first."""
    assert len(_split((b"From k@a.example " + date + b"\n" + HEAD + b"\n") * 3)) == 3


@pytest.mark.parametrize("date", [b"on 1 March 2024:", b", Friday, 1 March 2024"])
def test_a_text_that_quotes_a_mail_begins_none(date: bytes) -> None:
    """Of one sound mail three pieces were made."""
    assert len(_split(MARK + HEAD + b"\nHi\n\nFrom k@a.example " + date + b"\n" + HEAD)) == 1


def test_a_quoted_from_line_is_no_header() -> None:
    """As some write it above a single mail: its headers were taken for text."""
    assert whole([b">From k@a.example Fri Mar  1 10:00:00 2024\n" + HEAD]).content == HEAD


def test_empty_lines_before_a_mail_are_not_the_end_of_its_headers() -> None:
    """As pages of webmail are saved: all of the mail was taken for its text."""
    assert whole([b"\r\n\n" + HEAD]).content == HEAD
