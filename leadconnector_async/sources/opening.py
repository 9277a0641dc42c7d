"""From a path to a source: what kind of file it is, by its name and its beginning."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

from leadconnector_async._errors import SourceError
from leadconnector_async.sources._columns import check_mapping
from leadconnector_async.sources._stream import open_stream
from leadconnector_async.sources._text import Text
from leadconnector_async.sources.delimited import Delimited
from leadconnector_async.sources.jsonl import JsonLines
from leadconnector_async.sources.row import SourceOptions

if TYPE_CHECKING:
    from leadconnector_async.sources._stream import Stream
    from leadconnector_async.sources.row import FormatName, Source

_DEFAULTS: Final = SourceOptions()

_SUFFIXES: Final[dict[str, FormatName]] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "csv",
}

_FOREIGN: Final = (
    (b"PK\x03\x04", "is a zip archive or an Excel workbook", "save the sheet as CSV in UTF-8"),
    (b"\xd0\xcf\x11\xe0", "is an old Excel workbook", "save the sheet as CSV in UTF-8"),
    (b"SQLite format 3\0", "is an SQLite database", "export its records as JSON Lines or CSV"),
    (b"%PDF-", "is a PDF", "export the records as JSON Lines or CSV"),
    (b"PAR1", "is a Parquet file", "export its records as JSON Lines or CSV"),
    (b"BZh", "is compressed with bzip2", "unpack it, or compress it with gzip"),
    (b"\xfd7zXZ\0", "is compressed with xz", "unpack it, or compress it with gzip"),
    (b"\x28\xb5\x2f\xfd", "is compressed with zstd", "unpack it, or compress it with gzip"),
)


def open_source(path: str, options: SourceOptions = _DEFAULTS) -> Source:
    """Open a file of records; ``-`` is standard input.

    The name says what it holds (``.jsonl``, ``.ndjson``, ``.json``, ``.csv``, ``.tsv``, each also
    with ``.gz``), else its first character does. Gzip is recognised by its content.

    Raises:
        SourceError: there is no such file, it holds no records, or its header is not usable.
    """
    check_mapping("standard input" if path == "-" else path, options.mapping)
    with ExitStack() as stack:
        stream = open_stream(path)
        stack.callback(stream.close)
        text = Text(stream, options.encoding)
        _refuse_foreign(stream, text.head)
        source = _reader(path, text.head, options)(stream, text, options)
        stack.pop_all()
    return source


def _refuse_foreign(stream: Stream, head: bytes) -> None:
    for magic, wrong, fix in _FOREIGN:
        if head.startswith(magic):
            raise SourceError(f"{stream.name}: {wrong}: {fix}")
    if head.strip():
        return
    if stream.damage is not None:
        raise SourceError(f"{stream.name}: {stream.damage}")
    raise SourceError(f"{stream.name}: is empty: name a file with records")


def _reader(path: str, head: bytes, options: SourceOptions) -> type[Delimited | JsonLines]:
    suffixes = [suffix.lower() for suffix in PurePath(path).suffixes if suffix.lower() != ".gz"]
    by_name = _SUFFIXES.get(suffixes[-1]) if suffixes else None
    by_content: FormatName = "jsonl" if head.lstrip()[:1] in {b"{", b"["} else "csv"
    return JsonLines if (options.format or by_name or by_content) == "jsonl" else Delimited
