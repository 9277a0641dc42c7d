from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace
from workbooks import workbook

from leadconnector_async.errors import SourceError
from leadconnector_async.models import Call, Contact
from leadconnector_async.sources import Parsed, SourceOptions, open_source, open_sources
from leadconnector_async.sources.formats.workbook_parts import is_of_1904

pytest.importorskip("python_calamine")

OPTIONS = SourceOptions(region="US", timezone=ZoneInfo("UTC"))


def test_rows_of_a_sheet_are_rows_of_csv(tmp_path: Path) -> None:
    """Numbers are read as they look, empty rows passed over, lines are those of Excel."""
    path = workbook(
        tmp_path / "history.xlsx",
        [],
        ["id", "type", "contact.phone", "direction", "date", "message", "note"],
        [7, "SMS", 2125550100, "inbound", "2024-01-31T09:30:00", "1 < 2", 1.5],
        [],
        [8, "sms", "212 555 0100", "inbound", "2024-01-31", "", ""],
    )
    with open_source(str(path), OPTIONS) as source:
        good, bad = source
        assert source.bytes_read == source.size
    assert good.row is not None
    assert (good.line, good.row.id, good.row.message) == (3, "7", "1 < 2")
    assert good.row.contact == Contact(phone="+12125550100")
    assert (bad.line, bad.problems[0].field) == (5, "type")
    assert source.warnings == ['column "note" is not sent']


def test_dates_that_a_program_has_swapped_are_refused(tmp_path: Path) -> None:
    """Of 3/4 and 3/13 it took the first for the third of April, and left the second as text."""
    options = replace(OPTIONS, mapping_file="generic")

    def opened(*dates: object, form: str | None = None) -> list[Parsed]:
        rows = [["+12125550100", "in", one, "hi"] for one in dates]
        path = workbook(tmp_path / "a.xlsx", ["Phone", "Direction", "Date", "Text"], *rows)
        with open_source(str(path), replace(options, date_format=form)) as source:
            return [*source]

    third = datetime(2024, 4, 3, 10, tzinfo=UTC).replace(tzinfo=None)
    with pytest.raises(SourceError, match=r'line 1: column "Date" holds dates, and others as text'):
        opened(third, "03/13/2024 10:00")
    with pytest.raises(SourceError, match="holds dates, and others as text"):  # among others too
        list(open_sources(str(tmp_path), options))
    for dates in (
        (third, third.replace(day=13), "03/13/2024"),
        (third, "03/04/2024", "03/13/2024"),
    ):
        assert all(one.row for one in opened(*dates))
    assert all(one.row for one in opened(third, "03/13/2024", form="%m/%d/%Y"))


@pytest.mark.parametrize("at_once", [1 << 20, 7])
def test_errors_in_cells_are_what_they_say(
    at_once: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library gives them as empty: a text was lost where a file came with it.

    A name that was not found is none. A sheet is read in parts, wherever they end.
    """
    monkeypatch.setattr("leadconnector_async.sources.formats.workbook_parts._AT_ONCE", at_once)
    rows: list[list[object]] = [
        ["Name", "Phone", "Direction", "Date", "Text", "Attachments"],
        ["#N/A", "+12125550100", "in", "2024-01-31T09:30:00Z", "hi", "#N/A"],
        ["Kim", "+12125550100", "in", "2024-01-31T09:30:00Z", "#NAME?", "https://a.example/1"],
        ["Kim", "#REF!", "in", "#VALUE!", "hi"],
    ]
    path = workbook(tmp_path / "a.xlsx", *rows)
    for options in (
        replace(OPTIONS, mapping_file="generic"),
        replace(OPTIONS, mapping_file=str(tmp_path / "own.toml")),
    ):
        (tmp_path / "own.toml").write_text(
            'fields = { type = { constant = "SMS" }, direction = { column = "Direction", words = { '
            'in = "inbound" } }, date = "Date", message = "Text", contact.phone = "Phone", '
            'contact.name = ["Name"] }'
        )
        with open_source(str(path), options) as source:
            good, lost, wrong = source
        assert good.row is not None
        assert (good.row.contact, good.row.message) == (Contact(phone="+12125550100"), "hi")
        assert good.row.attachments is None
        assert [one.field for one in lost.problems] == ["message"]
        assert {"date", "contact.phone"} == {one.field for one in wrong.problems}


def test_a_damaged_sheet_is_an_error_of_its_file(tmp_path: Path) -> None:
    """Its checksum tells, however the library takes it."""
    path = workbook(tmp_path / "a.xlsx", ["Phone", "Text"], ["+12125550100", "here"])
    path.write_bytes(path.read_bytes().replace(b"<t>here<", b"<t>hero<"))
    with pytest.raises(SourceError, match="cannot be read as an Excel workbook: save it anew"):
        open_source(str(path), OPTIONS)


def test_bare_counts_of_days_are_those_of_their_workbook(tmp_path: Path) -> None:
    """Old Macs count from 1904: the same number is four years later than of 1900.

    Other numbers, such as Unix time, and other columns stay.
    """
    for settings, serial in (
        ("", 45380.5),
        ('<workbookPr date1904="1" defaultThemeVersion="1"/>', 43918.5),
        ('<workbookPr date1904="false"/>', 45380.5),
    ):
        rows: list[list[object]] = [["Phone", "Direction", "Date", "Text"]]
        rows += [["12125550100", "in", date, 45380] for date in (serial, 1711724801)]
        path = workbook(tmp_path / "a.xlsx", *rows, settings=settings)
        with open_source(str(path), replace(OPTIONS, mapping_file="generic")) as source:
            counted, unix = [one.row for one in source if one.row]
        assert str(counted.date) == "2024-03-29 12:00:00+00:00"
        assert counted.message == "45380"
        assert str(unix.date) == "2024-03-29 15:06:41+00:00"


def test_an_old_workbook_says_in_a_record_from_where_it_counts() -> None:
    """The first such record is it: others of its bytes may come in what follows."""
    for flag in (0, 1):
        content = bytes([0x22, 0, 2, 0, flag, 0, 0x22, 0, 2, 0, 1 - flag, 0])
        assert is_of_1904(BytesIO(b"\xd0\xcf\x11\xe0" + content)) == bool(flag)
    assert not is_of_1904(BytesIO(b"\xd0\xcf\x11\xe0"))


@pytest.mark.parametrize("flag", [0, 1])
def test_a_binary_workbook_says_it_among_its_properties(flag: int) -> None:
    """Behind the records of its beginning and its version, in the lowest bit."""
    begins, version = b"\x83\x01\x00", b"\x80\x01\x14" + bytes(20)
    properties = b"\x99\x01\x0c" + bytes([0x20 | flag, 0, 1, 0]) + bytes(8)
    held = BytesIO()
    with ZipFile(held, "w") as archive:
        archive.writestr("xl/workbook.bin", begins + version + properties)
    assert is_of_1904(held) == bool(flag)


def test_what_is_no_workbook_is_refused(tmp_path: Path) -> None:
    """Whatever it is called."""
    (tmp_path / "a.xlsx").write_bytes(b"PK\x03\x04")
    for path, said in (
        (str(tmp_path / "a.xlsx"), "cannot be read as an Excel workbook"),
        (str(tmp_path / "b.xlsx"), "there is no such file"),
        (str(workbook(tmp_path / "c.xlsx")), "is empty"),
        (str(workbook(tmp_path / "d.xlsx", ["a"])), 'no column is named "type"'),
    ):
        with pytest.raises(SourceError, match=said):
            open_source(path)
    with pytest.raises(SourceError, match="standard input: cannot be read as an Excel workbook"):
        open_source("-", SourceOptions(format="excel"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "package", "extra"),
    [("a.xlsx", "python_calamine", "excel"), ("a.parquet", "pyarrow", "parquet")],
)
def test_without_the_extra_the_error_says_which(
    name: str, package: str, extra: str, tmp_path: Path
) -> None:
    """Nothing else needs it."""
    (tmp_path / name).write_bytes(b"x")
    code = (
        "import sys\n"
        "sys.modules[sys.argv[2]] = None\n"
        "from leadconnector_async.sources import open_source\n"
        "try:\n    open_source(sys.argv[1])\n"
        "except Exception as error:\n    print(error)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / name), package],
        cwd=Path(__file__).parents[4],
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"leadconnector-async[{extra}]" in run.stdout


pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


def _written(path: Path, rows: list[dict[str, Any]]) -> str:
    parquet.write_table(pa.Table.from_pylist(rows), path, row_group_size=1000)
    return str(path)


def test_columns_of_any_type_are_cells(tmp_path: Path) -> None:
    """Structs by dotted names, lists as lists, dates with their zone."""
    row = {
        "id": 7,
        "type": "Call",
        "contact": {"phone": "212 555 0100", "name": None},
        "call": {"to": "+12125550100", "status": "busy"},
        "direction": "outbound",
        "date": datetime(2024, 1, 31, 9, 30, tzinfo=UTC),
        "attachments": ["https://a.example/x;y.mp3", "https://a.example/b.mp3"],
        "seconds": 1.5,
        "seen": True,
        "hash": b"ab",
    }
    path = _written(tmp_path / "history.parquet", [row, row | {"type": None}])
    with open_source(path, SourceOptions(undated="now", region="US")) as source:
        good, bad = source
        assert source.bytes_read == source.size
    assert good.row is not None
    assert (good.line, good.row.id, good.row.type) == (1, "7", "Call")
    assert good.row.contact == Contact(phone="+12125550100")
    assert good.row.call == Call(to="+12125550100", status="busy")
    assert good.row.date == row["date"]
    assert good.row.attachments == ["https://a.example/x%3By.mp3", "https://a.example/b.mp3"]
    assert bad.problems[0].field == "type"
    assert good.raw.endswith(b'"1.5","true","ab"]')
    assert [warning[:16] for warning in source.warnings] == [
        'column "seconds"',
        'column "seen" is',
        'column "hash" is',
    ]


def test_nanoseconds_of_parquet_are_cut(tmp_path: Path) -> None:
    """As pandas and Spark write them: they ended the command. A year that none has is told."""
    made = {"type": ["SMS"], "message": ["hi"], "time": pa.array([7], pa.time64("ns"))}
    made["seconds"] = pa.array([7], pa.duration("ns"))
    for number, zone in ((1706693400123456789, None), (1706693400123456789, "America/Denver")):
        made["date"] = pa.array([number], pa.timestamp("ns", zone))
        parquet.write_table(pa.table(made), tmp_path / "a.parquet")
        with open_source(
            str(tmp_path / "a.parquet"), SourceOptions(timezone=ZoneInfo("UTC"))
        ) as source:
            (one,) = source
        assert one.row
        assert str(one.row.date) == "2024-01-31 09:30:00.123456+00:00"
    made["date"] = pa.array([1 << 60], pa.timestamp("ms"))
    parquet.write_table(pa.table(made), tmp_path / "a.parquet")
    with open_source(str(tmp_path / "a.parquet")) as source, pytest.raises(SourceError):
        list(source)


def test_batches_are_read_one_by_one(tmp_path: Path) -> None:
    """All of them, in order."""
    row = {"type": "SMS", "message": "hi"}
    path = _written(tmp_path / "history.parquet", [row | {"id": str(n)} for n in range(5000)])
    with open_source(path, SourceOptions(undated="now")) as source:
        ids = [one.row.id for one in source if one.row]
    assert ids == [str(number) for number in range(5000)]


def test_parquet_without_columns_is_told(tmp_path: Path) -> None:
    """As a frame without any is written: in a folder, it is passed over and named."""
    parquet.write_table(pa.table({}), tmp_path / "empty.parquet")
    with pytest.raises(SourceError, match="no column is named"):
        open_source(str(tmp_path / "empty.parquet"))


def test_what_is_no_parquet_is_refused(tmp_path: Path) -> None:
    """Cut, of another kind, or not there."""
    whole = _written(tmp_path / "a.parquet", [{"type": "SMS", "message": "hi"}])
    (tmp_path / "b.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:-3])
    data = bytearray((tmp_path / "a.parquet").read_bytes())
    data[4:40] = bytes(36)
    (tmp_path / "c.parquet").write_bytes(data)
    named = (tmp_path / "a.parquet").read_bytes().replace(b"message", b"m\x9bssage")
    (tmp_path / "f.parquet").write_bytes(named)
    for path, said in (
        (tmp_path / "b.parquet", "cannot be read as Parquet"),
        (tmp_path / "f.parquet", "cannot be read as Parquet"),
        (tmp_path / "d.parquet", "there is no such file"),
    ):
        with pytest.raises(SourceError, match=said):
            open_source(str(path), SourceOptions(undated="now"))
    with (
        open_source(str(tmp_path / "c.parquet"), SourceOptions(undated="now")) as source,
        pytest.raises(SourceError, match="is damaged"),
    ):
        list(source)
    (tmp_path / "e.csv").write_bytes((tmp_path / "a.parquet").read_bytes())
    with open_source(str(tmp_path / "e.csv"), SourceOptions(undated="now")) as source:
        assert source.warnings == ["holds Parquet, though its name ends in .csv: read as that"]
    with open_source(whole, SourceOptions(undated="now")) as source:
        assert next(iter(source)).row is not None


@pytest.mark.slow
def test_a_workbook_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    """Its reader holds a sheet as a whole: the limit is that of the documentation."""
    path = tmp_path / "a.xlsx"
    with path.open("wb") as file:
        file.write(b"PK\x03\x04")
        file.truncate((256 << 20) + 1)
    with pytest.raises(SourceError, match="is larger than 256 MB: save its sheets as CSV"):
        open_source(str(path))
