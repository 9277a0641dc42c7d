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
from leadconnector_async.sources.fields import is_plainly_ours, listed
from leadconnector_async.sources.json_layout import JsonLayout
from leadconnector_async.sources.json_objects import cells_of, read_object
from leadconnector_async.sources.json_values import loaded_value
from leadconnector_async.sources.jsonl import JsonSource
from leadconnector_async.sources.mapping import as_list
from leadconnector_async.sources.mapping_files import load_mapping, with_date_format
from leadconnector_async.sources.recognition import Choice, choice_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leadconnector_async.sources.base import SourceOptions
    from leadconnector_async.sources.byte_stream import ByteStream
    from leadconnector_async.sources.encoding import Utf8Text

_PASSED: Final = frozenset({"SCHEMA", "STATE", "ACTIVATE_VERSION"})
"""Messages that are no records, and name none."""

_DELETED: Final = "records that were deleted in their source"

_FIX: Final = "let the tap write to a file or a pipe alone: logs belong to standard error"


def begins_as_singer(head: bytes) -> bool:
    """Tell the output of a tap by its first line."""
    first = loaded_value(head.lstrip().partition(b"\n")[0])
    if not isinstance(first, dict) or first.get("type") not in {*_PASSED, "RECORD"}:
        return False
    return "value" in first if first["type"] == "STATE" else "stream" in first


class SingerSource(JsonSource):
    """Reads the records of those streams that the mapping reads, and counts the others.

    A mapping names them in ``records``, or else reads all that have its columns. Without one given,
    the first stream that a known one reads decides.

    Raises:
        SourceError: none is given, and nothing at the beginning is read by any.
    """

    def __init__(self, stream: ByteStream, text: Utf8Text, options: SourceOptions) -> None:
        layout = JsonLayout(None, _choice(stream.name, text.head, options))
        super().__init__(stream, text, options, layout)
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
        message, notices = read_object(line, self._text, "line", _FIX)
        if isinstance(message, Problem):
            return Parsed(number, line, None, (message,))
        kind, record = message.get("type"), message.get("record")
        if kind != "RECORD" or not isinstance(record, dict):
            wrong = "is no message of a Singer tap that is read: RECORD, SCHEMA or STATE"
            fix = "switch BATCH messages off in the tap" if kind == "BATCH" else _FIX
            problems = (Problem("line", wrong, fix),)
            return None if kind in _PASSED else Parsed(number, line, None, problems)
        if not self._is_read(stream := str(message.get("stream")), record):
            self._strange[stream] += 1
            return None
        raw = orjson.dumps(record)
        if record.get("_sdc_deleted_at"):
            return Parsed(number, raw, None, (), left_out=_DELETED)
        return self._objects.parsed(number, raw, record, notices)

    def _is_read(self, stream: str, record: dict[str, Any]) -> bool:
        if stream not in self._reads:
            definition = self._objects.definition
            if definition is None:
                self._reads[stream] = is_plainly_ours(record)
            elif definition.records:
                self._reads[stream] = stream in as_list(definition.records)
            else:
                self._reads[stream] = not definition.lacking(_names(record))
        return self._reads[stream]


def _names(record: dict[str, Any]) -> list[str]:
    """Name the columns of a record, empty ones too."""
    return [*record, *(path for path, _ in cells_of(record))]


def _choice(source: str, head: bytes, options: SourceOptions) -> Choice:
    """Choose the mapping: the given one, or one that reads a record at the beginning."""
    if (given := options.mapping_file) is not None:
        definition = with_date_format(load_mapping(given).fitted(()), options.date_format)
        if definition.fields:
            return Choice(definition)
        raise SourceError(f"{source}: --mapping {given} is for XML: choose another")
    met: dict[str, None] = {}
    for line in head.split(b"\n"):
        message: Any = loaded_value(line)
        record = message.get("record") if isinstance(message, dict) else None
        if isinstance(record, dict):
            choice = choice_of(source, _names(record), options)
            if choice.definition is not None or is_plainly_ours(record):
                return choice
            met[str(message.get("stream"))] = None
    raise SourceError(
        f"{source}: no mapping reads its streams ({listed(list(met)) or 'none at its beginning'}): "
        'give --mapping with one of your own, which names them: records = ["…"]'
    )
