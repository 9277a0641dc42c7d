"""What sources that read a stream share.

The form of a source: all that is needed to write its records again, and to read them so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

import msgspec

from leadconnector_async.sources.fields import problem_of
from leadconnector_async.sources.files.byte_stream import ByteStream, LineSplitter
from leadconnector_async.sources.mappings.coerce import RowCoercer, in_api_names
from leadconnector_async.sources.mappings.mapped import RowMapper
from leadconnector_async.sources.mappings.mapping import Definition, RecordKind
from leadconnector_async.sources.mappings.rules import Row, Spelling

if TYPE_CHECKING:
    from leadconnector_async.sources.base import Parsed, SourceOptions
    from leadconnector_async.sources.files.encoding import Utf8Text
    from leadconnector_async.sources.mappings.chat_sides import ChatSides
    from leadconnector_async.sources.values.dates import Dates

ListFormat = Literal["jsonl", "csv"]
"""What lists of failed records are written in."""


class SourceFormat(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Sources of equal form share one list of failed records."""

    format: ListFormat
    columns: list[str] | None = None
    delimiter: str = ","
    mapping: dict[str, str] = {}
    table: Definition | None = None
    """The mapping by which columns become fields."""
    timezone: str | None = None
    date_format: str | None = None
    region: str | None = None
    marked: bool = False
    """Begin with a byte order mark: the source was no plain UTF-8, so that only the mark keeps a
    program, or this one with the same ``--encoding``, from misreading a list in UTF-8."""

    @classmethod
    def of(cls, options: SourceOptions, name: ListFormat, **given: Any) -> Self:  # noqa: ANN401
        """Describe a source that is read with these options."""
        return cls(
            format=name,
            mapping=options.mapping,
            timezone=None if options.timezone is None else str(options.timezone),
            date_format=options.date_format,
            region=options.region,
            **given,
        )

    def encoded(self) -> bytes:
        """Write the form as JSON."""
        return msgspec.json.encode(self)


def decode_format(form: bytes) -> SourceFormat:
    """Read a form."""
    return msgspec.json.decode(form, type=SourceFormat)


class OpenSource:
    """A source over a stream, which it closes."""

    form: bytes

    def __init__(self, stream: ByteStream) -> None:
        self.name: str = stream.name
        self.size: int | None = stream.size
        self.warnings: list[str] = []
        self._stream = stream

    @property
    def bytes_read(self) -> int:
        """How far the file is read, in bytes as they are stored."""
        return self._stream.bytes_read

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()


class StreamSource(OpenSource):
    """A source of text over a stream."""

    recognised: str | None = None
    """The mapping that reads it, if it was not given."""

    def __init__(self, text: Utf8Text, options: SourceOptions) -> None:
        stream = text.stream
        super().__init__(stream)
        self._text = text
        self._options = options
        self._marked = text.marked or text.encoding != "utf-8"
        self._lines = LineSplitter(text.chunks(), stream)
        self._coercer = RowCoercer(options, stream.beside)
        self.dates: Dates = self._coercer.dates
        self.sides: ChatSides = self._coercer.sides
        self.sides.name = stream.name

    def _or_cut(self, broken: Parsed) -> Parsed:
        """Take a line that breaks off for a fault of the file, if the file breaks off in it."""
        identity, (problem, *_) = broken.identity, broken.problems
        if not self._lines.rest or (identity and (identity.id or identity.outbox_key)):
            return broken
        facts = {"field": problem.field, "wrong": problem.wrong, "fix": problem.fix}
        return broken._replace(problems=(problem_of("cut_line", **facts),))


class RowSource(StreamSource):
    """A source of rows. Lists of what failed have the API's names, as JSON Lines."""

    def __init__(self, text: Utf8Text, options: SourceOptions) -> None:
        super().__init__(text, options)
        self.form: bytes = SourceFormat.of(options, "jsonl").encoded()

    def reader_of(self, kind: RecordKind, definition: Definition) -> RowMapper:
        """Make the reader of one kind of row. ``--map`` goes before the mapping."""
        kind = Spelling().kind(kind, self._options.mapping)
        return RowMapper(kind, definition, self._coercer.sides)

    def made(self, reader: RowMapper, line: int, row: Row, said: Row | None = None) -> Parsed:
        """Make a record of a row, of which the source ``said`` that, or all."""
        values, reason, told = reader.read(row)
        # One that is left out has no values.
        raw = in_api_names(values or row, [*self.sides.chat, said or row])
        return self._coercer.parsed(line, raw, values, told, reason)
