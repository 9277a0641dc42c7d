"""Where the header of a table stands: titles may be above it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from leadconnector_async.sources._mapping import NAMES, load_mapping
from leadconnector_async.sources._names import FIELDS, REASON_NAMES, folded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leadconnector_async.sources.row import SourceOptions

MOST_ABOVE: Final = 20
"""Rows among which the header is looked for."""
_FEWEST_KNOWN: Final = 2


class Vocabulary:
    """Names that columns may have under these options, in one spelling."""

    def __init__(self, options: SourceOptions) -> None:
        mappings = NAMES if options.mapping_file is None else (options.mapping_file,)
        names = {*FIELDS, *REASON_NAMES, *options.mapping.values()}
        self._known = {folded(name) for name in names}.union(
            *(load_mapping(name).columns() for name in mappings)
        ) - {""}

    def count(self, cells: Sequence[str]) -> int:
        """Count the different names that a row holds."""
        return len(self._known.intersection(map(folded, cells)))

    def header(self, rows: Sequence[Sequence[str]]) -> int:
        """Find the first row that can be a header, from 0; the first of all, if none can."""
        found = (n for n, row in enumerate(rows[:MOST_ABOVE]) if self.is_header(row))
        return next(found, 0)

    def is_header(self, cells: Sequence[str]) -> bool:
        """Tell a row that can be a header."""
        return self.count(cells) >= _FEWEST_KNOWN


def skipped(first: int, last: int, what: str = "line") -> str:
    """Say what is above the header, and so no record."""
    if first == last:
        return f"{what} {first} is above the header: not read"
    return f"{what}s {first} to {last} are above the header: not read"
