from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from workbooks import workbook

from leadconnector_async.errors import SourceError
from leadconnector_async.models import Contact
from leadconnector_async.sources import SourceOptions, open_source

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
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"leadconnector-async[{extra}]" in run.stdout
