"""Records of files that are no tables: rows of named texts, of which a mapping makes records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leadconnector_async.sources.base import Parsed
from leadconnector_async.sources.coerce import in_api_names
from leadconnector_async.sources.json_objects import never_missing
from leadconnector_async.sources.mapped import RowMapper
from leadconnector_async.sources.mapped_rules import resolved, with_columns
from leadconnector_async.sources.stream_source import StreamSource, source_format_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from leadconnector_async.sources.base import SourceOptions
    from leadconnector_async.sources.byte_stream import ByteStream
    from leadconnector_async.sources.encoding import Utf8Text
    from leadconnector_async.sources.mapped_rules import Cell
    from leadconnector_async.sources.mapping import Definition, RecordKind


class RowSource(StreamSource):
    """A source of rows. Lists of what failed have the API's names, as JSON Lines."""

    def __init__(self, stream: ByteStream, text: Utf8Text, options: SourceOptions) -> None:
        super().__init__(stream, text, options)
        self.form: bytes = source_format_of(options, "jsonl", marked=False).encoded()

    def reader_of(self, kind: RecordKind, definition: Definition) -> RowMapper:
        """Make the reader of one kind of row. ``--map`` goes before the mapping."""
        kind = resolved(kind, str, never_missing)
        with_columns(kind, self._options.mapping)
        return RowMapper(kind, definition, self._coercer.contacts)

    def made(self, reader: RowMapper, line: int, row: Mapping[str, Cell]) -> Parsed:
        """Make a record of a row."""
        values, reason, told = reader.read(row)
        raw = in_api_names(values or row)  # one that is left out has no values
        if reason is not None:
            return Parsed(line, raw, None, (), left_out=reason)
        return self._coercer.parsed(line, raw, values, told)
