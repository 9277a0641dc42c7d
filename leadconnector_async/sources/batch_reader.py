"""Reading sources in batches, so that a signal can break into it."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final, TypeVar

from leadconnector_async.sources import Parsed, Source, SourceOptions, open_sources
from leadconnector_async.sources.base import location_in

BATCH: Final = 2_000
"""Records of one commit. 5,000 take 25 MB more memory in an import of any size; with 1,000, pages
of the index of keys are written more often."""

BATCH_BYTES: Final = 4 << 20
"""Bytes after which a batch ends early: one record may have millions."""

PIECE: Final = 128
"""Records that are read before they are worked on: their rows stay in the processor's cache, which
takes a seventh off the time of reading and staging."""

_T = TypeVar("_T")


class ReadingInterruptedError(BaseException):
    """Raised by a signal handler into code that reads: a pipe may have nothing for hours."""


_MAX_NAMED: Final = 5
"""Sources that are named with one and the same warning: an export may hold thousands."""


class SourceReader:
    """Reads the sources one after the other.

    ``reading`` is True while it may block or compute for long: then, and only then, a signal
    handler may raise `ReadingInterruptedError`. The reading ends as if the sources ended there.
    """

    def __init__(self, paths: Sequence[str], options: SourceOptions) -> None:
        self._paths = tuple(paths)
        self.options = options
        self._before = 0
        self._source: Source | None = None
        self._records: Iterator[Parsed] = iter(())
        self._found = False
        self.size: int | None = _total_size(self._paths)
        self.reading: bool = False
        self.interrupted: bool = False
        self.warnings: list[str] = [] if options.people is None else list(options.people.warnings)
        """What was passed over, with the name of the source. Complete when the reading is."""
        self._told: dict[str, tuple[int, int]] = {}
        """Of each text: how many sources have it, and where the last warning of it stands."""

    def check(self) -> None:
        """Open and close every file, so that the last one's fault shows before the first is read.

        Raises:
            SourceError: one cannot be opened, or has no usable header.
        """
        for path in self._paths:
            # Pipes give their content once, and a location is read later.
            file = Path(path)
            is_pipe = path == "-" or (file.exists() and not (file.is_file() or file.is_dir()))
            if is_pipe or location_in(path) is not None:
                continue
            for source in open_sources(path, self.options):
                source.__exit__(None, None, None)

    @property
    def locations(self) -> list[str]:
        """The locations among the sources, each once."""
        found = dict.fromkeys(map(location_in, self._paths))
        return [location for location in found if location is not None]

    @property
    def bytes_read(self) -> int:
        """How far all sources are read."""
        return self._before + (self._source.bytes_read if self._source else 0)

    def sources(self) -> Iterator[Source]:
        """Each source in turn, open until the next is asked for.

        Raises:
            SourceError: it cannot be opened.
        """
        for path in self._paths:
            sources = self._guarded(partial(open_sources, path, self.options))
            if sources is None:
                return
            opened = iter(sources)
            while source := self._guarded(partial(next, opened, None)):
                self._source, self._records, self._found = source, iter(source), False
                try:
                    yield source
                finally:
                    self._close(source)
            if self.interrupted:
                return
            self.warnings += [f"{path}: {warning}" for warning in sources.warnings]
        if _total_size(self._paths) != self.size:
            what = "a source has changed while it was read"
            self.warnings.append(f"{what}: import it again once it is whole")

    def batch(self, most: int = BATCH, most_bytes: int = BATCH_BYTES) -> list[Parsed]:
        """The next records of the current source; empty at its end, and once interrupted.

        The last one may be larger than what is left of ``most_bytes``.

        Raises:
            SourceError: it cannot be read further.
        """
        return self._guarded(partial(self._batch, most, most_bytes)) or []

    def stop(self) -> None:
        """Read no further."""
        self.interrupted = True

    def _batch(self, most: int, most_bytes: int) -> list[Parsed]:
        batch: list[Parsed] = []
        size = 0
        for parsed in islice(self._records, most):
            batch.append(parsed)
            size += len(parsed.raw)
            if size >= most_bytes:
                break
        self._found = self._found or bool(batch)
        return batch

    def _guarded(self, work: Callable[[], _T]) -> _T | None:
        try:
            try:
                # In this order: a signal comes before the test and is seen by it, or raises.
                self.reading = True
                return None if self.interrupted else work()
            finally:
                self.reading = False
        except ReadingInterruptedError:
            self.interrupted = True
            return None

    def _close(self, source: Source) -> None:
        self._source = None
        self._before += source.bytes_read
        empty = [] if self._found or self.interrupted else ["holds no records"]
        for warning in (*source.warnings, *empty):
            self._warn(source.name, warning)
        source.__exit__(None, None, None)

    def _warn(self, name: str, warning: str) -> None:
        count, at = self._told.get(warning, (0, 0))
        if count <= _MAX_NAMED:
            at = len(self.warnings)
            self.warnings.append(f"{name}: {warning}")
        else:
            self.warnings[at] = f"{count + 1 - _MAX_NAMED:,} more sources: {warning}"
        self._told[warning] = count + 1, at


def _total_size(paths: Sequence[str]) -> int | None:
    """Bytes of all files; None where one of them is a pipe."""
    if not all(path != "-" and Path(path).is_file() for path in paths):
        return None
    return sum(Path(path).stat().st_size for path in paths)
