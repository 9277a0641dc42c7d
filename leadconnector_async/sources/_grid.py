"""What Excel and Parquet share: rows of cells that a library reads, as if they were CSV."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from leadconnector_async._errors import SourceError
from leadconnector_async._messages import Problem
from leadconnector_async.sources._names import shown
from leadconnector_async.sources._shape import Shaper
from leadconnector_async.sources._table import Table, is_blank

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import TracebackType

    from leadconnector_async.sources.row import Parsed, SourceOptions


class GridRow(NamedTuple):
    """A row with its number, and the sheet that it is on, where that tells it from others."""

    line: int
    cells: list[str]
    sheet: str | None = None


class Grid:
    """A source over rows with their numbers. ``share`` tells how much of them is read, 0 to 1.

    ``place`` is where the header stands.

    Raises:
        SourceError: the header is not usable.
    """

    def __init__(  # noqa: PLR0913 - one argument for each thing that differs between files
        self,
        path: str,
        header: Sequence[str],
        rows: Iterator[GridRow],
        options: SourceOptions,
        *,
        share: Callable[[], float],
        place: str,
    ) -> None:
        self.name = path
        self.size = Path(path).stat().st_size
        self.warnings: list[str] = []
        self._rows = rows
        self._share = share
        shaper = Shaper(options, Path(path).absolute().parent)
        self.dates = shaper.dates
        self.table = Table(place, header, options, shaper)
        self.form = self.table.form()

    @property
    def bytes_read(self) -> int:
        """How far the file is read, by the share of its rows."""
        return round(self.size * self._share())

    def __iter__(self) -> Iterator[Parsed]:
        for line, cells, sheet in self._rows:
            if is_blank(cells):
                continue
            parsed = self.table.parsed(line, cells)
            if parsed is not None:
                yield parsed if sheet is None else _of_sheet(parsed, sheet)
        self.warnings += self.table.warnings

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let the rows go, and the file with them."""
        self._rows = iter(())


def _of_sheet(parsed: Parsed, sheet: str) -> Parsed:
    """Say of a row, whose line other sheets have too, on which it is."""
    where = f" (sheet {shown(sheet)})"
    problems = (Problem(one.field, one.wrong + where, one.fix) for one in parsed.problems)
    return parsed._replace(problems=tuple(problems), within=f"{sheet}:{parsed.line}")


def as_text(value: object) -> str:
    """Write a cell as CSV would hold it: whole numbers without a point, dates as ISO 8601."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, list):
        return ";".join(_item(item) for item in value)
    return _scalar(value)


def _scalar(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case float() if value.is_integer():
            return str(int(value))
        case datetime() | date():
            return value.isoformat()
        case bytes():
            return value.decode(errors="replace")
        case _:
            return str(value)


def _item(value: object) -> str:
    text = as_text(value)
    return text.replace(";", "%3B") if "://" in text else text


def local_file(path: str, what: str) -> str:
    """Refuse standard input: these files are read from their end.

    Raises:
        SourceError: it is no regular file.
    """
    if path == "-":
        raise SourceError(f"standard input: cannot be read as {what}: save it in a file")
    if not Path(path).is_file():
        raise SourceError(f"{path}: there is no such file: check the path")
    return path


def lacking(path: str, package: str, extra: str) -> SourceError:
    """Say which extra a file needs."""
    return SourceError(
        f"{path}: needs the package {package}: pip install 'leadconnector-async[{extra}]'"
    )
