"""Excel workbooks (``.xlsx``, ``.xlsb``, ``.xls``, ``.ods``): the first sheet with anything on it.

The library that reads them holds one sheet in memory, of which rows are taken one by one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from leadconnector_async._errors import SourceError
from leadconnector_async.sources._grid import Grid, as_text, lacking, local_file
from leadconnector_async.sources._table import is_blank

if TYPE_CHECKING:
    from collections.abc import Iterator

    from python_calamine import CalamineSheet

    from leadconnector_async.sources.row import SourceOptions


def open_excel(path: str, options: SourceOptions) -> Grid:
    """Open a workbook. The first row that is not empty is the header.

    Raises:
        SourceError: it cannot be read, is empty, or its package is not installed.
    """
    try:
        from python_calamine import CalamineError, load_workbook  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise lacking(path, "python-calamine", "excel") from error
    try:
        workbook = load_workbook(local_file(path, "an Excel workbook"))
        sheets = (workbook.get_sheet_by_name(name) for name in workbook.sheet_names)
        sheet = next((sheet for sheet in sheets if sheet.height), None)
    except (CalamineError, OSError) as error:
        raise SourceError(f"{path}: cannot be read as an Excel workbook: save it anew") from error
    if sheet is None:
        raise SourceError(f"{path}: is empty: name a file with records")
    return _grid(path, sheet, options)


def _grid(path: str, sheet: CalamineSheet, options: SourceOptions) -> Grid:
    done, total = 0, (sheet.start or (0, 0))[0] + sheet.height

    def rows() -> Iterator[tuple[int, list[str]]]:
        nonlocal done
        for row in sheet.iter_rows():  # with the empty ones, so that numbers are those of Excel
            done += 1
            cells = [as_text(cell) for cell in row]
            if not is_blank(cells):
                yield done, cells

    numbered = rows()
    _, header = next(numbered, (0, [""]))
    return Grid(path, header, numbered, options, lambda: done / total)
