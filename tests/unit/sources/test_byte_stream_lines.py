from __future__ import annotations

import io

from hypothesis import given, settings
from hypothesis import strategies as st

from leadconnector_async.models import Problem
from leadconnector_async.sources.base import LINE_LIMIT
from leadconnector_async.sources.byte_stream import ByteStream, LineSplitter, TooLong


def _whole() -> ByteStream:
    return ByteStream(io.BytesIO(), "history.jsonl")


def _cut() -> ByteStream:
    stream = _whole()
    stream.damage = Problem("file", "is cut short", "export it again")
    return stream


@settings(deadline=None)  # other work on the machine must not fail it
@given(st.lists(st.binary(max_size=8)))
def test_lines_are_those_of_the_whole(pieces: list[bytes]) -> None:
    """However the bytes are cut, lines are split at line feeds, and at nothing else."""
    lines = b"".join(pieces).split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    assert list(LineSplitter(pieces, _whole())) == lines


@settings(deadline=None)  # other work on the machine must not fail it
@given(st.lists(st.binary(max_size=8)))
def test_the_last_line_of_a_broken_stream_is_held_back(pieces: list[bytes]) -> None:
    """Nobody can tell whether it is whole."""
    whole = LineSplitter(pieces, _cut())
    *lines, rest = b"".join(pieces).split(b"\n")
    assert list(whole) == lines
    assert whole.rest == rest


def _pieces(*lengths: int) -> list[bytes]:
    text = b"\n".join(b"x" * length for length in lengths)
    return [text[at : at + (1 << 18)] for at in range(0, len(text), 1 << 18)]


def test_a_line_over_the_limit_is_counted_and_dropped() -> None:
    """Its neighbours come through, and what stands for it is empty."""
    lines = list(LineSplitter(_pieces(5, LINE_LIMIT + 1, 7, 10_000_000, 9), _whole()))
    assert [len(line) for line in lines] == [5, 0, 7, 0, 9]
    assert [line.length for line in lines if isinstance(line, TooLong)] == [
        LINE_LIMIT + 1,
        10_000_000,
    ]


def test_the_limit_itself_is_allowed() -> None:
    """The limit is the longest line that is read, wherever pieces are cut."""
    lines = list(LineSplitter(_pieces(3, LINE_LIMIT, LINE_LIMIT + 1), _whole()))
    assert [type(line) for line in lines] == [bytes, bytes, TooLong]


def test_a_long_line_names_its_length_and_what_to_do() -> None:
    """The problem is the record's own."""
    problem = TooLong(10_000_000).problem("row")
    assert problem.field == "row"
    assert problem.wrong == "is 10000000 bytes long, over the limit of 4194304"
