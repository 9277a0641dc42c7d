from __future__ import annotations

import csv
import io
import json
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from bad_inputs import HEADER, ROW_AFTER, ROW_BEFORE, parse
from hypothesis import given, settings
from hypothesis import strategies as st

from leadconnector_async.errors import SourceError
from leadconnector_async.models import Call
from leadconnector_async.sources import SourceOptions, open_source

if TYPE_CHECKING:
    from pathlib import Path

    from leadconnector_async.sources import SourceRow

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)


def _rows(content: bytes, options: SourceOptions | None = None) -> list[SourceRow]:
    records, _ = parse(content, ".csv", options)
    assert [parsed.problems for parsed in records if parsed.row is None] == []
    return [parsed.row for parsed in records if parsed.row is not None]


@settings(deadline=None)  # other work on the machine must not fail it
@given(st.lists(st.tuples(TEXTS, TEXTS, TEXTS), min_size=1), st.sampled_from(",;\t|"))
def test_texts_survive_unchanged(rows: list[tuple[str, str, str]], delimiter: str) -> None:
    """Whatever a cell of text holds, and however cells are separated."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\r\n")
    writer.writerow(["type", "message", "html", "subject"])
    writer.writerows(("SMS", *row) for row in rows)
    read = _rows(text.getvalue().encode())
    assert [(row.message, row.html, row.subject) for row in read] == rows


def test_a_record_knows_its_line_and_its_cells() -> None:
    """``raw`` is the array of the cells as they were, with those of unknown columns."""
    content = b'type,message,note,date\n\nSMS,"a\nb", x ,\nEmail,,,\n'
    records, warnings = parse(content, ".csv")
    assert [parsed.line for parsed in records] == [3, 5]
    assert json.loads(records[0].raw) == ["SMS", "a\nb", " x ", ""]
    assert warnings == ['column "note" is not sent']


@pytest.mark.parametrize("mapping", [None, "generic"])
def test_a_table_without_dates_says_so(mapping: str | None) -> None:
    """A column of another name is easily forgotten, and a history of today is none."""
    options = SourceOptions(mapping_file=mapping, mapping={"direction": "way"})
    content = b"type,message,way,moment\nSMS,hi,inbound,2024-01-31T09:30:00Z\n"
    records, warnings = parse(content, ".csv", options)
    assert "no column gives the date: give --map date=COLUMN" in warnings
    assert [str(problem)[:15] for problem in records[0].problems] == ["date is missing"]
    records, warnings = parse(content.replace(b"moment", b"date"), ".csv", options)
    assert records[0].row is not None
    assert warnings == []


def test_dotted_columns_make_a_call() -> None:
    """``call.to`` and its like are one call."""
    content = b"type,call.to,call.from,call.status\nCall,+1,+2,busy\nSMS,,,\n"
    rows = _rows(content)
    assert rows[0].call == Call(to="+1", from_="+2", status="busy")
    assert rows[1].call is None


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_read_off_the_header(delimiter: str) -> None:
    """The one under which most fields are named, even if another occurs more often."""
    header = delimiter.join(["type", '"a,b;c|d,e;f|g"', "message"])
    content = f"{header}\n{delimiter.join(['SMS', 'x', 'hi'])}\n".encode()
    assert _rows(content)[0].message == "hi"


def test_a_named_delimiter_is_used() -> None:
    """What no guess would find can be said."""
    assert (
        _rows(b"type^message\nSMS^hi\n", SourceOptions(undated="now", delimiter="^"))[0].message
        == "hi"
    )


def test_a_carriage_return_in_the_header_is_a_problem_of_the_header() -> None:
    """And no accident of guessing the delimiter."""
    with pytest.raises(SourceError, match="line 1: the header cannot be read: row has a carriage"):
        parse(b"type,mess\rage\nSMS,hi\n", ".csv")


@pytest.mark.parametrize("delimiter", ["", ",,", '"', "\n"])
def test_a_delimiter_is_one_character(delimiter: str) -> None:
    """Anything else would split nothing, or everything."""
    with pytest.raises(SourceError, match="is no delimiter: give one character"):
        parse(HEADER, ".csv", SourceOptions(undated="now", delimiter=delimiter))


def test_a_header_alone_is_no_record() -> None:
    """An export without messages is not an error."""
    assert parse(HEADER, ".csv") == ([], [])


def test_rows_without_anything_are_no_records() -> None:
    """Spreadsheets leave them at the end of a table."""
    records, _ = parse(HEADER + b",,,,\n" + ROW_BEFORE + b" , , , , \n,\n \n", ".csv")
    assert [parsed.line for parsed in records] == [3]


def test_a_refused_row_says_which_it_is() -> None:
    """As far as its cells can be told apart."""
    content = b"outboxKey,id,type,message\nk1,7,sms,hi\nk2,8,SMS,caf\xe9\nk3,9,SMS\n"
    records, _ = parse(content, ".csv")
    identities = [parsed.identity for parsed in records]
    assert identities == [("7", None, "k1"), ("8", None, "k2"), None]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_encodings_are_recognised(encoding: str) -> None:
    """Whatever a spreadsheet writes."""
    assert _rows("type,message\nSMS,Grüße 😀\n".encode(encoding))[0].message == "Grüße 😀"


def test_a_named_encoding_is_used() -> None:
    """``--encoding`` is the fix that the problem of a wrong encoding names."""
    content = "type,message\nSMS,café\n".encode("cp1252")
    assert parse(content, ".csv")[0][0].row is None
    assert _rows(content, SourceOptions(undated="now", encoding="cp1252"))[0].message == "café"


def test_html_of_an_email_may_be_long() -> None:
    """The csv module's own limit of 128 KiB would refuse ordinary emails."""
    html = "<p>hello</p>" * 50_000
    assert _rows(f"type,html\nEmail,{html}\n".encode())[0].html == html


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """Four times the records, the same memory."""

    def peak(copies: int) -> int:
        path = tmp_path / f"{copies}.csv"
        path.write_bytes(HEADER + (ROW_BEFORE + ROW_AFTER) * copies)
        tracemalloc.start()
        try:
            with open_source(str(path), SourceOptions(undated="now")) as source:
                assert sum(1 for _ in source) == 2 * copies
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    small, large = peak(7_000), peak(28_000)
    assert large < small * 1.2
