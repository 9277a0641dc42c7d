"""Workbooks that count days from 1904, as old Macs do.

The library that reads workbooks moves what has the format of a date; a bare number says nothing.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zipfile import ZipFile, is_zipfile

if TYPE_CHECKING:
    from io import BytesIO

_OF_XML: Final = re.compile(rb"<(?:\w+:)?workbookPr\s[^>]*\bdate1904\s*=\s*[\"'](?:1|true|on)\b")

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
            return any(_OF_XML.search(archive.read(name)) for name in books)
    data = Path(whole).read_bytes() if isinstance(whole, str) else whole.getvalue()
    found = _OF_XLS.search(data)
    return found is not None and found[1] is not None


def since_1900(cell: str) -> str:
    """Write a count of days since 1904 as one since 1900."""
    days = float(cell) if _SERIAL.fullmatch(cell) else 0
    return cell if days < _EARLIEST else f"{days + 1462:.15g}"
