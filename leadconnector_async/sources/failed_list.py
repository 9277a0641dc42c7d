"""Lists of failed records, fit to be mended and imported again.

A list has its source's own form: all columns or keys, as they were, and before them

``error``
    where the record came from, and why it failed. (``importError`` where the source has an
    ``error`` of its own.) Reading passes it over.
``outboxKey``
    which record of the outbox the mended one replaces.
``locationId``
    the location that the record was for; in CSV where the record itself did not name it.

So a list is read again with the options (``--map``, ``--timezone``) that its source was. Paths
of attachments that are relative to the source are relative to the list, where that lies above the
files; else they become ``file://`` URLs. A record
that could not be read at all stands there with its text: in JSON Lines as an object ``{"error",
"outboxKey", "line", "raw"}``, whose ``raw`` can be mended, or which the record itself can replace;
in CSV as a row of too few cells. Unmended, it is refused again.

Records of sources whose forms differ, and records that came from no source, are written as JSON
Lines, with the API's names, lists as lists, and dates with their offset.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from leadconnector_async.sources.attachments import anchored
from leadconnector_async.sources.canonical import Record, as_api_names, as_it_stands, reason_name
from leadconnector_async.sources.columns import LIST_SEPARATOR, items
from leadconnector_async.sources.fields import LOCATION, OUTBOX_KEY
from leadconnector_async.sources.source_format import SourceFormat, decode_format

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable


class FailedRow(NamedTuple):
    """A record that failed: ``form`` and ``raw`` as its source gave them, or else the payload."""

    key: str
    reason: str
    location: str
    form: bytes | None = None
    raw: bytes | None = None
    payload: bytes | None = None
    source: str = ""
    line: int = 0

    def __repr__(self) -> str:
        return f"FailedRow(key={self.key!r}, source={self.source!r}, line={self.line})"

    @property
    def error(self) -> str:
        """The reason, after the place where the record stands."""
        return f"{self.source}:{self.line}: {self.reason}" if self.source else self.reason


def failed_suffix(forms: Collection[bytes | None]) -> str:
    """Give the ending of a list's file name: ``.csv`` or ``.jsonl``."""
    return f".{_common_form(forms).format}"


def _common_form(forms: Collection[bytes | None]) -> SourceFormat:
    """Choose the form of a list: that of the sources, if they share one, else JSON Lines."""
    if len(only := set(forms)) == 1 and (form := only.pop()) is not None:
        return decode_format(form)
    return SourceFormat(format="jsonl")


def write_failed(
    rows: Iterable[FailedRow],
    out: BinaryIO,
    *,
    forms: Collection[bytes | None],
    folder: Path = Path(),
) -> None:
    """Write a list of failed records, which is to lie in a folder.

    ``forms`` are those of the rows, each at least once. Rows are taken one by one, so that a list
    of any length needs no more memory than a short one.
    """
    form = _common_form(forms)
    if form.marked:
        out.write(codecs.BOM_UTF8)
    if form.format == "csv":
        _write_csv(rows, out, form, folder)
    else:
        _write_jsonl(rows, out, form, folder)


def _write_csv(rows: Iterable[FailedRow], out: BinaryIO, form: SourceFormat, folder: Path) -> None:
    names = form.columns or []
    reason = reason_name(names)
    kept = [index for index, name in enumerate(names) if name not in {reason, OUTBOX_KEY}]
    location = form.mapping.get(LOCATION) or LOCATION
    added = [] if location in names else [LOCATION]
    attachments = form.mapping.get("attachments") or "attachments"
    files = names.index(attachments) if attachments in names else None
    header = [reason, OUTBOX_KEY, *added, *(names[index] for index in kept)]
    # Bytes that could not be decoded go out as they came in.
    text = io.TextIOWrapper(out, "utf-8", errors="surrogateescape", newline="", write_through=True)
    # Ending lines so makes the writer quote cells with a carriage return as well.
    writer = csv.writer(text, delimiter=form.delimiter, lineterminator="\r\n")
    try:
        writer.writerow(header)
        for row in rows:
            cells = json.loads(row.raw or b'""')
            if isinstance(cells, str):
                writer.writerow([row.error, row.key, cells])
                continue
            if not added and len(cells) == len(names):
                index = names.index(location)
                cells[index] = row.location or cells[index]
            if files is not None and files < len(cells):
                cells[files] = LIST_SEPARATOR.join(_anchored(items(cells[files]), row, folder))
            # A row with too many cells keeps them, and so is refused again until it is mended.
            rest = [cells[i] for i in kept if i < len(cells)] + cells[len(names) :]
            writer.writerow([row.error, row.key, *(row.location for _ in added), *rest])
    finally:
        text.detach()  # the wrapper would close what it does not own


def _write_jsonl(
    rows: Iterable[FailedRow], out: BinaryIO, form: SourceFormat, folder: Path
) -> None:
    own, location = form.encoded(), (form.mapping.get(LOCATION) or LOCATION)
    for row in rows:
        record = _record(row, own)
        if isinstance(record, str):
            record = {"line": row.line, "raw": record}
        reason = reason_name(record)
        added = {reason: row.error, OUTBOX_KEY: row.key}
        if row.location:  # what the record names may be another system's
            added[location] = row.location
        kept = {key: value for key, value in record.items() if key not in added}
        if isinstance(kept.get("attachments"), list):
            kept["attachments"] = _anchored(kept["attachments"], row, folder)
        out.write(_line(added | kept))


def _anchored(attachments: list[Any], row: FailedRow, folder: Path) -> list[Any]:
    """Name files so that they are found from the list's folder too."""
    source, near = Path(row.source).absolute().parent, folder.absolute()
    return [anchored(item, source, near) if type(item) is str else item for item in attachments]


def _record(row: FailedRow, own: bytes) -> Record | str:
    if row.form is None or row.raw is None:
        return as_it_stands(row.payload or row.raw or b"{}")
    return as_it_stands(row.raw) if row.form == own else as_api_names(row.form, row.raw)


def _line(record: Record) -> bytes:
    try:
        line = json.dumps(record, ensure_ascii=False).encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half a surrogate pair, which only an escape can hold
        line = json.dumps(record).encode()
    return line + b"\n"
