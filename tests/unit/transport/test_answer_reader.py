"""The reader of answers: what is one, however it is cut into pieces, and what is none."""

from __future__ import annotations

import pytest

from leadconnector_async.errors import FateUnknownError
from leadconnector_async.transport.base import Response
from leadconnector_async.transport.http1 import MAX_ANSWER, MAX_HEAD, AnswerReader

HEAD = b"HTTP/1.1 201 Created\r\nX-RateLimit-Max: 100 \r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
ANSWERS = [
    (HEAD + b"Content-Length: 5\r\n\r\n{'a'}", 201, b"{'a'}", False),
    (HEAD + b"content-length:5\r\nConnection: keep-alive\r\n\r\n{'a'}", 201, b"{'a'}", False),
    (HEAD + b"CONTENT-LENGTH: 0\r\nConnection: Close\r\n\r\n", 201, b"", True),
    (HEAD + b"Connection: close\r\nConnection: x\r\nContent-Length: 0\r\n\r\n", 201, b"", True),
    (HEAD + b"Content-Length: 2\r\nClosed-By: close\r\n\r\nok", 201, b"ok", False),
    (CHUNKED + b"2\r\n{'\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n", 201, b"{'0123456789", False),
    (HEAD + b"Connection: close\r\n" + CHUNKED[len(HEAD) :] + b"0\r\n\r\n", 201, b"", True),
    (CHUNKED + b"1\r\na\r\n0\r\nX-Trailer: 1\r\n\r\n", 201, b"a", False),
    (b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD + b"Content-Length: 1\r\n\r\nx", 201, b"x", False),
    (b"HTTP/1.1 204 None\r\n\r\n", 204, b"", False),
    (b"HTTP/1.1 304\r\nContent-Length: 7\r\n\r\n", 304, b"", False),
    (b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", 200, b"x", True),
    (b"HTTP/1.1 101 Switching\r\n\r\n", 101, b"", True),
]


@pytest.mark.parametrize(("sent", "status", "body", "last"), ANSWERS)
def test_an_answer_is_the_same_however_it_is_cut(
    sent: bytes,
    status: int,
    body: bytes,
    last: bool,  # noqa: FBT001 - a case
) -> None:
    """In two pieces at every place, byte by byte, and twice over the same connection."""
    cuts = [[sent[:at], sent[at:]] for at in range(1, len(sent))]
    for pieces in [[sent], *cuts, [sent[at : at + 1] for at in range(len(sent))]]:
        reader = AnswerReader()
        for _ in range(1 if last else 2):
            *early, final = [reader.feed(piece) for piece in pieces]
            assert early == [None] * len(early)
            assert final is not None
            assert (final.status, final.body, reader.last) == (status, body, last)
            assert final.headers.get("x-ratelimit-max") == ("100" if status == 201 else None)
            assert not reader.is_cut


def test_an_answer_may_end_with_its_connection() -> None:
    """Where it says neither how long it is nor that it has chunks; any other is cut off then."""
    reader = AnswerReader()
    assert reader.feed(HEAD + b"\r\nsome") is None
    assert reader.feed(b"thing") is None
    ended = reader.end()
    assert isinstance(ended, Response)
    assert (ended.status, ended.body, dict(ended.headers)) == (
        201,
        b"something",
        {"X-RateLimit-Max": "100"},
    )
    for cut in (HEAD, HEAD + b"Content-Length: 5\r\n\r\n{", CHUNKED + b"5\r\n{"):
        reader = AnswerReader()
        assert reader.feed(cut) is None
        assert reader.is_cut is (cut != HEAD)
        assert reader.end() is None


def test_any_number_of_interim_answers_may_come_at_once() -> None:
    """Each that called for the next would end at Python's limit of calls."""
    interim = b"HTTP/1.1 103 Early Hints\r\n\r\n" * 5000
    answer = AnswerReader().feed(interim + HEAD + b"Content-Length: 1\r\n\r\nx")
    assert answer is not None
    assert (answer.status, answer.body) == (201, b"x")


def test_more_than_an_answer_ends_its_connection() -> None:
    """What follows is nobody's."""
    for sent in (HEAD + b"Content-Length: 1\r\n\r\nxHTTP", CHUNKED + b"0\r\n\r\nHTTP"):
        reader = AnswerReader()
        assert reader.feed(sent) is not None
        assert reader.last


@pytest.mark.parametrize(
    "sent",
    [
        b"220 mail.example.com ESMTP\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 20\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 1\n\nx\r\n\r\n",
        HEAD + b"X: 1\nContent-Length: 1\r\n\r\nx",
        HEAD + b"X: 1\rContent-Length: 2\r\nContent-Length: 1\r\n\r\nx",
        HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        HEAD + b"Content-Length:\r\nContent-Length: 1\r\n\r\nx",
        HEAD + b"Content-Length: 1, 1\r\n\r\nx",
        HEAD + b"Content-Length: +1\r\n\r\nx",
        HEAD + b"X: 1\r\n Content-Length: 1\r\n\r\nx",
        HEAD + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nx",
        HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\nx",
        CHUNKED + b"zz\r\n",
        CHUNKED + b"0x1\r\n",
        CHUNKED + b"-1\r\n",
        CHUNKED + b"1\r\nab\r\n",
        CHUNKED + b"1" * (MAX_HEAD + 1),
        HEAD + b"X: " + b"x" * MAX_HEAD,
        HEAD + b"X: " + b"x" * MAX_HEAD + b"\r\nContent-Length: 1\r\n\r\nx",
    ],
)
def test_what_could_be_read_in_two_ways_is_no_answer(sent: bytes) -> None:
    """Its end would be guessed, and the next request get the rest of it."""
    with pytest.raises(ValueError, match=r"."):
        AnswerReader().feed(sent)


def test_an_answer_of_any_size_is_not_kept() -> None:
    """It is given up where its head says it, and where its pieces have come to it."""
    piece = bytes(1 << 20)
    for begin in (HEAD + b"Content-Length: %d\r\n\r\n" % (MAX_ANSWER + 1), HEAD + b"\r\n", CHUNKED):
        sent = b"%x\r\n%b\r\n" % (len(piece), piece) if begin is CHUNKED else piece
        with pytest.raises(FateUnknownError, match="larger than"):
            feed_all([begin, *[sent] * 40])


def feed_all(pieces: list[bytes]) -> None:
    """Let one reader have all of them."""
    reader = AnswerReader()
    for piece in pieces:
        reader.feed(piece)


def test_a_header_is_found_under_its_name_alone() -> None:
    """In any case, the first of several; as reading all of them finds it."""
    head = (
        b"HTTP/1.1 200 Retry-After: 1\r\nX-Retry-After: 2\r\nretry-AFTER:\t3 \r\nRetry-After: 4\r\n"
        b"Retry-After-All: 5\r\nX-Odd: \xff\r\nX-Empty:\r\nContent-Length: 0\r\n\r\n"
    )
    response = AnswerReader().feed(head)
    assert response is not None
    found = response.headers
    assert found.get("Retry-After") == found["Retry-After"] == "3"
    assert {name: found.get(name.upper()) for name in found} == {n: found[n] for n in found}
    assert found.get("Empty", "none") == "none"
