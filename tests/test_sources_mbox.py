from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import pytest

from leadconnector_async.sources._lines import TooLong
from leadconnector_async.sources._mbox import Piece, split, whole
from leadconnector_async.sources.row import MAIL_LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterator


def _split(content: bytes) -> list[Piece]:
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
    assert whole([b"A: 1\n\nFrom ", b"me"]) == Piece(1, b"A: 1\n\nFrom me", 13)
    assert whole([b"From - \nA: 1"]).content == b"A: 1"
    long = whole(bytes(1 << 20) for _ in range(50))
    assert (long.size, len(long.content)) == (50 << 20, MAIL_LIMIT)
