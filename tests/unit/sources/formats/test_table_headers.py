from __future__ import annotations

import zipfile
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from bad_inputs import parse
from workbooks import TYPES, cell

from leadconnector_async.errors import SourceError
from leadconnector_async.models import Contact
from leadconnector_async.sources import SourceOptions, open_source

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    _Rows = Sequence[Sequence[object]]

OPTIONS = SourceOptions(mapping_file="generic", region="US")
ROW = ["(212) 555-0111", "in", "2024-01-31T09:30:00Z", "hi"]
COLUMNS = ["Phone", "Direction", "Date", "Text"]
SPACE = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"


def _relations(*targets: tuple[str, str]) -> str:
    items = "".join(
        f'<Relationship Id="rId{number}" Type="{OFFICE}/{kind}" Target="{target}"/>'
        for number, (kind, target) in enumerate(targets, 1)
    )
    return f'<Relationships xmlns="{PACKAGE}">{items}</Relationships>'


def _sheet(rows: _Rows) -> str:
    cells = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows)
    return f'<worksheet xmlns="{SPACE}"><sheetData>{cells}</sheetData></worksheet>'


def _workbook(path: Path, sheets: Mapping[str, _Rows], hidden: str = "") -> str:
    """Write a workbook of these sheets, as Excel does."""

    def state(name: str) -> str:
        return "hidden" if name == hidden else "visible"

    names = "".join(
        f'<sheet name="{name}" sheetId="{n}" r:id="rId{n}" state="{state(name)}"/>'
        for n, name in enumerate(sheets, 1)
    )
    book = f'<workbook xmlns="{SPACE}" xmlns:r="{OFFICE}"><sheets>{names}</sheets></workbook>'
    files = [("worksheet", f"worksheets/sheet{n}.xml") for n in range(1, len(sheets) + 1)]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("[Content_Types].xml", TYPES)
        archive.writestr("_rels/.rels", _relations(("officeDocument", "xl/workbook.xml")))
        archive.writestr("xl/workbook.xml", book)
        archive.writestr("xl/_rels/workbook.xml.rels", _relations(*files))
        for n, rows in enumerate(sheets.values(), 1):
            archive.writestr(f"xl/worksheets/sheet{n}.xml", _sheet(rows))
    return str(path)


@pytest.mark.parametrize(
    ("above", "warning"),
    [
        (
            b"Message report\nGenerated 2024-04-01\n\n",
            "lines 1 to 3 are above the header: not read",
        ),
        (b"From:;2024-01-01;To:;2024-04-01\n", "line 1 is above the header: not read"),
        (b"Phone;+13035550100;Direction;all\n", "line 1 is above the header: not read"),
        (b"\xef\xbb\xbfExport, of; all\n", "line 1 is above the header: not read"),
        (b"sep=;\r\n", None),
        (b'\xef\xbb\xbf"sep=;"\n', None),
        (b'sep=;\n"Report; of ""all"""\n', "line 2 is above the header: not read"),
    ],
)
def test_the_header_is_found_below_titles(above: bytes, warning: str | None) -> None:
    """The delimiter of such files is that of their header; lines are those of the file."""
    content = above + b'Phone;Direction;Date;Text\n2125550111;in;2024-01-31T09:30:00Z;"a;\nb"\n'
    (one,), warnings = parse(content, ".csv", OPTIONS)
    assert one.row is not None
    assert (one.line, one.row.message) == (above.count(b"\n") + 2, "a;\nb")
    assert warnings == [warning] * (warning is not None)


@pytest.mark.parametrize("above", ["From,2024-03-01,To,2024-03-31", "Contact,,Message,"])
def test_a_row_above_the_header_may_have_names_of_columns(above: str) -> None:
    """Of the export's days, or over several columns: it was taken for the header."""
    table = "\n".join((above, *map(",".join, (COLUMNS, ROW))))
    parsed, warnings = parse(table.encode(), ".csv", OPTIONS)
    assert [one.row and one.row.message for one in parsed] == ["hi"]
    assert warnings == ["line 1 is above the header: not read"]


def test_a_separator_that_no_file_would_show_is_obeyed() -> None:
    """Only the first line says it; an option goes before it."""
    content = b"sep=^\ntype^message\nSMS^a,b;c\n"
    assert [one.row and one.row.message for one in parse(content, ".csv")[0]] == ["a,b;c"]
    with pytest.raises(SourceError, match='line 2: no column is named "type"'):
        parse(content, ".csv", SourceOptions(delimiter=","))


@pytest.mark.parametrize("title", ["", "Export of messages\n"])
def test_what_keeps_excel_from_reading_numbers_is_no_part_of_a_text(title: str) -> None:
    """It was sent along. One text alone that looks so is somebody's."""
    rows = (
        'Phone,Direction,Date,Text\n="2125550111",in,="2024-01-31 09:30","=""say """"hi"""""""\n'
        '2125550111,in,2024-01-31 09:31,="yes"\n'
    )
    options = SourceOptions(mapping_file="generic", region="US", timezone=ZoneInfo("UTC"))
    parsed, _ = parse(f"{title}{rows}".encode(), ".csv", options)
    assert [one.row and one.row.message for one in parsed] == ['say "hi"', "yes"]
    alone = b'Phone,Direction,Date,Text\n2125550111,in,2024-01-31 09:31,="yes"\n'
    parsed, _ = parse(alone, ".csv", options)
    assert [one.row and one.row.message for one in parsed] == ['="yes"']


@pytest.mark.parametrize("title", ["", "Export of messages\n"])
def test_a_space_behind_each_delimiter_is_no_part_of_the_cells(title: str) -> None:
    """Its quotes were sent along, or the row was refused for a comma within them."""
    rows = (
        'Phone, Direction, Date, Text\n2125550111, in, 2024-01-31T09:30:00Z, "a, b"\n'
        '2125550111, in, 2024-01-31T09:31:00Z, "say "hi""\n'
        '2125550111, in, 2024-01-31T09:32:00Z, "say ""hi"""\n'
    )
    parsed, _ = parse(f"{title}{rows}".encode(), ".csv", OPTIONS)
    assert [one.row and one.row.message for one in parsed] == ["a, b", None, 'say "hi"']
    assert parsed[1].problems[0].wrong.endswith("that does not end its cell")


def test_what_is_wrong_with_a_header_is_told_with_its_line() -> None:
    """Where titles stand above it."""
    with pytest.raises(
        SourceError, match=r'history.csv: line 3: columns occur more than .* "Text"'
    ):
        parse(b"Report\n\nPhone,Date,Text,Text\n", ".csv", OPTIONS)


def test_sheets_of_equal_header_are_read_in_turn(tmp_path: Path) -> None:
    """Whatever the order of their columns; others are named with what they hold."""
    wrong = ["nobody", *ROW[1:]]
    sheets = {
        "About": [["our messages"]],
        "Jan": [COLUMNS, ROW, ROW],
        "Feb": [["All of February"], [*reversed(COLUMNS), ""], [*reversed(ROW), "x"]],
        "Old": [COLUMNS, ROW],
        "Mar": [COLUMNS, wrong],
    }
    path = _workbook(tmp_path / "h.xlsx", sheets, hidden="Old")
    with open_source(path, OPTIONS) as source:
        found = list(source)
        assert source.bytes_read == source.size
    assert [(one.line, one.row is not None) for one in found] == [
        (2, True),
        (3, True),
        (3, True),
        (2, False),
    ]
    assert {one.row.contact for one in found if one.row} == {Contact(phone="+12125550111")}
    assert '(sheet "Mar")' in str(found[3].problems[0])
    assert b'"Feb"]' in found[2].raw
    assert source.warnings == [
        'sheet "About" (1 row) has another header: not read: give --sheet "About"',
        'sheet "Feb": row 1 is above the header: not read',
        'sheet "Old" (2 rows) is hidden: not read: give --sheet "Old"',
    ]


def test_sheets_whose_columns_differ_in_case_and_spaces_are_alike(tmp_path: Path) -> None:
    """As all names of columns are: such a sheet was named as not read, with exit status 0."""
    spelled = ["DATE", "phone ", "Text", "direction"]
    other = [ROW[2], ROW[0], "two", ROW[1]]
    path = _workbook(tmp_path / "h.xlsx", {"A": [COLUMNS, ROW], "B": [spelled, other]})
    with open_source(path, OPTIONS) as source:
        assert [one.row and one.row.message for one in source] == ["hi", "two"]
    assert source.warnings == []


def test_columns_of_sheets_that_differ_in_signs_alone_are_each_its_own(tmp_path: Path) -> None:
    """In a sheet of another order the one was taken for both: messages went to its number."""
    first, second = ["Phone", "Phone #", *COLUMNS[1:]], ["Phone #", "Phone", *COLUMNS[1:]]
    rows = [ROW[0], "7", *ROW[1:]], ["8", *ROW]
    path = _workbook(tmp_path / "h.xlsx", {"A": [first, rows[0]], "B": [second, rows[1]]})
    with open_source(path, OPTIONS) as source:
        contacts = {one.row.contact for one in source if one.row}
    assert contacts == {Contact(phone="+12125550111")}


def test_swapped_dates_are_looked_for_in_every_sheet_that_is_read(tmp_path: Path) -> None:
    """The first month may have none: those of the second became other days, without a word."""
    march = datetime(2024, 3, 1, 10)  # noqa: DTZ001 - as cells have it
    first: _Rows = [COLUMNS, [*ROW[:2], march, "hi"]]
    second: _Rows = [["Text", *COLUMNS[:3]], ["x", *ROW[:2], march], ["", *ROW[:2], "03/13/2024"]]
    sheets = {"A": first, "B": second}
    path = _workbook(tmp_path / "h.xlsx", sheets)
    with pytest.raises(SourceError, match=r'sheet "B": line 1: column "Date" holds dates, and'):
        open_source(path, OPTIONS)


def test_a_sheet_that_is_named_is_read_alone(tmp_path: Path) -> None:
    """Hidden or not; of one that is not there, the others are listed."""
    path = _workbook(tmp_path / "h.xlsx", {"A": [COLUMNS, ROW], "B b": [COLUMNS, ROW, ROW]}, "B b")
    for name, rows in (("A", 1), ("Bb", None), ("b b", 2)):
        options = SourceOptions(mapping_file="generic", region="US", sheet=name)
        if rows is None:
            with pytest.raises(SourceError, match='"Bb" is not there: give one of "A", "B b"'):
                open_source(path, options)
            continue
        with open_source(path, options) as source:
            assert len([one for one in source if one.row]) == rows
            assert source.warnings == []


def test_rows_that_repeat_the_header_are_left_out() -> None:
    """Tables that were put one after the other have it again; each row counts, with its line."""
    rows = "\n".join(",".join(f'"{cell}"' for cell in row) for row in (COLUMNS, ROW, COLUMNS, ROW))
    # Where a second file began with its mark, and has other capitals.
    rows = rows.replace('\n"Phone"', "\n\ufeffPHONE")
    parsed, _ = parse(rows.encode(), ".csv", OPTIONS)
    assert [(one.line, one.row is None, one.left_out) for one in parsed] == [
        (2, False, None),
        (3, True, "rows that repeat the header"),
        (4, False, None),
    ]


def test_a_name_that_nothing_is_read_from_may_occur_twice() -> None:
    """It says nothing, and hides nothing; one that is read is refused."""
    head, row = (
        ",".join([*COLUMNS, "Tag", "Tag"]),
        ",".join([*(f'"{one}"' for one in ROW), "a", "b"]),
    )
    parsed, _ = parse(f"{head}\n{row}\n".encode(), ".csv", OPTIONS)
    assert [one.row is None for one in parsed] == [False]
    with pytest.raises(SourceError, match='occur more than once: "Text"'):
        parse(f"{head},Text\n{row},c\n".encode(), ".csv", OPTIONS)


@pytest.mark.parametrize(
    ("columns", "cells", "utc"),
    [
        ("Date,Time", "2024-01-31,4:30 AM", "2024-01-31T09:30:00"),
        ("Date,Time", "2024-01-31 00:00:00,04:30:00", "2024-01-31T09:30:00"),
        ("Date,Time", "2024-01-31 04:30:00,12:00", "2024-01-31T09:30:00"),
        ("Date,Time", "2024-01-31T00:00:00.000Z,04:30", "2024-01-31T09:30:00"),
        ("Date,Time", "2024-01-31,1899-12-30 04:30:00", "2024-01-31T09:30:00"),
        ("Date,Time", "45322,0.1875", "2024-01-31T09:30:00"),
        ("Date,Time", "2024-01-31,0.1875", "2024-01-31T09:30:00"),
        ("Date,Note", "45322.19,x", "2024-01-31T09:33:36"),
        ("Date,Time", "45322,0", "2024-01-31T05:00:00"),
        ("Message Date,Message Time", "01/31/2024,4:30 AM", "2024-01-31T09:30:00"),
        ("Date UTC,Time UTC", "2024-01-31,09:30", "2024-01-31T09:30:00"),
        ("Date,Time (America/Denver)", "2024-01-31,02:30", "2024-01-31T09:30:00"),
        ("Date (GMT-7),Note", "2024-01-31 02:30,x", "2024-01-31T09:30:00"),
        ("Sent at (UTC+05:30),Note", "2024-01-31 15:00,x", "2024-01-31T09:30:00"),
        ("Date/Time,Note", "2024-01-31 04:30,x", "2024-01-31T09:30:00"),
        ("Fecha,Hora", "31/01/2024,04:30", "2024-01-31T09:30:00"),
        ("Date,Date Sent", "2024-01-31 04:30:00,2024-01-31", "2024-01-31T09:30:00"),
    ],
)
def test_the_time_of_day_may_stand_in_a_column_of_its_own(
    columns: str, cells: str, utc: str
) -> None:
    """Whatever both are called; where the date has its time already, that is the one."""
    options = SourceOptions(
        mapping_file="generic", region="US", timezone=ZoneInfo("America/New_York")
    )
    content = f"Phone,Direction,Text,{columns}\n(212) 555-0111,in,hi,{cells}\n"
    parsed, _ = parse(content.encode(), ".csv", options)
    assert [one.row and one.row.date for one in parsed] == [datetime.fromisoformat(f"{utc}+00:00")]


def test_ones_own_number_is_nobody_to_write_to() -> None:
    """A column of the own line beside those of both sides is passed over; --mine names it."""
    options = SourceOptions(mapping_file="generic", region="US", mine=("(212) 555-0100",))
    content = (
        "Number,From,To,Direction,Date,Text\n"
        "+12125550100,+12125550111,+12125550100,in,2024-01-31T09:30:00Z,hi\n"
        "+12125550100,+12125550100,+12125550111,out,2024-01-31T09:30:00Z,yes\n"
        "+12125550100,+12125550111,+12125550100,out,2024-01-31T09:30:00Z,whose?\n"
    )
    parsed, _ = parse(content.encode(), ".csv", options)
    assert [one.row and one.row.contact for one in parsed] == [
        Contact(phone="+12125550111"),
        Contact(phone="+12125550111"),
        None,
    ]
    assert str(parsed[2].problems[0]) == (
        "direction is outbound, and --mine says inbound: correct the direction, the numbers, or "
        "--mine: the sender is another one"
    )


@pytest.mark.parametrize(
    "cell",
    [
        "https://a.example/1, https://a.example/2",
        "https://a.example/1 https://a.example/2",
        "https://a.example/1|https://a.example/2",
        "https://a.example/1;https://a.example/2",
        '["https://a.example/1", "https://a.example/2"]',
        "https://a.example/1\nhttps://a.example/2",
    ],
)
@pytest.mark.parametrize("ours", [False, True])
def test_urls_in_one_cell_are_told_apart_whatever_is_between(cell: str, *, ours: bool) -> None:
    """Each system joins them its own way; joined, they would be one address of nothing."""
    head = "type,direction,date,message,contact.phone,attachments"
    row = f"SMS,inbound,2024-01-31T09:30:00Z,hi,+12125550111,{_quoted(cell)}"
    options = SourceOptions() if ours else OPTIONS
    parsed, _ = parse(f"{head}\n{row}\n".encode(), ".csv", options)
    urls = ["https://a.example/1", "https://a.example/2"]
    assert [one.row and one.row.attachments for one in parsed] == [urls]


@pytest.mark.parametrize("cell", ["None", "NULL", "0", "No", "-"])
def test_words_for_no_attachment_are_none(cell: str) -> None:
    """As programs write them where there is nothing."""
    content = f"{','.join(COLUMNS)},Media\n{','.join(ROW)},{cell}\n".encode()
    parsed, _ = parse(content, ".csv", OPTIONS)
    assert [one.row and one.row.attachments for one in parsed] == [None]


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"'


def test_all_that_a_header_lacks_is_told_at_once() -> None:
    """The missing date does not hide what else no column gives; each comes with its way out."""
    options = SourceOptions(mapping_file="generic", region="US")
    content = b"Who,Way,When exactly,What\n+12125550111,in,2024-01-31T09:30:00Z,hi\n"
    (parsed,), _ = parse(content, ".csv", options)
    assert [(one.field, one.wrong) for one in parsed.problems] == [
        (field, "is missing") for field in ("date", "direction", "contact.phone", "message")
    ]
    assert all(f"--map {one.field}=COLUMN" in one.fix for one in parsed.problems)
    typed = b"Type,Phone,Way,When exactly\nSMS,+12125550111,in,2024-01-31T09:30:00Z\n"
    (parsed,), _ = parse(typed, ".csv", options)
    assert {one.field for one in parsed.problems} == {"date", "direction", "message"}
    calls = b"Type,Phone,Way,When exactly\nInbound Call,+12125550111,in,2024-01-31T09:30:00Z\n"
    (parsed,), _ = parse(calls, ".csv", options)
    assert [one.field for one in parsed.problems] == ["date"]


def test_a_second_column_of_a_field_is_told() -> None:
    """Only one of two texts is sent; what another field is made of is no second one."""
    options = SourceOptions(mapping_file="generic", undated="now", region="US")
    content = b"Phone,Direction,Message,Text,Type\n+12125550111,in,hi,there,SMS\n"
    _, warnings = parse(content, ".csv", options)
    assert 'column "Text" is not sent where column "Message" is filled' in warnings
    content = b"Phone,Contact Number,Direction,Message\n+12125550100,+12125550111,in,hi\n"
    (parsed,), told = parse(content, ".csv", options)
    assert parsed.row is not None
    assert parsed.row.contact == Contact(phone="+12125550111")
    assert 'column "Phone" is not sent where column "Contact Number" is filled' in told
    assert not any("Type" in warning for warning in warnings)


def test_all_that_is_wrong_with_a_header_of_the_apis_names_is_told_at_once() -> None:
    """One error, with what is spelled otherwise and what is not there."""
    with pytest.raises(SourceError) as told:
        parse(b"kind,contactId,Direction,when,Messages\nSMS,a,in,b,c\n", ".csv", SourceOptions())
    text = str(told.value)
    assert 'column "Direction" is spelled differently from the field "direction"' in text
    assert 'give --map "message=Messages"' in text
    assert 'no column is named "type", nor "date": write' in text
    assert "give --map type=COLUMN --map date=COLUMN" in text
    assert "contact.phone" not in text
