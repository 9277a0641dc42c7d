from __future__ import annotations

import csv
import io

from hypothesis import given, settings
from hypothesis import strategies as st

from leadconnector_async.sources.base import LINE_LIMIT
from leadconnector_async.sources.byte_stream import ByteStream, TooLong
from leadconnector_async.sources.csv import CsvRecords
from leadconnector_async.sources.encoding import Utf8Text

CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6) | st.text(
    '",;\r\n a', max_size=6
)


def _records(*lines: bytes, delimiter: str = ",") -> CsvRecords:
    return CsvRecords(lines, delimiter, Utf8Text(ByteStream(io.BytesIO(), "history.csv"), None))


def _read(*lines: bytes) -> list[tuple[int, list[str] | str]]:
    """Give each record's line with its cells, or with what is wrong."""
    records = _records(*lines)
    return [
        (records.line, cells if records.problem is None else records.problem.wrong)
        for cells in records
    ]


@settings(deadline=None)  # other work on the machine must not fail it
@given(st.lists(st.lists(CELLS, min_size=2, max_size=4)), st.sampled_from(",;\t|"))
def test_whatever_a_writer_writes_is_read(rows: list[list[str]], delimiter: str) -> None:
    """Quotes, delimiters, line feeds and carriage returns inside cells survive."""
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator="\r\n").writerows(rows)
    lines = text.getvalue().encode().split(b"\n")[:-1]
    assert list(_records(*lines, delimiter=delimiter)) == rows


def test_records_know_the_line_where_they_start() -> None:
    """Blank lines count, and so do the line breaks inside cells."""
    lines = (b"a,b", b"", b'c,"d', b"", b'e"', b"\r", b"f,g")
    assert _read(*lines) == [(1, ["a", "b"]), (3, ["c", "d\n\ne"]), (7, ["f", "g"])]


def test_a_quote_that_is_never_closed_costs_one_record() -> None:
    """Its line is refused, and reading goes on at the next one."""
    assert _read(b"a,b", b'c,"d', b"e,f", b"g,h") == [
        (1, ["a", "b"]),
        (2, "has a quote in line 2 that does not end its cell"),
        (3, ["e", "f"]),
        (4, ["g", "h"]),
    ]


def test_a_quote_that_is_closed_by_the_next_one_costs_one_record() -> None:
    """The next quote opens a cell in truth; what lies between are records."""
    assert _read(b'c,"d', b"e,f", b'g,"h"') == [
        (1, "has a quote in line 1 that does not end its cell"),
        (2, ["e", "f"]),
        (3, ["g", "h"]),
    ]


def test_the_line_of_the_quote_is_named_and_not_that_of_the_record() -> None:
    """A record can span lines before the quote that breaks it."""
    first, *_ = _read(b'"a', b'b","c"\r', b"d,e")
    assert first == (1, ["a\nb", "c"])
    first, *_ = _read(b'"a', b'b","c', b"d,e")
    assert first == (1, "has a quote in line 2 that does not end its cell")


def test_a_broken_record_gives_its_first_line() -> None:
    """So that the list of failed records holds it."""
    records = _records(b'c,"d', b"e,f")
    assert next(iter(records)) == []
    assert records.broken == b'c,"d'


@settings(deadline=None)  # other work on the machine must not fail it
@given(st.lists(st.sampled_from([b"a,b", b'a,"b"', b'a,"b', b'a,b"c', b'"a"b,c', b""]), max_size=9))
def test_every_line_is_accounted_for(lines: list[bytes]) -> None:
    """Whatever is broken, no line is skipped, and records come in order, each starting once."""
    starts = [line for line, _ in _read(*lines)]
    assert starts == sorted(set(starts))
    for number, line in enumerate(lines, 1):
        if line == b"a,b" and not any(b'"' in other for other in lines[: number - 1]):
            assert number in starts


def test_an_endless_cell_ends_at_the_limit() -> None:
    """A quote that swallows the file does not swallow the memory."""
    lines = [b'a,"b', *(b"x" * 1000 for _ in range(LINE_LIMIT // 1000 + 5)), b"c,d"]
    records = _records(*lines)
    cells = iter(records)
    assert next(cells) == []
    assert records.problem is not None
    assert "quote in line 1 that does not end its cell within the limit" in records.problem.wrong
    assert next(cells) == ["x" * 1000]
    assert records.line == 2


def test_a_long_line_inside_a_cell_is_its_own_record() -> None:
    """The record that it broke is refused at its start, the long line after it."""
    assert _read(b'a,"b', TooLong(10_000_000), b"c,d") == [
        (1, "has a quote in line 1 that does not end its cell within the limit of 4194304 bytes"),
        (2, "is 10000000 bytes long, over the limit of 4194304"),
        (3, ["c", "d"]),
    ]


def test_bytes_that_are_not_text_keep_the_cells() -> None:
    """The record is refused, and its cells hold the bytes as they were."""
    records = _records(b"a,caf\xe9", b"b,c")
    cells = iter(records)
    assert next(cells) == ["a", "caf\udce9"]
    assert records.problem is not None
    assert records.broken is None
    assert next(cells) == ["b", "c"]
    assert records.problem is None


def test_the_first_of_several_bad_bytes_is_named() -> None:
    """A cell of several lines is mended from its beginning."""
    assert _read(b'a,"caf\xe9', b'\xe9"') == [(1, "is not UTF-8 (byte 0xE9 at position 7)")]
