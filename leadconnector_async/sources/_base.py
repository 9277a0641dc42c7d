"""What sources that read a stream share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from leadconnector_async.sources._lines import Lines
from leadconnector_async.sources._names import shown
from leadconnector_async.sources._shape import Shaper

if TYPE_CHECKING:
    from types import TracebackType

    from leadconnector_async.sources._dates import Dates
    from leadconnector_async.sources._stream import Stream
    from leadconnector_async.sources._text import Text
    from leadconnector_async.sources.row import SourceOptions


class StreamSource:
    """A source over a stream, which it closes."""

    form: bytes
    recognised: str | None = None
    """The mapping that reads it, if it was not given."""

    def __init__(self, stream: Stream, text: Text, options: SourceOptions) -> None:
        self.name = stream.name
        self.warnings: list[str] = []
        self._stream = stream
        self._text = text
        self._options = options
        self._lines = Lines(text.chunks(), stream)
        self._shaper = Shaper(options, stream.folder)

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
        return self._shaper.dates

    @property
    def _marked(self) -> bool:
        return self._text.marked or self._text.encoding != "utf-8"

    def _warn_of_unknown(self, what: str) -> None:
        self.warnings += [f"{what} {shown(name)} is not sent" for name in self._shaper.unknown]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stream.close()
