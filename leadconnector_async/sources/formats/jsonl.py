"""JSON: one object per line, or lists and objects of any layout."""

from __future__ import annotations

import codecs
import sys
from collections import Counter
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final

import msgspec
import orjson

from leadconnector_async.models import Call, Contact, Problem
from leadconnector_async.sources import fields
from leadconnector_async.sources.base import LINE_LIMIT, Parsed, SourceOptions, SourceRow
from leadconnector_async.sources.files import encoding
from leadconnector_async.sources.files.attachments import are_remote
from leadconnector_async.sources.files.byte_stream import TooLong
from leadconnector_async.sources.files.json_values import JsonValues, loaded_value
from leadconnector_async.sources.files.members import NumberedFiles
from leadconnector_async.sources.formats import json_objects as objects
from leadconnector_async.sources.formats.failed_list import as_it_stands, is_unreadable
from leadconnector_async.sources.formats.json_cells import key_of
from leadconnector_async.sources.formats.json_layout import SINGER_NOTES, layout_of_singer, names_of
from leadconnector_async.sources.formats.stream_source import SourceFormat, StreamSource
from leadconnector_async.sources.mappings.coerce import identity_of
from leadconnector_async.sources.mappings.mapping import as_list
from leadconnector_async.sources.values.date_patterns import EARLIEST

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from leadconnector_async.sources.formats.json_layout import JsonLayout

_decode: Final = msgspec.json.Decoder(SourceRow).decode

_new: Final = tuple.__new__


def _strict(struct: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """A struct of the same names, which takes no other, and no null."""
    known = [(field.encode_name, str, None) for field in msgspec.structs.fields(struct)]
    return msgspec.defstruct(struct.__name__, known, forbid_unknown_fields=True)


_OBJECTS: Final = [(name, _strict(kind) | None, None) for name, kind in fields.NESTED.items()]

_PLAIN: Final = msgspec.json.Decoder(msgspec.defstruct("Plain", _OBJECTS))
"""Decodes a line whose objects have no more than the row's own decoder takes of them."""

_FIXES: Final = {"line": "write one JSON object per line", "record": "mend it in the file"}

_FIX_RAW: Final = "mend it, or put the record itself, with this outboxKey, in place of this line"


class JsonSource(StreamSource):
    """Reads JSON Lines, or the objects of the lists that a layout names.

    Where a text ends too early or is no JSON, what came before is read.

    A line goes straight from its bytes into a row, which takes the last one of a key that occurs
    twice. Only where that fails is it read field by field, to say what is wrong, or to find that
    nothing is: other spellings of dates, fields that are not known, integer ids; and where a key
    occurs twice, which is looked for in the first lines and a sample of the others.
    """

    def __init__(self, text: encoding.Utf8Text, options: SourceOptions, layout: JsonLayout) -> None:
        super().__init__(text, options)
        self._layout = layout
        self._objects = objects.Objects(layout.choice, options.mapping, self._coercer, text.stream)
        self._latest = self._coercer.dates.latest
        self._pages: list[str] = []
        self.recognised: str | None = layout.choice.recognised
        marked = self._marked and layout.records is None
        definition = layout.choice.definition
        numbered = None if definition is None else definition.numbered
        self._files = None if numbered is None else NumberedFiles(numbered, text.stream.beside)
        table = None if definition is None or definition.needs_its_file else definition
        self.form: bytes = SourceFormat.of(options, "jsonl", marked=marked, table=table).encoded()

    @property
    def is_known(self) -> bool:
        """Tell records from other JSON, such as the settings in an export."""
        ours = {"type", fields.OUTBOX_KEY, *self._options.mapping.values()}
        return self._objects.definition is not None or not ours.isdisjoint(self._layout.names)

    def __iter__(self) -> Iterator[Parsed]:
        yield from self._in_lines() if self._layout.records is None else self._in_lists()
        unknown = fields.not_sent("field", [*self._coercer.unknown], apart=5)
        self.warnings.extend([*self._objects.warnings, *self._pages, *unknown])

    def _in_lists(self) -> Iterator[Parsed]:
        values = JsonValues(self._text.chunks(), self._layout.records or ())
        common = {"path": self.name} | self._beside()
        found, holder = False, values.holder
        for line, raw in values:
            found = True
            if values.holder is not holder:
                holder = values.holder
                self._objects.unread.note_around(holder)
            if isinstance(raw, TooLong):
                yield Parsed(line, b"", None, (raw.problem("record"),))
            else:
                yield self._object(line, raw, "record", common | values.holder)
        if values.more is not None:
            self._pages.append(fields.notice("more_pages", key=fields.shown(values.more)))
        problem = self._stream.damage or values.problem or self._unread(values, found=found)
        if problem is not None:
            yield Parsed(values.line, b"{}", None, (problem,))
        if (inner := self._objects.unread.problem) is not None:
            yield Parsed(values.line, b"{}", None, (inner,))

    def _beside(self) -> dict[str, object]:
        """Read the object beside the file that the mapping names."""
        definition = self._objects.definition
        if definition is None or definition.beside is None:
            return {}
        text = self._stream.beside.read(definition.beside, LINE_LIMIT)
        held = None if text is None else loaded_value(text)
        return held if isinstance(held, dict) else {}

    def _in_lines(self) -> Iterator[Parsed]:
        number = 0
        # A field that is not known is mostly in every line of its file. So after lines which only
        # the slow way could read, the fast one is not tried for a while, each time a longer one.
        coercer, dates = self._coercer, self._coercer.dates
        pause = 0
        mapped = self._options.mapping or self._options.people or self._objects.definition
        wait = sys.maxsize if mapped else 0
        for number, line in enumerate(self._lines, 1):
            is_tried = wait == 0 and ((number > _FIRST and number & _SAMPLE) or _is_sound(line))
            if is_tried and (row := self._fast(line)) is not None:
                pause = 0
                told = coercer.told() if dates.notices else ()
                # Calling the class takes twice as long.
                yield _new(Parsed, (number, line, row, (), None, None, told, None))
                continue
            parsed = self._slow(number, line)
            coercer.told()
            if parsed is None:
                continue
            if parsed.problems and parsed.problems[0].wrong.startswith(objects.REPEATED):
                wait = sys.maxsize
            if wait:
                wait -= 1
            elif parsed.row is not None:
                wait = pause = min(2 * pause + 1, 64)
            yield parsed
        if self._stream.damage is not None:
            yield Parsed(number + 1, self._lines.rest, None, (self._stream.damage,))
        if (inner := self._objects.unread.problem) is not None:
            yield Parsed(number, b"{}", None, (inner,))

    def _fast(self, line: bytes) -> SourceRow | None:
        """Decode a line, or leave it to the slow way. Both come to the same row."""
        try:
            row = _decode(line)
            date = row.date
            if date is None:
                return None
            if date.tzinfo is not UTC or not EARLIEST <= date <= self._latest:
                row.date = self._coercer.dates.utc(date)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, fields.WrongValueError):
            return None
        # Whether a line has a byte at all is known at once, and most have none.
        if (
            ((row.call is not None or row.contact is not None) and not _are_plain(row, line))
            or (row.contact is not None and not self._finds(row))
            or (_BACKSLASH in line and encoding.escaped_oddly(line))
            or (_C3 in line and encoding.garbled_perhaps(line))
            or (_AMPERSAND in line and encoding.escaped_perhaps(line))
        ):
            return None
        if row.attachments is row.email_cc is row.email_bcc is row.in_reply_to is None:
            return row
        lists = row.attachments, row.email_cc, row.email_bcc, row.in_reply_to
        return row if [] not in lists and are_remote(row.attachments or ()) else None

    def _finds(self, row: SourceRow) -> bool:
        try:
            self._coercer.notices.clear()
            row.contact = contact = self._coercer.contacts.handle(row.contact or Contact())
            row.contact = self._coercer.contacts.noted(contact, row.type)
        except fields.WrongValueError:
            return False
        if self._coercer.notices:  # told by the slow way
            return False
        return bool(contact.phone or contact.email or row.contact_id or row.conversation_id)

    def _slow(self, number: int, line: bytes) -> Parsed | None:
        """Read a line field by field. None for a blank one."""
        if isinstance(line, TooLong):
            return Parsed(number, b"", None, (line.problem("line"),))
        line = line.strip().removeprefix(codecs.BOM_UTF8)
        return self._object(number, line, "line", {}) if line else None

    def _object(self, number: int, raw: bytes, what: str, holder: Mapping[str, object]) -> Parsed:
        record, notices = objects.read_object(raw, self._text, what, _FIXES[what])
        if isinstance(record, Problem):
            said = as_it_stands(raw)
            identity = identity_of(self._objects.values(said)) if isinstance(said, dict) else None
            parsed = Parsed(number, raw, None, (record,), identity)
            is_half = what == "line" and raw[:1] == b"{" and raw[-1:] != b"}"
            return self._or_cut(parsed) if is_half else parsed
        if is_unreadable(record):  # until somebody mends it: its line had been no JSON
            mended, _ = objects.read_object(record["raw"].encode(), self._text, "raw", _FIX_RAW)
            if isinstance(mended, Problem):
                problem = Problem("raw", mended.wrong, _FIX_RAW)
                return Parsed(number, raw, None, (problem,), identity_of(record))
            record = {key: record.get(key) for key in (fields.OUTBOX_KEY, fields.LOCATION)} | mended
        if self._files is not None:
            self._files.settle(record)
        record, raw = self._objects.with_holder(record, raw, holder)
        return self._objects.parsed(number, raw, record, notices)

    def _unread(self, values: JsonValues, *, found: bool) -> Problem | None:
        """Refuse a file whose records may be in a list that was not read."""
        definition = self._objects.definition
        looked_up = () if definition is None else definition.lookup.values()
        others = [
            f"{path} ({count})"
            for path, count in values.others.items()
            if path not in looked_up
            and key_of(path.rpartition(".")[2].removesuffix("[*]")) not in self._objects.around
        ]
        records = " or ".join(self._layout.records or ())
        if not others and not values.listed:
            return fields.problem_of("no_such_list", records=records)
        if not others:
            return None
        wrong = f"has objects in other lists than {records}: {', '.join(others)}"
        if not found or definition is None:
            return Problem("file", wrong, 'name the lists to read in a mapping, as records = "…"')
        self.warnings.append(f"{wrong}: not read")
        return None


_FIRST: Final = 1_000
"""Lines in all of which a key that occurs twice is looked for: it costs a part of the reading."""

_SAMPLE: Final = 0xFF
"""After these it is in every 256th. If one has it, all lines from there on are looked at."""


def _is_sound(line: bytes) -> bool:
    value = loaded_value(line)
    return type(value) is dict and objects.repeated_key(line, value) is None


_BACKSLASH, _C3, _AMPERSAND = b"\\\xc3&"
"""What oddly escaped and garbled characters begin with."""


def _are_plain(row: SourceRow, line: bytes) -> bool:
    """Tell objects that are all decoded: the decoder drops keys that they do not have."""
    if row.call == Call() or row.contact == Contact():
        return False
    try:
        _PLAIN.decode(line)
    except msgspec.ValidationError:
        return False
    return True


_FIX: Final = "let the tap write to a file or a pipe alone: logs belong to standard error"


class SingerSource(JsonSource):
    """Reads the records of those streams that the mapping reads, and counts the others.

    A mapping names them in ``records``, or else reads all that have its columns. Without one given,
    the first stream that a known one reads decides.

    Raises:
        SourceError: none is given, and nothing at the beginning is read by any.
    """

    def __init__(self, text: encoding.Utf8Text, options: SourceOptions) -> None:
        super().__init__(text, options, layout_of_singer(text.stream.name, text.head, options))
        self._strange: Counter[str] = Counter()
        self._reads: dict[str, bool] = {}

    def __iter__(self) -> Iterator[Parsed]:
        yield from super().__iter__()
        if self._strange:
            told = ", ".join(f"{name} ({count:,})" for name, count in self._strange.items())
            self.warnings.append(f"records of streams that no mapping reads: {told}: not sent")

    def _slow(self, number: int, line: bytes) -> Parsed | None:
        if not line.strip():  # blank, or too long
            return super()._slow(number, line)
        message, notices = objects.read_object(line, self._text, "line", _FIX)
        if isinstance(message, Problem):
            return Parsed(number, line, None, (message,))
        kind, record = message.get("type"), message.get("record")
        if kind != "RECORD" or not isinstance(record, dict):
            fix = "switch BATCH messages off in the tap" if kind == "BATCH" else _FIX
            problems = (fields.problem_of("no_tap_message", fix=fix),)
            return None if kind in SINGER_NOTES else Parsed(number, line, None, problems)
        if not self._is_read(stream := str(message.get("stream")), record):
            self._strange[stream] += 1
            return None
        raw = orjson.dumps(record)
        if record.get("_sdc_deleted_at"):
            return Parsed(number, raw, None, (), left_out=fields.notice("deleted_in_source"))
        return self._objects.parsed(number, raw, record, notices)

    def _is_read(self, stream: str, record: dict[str, Any]) -> bool:
        if stream not in self._reads:
            definition = self._objects.definition
            if definition is None:
                self._reads[stream] = fields.is_plainly_ours(record)
            elif definition.records:
                self._reads[stream] = stream in as_list(definition.records)
            else:
                self._reads[stream] = not definition.lacking(names_of(record))
        return self._reads[stream]
