"""What sources that read a stream share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from leadconnector_async.sources.byte_stream import LineSplitter
from leadconnector_async.sources.coerce import RowCoercer
from leadconnector_async.sources.fields import shown

if TYPE_CHECKING:
    from types import TracebackType

    from leadconnector_async.sources.base import SourceOptions
    from leadconnector_async.sources.byte_stream import ByteStream
    from leadconnector_async.sources.dates import Dates
    from leadconnector_async.sources.encoding import Utf8Text


class StreamSource:
    """A source over a stream, which it closes."""

    form: bytes
    recognised: str | None = None
    """The mapping that reads it, if it was not given."""

    def __init__(self, stream: ByteStream, text: Utf8Text, options: SourceOptions) -> None:
        self.name = stream.name
        self.warnings: list[str] = []
        self._stream = stream
        self._text = text
        self._options = options
        self._lines = LineSplitter(text.chunks(), stream)
        self._coercer = RowCoercer(options, stream.folder)

    @property
    def bytes_read(self) -> int:
        """How far the file is read, in bytes as they are stored."""
        return self._stream.bytes_read

    @property
    def size(self) -> int | None:
        """Bytes of the file; None where it cannot be known."""
        return self._stream.size

    @property
    def dates(self) -> Dates:
        """What reads its dates."""
        return self._coercer.dates

    @property
    def _marked(self) -> bool:
        return self._text.marked or self._text.encoding != "utf-8"

    def _warn_of_unknown(self, what: str) -> None:
        self.warnings += [f"{what} {shown(name)} is not sent" for name in self._coercer.unknown]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stream.close()
