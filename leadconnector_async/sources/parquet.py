"""Parquet: read in batches, columns of structs by dotted names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from leadconnector_async.errors import SourceError
from leadconnector_async.sources.spreadsheet import (
    GridRow,
    Spreadsheet,
    as_text,
    local_file,
    missing_extra,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leadconnector_async.sources.base import SourceOptions

_BATCH: Final = 2_000
"""Rows in memory at once."""


def open_parquet(path: str, options: SourceOptions) -> Spreadsheet:
    """Open a file. The line of a record is its number, from 1.

    Raises:
        SourceError: it cannot be read, or its package is not installed.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415 - an extra
        from pyarrow import parquet  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise missing_extra(path, "pyarrow", "parquet") from error
    try:
        file = parquet.ParquetFile(local_file(path, "Parquet"))
        header = pa.Table.from_batches([], file.schema_arrow).flatten().column_names
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{path}: cannot be read as Parquet: export it again") from error
    done, total = 0, file.metadata.num_rows

    def rows() -> Iterator[GridRow]:
        nonlocal done
        for batch in _batches(path, file, pa):
            columns = [column.to_pylist() for column in batch.flatten().columns]
            for cells in zip(*columns, strict=True):
                done += 1
                yield GridRow(done, [as_text(cell) for cell in cells])

    return Spreadsheet(
        path, header, rows(), options, share=lambda: done / total if total else 1.0, place=path
    )


def _batches(path: str, file: Any, pa: Any) -> Iterator[Any]:  # noqa: ANN401 - has no types
    try:
        for batch in file.iter_batches(batch_size=_BATCH):
            yield pa.Table.from_batches([batch])
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{path}: is damaged: export it again") from error
    finally:
        file.close()
