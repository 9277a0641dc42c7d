from __future__ import annotations

import csv
import io
import json
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from bad_inputs import HEADER, ROW_BEFORE, parse
from hypothesis import given, strategies as st

from leadconnector_async.errors import SourceError
from leadconnector_async.models import Call
from leadconnector_async.sources import SourceOptions, open_source
from leadconnector_async.sources.base import LINE_LIMIT
from leadconnector_async.sources.files.byte_stream import ByteStream, TooLong
from leadconnector_async.sources.files.encoding import Utf8Text
from leadconnector_async.sources.formats.csv import CsvRecords

if TYPE_CHECKING:
    from pathlib import Path

    from leadconnector_async.sources import SourceRow

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)


def _rows(content: bytes, options: SourceOptions | None = None) -> list[SourceRow]:
    records, _ = parse(content, ".csv", options)
    assert [parsed.problems for parsed in records if parsed.row is None] == []
    return [parsed.row for parsed in records if parsed.row is not None]


@given(st.lists(st.tuples(TEXTS, TEXTS, TEXTS), min_size=1), st.sampled_from(",;\t|"))
def test_texts_survive_unchanged(rows: list[tuple[str, str, str]], delimiter: str) -> None:
    """Whatever a cell of text holds, and however cells are separated."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\r\n")
    writer.writerow(["type", "message", "html", "subject"])
    writer.writerows(("SMS", *row) for row in rows)
    read = _rows(text.getvalue().encode())
    assert [(row.message, row.html, row.subject) for row in read] == rows


QUOTED = st.text(st.sampled_from('\\"a\n'), min_size=1, max_size=6)


@given(st.lists(st.tuples(QUOTED, QUOTED, QUOTED)), st.booleans())
def test_quotes_are_read_as_the_file_writes_them(
    rows: list[tuple[str, str, str]],
    is_escaped: bool,  # noqa: FBT001 - both ways
) -> None:
    """Twice, or behind a backslash where rows are whole in no other way: which is told."""
    rows = [('He said "hi", then left', "C:\\", "plain"), *rows]
    text = io.StringIO(newline="")
    escape = "\\" if is_escaped else None
    writer = csv.writer(text, doublequote=not is_escaped, escapechar=escape, lineterminator="\n")
    writer.writerow(["type", "message", "html", "subject"])
    writer.writerows(("SMS", *row) for row in rows)
    records, warnings = parse(text.getvalue().encode(), ".csv")
    read = [one.row and (one.row.message, one.row.html, one.row.subject) for one in records]
    assert read == rows
    assert any("quotes within cells" in told for told in warnings) == is_escaped


@pytest.mark.parametrize("ragged", ["SMS,b,c,d,e", 'SMS,"b"x,c,d', 'SMS,"b'])
def test_a_backslash_at_the_end_of_a_cell_escapes_no_quote(ragged: str) -> None:
    """One row that is wrong makes no other dialect of a file: its good rows stay as they are."""
    content = f'type,message,html,subject\nSMS,"C:\\",h,s\n{ragged}\nSMS,"D:\\",h,s\n'
    records, warnings = parse(content.encode(), ".csv")
    assert [one.row and one.row.message for one in records] == ["C:\\", None, "D:\\"]
    assert not any("quotes within cells" in told for told in warnings)


def test_a_line_goes_on_behind_a_backslash() -> None:
    """As MySQL writes the end of one within a cell, and a quote in a cell without quotes."""
    content = 'type,message,html,subject\r\nSMS,"two\\\r\nlines \\"x\\"",a \\"b\\",\\N\r\n'
    assert [(row.message, row.html, row.subject) for row in _rows(content.encode())] == [
        ('two\r\nlines "x"', 'a "b"', r"\N")
    ]


def test_a_record_knows_its_line_and_its_cells() -> None:
    """``raw`` is the array of the cells as they were, with those of unknown columns."""
    content = b'type,message,note,date\n\nSMS,"a\nb", x ,\nEmail,,,\n'
    records, warnings = parse(content, ".csv")
    assert [parsed.line for parsed in records] == [3, 5]
    assert json.loads(records[0].raw) == ["SMS", "a\nb", " x ", ""]
    assert warnings == ['column "note" is not sent']


def test_many_unknown_columns_stand_in_one_line() -> None:
    """Exports have hundreds: a line for each hid what else was said."""
    names = ",".join(f"c{number}" for number in range(200))
    _, (warning,) = parse(f"type,contactId,direction,date,message,{names}\n".encode(), ".csv")
    assert warning.startswith('columns "c0", "c1", ')
    assert warning.endswith('"c29" and 170 more are not sent')


@pytest.mark.parametrize("mapping", [None, "generic"])
def test_a_table_without_dates_says_so(mapping: str | None) -> None:
    """A column of another name is easily forgotten, and a history of today is none."""
    options = SourceOptions(mapping_file=mapping, mapping={"direction": "way"})
    content = (
        b"type,contact.phone,message,way,moment\nSMS,+12125550111,hi,inbound,2024-01-31T09:30:00Z\n"
    )
    records, warnings = parse(content, ".csv", options)
    assert "no column gives the date: give --map date=COLUMN" in warnings
    assert [str(problem)[:15] for problem in records[0].problems] == ["date is missing"]
    records, warnings = parse(content.replace(b"moment", b"date"), ".csv", options)
    assert records[0].row is not None
    assert warnings == []


@pytest.mark.parametrize("way", ["in", "Incoming", "inbound"])
def test_a_column_that_is_mapped_by_hand_has_the_words_of_its_mapping(way: str) -> None:
    """And the API's own: who names the column means what stands in it."""
    options = SourceOptions(
        mapping_file="generic", mapping={"direction": "Way", "type": "Kind"}, region="US"
    )
    content = f"Phone,Text,Way,Kind,Date\n2125550111,hi,{way},Live_Chat,2024-01-31T09:30:00Z\n"
    records, _ = parse(content.encode(), ".csv", options)
    row = records[0].row
    assert row is not None, records[0].problems
    assert (row.direction, row.type) == ("inbound", "Live_Chat")


def test_a_space_behind_the_delimiter_is_a_cells_own_where_it_only_begins_with_a_quote() -> None:
    """Such a row is read as it was before spaces were passed over; JSON is no such table."""
    head = "type, direction, date, contact.phone, message\n"
    row = "SMS, inbound, 2024-01-31T09:30:00Z, +12125550111, "
    rows = _rows(f'{head}{row}"one, two"\n{row}"Great" she said\n{row}plain\n'.encode())
    assert [one.message for one in rows] == ["one, two", '"Great" she said', "plain"]
    records, _ = parse(f'{head}{row}"one\ntwo "three" four"\n{row}plain\n'.encode(), ".csv")
    assert [one.row and one.row.message for one in records] == [None, None, "plain"]
    with pytest.raises(SourceError, match="no column is named"):
        parse(b'{"id": "7", "from": "x", "text": "hi"}\n', ".csv", SourceOptions(format="csv"))


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


def test_the_end_of_a_file_of_dos_is_no_record() -> None:
    """Nor is a row shifted to its empty last column: what follows a comma in its text was lost."""
    records, _ = parse(HEADER + ROW_BEFORE + b"\x1a", ".csv")
    assert [(parsed.line, parsed.problems) for parsed in records] == [(2, ())]
    records, _ = parse(HEADER + ROW_BEFORE.rstrip(b"\n") + b",\n", ".csv")
    assert records[0].problems


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


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """Four times the records, the same memory."""

    def peak(copies: int) -> int:
        path = tmp_path / f"{copies}.csv"
        path.write_bytes(HEADER + b"SMS,c1,inbound,,%b\n" % (b"long " * 200) * copies)
        tracemalloc.start()
        try:
            with open_source(str(path), SourceOptions(undated="now")) as source:
                assert sum(1 for _ in source) == copies
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    small, large = peak(1_000), peak(4_000)
    assert large < small * 1.2


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
