"""Rows of workbooks and of Parquet, read by libraries, as if they were CSV.

The library that reads workbooks (``.xlsx``, ``.xlsb``, ``.xls``, ``.ods``) holds one sheet in
memory. Sheets of equal header are read in turn. Columns of structs in Parquet have dotted names.
"""

from __future__ import annotations

import re
from datetime import date
from functools import lru_cache
from itertools import islice, product
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from leadconnector_async.errors import SourceError
from leadconnector_async.models import Problem
from leadconnector_async.sources.base import Parsed, SourceOptions, UnreadableError, needs
from leadconnector_async.sources.fields import folded, listed, notice, scalar_text, shown, stripped
from leadconnector_async.sources.files.members import DAMAGED
from leadconnector_async.sources.formats.table import Table, is_blank
from leadconnector_async.sources.formats.workbook_parts import errors_of, is_of_1904, since_1900
from leadconnector_async.sources.mappings.coerce import RowCoercer
from leadconnector_async.sources.mappings.columns import MAX_ABOVE, Vocabulary, skipped

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from io import BytesIO

    from python_calamine import CalamineWorkbook

    from leadconnector_async.sources.files.byte_stream import SourceFile
    from leadconnector_async.sources.mappings.chat_sides import ChatSides
    from leadconnector_async.sources.values.dates import Dates

    GridRow = tuple[int, int, list[str], str | None]


class Spreadsheet:
    """A source over rows, which come with how many of the ``total`` are read, and their numbers.

    With a row comes the sheet that it is on, where that tells it from others. ``place`` is where
    the header stands.

    Raises:
        SourceError: the header is not usable.
    """

    def __init__(  # noqa: PLR0913 - one argument for each thing that differs between files
        self,
        file: SourceFile,
        header: Sequence[str],
        rows: Iterator[GridRow],
        options: SourceOptions,
        *,
        total: int,
        place: str,
    ) -> None:
        self.name: str = file.name
        self.size: int = file.size or 0
        self.warnings: list[str] = []
        self._rows = rows
        self._done, self._total = 0, total
        coercer = RowCoercer(options, file.beside)
        self.dates: Dates = coercer.dates
        self.sides: ChatSides = coercer.sides
        self.table: Table = Table(place, header, options, coercer)
        self.recognised: str | None = self.table.recognised
        self.form: bytes = self.table.form()

    @property
    def bytes_read(self) -> int:
        """How far the file is read, by the share of its rows."""
        return round(self.size * self._done / self._total) if self._total else self.size

    def __iter__(self) -> Iterator[Parsed]:
        for done, line, cells, sheet in self._rows:
            self._done = done
            if parsed := self.table.parsed(line, cells):
                yield parsed if sheet is None else _of_sheet(parsed, sheet)
        self._done = self._total
        self.warnings += self.table.warnings

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
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
        items = map(as_text, value)
        return ";".join(text.replace(";", "%3B") if "://" in text else text for text in items)
    return scalar_text(value)


def open_excel(file: SourceFile, options: SourceOptions) -> Spreadsheet:
    """Open a workbook. Of each sheet, the first row that can be a header is it.

    Read are the sheet of the first such header, and all others that have the same columns and are
    not hidden; warnings name the rest. ``options.sheet`` is read alone.

    Raises:
        SourceError: it cannot be read, is empty, has no such sheet, or its package is not
            installed.
    """
    path = file.name
    with needs(path, "python-calamine", "excel"):
        from python_calamine import CalamineError, load_workbook  # noqa: PLC0415 - an extra
    try:
        whole = file.whole("an Excel workbook", held=True)
        book = _Book(load_workbook(whole), whole)
        looks = [look for name in book.names if (look := _look(book, name, Vocabulary(options)))]
    except (CalamineError, OSError, *DAMAGED) as error:
        raise UnreadableError(f"{path}: {notice('no_workbook')}") from error
    if not looks:
        raise SourceError(f"{path}: is empty: name a file with records")
    if options.sheet is not None:
        looks = [_named(path, options.sheet, book, looks)]
    return _grid(file, book, looks, options)


_NUMBERS: Final = re.compile(r"\s*(\d\d?)[/.-](\d\d?)[/.-]\d\d")

_MONTHS: Final = 12


class SwappedDatesError(SourceError):
    """A table whose dates are most likely not those that were meant."""


class _Book:
    """The sheets of a workbook, of which the last one that was asked for is kept."""

    def __init__(self, workbook: CalamineWorkbook, whole: str | BytesIO) -> None:
        self.is_of_1904: bool = is_of_1904(whole)
        self._sheet = lru_cache(maxsize=1)(workbook.get_sheet_by_name)
        about = workbook.sheets_metadata  # its words are those of an enumeration without names
        self._errors = dict(zip((sheet.name for sheet in about), errors_of(whole), strict=False))
        self.names = [sheet.name for sheet in about if str(sheet.typ).endswith(".WorkSheet")]
        self.hidden = {sheet.name for sheet in about if not str(sheet.visible).endswith(".Visible")}

    def rows(self, name: str) -> Iterator[tuple[int, list[str]]]:
        """Give the rows with anything in them, each with its number in Excel."""
        sheet = self._sheet(name)
        errors, left = self._errors.get(name, {}), (sheet.start or (0, 0))[1]
        for number, row in enumerate(sheet.iter_rows(), 1):  # with the empty ones
            cells = [as_text(cell) for cell in row]
            for column, text in errors.get(number, {}).items():
                cells[column - left] = text
            if not is_blank(cells):
                yield number, cells

    def is_swapped(self, name: str, column: int) -> bool:
        """Tell dates of which a program took those for its own in which the day can be a month.

        Where the file has the month first and the program the day, or the other way, it swaps
        these, and leaves the others as text.
        """
        texts = days = 0
        for cell in (row[column] for row in self._sheet(name).iter_rows()):
            numbers = _NUMBERS.match(cell) if isinstance(cell, str) else None
            if isinstance(cell, date):
                days = max(days, cell.day)
            elif numbers:
                texts += 1
            if days > _MONTHS or (numbers and max(map(int, numbers.groups())) <= _MONTHS):
                return False
        return bool(texts and days)

    def height(self, name: str) -> int:
        """Count the rows from the first of the sheet to the last that is not empty."""
        sheet = self._sheet(name)
        return (sheet.start or (0, 0))[0] + sheet.height


class _SheetHead(NamedTuple):
    """What the beginning of a sheet tells: where its header is, and whether it is known."""

    name: str
    height: int
    first: int
    line: int
    header: list[str]
    known: bool
    hidden: bool

    @property
    def columns(self) -> list[str]:
        """The names of its columns, in one order."""
        return sorted(filter(None, map(_plain, self.header)))


def _look(book: _Book, name: str, vocabulary: Vocabulary) -> _SheetHead | None:
    rows = list(islice(book.rows(name), MAX_ABOVE))
    if not rows:
        return None
    line, header = rows[vocabulary.header([cells for _, cells in rows])]
    known = vocabulary.is_header(header)
    return _SheetHead(name, book.height(name), rows[0][0], line, header, known, name in book.hidden)


def _named(path: str, name: str, book: _Book, looks: list[_SheetHead]) -> _SheetHead:
    for same in (str, str.casefold):
        if found := next((look for look in looks if same(look.name) == same(name)), None):
            return found
    has = "is empty" if name in book.names else "is not there"
    names = listed([look.name for look in looks])
    raise SourceError(f"{path}: sheet {shown(name)} {has}: give one of {names}")


def _grid(
    file: SourceFile, book: _Book, looks: list[_SheetHead], options: SourceOptions
) -> Spreadsheet:
    main = min(looks, key=lambda look: (look.hidden, not look.known))
    alike = [look for look in looks if look.columns == main.columns]
    read = [look for look in alike if look is main or not look.hidden]
    several = len(read) > 1
    counted: list[int] = []

    def rows() -> Iterator[GridRow]:
        before = 0
        for look in read:
            places = _places(main.header, look.header)
            for number, cells in book.rows(look.name):
                if number <= look.line:
                    continue
                row = cells if places is None else [cells[n] if n >= 0 else "" for n in places]
                for at in counted:
                    row[at] = since_1900(row[at])
                sheet = look.name if several else None
                yield before + number, number, row if sheet is None else [*row, sheet], sheet
            before += look.height

    # A column says where a row was.
    added = next(name for name in ("sheet", "sheet of row", "") if _plain(name) not in main.columns)
    header = [*main.header, added] if several else main.header
    place = _place(file, main, looks)
    total = sum(look.height for look in read)
    spreadsheet = Spreadsheet(file, header, rows(), options, total=total, place=place)
    columns = spreadsheet.table.columns
    dates = [columns.names.index(name) for name in columns.feeds.get("date", ())]
    counted += dates if book.is_of_1904 else []
    for look, at in product(read, dates) if not options.date_format else ():
        there = _places(main.header, look.header) or range(at + 1)
        if book.is_swapped(look.name, there[at]):
            wrong = notice("swapped_dates", column=shown(columns.names[at]))
            raise SwappedDatesError(f"{_place(file, look, looks)}: {wrong}")
    spreadsheet.warnings += _warnings(book, looks, read)
    if several and added in spreadsheet.table.columns.unknown:
        spreadsheet.table.columns.unknown.remove(added)
    return spreadsheet


def _place(file: SourceFile, look: _SheetHead, looks: list[_SheetHead]) -> str:
    where = f"sheet {shown(look.name)}: " if len(looks) > 1 else ""
    return f"{file.name}: {where}line {look.line}"


def _plain(name: str) -> str:
    """Write the name of a column as all are compared. One of signs alone is as it stands."""
    return folded(name) or stripped(name)


def _places(header: list[str], other: list[str]) -> list[int] | None:
    """Find where another sheet has each column. None where it has them in the same places."""
    if other == header:
        return None
    places: dict[str, int] = {}
    for spell in (stripped, _plain):  # two may differ in signs alone: Phone, and Phone #
        for at, name in enumerate(map(spell, other)):
            places.setdefault(name, at)
    names = ((stripped(name), _plain(name)) for name in header)
    return [places.get(name, places.get(plain, -1)) if name else -1 for name, plain in names]


def _warnings(book: _Book, looks: list[_SheetHead], read: list[_SheetHead]) -> Iterator[str]:
    for look in looks:
        where = f"sheet {shown(look.name)}"
        if look in read and look.line > look.first:
            yield f"{where}: {skipped(look.first, look.line - 1, 'row')}"
        elif look not in read:
            rows = sum(1 for _ in book.rows(look.name))
            has = "is hidden" if look.hidden else "has another header"
            fix = f"give --sheet {shown(look.name)}"
            yield f"{where} ({rows:,} row{'s' * (rows != 1)}) {has}: not read: {fix}"


_BATCH: Final = 2_000
"""Rows in memory at once."""


def open_parquet(file: SourceFile, options: SourceOptions) -> Spreadsheet:
    """Open a file. The line of a record is its number, from 1.

    Raises:
        SourceError: it cannot be read, or its package is not installed.
    """
    path = file.name
    with needs(path, "pyarrow", "parquet"):
        import pyarrow as pa  # noqa: PLC0415 - an extra
        from pyarrow import parquet  # noqa: PLC0415 - an extra
    try:
        table = parquet.ParquetFile(file.whole("Parquet"))
        header = pa.Table.from_batches([], table.schema_arrow).flatten().column_names
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UnreadableError(f"{path}: cannot be read as Parquet: export it again") from error

    def rows() -> Iterator[GridRow]:
        number = 0
        try:
            for batch in table.iter_batches(batch_size=_BATCH):
                columns = pa.Table.from_batches([batch]).flatten().columns
                for cells in zip(*map(_values, columns), strict=True):
                    number += 1
                    yield number, number, [as_text(cell) for cell in cells], None
        except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
            raise SourceError(f"{path}: is damaged: export it again") from error
        finally:
            table.close()

    return Spreadsheet(file, header, rows(), options, total=table.metadata.num_rows, place=path)


def _values(column: Any) -> list[object]:  # noqa: ANN401 - of a package that has no types
    """Give what a column of Parquet holds. Python's dates have no nanoseconds."""
    import pyarrow as pa  # noqa: PLC0415 - an extra

    kind = column.type
    if getattr(kind, "unit", None) == "ns":
        is_moment = pa.types.is_timestamp(kind)
        alias = str(kind).replace("[ns", "[us")
        kind = pa.timestamp("us", kind.tz) if is_moment else pa.type_for_alias(alias)
        column = column.cast(kind, safe=False)
    found: list[object] = column.to_pylist()
    return found
