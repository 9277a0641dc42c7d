"""The form of a source: all that is needed to write its records again, and to read them so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from leadconnector_async.sources.row import FormatName  # noqa: TC001 - msgspec reads annotations

if TYPE_CHECKING:
    from leadconnector_async.sources.row import SourceOptions


class Form(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Sources of equal form share one list of failed records."""

    format: FormatName
    columns: list[str] | None = None
    delimiter: str = ","
    mapping: dict[str, str] = {}
    timezone: str | None = None
    marked: bool = False
    """Begin with a byte order mark: the source was no plain UTF-8, so that only the mark keeps a
    program, or this one with the same ``--encoding``, from misreading a list in UTF-8."""

    def encoded(self) -> bytes:
        """Write the form as JSON."""
        return _ENCODER.encode(self)


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(Form)


def decoded(form: bytes) -> Form:
    """Read a form."""
    return _DECODER.decode(form)


def form_of(
    options: SourceOptions,
    name: FormatName,
    *,
    marked: bool,
    columns: list[str] | None = None,
    delimiter: str = ",",
) -> Form:
    """Describe a source that is read with these options."""
    return Form(
        format=name,
        columns=columns,
        delimiter=delimiter,
        mapping=options.mapping,
        timezone=None if options.timezone is None else str(options.timezone),
        marked=marked,
    )
