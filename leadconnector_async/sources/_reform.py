"""Records of any source as JSON objects with the API's names, for lists that mix sources."""

from __future__ import annotations

import csv
import io
import json
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from leadconnector_async.sources._columns import Columns
from leadconnector_async.sources._contacts import Contacts
from leadconnector_async.sources._dates import Dates
from leadconnector_async.sources._form import Form, decoded
from leadconnector_async.sources._lenient import Record, as_it_stands, is_unreadable
from leadconnector_async.sources._mapped_columns import MappedColumns
from leadconnector_async.sources._names import (
    FIELDS,
    NESTED,
    OUTBOX_KEY,
    REASON,
    SPARE_REASON,
    api_names,
    flat,
    near_field,
)
from leadconnector_async.sources._objects import Objects
from leadconnector_async.sources._recognition import Choice
from leadconnector_async.sources._shape import Shaper, as_given
from leadconnector_async.sources._values import Wrong
from leadconnector_async.sources.row import SourceOptions

if TYPE_CHECKING:
    from collections.abc import Collection


def reason_name(names: Collection[str]) -> str:
    """Name the reason so that it hides nothing: an ``error`` of the source's own stays."""
    foreign = REASON in names and OUTBOX_KEY not in names
    return SPARE_REASON if foreign or SPARE_REASON in names else REASON


def as_api_names(form: bytes, raw: bytes) -> Record | str:
    """Read a record of any source, or give its text."""
    source, columns = _source(form)
    if columns is None:
        record = as_it_stands(raw)
        if isinstance(record, str) or is_unreadable(record):
            return record
        named = _named(source, record)
        if REASON in record and reason_name(record) == SPARE_REASON:
            named[REASON] = record[REASON]
    else:
        cells = json.loads(raw)
        if isinstance(cells, str):
            return cells
        if len(cells) != len(columns.names):
            return _csv_line(cells, source.delimiter)
        named = as_given(columns.values(cells)) | _rest(columns, cells)
    if "date" in named and (source.timezone or source.date_format):
        named["date"] = _with_offset(named["date"], source)
    if source.region is not None:
        return _with_country(flat(named), source.region)
    return named


def _named(source: Form, record: Record) -> Record:
    """Name a JSON object's values as the API does."""
    if source.table is None:
        return api_names(record, source.mapping)
    shaper = Shaper(SourceOptions(region=source.region))
    return as_given(Objects(Choice(source.table), source.mapping, shaper).values(record))


@lru_cache(maxsize=64)
def _source(form: bytes) -> tuple[Form, Columns | MappedColumns | None]:
    source = decoded(form)
    if source.columns is None:
        return source, None
    if source.table is None:
        return source, Columns("source", source.columns, source.mapping)
    contacts = Contacts(source.region)
    mapped = MappedColumns("source", source.columns, source.table, source.mapping, contacts)
    return source, mapped


def _rest(columns: Columns | MappedColumns, cells: list[str]) -> Record:
    """Name the cells that feed no field. None may pass for a field in JSON."""
    names = list(columns.unknown)
    if REASON in columns.names and reason_name(columns.names) == SPARE_REASON:
        names.append(REASON)
    rest: Record = {}
    for name in names:
        cell = cells[columns.names.index(name)]
        if cell:
            taken = name in FIELDS or name in NESTED or near_field(name) is not None
            rest[f"column {name}" if taken else name] = cell
    return rest


def _with_offset(date: object, source: Form) -> object:
    zone = None if source.timezone is None else ZoneInfo(source.timezone)
    try:
        read = Dates(zone, source.date_format).read(date)
    except Wrong:  # left as it is, to be refused again
        return date
    return date if read is None else read.isoformat()


def _with_country(named: Record, region: str) -> Record:
    if "contact.phone" in named:
        with suppress(Wrong):  # as above
            named["contact.phone"] = Contacts(region).phone(named["contact.phone"])
    return named


def _csv_line(cells: list[str], delimiter: str) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator="").writerow(cells)
    return text.getvalue()
