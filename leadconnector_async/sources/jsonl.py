"""JSON Lines: one object per line, with the API's field names."""

from __future__ import annotations

import codecs
import sys
from datetime import UTC
from typing import TYPE_CHECKING, Final

import msgspec
import orjson
from msgspec.structs import fields

from leadconnector_async._errors import SourceError
from leadconnector_async._messages import Contact, Problem
from leadconnector_async.sources._base import StreamSource
from leadconnector_async.sources._dates import EARLIEST
from leadconnector_async.sources._files import are_remote
from leadconnector_async.sources._form import form_of
from leadconnector_async.sources._lenient import Record, as_it_stands, is_unreadable
from leadconnector_async.sources._lines import TooLong
from leadconnector_async.sources._names import LOCATION, NESTED, OUTBOX_KEY, api_names, flat
from leadconnector_async.sources._shape import identity_of
from leadconnector_async.sources._values import Wrong, kind_of
from leadconnector_async.sources.row import Identity, Parsed, SourceRow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leadconnector_async.sources._stream import Stream
    from leadconnector_async.sources._text import Text
    from leadconnector_async.sources.row import SourceOptions

_DECODER: Final = msgspec.json.Decoder(SourceRow)
_INNER: Final = {
    name: frozenset(field.encode_name for field in fields(struct))
    for name, struct in NESTED.items()
}
_LONGEST_PAUSE: Final = 64
_FIX_LINE: Final = "write one JSON object per line"
_FIX_RAW: Final = "mend it, or put the record itself, with this outboxKey, in place of this line"


class JsonLines(StreamSource):
    """Reads JSON Lines. Of a key that occurs twice in an object, the last one counts.

    A line goes straight from its bytes into a row. Only where that fails is it read field by
    field, to say what is wrong, or to find that nothing is: other spellings of dates, fields that
    are not known, integer ids.
    """

    def __init__(self, stream: Stream, text: Text, options: SourceOptions) -> None:
        super().__init__(stream, text, options)
        _refuse_other_json(self.name, text.head)
        self.form = form_of(options, "jsonl", marked=self._marked).encoded()

    def __iter__(self) -> Iterator[Parsed]:
        number = 0
        # A field that is not known is mostly in every line of its file. So after lines which only
        # the slow way could read, the fast one is not tried for a while, each time a longer one.
        shaper, dates = self._shaper, self._shaper.dates
        pause = 0
        wait = sys.maxsize if self._options.mapping else 0
        for number, line in enumerate(self._lines, 1):
            if wait == 0 and (row := self._fast(line)) is not None:
                pause = 0
                yield Parsed(number, line, row, (), notices=shaper.told() if dates.notices else ())
                continue
            parsed = self._slow(number, line)
            shaper.told()
            if parsed is None:
                continue
            if wait:
                wait -= 1
            elif parsed.row is not None:
                wait = pause = min(2 * pause + 1, _LONGEST_PAUSE)
            yield parsed
        if self._stream.damage is not None:
            yield Parsed(number + 1, self._lines.rest, None, (self._stream.damage,))
        self._warn_of_unknown("field")

    def _fast(self, line: bytes) -> SourceRow | None:
        """Decode a line, or leave it to the slow way. Both come to the same row."""
        try:
            row = _DECODER.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        date = row.date
        if date is None:
            return None
        if date.tzinfo is not UTC or not EARLIEST <= date <= self._shaper.dates.latest:
            try:
                row.date = self._shaper.dates.utc(date)
            except Wrong:
                return None
        if (row.call is not None or row.contact is not None) and not _are_plain(line):
            return None
        if row.contact is not None and not self._finds(row):
            return None
        return None if b"\\u0000" in line or not _are_good_lists(row) else row

    def _finds(self, row: SourceRow) -> bool:
        try:
            row.contact = contact = self._shaper.contacts.handle(row.contact or Contact())
        except Wrong:
            return False
        return bool(contact.phone or contact.email or row.contact_id or row.conversation_id)

    def _slow(self, number: int, line: bytes) -> Parsed | None:
        """Read a line field by field. None for a blank one."""
        if isinstance(line, TooLong):
            return Parsed(number, b"", None, (line.problem("line"),))
        line = line.strip().removeprefix(codecs.BOM_UTF8)
        if not line:
            return None
        record = self._object(line)
        if isinstance(record, Problem):
            return Parsed(number, line, None, (record,), self._identity(line))
        if is_unreadable(record):
            mended = self._mended(record)
            if isinstance(mended, Problem):
                return Parsed(number, line, None, (mended,), identity_of(record))
            record = mended
        values = self._values(record)
        return self._shaper.parsed(number, line, values)

    def _object(self, line: bytes) -> Record | Problem:
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            wrong = f"is no JSON ({error.msg} at character {error.pos + 1})"
            return self._text.undecodable(line) or Problem("line", wrong, _FIX_LINE)
        if type(value) is not dict:
            return Problem("line", kind_of(value), _FIX_LINE)
        return value

    def _identity(self, line: bytes) -> Identity | None:
        record = as_it_stands(line)
        return identity_of(self._values(record)) if isinstance(record, dict) else None

    def _mended(self, unreadable: Record) -> Record | Problem:
        """Read a record whose line had been no JSON, if somebody has mended it since."""
        record = self._object(unreadable["raw"].encode())
        if isinstance(record, Problem):
            return Problem("raw", record.wrong, _FIX_RAW)
        return {key: unreadable.get(key) for key in (OUTBOX_KEY, LOCATION)} | record

    def _values(self, record: Record) -> dict[str, object]:
        return flat(api_names(record, self._options.mapping))


def _are_good_lists(row: SourceRow) -> bool:
    if row.attachments is not None and not are_remote(row.attachments):
        return False
    return [] not in (row.attachments, row.email_cc, row.email_bcc, row.in_reply_to)


def _are_plain(line: bytes) -> bool:
    """Tell objects that are all decoded: the decoder drops keys that they do not have."""
    record = orjson.loads(line)
    inner = ((record.get(name), known) for name, known in _INNER.items())
    return all(
        value is None or (value and value.keys() <= known and None not in value.values())
        for value, known in inner
    )


def _refuse_other_json(name: str, head: bytes) -> None:
    first = head.lstrip().split(b"\n", 1)[0].strip()
    if first == b"{":
        raise SourceError(
            f"{name}: line 1: holds JSON objects over several lines: "
            f"write one per line, as jq -c . {name} does"
        )
    if first.startswith(b"[") and not _is_odd_line(first):
        raise SourceError(
            f"{name}: line 1: holds a JSON array: "
            f"write one object per line, as jq -c '.[]' {name} does"
        )


def _is_odd_line(line: bytes) -> bool:
    """Tell a line that is a wrong record from a file that is one array of records."""
    try:
        items = orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return any(type(item) is not dict for item in items)
