"""Records that are JSON objects, by the API's names or by a mapping."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import orjson

from leadconnector_async.models import Problem
from leadconnector_async.sources import fields
from leadconnector_async.sources.base import Parsed
from leadconnector_async.sources.files.byte_stream import ByteStream
from leadconnector_async.sources.files.encoding import Utf8Text
from leadconnector_async.sources.formats.json_cells import (
    AROUND,
    Pick,
    Unread,
    cells_of,
    key_of,
    repaired,
)
from leadconnector_async.sources.mappings.chat_sides import LookUps
from leadconnector_async.sources.mappings.coerce import RowCoercer, in_api_names
from leadconnector_async.sources.mappings.mapped import RowMapper
from leadconnector_async.sources.mappings.mapping import Definition, columns_of, columns_read
from leadconnector_async.sources.mappings.mapping_files import Choice
from leadconnector_async.sources.mappings.rules import Cell, Spelling

Record = dict[str, Any]

HALF: Final = "text with half a character (a lone surrogate), which is sent as \ufffd"

_HALVES: Final = re.compile("[\ud800-\udfff]")

_STAND_INS: Final = re.compile("[\udc80-\udcff]")
"""In lists of failed records: bytes that could not be decoded, for which they were refused."""

_PICK: Final = re.compile(r"(.+)\[(\w+)=([^\]]*)\]\.(.+)")


@dataclass(eq=False, repr=False)
class Objects:
    """Makes records of objects.

    By the API's names, ids are sent only of those that are plainly the API's. By a mapping, names
    are paths, such as ``from.number`` and ``to[0]``, and compared without case and separators.
    """

    _choice: Choice
    _mapping: Mapping[str, str]
    _coercer: RowCoercer
    _stream: ByteStream | None = None

    def __post_init__(self) -> None:
        self.definition: Definition | None = self._choice.definition
        self.unread: Unread = Unread()
        self._has_foreign = False
        self.around: set[str] = set()
        """Keys of the object around a record that are read."""
        if self.definition is not None:
            self._read_by(self.definition)

    def _read_by(self, definition: Definition) -> None:
        """Make the reader of a mapping's fields, and name the keys that it knows."""
        columns = {field: key_of(name) for field, name in self._mapping.items()}
        kind = Spelling(key_of).kind(definition.table, columns)
        self._repairs = definition.repair
        self._reader = self._of_calls = RowMapper(kind, definition, self._coercer.sides)
        type_, text = kind.fields.get("type"), kind.fields.get("message")
        self._lengths = type_.without_text if type_ and text else {}
        if text and self._lengths:
            self._texts = columns_of(text)
            calls = Spelling(key_of).kind(definition.table, columns | {"message": ""})
            self._of_calls = RowMapper(calls, definition, self._coercer.sides)
        named = {*columns_read(definition.table), *self._mapping.values()}
        found = ((name, _PICK.fullmatch(name)) for name in named)
        self._picks = [Pick(name, key_of(of[1]), *of.groups()[1:]) for name, of in found if of]
        listed = (*fields.REASON_NAMES, fields.OUTBOX_KEY, fields.LOCATION)
        ends = ((pick.list, end) for pick in self._picks for end in (pick.key, pick.within))
        within = (f"{name}[*].{end}" for name, end in ends)
        self._used = columns_read(kind) | {key_of(name) for name in (*listed, *within)}
        lookup = {key_of(name): (name, path) for name, path in definition.lookup.items()}
        self.look_ups: LookUps = LookUps(lookup, self._used, self._stream)
        self._used |= lookup.keys()
        self.unread = Unread(self._used, definition)
        around = (name for name in self._used if name.startswith(f"{AROUND}."))
        self.around = {re.split(r"[.\[]", name)[1] for name in around}

    @property
    def warnings(self) -> list[str]:
        """How they are read, and what was passed over."""
        notes = [*self._choice.notes, *fields.not_sent("field", list(self.unread.names))]
        notes += () if self.definition is None else self.look_ups.warnings
        if self._has_foreign:
            notes.append(fields.notice("foreign_names"))
        return notes

    def parsed(self, line: int, raw: bytes, record: Record, notices: list[str]) -> Parsed:
        """Make a record, or say why it is left out."""
        if fields.OUTBOX_KEY in record:
            self._coercer.of_list(record.get(fields.SPARE_REASON, record.get(fields.REASON)))
        if self.definition is None:
            values, told = self._as_named(record)
            return self._coercer.parsed(line, raw, values, notices + told)
        row = self._row(record)
        values, reason, told = self._reader_of(record, row).read(row)
        if self.definition.needs_its_file and values:  # of one left out there are none
            said = {key: value for key, value in record.items() if key != AROUND}
            raw = in_api_names(values, [*self._coercer.sides.chat, said])
        values |= _listed(record)
        text = values.get("message")
        if isinstance(text, str) and "<" in text and fields.expression("markup").search(text):
            told.append(fields.notice("is_markup"))
        return self._coercer.parsed(line, raw, values, notices + told, reason)

    def with_holder(
        self, record: Record, raw: bytes, holder: Mapping[str, object]
    ) -> tuple[Record, bytes]:
        """Add what the mapping reads of the object around a record: also to how it is listed."""
        known = {key: value for key, value in holder.items() if key_of(key) in self.around}
        if not known or not record:
            return record, raw
        return record | {AROUND: known}, b"%b,%b" % (raw[:-1], orjson.dumps({AROUND: known})[1:])

    def values(self, record: Record) -> dict[str, object]:
        """Name the values of an object as the API does."""
        if self.definition is None:
            return self._as_named(record)[0]
        row = self._row(record)
        return self._reader_of(record, row).values(row) | _listed(record)

    def _reader_of(self, record: Record, row: dict[str, Cell]) -> RowMapper:
        """Read what has a duration, and no key of a text, as a table of such columns is read.

        Pictures often have the key of their text, and null in it.
        """
        if row.keys().isdisjoint(self._lengths):
            return self._reader
        is_call = {*row, *map(key_of, record)}.isdisjoint(self._texts)
        return self._of_calls if is_call else self._reader

    def _as_named(self, record: Record) -> tuple[dict[str, object], list[str]]:
        values = fields.flat(fields.api_names(record, self._mapping))
        names = [*values]
        are_ours = fields.is_plainly_ours(names) and not any(map(fields.is_foreign, names))
        if are_ours or fields.FIELDS.keys() >= {*names}:  # which may have no type
            return values, []
        self._has_foreign = True
        kept = {*self._mapping, *([fields.LOCATION] if fields.OUTBOX_KEY in values else [])}
        foreign = [name for name in names if name in fields.GIVEN_IDS and name not in kept]
        taken = {name: name for name in foreign if values.pop(name)}
        values |= self._coercer.alone(values, taken)
        return values, [fields.foreign_id(name, name) for name in foreign]

    def _row(self, record: Record) -> dict[str, Cell]:
        row: dict[str, Cell] = {}
        for path, given in cells_of(record):
            key = key_of(path)
            cell = repaired(given) if self._repairs else given
            if isinstance(cell, list):
                for pick in self._picks:
                    if pick.list == key and (found := pick.of(cell)):
                        row[key_of(pick.name)] = found
            if key in self.look_ups:
                row |= self.look_ups.cells(key, str(cell))
            if key in self._used:
                row[key] = row.get(key) or cell
            elif cell and path not in self.unread.names:
                self.unread.note(path, cell)
        return row


REPEATED: Final = "has one key with two values"


def repeated_key(raw: bytes, value: object) -> str | None:
    """Name a key that an object has twice, with different values: decoders take the last one."""
    found: list[str] = []

    def noted(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        taken = dict(pairs)
        found.extend(key for key, inner in pairs if inner != taken[key])
        return taken

    # Nearly always as many are read as there are, which is known at once.
    if raw.count(b'":') != msgspec.json.encode(value).count(b'":'):
        json.loads(raw, object_pairs_hook=noted)
    return next(iter(found), None)


def _listed(record: Record) -> dict[str, object]:
    """Take what a list of failed records adds."""
    if fields.OUTBOX_KEY not in record:
        return {}
    return {name: record[name] for name in (fields.OUTBOX_KEY, fields.LOCATION) if name in record}


def empty_list(page: Record) -> str | None:
    """Name the list that is empty in what is no record, but a page without any."""
    if fields.is_plainly_ours(page) or any(isinstance(inner, dict) for inner in page.values()):
        return None
    lists = [key for key, inner in page.items() if isinstance(inner, list)]
    return lists[0] if len(lists) == 1 and not page[lists[0]] else None


def read_object(
    raw: bytes, text: Utf8Text, field: str, fix: str
) -> tuple[Record | Problem, list[str]]:
    """Decode a record, and say what had to be mended for it."""
    notices = []
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        whole = _without_halves(raw) if "surrogate" in error.msg else None
        if whole is None:
            wrong = f"is no JSON ({error.msg} at character {error.pos + 1})"
            return text.undecodable(raw) or Problem(field, wrong, fix), []
        value, notices = whole, [HALF]
    if type(value) is not dict:
        return Problem(field, fields.kind_of(value), fix), []
    if not notices and (key := repeated_key(raw, value)) is not None:
        return Problem(field, f"{REPEATED} ({fields.shown(key)})", "take one of them away"), []
    return value, notices


def _without_halves(raw: bytes) -> object:
    """Read JSON with escapes of half a character, which UTF-8 cannot hold."""
    try:
        value = json.loads(raw)
        text = json.dumps(value, ensure_ascii=False)
        if fields.OUTBOX_KEY in value and _STAND_INS.search(text):
            return None
        return orjson.loads(_HALVES.sub("\ufffd", text))
    except (ValueError, RecursionError):
        return None
