"""What of a workbook the library that reads it does not tell.

Errors that cells of ``.xlsx`` hold, such as ``#N/A``, it gives as empty cells: a text would be lost
unsaid. And where days are counted from 1904, as old Macs do, it moves what has the format of a
date; a bare number says nothing.
"""

import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Final
from zipfile import ZipFile, is_zipfile

RowErrors = dict[int, dict[int, str]]
"""Texts by the number of their row, from 1, and of their column, from 0."""

_BOOK, _PARTS = "xl/workbook.xml", "xl/_rels/workbook.xml.rels"

_SHEET: Final = re.compile(rb"<(?:\w+:)?sheet\s[^<>]*?:id=\"([^\"<>]+)\"")

_PART: Final = re.compile(rb"<Relationship\s[^<>]*>")

_GIVEN: Final = re.compile(rb"\s(Id|Target)=\"([^\"]*)\"")

_CELL: Final = re.compile(
    rb"<(?:\w+:)?c (?=[^<>]*\bt=\"e\")(?>[^<>]*?\br=\"([A-Z]{1,3})(\d{1,7})\")[^<>]*+>"
    rb"(?:<(?:\w+:)?f\b[^<>]*+>(?:[^<>]*+</(?:\w+:)?f>)?)?<(?:\w+:)?v>([^<>]*+)<"
)
"""Takes the first place that a tag names, so that one with many is read in one go."""


def errors_of(whole: str | BytesIO) -> list[RowErrors]:
    """Find those of each sheet, in the order of the sheets. ``whole`` is a path or the content."""
    if not is_zipfile(whole):
        return []
    with ZipFile(whole) as archive:
        held = set(archive.namelist())
        if not {_BOOK, _PARTS} <= held:
            return []
        parts = (dict(_GIVEN.findall(part)) for part in _PART.findall(archive.read(_PARTS)))
        targets = {
            part.get(b"Id"): part.get(b"Target", b"").decode(errors="replace") for part in parts
        }
        named = (targets.get(sheet, "") for sheet in _SHEET.findall(archive.read(_BOOK)))
        paths = [f"xl/{path.removeprefix('/xl/').removeprefix('xl/')}" for path in named]
        return [_in_sheet(archive, path) if path in held else {} for path in paths]


def _in_sheet(archive: ZipFile, path: str) -> RowErrors:
    found: RowErrors = {}
    for xml in _rows(archive, path):
        for letters, row, text in _CELL.findall(xml) if b't="e"' in xml else ():
            column = 0
            for letter in letters:
                column = column * 26 + letter - 64
            found.setdefault(int(row), {})[column - 1] = text.decode(errors="replace")
    return found


def _rows(archive: ZipFile, path: str) -> Iterator[bytes]:
    """Read whole rows, some at a time: unpacked, a sheet can be larger than the memory."""
    rest = b""
    with archive.open(path) as sheet:
        while part := sheet.read(_AT_ONCE):
            rows, end, rest = (rest[-_MAX_ROW:] + part).rpartition(b"row>")
            yield rows + end


_AT_ONCE: Final = 1 << 20

_MAX_ROW: Final = 1 << 24
"""Bytes; more than that without the end of a row is none."""


_OF_XML: Final = re.compile(rb"<(?:\w+:)?workbookPr\s[^>]*\bdate1904\s*=\s*[\"'](?:1|true|on)\b")

_OF_XLSB: Final = re.compile(rb"\x99\x01[\x08-\x7f]([\0-\xff])")
"""The record of the workbook's properties (BrtWbProp), whose first bit it is."""

_OF_XLS: Final = re.compile(rb"\x22\0\x02\0(?:(\x01)|\0)\0")
"""The record of the first day, of which there is one near the beginning."""

_SERIAL: Final = re.compile(r"\s*\d{5}(?:\.\d+)?\s*")

_EARLIEST: Final = 31_412
"""1990 in days since 1904: what is less counts no days of messages."""


def is_of_1904(whole: str | BytesIO) -> bool:
    """Tell such a workbook, which is a path or the content."""
    if is_zipfile(whole):
        with ZipFile(whole) as archive:
            books = [name for name in archive.namelist() if name.endswith("xl/workbook.xml")]
            if "xl/workbook.bin" in archive.namelist():
                flags = _OF_XLSB.search(archive.read("xl/workbook.bin"))
                return flags is not None and flags[1][0] % 2 == 1
            return any(_OF_XML.search(archive.read(name)) for name in books)
    data = Path(whole).read_bytes() if isinstance(whole, str) else whole.getvalue()
    found = _OF_XLS.search(data)
    return found is not None and found[1] is not None


def since_1900(cell: str) -> str:
    """Write a count of days since 1904 as one since 1900."""
    days = float(cell) if _SERIAL.fullmatch(cell) else 0
    return cell if days < _EARLIEST else f"{days + 1462:.15g}"
