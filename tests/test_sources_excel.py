from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path
from xml.sax.saxutils import escape
from zoneinfo import ZoneInfo

import pytest

from leadconnector_async._errors import SourceError
from leadconnector_async._messages import Contact
from leadconnector_async.sources import SourceOptions, open_source

pytest.importorskip("python_calamine")

OPTIONS = SourceOptions(region="US", timezone=ZoneInfo("UTC"))
TYPES = (
    '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" '
    'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/><Override PartName="/xl/workbook.xml" '
    'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>'
    "</Types>"
)
RELATION = (
    '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    '<Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/'
    'relationships/{}" Target="{}"/></Relationships>'
)
BOOK = (
    '<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" '
    'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships">'
    '<sheets><sheet name="One" sheetId="1" r:id="rId1"/></sheets></workbook>'
)


def _cell(value: object) -> str:
    if isinstance(value, int | float):
        return f"<c><v>{value}</v></c>"
    if not value:
        return "<c/>"
    return f'<c t="inlineStr"><is><t>{escape(str(value))}</t></is></c>'


def workbook(path: Path, *rows: list[object]) -> Path:
    """Write a workbook as Excel does, with one sheet."""
    cells = "".join(f"<row>{''.join(map(_cell, row))}</row>" for row in rows)
    space = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("[Content_Types].xml", TYPES)
        archive.writestr("_rels/.rels", RELATION.format("officeDocument", "xl/workbook.xml"))
        archive.writestr("xl/workbook.xml", BOOK)
        sheet = RELATION.format("worksheet", "worksheets/sheet1.xml")
        archive.writestr("xl/_rels/workbook.xml.rels", sheet)
        archive.writestr(
            "xl/worksheets/sheet1.xml",
            f'<worksheet xmlns="{space}"><sheetData>{cells}</sheetData></worksheet>',
        )
    return path


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
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"leadconnector-async[{extra}]" in run.stdout
