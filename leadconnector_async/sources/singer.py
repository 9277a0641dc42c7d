"""What a Singer tap writes: lines of JSON that are records of streams, with schemas and states.

Source: the specification at github.com/singer-io/getting-started, and the ``ACTIVATE_VERSION`` and
``BATCH`` messages of the Meltano SDK.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import orjson

from leadconnector_async.errors import SourceError
from leadconnector_async.models import Problem
from leadconnector_async.sources.base import Parsed
from leadconnector_async.sources.byte_stream import TooLong
from leadconnector_async.sources.fields import is_plainly_ours, listed
from leadconnector_async.sources.json_objects import Objects, cells_of, read_object
from leadconnector_async.sources.json_values import loaded_value
from leadconnector_async.sources.mapping import as_list
from leadconnector_async.sources.mapping_files import load_mapping, with_date_format
from leadconnector_async.sources.recognition import Choice, choice_of
from leadconnector_async.sources.stream_source import StreamSource, source_format_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leadconnector_async.sources.base import SourceOptions
    from leadconnector_async.sources.byte_stream import ByteStream
    from leadconnector_async.sources.encoding import Utf8Text

_PASSED: Final = frozenset({"SCHEMA", "STATE", "ACTIVATE_VERSION"})
"""Messages that are no records, and name none."""

_DELETED: Final = "records that were deleted in their source"

_FIX: Final = "let the tap write to a file or a pipe alone: logs belong to standard error"

_MAX_STREAMS: Final = 1_000


def begins_as_singer(head: bytes) -> bool:
    """Tell the output of a tap by its first line."""
    first = loaded_value(head.lstrip().partition(b"\n")[0])
    if not isinstance(first, dict) or first.get("type") not in {*_PASSED, "RECORD"}:
        return False
    return "value" in first if first["type"] == "STATE" else "stream" in first


class SingerSource(StreamSource):
    """Reads the records of those streams that the mapping reads, and counts the others.

    A mapping names them in ``records``, or else reads all that have its columns. Without one given,
    the first stream that a known one reads decides.

    Raises:
        SourceError: none is given, and nothing at the beginning is read by any.
    """

    def __init__(self, stream: ByteStream, text: Utf8Text, options: SourceOptions) -> None:
        super().__init__(stream, text, options)
        self._schemas: dict[str, list[str]] = {}
        choice = self._choice(text.head)
        self._definition = choice.definition
        self.recognised = choice.recognised
        self._objects = Objects(choice, options.mapping, self._coercer)
        self._reads: dict[str, bool] = {}
        self.form = source_format_of(
            options, "jsonl", marked=False, table=choice.definition
        ).encoded()

    def __iter__(self) -> Iterator[Parsed]:
        unread: Counter[str] = Counter()
        number = 0
        for number, line in enumerate(self._lines, 1):
            if isinstance(line, TooLong):
                yield Parsed(number, b"", None, (line.problem("line"),))
            elif line.strip():
                yield from self._read(number, line, unread)
        if self._stream.damage is not None:
            yield Parsed(number + 1, b"{}", None, (self._stream.damage,))
        if unread:
            told = ", ".join(f"{name} ({count:,})" for name, count in unread.items())
            self.warnings.append(f"records of streams that no mapping reads: {told}: not sent")
        self.warnings += self._objects.warnings

    def _read(self, number: int, line: bytes, unread: Counter[str]) -> Iterator[Parsed]:
        message, notices = read_object(line, self._text, "line", _FIX)
        if isinstance(message, Problem):
            yield Parsed(number, line, None, (message,))
            return
        kind, name, record = message.get("type"), message.get("stream"), message.get("record")
        if kind == "SCHEMA":
            self._schemas[str(name)] = _properties(message)
        elif kind == "RECORD" and isinstance(record, dict):
            if not self._is_read(str(name), record):
                known = str(name) in unread or len(unread) < _MAX_STREAMS
                unread[str(name) if known else "others"] += 1
                return
            raw = orjson.dumps(record)
            if record.get("_sdc_deleted_at"):
                yield Parsed(number, raw, None, (), left_out=_DELETED)
            else:
                yield self._objects.parsed(number, raw, record, notices)
        elif kind not in _PASSED:
            wrong = "is no message of a Singer tap that is read: RECORD, SCHEMA or STATE"
            fix = "switch BATCH messages off in the tap" if kind == "BATCH" else _FIX
            yield Parsed(number, line, None, (Problem("line", wrong, fix),))

    def _is_read(self, stream: str, record: dict[str, Any]) -> bool:
        if stream not in self._reads:
            definition, names = self._definition, self._names(stream, record)
            if definition is None:
                self._reads[stream] = is_plainly_ours(names)
            elif definition.records:
                self._reads[stream] = stream in as_list(definition.records)
            else:
                self._reads[stream] = not definition.lacking(names)
        return self._reads[stream]

    def _names(self, stream: str, record: dict[str, Any]) -> list[str]:
        paths = (path for path, _ in cells_of(record))
        return [*record, *paths, *self._schemas.get(stream, ())]

    def _choice(self, head: bytes) -> Choice:
        if (given := self._options.mapping_file) is not None:
            definition = with_date_format(load_mapping(given), self._options.date_format)
            if not definition.fields:
                raise SourceError(f"{self.name}: --mapping {given} is for XML: choose another")
            return Choice(definition)
        met: dict[str, None] = {}
        for line in head.split(b"\n"):
            message = loaded_value(line)
            if not isinstance(message, dict) or "stream" not in message:
                continue
            name, record = str(message["stream"]), message.get("record")
            if message.get("type") == "SCHEMA":
                self._schemas[name] = _properties(message)
            names = self._names(name, record if isinstance(record, dict) else {})
            met[name] = None
            choice = choice_of(self.name, names, self._options)
            if choice.definition is not None or is_plainly_ours(names):
                return choice
        raise SourceError(
            f"{self.name}: no mapping reads its streams ({listed(list(met))}): give --mapping with "
            'one of your own, which names them: records = ["…"]'
        )


def _properties(message: dict[str, Any]) -> list[str]:
    schema = message.get("schema")
    properties = schema.get("properties") if isinstance(schema, dict) else None
    return list(properties) if isinstance(properties, dict) else []
