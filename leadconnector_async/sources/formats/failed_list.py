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

import codecs
import csv
import io
import json
import os
from collections.abc import Collection, Iterable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from leadconnector_async.sources import fields
from leadconnector_async.sources.base import SOURCE_LINE, SourceOptions
from leadconnector_async.sources.files.attachments import LOCAL, is_path
from leadconnector_async.sources.files.members import member_at
from leadconnector_async.sources.formats.json_objects import Objects, repeated_key
from leadconnector_async.sources.formats.stream_source import SourceFormat, decode_format
from leadconnector_async.sources.formats.table import MappedColumns
from leadconnector_async.sources.mappings.chat_sides import ChatSides
from leadconnector_async.sources.mappings.coerce import PLACE, RowCoercer, as_given
from leadconnector_async.sources.mappings.columns import LIST_SEPARATOR, Columns, NamedColumns
from leadconnector_async.sources.mappings.mapping import columns_of
from leadconnector_async.sources.mappings.mapping_files import Choice
from leadconnector_async.sources.values.contact_values import Contacts
from leadconnector_async.sources.values.dates import Dates

Record = dict[str, Any]

_STAND_IN: Final = frozenset({fields.REASON, fields.OUTBOX_KEY, fields.LOCATION, "line", "raw"})
"""Of the object that stands for a record which could not be read at all."""


def as_it_stands(raw: bytes) -> Record | str:
    """Read a line of JSON Lines, NaN and half characters included, or give its text.

    Bytes that are not UTF-8 become lone surrogates, which ``surrogateescape`` writes as they were.
    """
    record = None
    with suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        record = msgspec.json.decode(raw)  # five times as fast, and exact in what it takes
    if isinstance(record, dict) and repeated_key(raw, record) is None:
        return record
    text = raw.decode("utf-8", "surrogateescape")
    if record is not None:  # one value of two would be lost
        return text
    with suppress(ValueError, RecursionError):  # what nests too deeply, the reader refuses too
        record = json.loads(text)
    return record if isinstance(record, dict) else text


def is_unreadable(record: Record) -> bool:
    """Tell the stand-in for a record that could not be read."""
    return isinstance(record.get("raw"), str) and record.keys() <= _STAND_IN


def reason_name(names: Collection[str]) -> str:
    """Name the reason so that it hides nothing: an ``error`` of the source's own stays."""
    foreign = fields.REASON in names and fields.OUTBOX_KEY not in names
    return fields.SPARE_REASON if foreign or fields.SPARE_REASON in names else fields.REASON


def _reasons(names: Collection[str]) -> list[str]:
    """Name what is kept of reasons: an ``error`` of the source's own, and that of a list."""
    own = [fields.REASON] if reason_name(names) == fields.SPARE_REASON else []
    listed = [reason_name(names)] if fields.OUTBOX_KEY in names else []
    return [name for name in (*own, *listed) if name in names]


def as_api_names(form: bytes, raw: bytes) -> Record | str:
    """Read a record of any source, or give its text."""
    source, columns = _source(form)
    if columns is None:
        record = as_it_stands(raw)
        if isinstance(record, str) or is_unreadable(record):
            return record
        named = _named(source, record) | {name: record[name] for name in _reasons(record)}
    else:
        cells = json.loads(raw)
        if isinstance(cells, str):
            return cells
        if len(cells) != len(columns.names):
            text = io.StringIO(newline="")
            csv.writer(text, delimiter=source.delimiter, lineterminator="").writerow(cells)
            return text.getvalue()
        named = as_given(columns.values(cells)) | _rest(columns, cells)
    if "date" in named and (source.timezone or source.date_format):
        zone = None if source.timezone is None else ZoneInfo(source.timezone)
        with suppress(fields.WrongValueError):  # left as it is, to be refused again
            date = Dates(zone, source.date_format).read(named["date"])
            named["date"] = named["date"] if date is None else date.isoformat()
    if source.region is not None and "contact.phone" in (named := fields.flat(named)):
        with suppress(fields.WrongValueError):  # as above
            named["contact.phone"] = Contacts(source.region).phone(named["contact.phone"])
    return named


def _named(source: SourceFormat, record: Record) -> Record:
    """Name a JSON object's values as the API does."""
    if source.table is None:
        return fields.api_names(record, source.mapping)
    coercer = RowCoercer(SourceOptions(region=source.region))
    return as_given(Objects(Choice(source.table), source.mapping, coercer).values(record))


@lru_cache(maxsize=64)
def _source(form: bytes) -> tuple[SourceFormat, Columns | None]:
    source = decode_format(form)
    if source.columns is None:
        return source, None
    if source.table is None:
        return source, NamedColumns("source", source.columns, source.mapping)
    sides = ChatSides(Contacts(source.region))
    return source, MappedColumns("source", source.columns, source.table, source.mapping, sides)


def _rest(columns: Columns, cells: list[str]) -> Record:
    """Name the cells that feed no field. None may pass for a field in JSON."""
    rest: Record = {}
    for name in (*columns.unknown, *_reasons(columns.names)):
        if cell := cells[columns.names.index(name)]:
            is_taken = name in fields.NESTED or fields.near_field(name) is not None
            rest[f"column {name}" if is_taken else name] = cell
    return rest


class FailedRow(NamedTuple):
    """A record that failed: ``form`` and ``raw`` as its source gave them, or else the payload.

    Example:
        >>> FailedRow("crm-17", "date is missing", "loc", source="history.csv", line=7).error
        'history.csv:7: date is missing'
    """

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
    """Give the ending of a list's file name: ``.csv`` or ``.jsonl``.

    Example:
        >>> failed_suffix([None])
        '.jsonl'
    """
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

    Example:
        >>> row = FailedRow("crm-17", "date is missing", "loc", payload=b'{"type":"SMS"}')
        >>> with open("failed.jsonl", "wb") as out:
        ...     write_failed([row], out, forms=[row.form])
    """
    form = _common_form(forms)
    if form.marked:
        out.write(codecs.BOM_UTF8)
    write = _write_csv if form.format == "csv" else _write_json
    write(rows, out, form, folder)


def _write_csv(rows: Iterable[FailedRow], out: BinaryIO, form: SourceFormat, folder: Path) -> None:
    names = form.columns or []
    reason = reason_name(names)
    kept = [index for index, name in enumerate(names) if name not in {reason, fields.OUTBOX_KEY}]
    location = form.mapping.get(fields.LOCATION) or fields.LOCATION
    added = [] if location in names else [fields.LOCATION]
    files = _file_columns(form, names)
    header = [reason, fields.OUTBOX_KEY, *added, *(names[index] for index in kept)]
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
            for index, separator in files.items():
                if index < len(cells):
                    given = [one for item in cells[index].split(separator) if (one := item.strip())]
                    cells[index] = separator.join(_anchored(given, row, folder))
            # A row with too many cells keeps them, and so is refused again until it is mended.
            rest = [cells[i] for i in kept if i < len(cells)] + cells[len(names) :]
            error = _error(row, dict(zip(names, cells, strict=False)), reason)
            writer.writerow([error, row.key, *(row.location for _ in added), *rest])
    finally:
        text.detach()  # the wrapper would close what it does not own


def _error(row: FailedRow, given: Record, reason: str) -> str:
    """Keep the place in the first source where a list failed again: it tells the order of dates."""
    listed = fields.OUTBOX_KEY in given and PLACE.match(str(given.get(reason)))
    return f"{listed[0]}{row.reason}" if listed else row.error


def _file_columns(form: SourceFormat, names: list[str]) -> dict[int, str]:
    """Find the columns of attachments, and what separates them in each."""
    rule = None if form.table is None else form.table.fields.get("attachments")
    if rule is None or "attachments" in form.mapping:
        own = form.mapping.get("attachments") or "attachments"
        return {names.index(own): LIST_SEPARATOR} if own in names else {}
    read = {fields.folded(name) for name in columns_of(rule)}
    separator = rule.separator or LIST_SEPARATOR
    return {index: separator for index, name in enumerate(names) if fields.folded(name) in read}


_ENCODER: Final = json.JSONEncoder(ensure_ascii=False)


def _write_json(rows: Iterable[FailedRow], out: BinaryIO, form: SourceFormat, folder: Path) -> None:
    own, location = form.encoded(), (form.mapping.get(fields.LOCATION) or fields.LOCATION)
    for row in rows:
        if row.form is None or row.raw is None:
            record = as_it_stands(row.payload or row.raw or b"{}")
        else:
            record = as_it_stands(row.raw) if row.form == own else as_api_names(row.form, row.raw)
        if isinstance(record, str):
            record = {"line": row.line, "raw": record}
        reason = reason_name(record)
        added = {reason: _error(row, record, reason), fields.OUTBOX_KEY: row.key}
        if row.location:  # what the record names may be another system's
            added[location] = row.location
        record.pop(SOURCE_LINE, None)
        kept = {key: value for key, value in record.items() if key not in added}
        if isinstance(kept.get("attachments"), list):
            kept["attachments"] = _anchored(kept["attachments"], row, folder)
        try:
            line = _ENCODER.encode(added | kept).encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:  # half a surrogate pair, which only an escape can hold
            line = json.dumps(added | kept).encode()
        out.write(line + b"\n")


def anchored(item: str, folder: Path, near: Path | None = None) -> str:
    """Name a file, whose path starts at a folder, so that it is found from another one.

    It stays a path if the file lies ``near``, or below; else it becomes a ``file://`` URL.
    """
    if not is_path(item) or item.lower().startswith(LOCAL):
        return item
    with suppress(OSError, ValueError, RuntimeError):  # no file has such a name; or a loop of links
        return _anchored_path(item, folder, near)
    return item


def _anchored_path(item: str, folder: Path, near: Path | None) -> str:
    path = (folder / item.strip()).resolve()
    if "\\" in item and not os.path.exists(path):  # noqa: PTH110 - also says it of too long a name
        return anchored(item.replace("\\", "/"), folder, near)
    archive = next((one for one in folder.absolute().parents if one.is_file()), folder)
    if inside := member_at(path) or member_at((archive / item.strip()).resolve()):
        path = Path(inside[0].name, inside[1])
    if near is not None:
        near = near.resolve()
        if near == folder.resolve():
            return item
        if (inside or path.is_file()) and path.is_relative_to(near):
            return path.relative_to(near).as_posix()
    return path.as_uri() if inside or path.is_file() else item


def _anchored(attachments: list[Any], row: FailedRow, folder: Path) -> list[Any]:
    """Name files so that they are found from the list's folder too."""
    source, near = Path(row.source).absolute().parent, folder.absolute()
    return [anchored(item, source, near) if type(item) is str else item for item in attachments]
