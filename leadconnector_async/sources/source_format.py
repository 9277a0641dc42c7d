"""The form of a source: all that is needed to write its records again, and to read them so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec
from msgspec import Struct

from leadconnector_async.sources.mapping import Definition

if TYPE_CHECKING:
    from leadconnector_async.sources.base import SourceOptions

ListFormat = Literal["jsonl", "csv"]
"""What lists of failed records are written in."""


class SourceFormat(Struct, frozen=True, kw_only=True, omit_defaults=True):
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

    def encoded(self) -> bytes:
        """Write the form as JSON."""
        return _ENCODER.encode(self)


_ENCODER: Final = msgspec.json.Encoder()

_DECODER: Final = msgspec.json.Decoder(SourceFormat)


def decode_format(form: bytes) -> SourceFormat:
    """Read a form."""
    return _DECODER.decode(form)


def source_format_of(  # noqa: PLR0913 - one argument for each thing that differs between sources
    options: SourceOptions,
    name: ListFormat,
    *,
    marked: bool,
    columns: list[str] | None = None,
    delimiter: str = ",",
    table: Definition | None = None,
) -> SourceFormat:
    """Describe a source that is read with these options."""
    return SourceFormat(
        format=name,
        columns=columns,
        delimiter=delimiter,
        mapping=options.mapping,
        table=table,
        timezone=None if options.timezone is None else str(options.timezone),
        date_format=options.date_format,
        region=options.region,
        marked=marked,
    )
