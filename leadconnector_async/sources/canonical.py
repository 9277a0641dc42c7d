"""Records of any source as JSON objects with the API's names, for lists that mix sources.

JSON as lists of failed records hold it: whatever can be made of a line, and else its text.
"""

from __future__ import annotations

import csv
import io
import json
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from leadconnector_async.sources.base import SourceOptions
from leadconnector_async.sources.coerce import RowCoercer, as_given
from leadconnector_async.sources.columns import Columns
from leadconnector_async.sources.contact_values import Contacts
from leadconnector_async.sources.dates import Dates
from leadconnector_async.sources.fields import (
    FIELDS,
    LOCATION,
    NESTED,
    OUTBOX_KEY,
    REASON,
    SPARE_REASON,
    api_names,
    flat,
    near_field,
)
from leadconnector_async.sources.json_objects import Objects
from leadconnector_async.sources.recognition import Choice
from leadconnector_async.sources.source_format import SourceFormat, decode_format
from leadconnector_async.sources.table import MappedColumns
from leadconnector_async.sources.values import WrongValueError

if TYPE_CHECKING:
    from collections.abc import Collection

Record = dict[str, Any]

_STAND_IN_KEYS: Final = frozenset({REASON, OUTBOX_KEY, LOCATION, "line", "raw"})
"""Of the object that stands for a record which could not be read at all."""


def as_it_stands(raw: bytes) -> Record | str:
    """Read a line of JSON Lines, NaN and half characters included, or give its text.

    Bytes that are not UTF-8 become lone surrogates, which ``surrogateescape`` writes as they were.
    """
    text = raw.decode("utf-8", "surrogateescape")
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):  # JSON that nests too deeply is refused by the reader too
        return text
    return record if isinstance(record, dict) else text


def is_unreadable(record: Record) -> bool:
    """Tell the stand-in for a record that could not be read."""
    return isinstance(record.get("raw"), str) and record.keys() <= _STAND_IN_KEYS


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


def _named(source: SourceFormat, record: Record) -> Record:
    """Name a JSON object's values as the API does."""
    if source.table is None:
        return api_names(record, source.mapping)
    coercer = RowCoercer(SourceOptions(region=source.region))
    return as_given(Objects(Choice(source.table), source.mapping, coercer).values(record))


@lru_cache(maxsize=64)
def _source(form: bytes) -> tuple[SourceFormat, Columns | MappedColumns | None]:
    source = decode_format(form)
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


def _with_offset(date: object, source: SourceFormat) -> object:
    zone = None if source.timezone is None else ZoneInfo(source.timezone)
    try:
        read = Dates(zone, source.date_format).read(date)
    except WrongValueError:  # left as it is, to be refused again
        return date
    return date if read is None else read.isoformat()


def _with_country(named: Record, region: str) -> Record:
    if "contact.phone" in named:
        with suppress(WrongValueError):  # as above
            named["contact.phone"] = Contacts(region).phone(named["contact.phone"])
    return named


def _csv_line(cells: list[str], delimiter: str) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator="").writerow(cells)
    return text.getvalue()
