"""From a path to a source: what kind of file it is, by its name and its beginning."""

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import PurePath
from typing import Final

from msgspec.structs import replace

from leadconnector_async.errors import SourceError
from leadconnector_async.models import Problem
from leadconnector_async.sources.base import FormatName, Parsed, Source, SourceOptions
from leadconnector_async.sources.fields import notice, table_of
from leadconnector_async.sources.files.byte_stream import SourceFile
from leadconnector_async.sources.files.encoding import Utf8Text
from leadconnector_async.sources.formats.csv import Delimited, begins_with_header
from leadconnector_async.sources.formats.json_layout import begins_as_singer, layout_of_json
from leadconnector_async.sources.formats.jsonl import JsonSource, SingerSource
from leadconnector_async.sources.formats.spreadsheet import Spreadsheet, open_excel, open_parquet
from leadconnector_async.sources.formats.stream_source import RowSource, StreamSource
from leadconnector_async.sources.formats.text_log import HtmlLog, TextLog, log_mapping_of
from leadconnector_async.sources.mappings import mapping_files
from leadconnector_async.sources.mappings.coerce import in_api_names

_BY_BEGINNING: Final[dict[bytes, FormatName]] = {b"{": "jsonl", b"[": "jsonl", b"<": "xml"}

_CERTAIN: Final = re.compile(
    rb'\s*(?:(?P<jsonl>\[?\s*\{\s*"|\[\s*\[\s*["\[])|(?P<xml><(?:\?xml |\w+(?:\s+[\w:]+=|>\s*<))))'
)
"""Begins what is nothing else, whatever its name says."""

BOOKS: Final[dict[bytes, FormatName]] = {
    b"PK\x03\x04": "excel",
    b"\xd0\xcf\x11\xe0": "excel",
    b"PAR1": "parquet",
}
"""What workbooks and their like begin with."""

MAIL: Final = frozenset({"mbox", "eml"})

_TAR: Final = slice(257, 262)
"""Where the head of a tar archive has its mark."""


class UnknownChatError(SourceError):
    """A chat that no mapping reads."""


def open_file(file: SourceFile, options: SourceOptions) -> Source:
    """Open a file of records.

    Raises:
        SourceError: there is no such file, it holds no records, or its header is not usable.
    """
    source = _opened(file, options)
    # A pipe is read once.
    if file.size is not None and isinstance(source, StreamSource | Spreadsheet):
        again = partial(_read_again, file, options)
        source.dates.again = lambda surveys: again(lambda one: one.dates.vote(surveys))
        source.sides.again = lambda people: again(lambda one: one.sides.note_in(people))
    return source


def _read_again(
    file: SourceFile, options: SourceOptions, ask: Callable[[StreamSource | Spreadsheet], None]
) -> None:
    """Read a file for its dates, or for the people of its chats, alone."""
    with _opened(file, options) as source:
        if isinstance(source, StreamSource | Spreadsheet):
            ask(source)
        for _ in source:
            pass


def _opened(file: SourceFile, options: SourceOptions) -> Source:
    name = options.format or format_by_name(file.name)
    if options.format is None and file.size is not None:
        head = file.peek()[0]
        told = told_by(head, name, options) if name in BOOKS.values() else name
        name = BOOKS.get(head[:4], told)
    if name in BOOKS.values() and (book := _opened_book(file, name, options)) is not None:
        book.warnings += misnamed(file.name, name, options)
        return book
    stream = file.stream()
    try:
        return _source(name, Utf8Text(stream, None if name in MAIL else options.encoding), options)
    except BaseException:
        stream.close()
        raise


def _opened_book(file: SourceFile, name: str | None, options: SourceOptions) -> Spreadsheet | None:
    """Open what begins as a workbook. None for one that is none, and is not said to be one."""
    try:
        return (open_excel if name == "excel" else open_parquet)(file, options)
    except SourceError:
        if name in (options.format, format_by_name(file.name)):
            raise
        return None


def misnamed(path: str, kind: str | None, options: SourceOptions) -> list[str]:
    """Say that a file holds what its name does not say."""
    named = None if options.format else format_by_name(path)
    if named in (None, kind) or kind is None:
        return []
    called = table_of("file_kinds")["called"][kind]
    return [f"holds {called}, though its name ends in {PurePath(path).suffix}: read as that"]


def told_by(head: bytes, name: str | None, options: SourceOptions) -> str | None:
    """Tell what a file holds by its beginning, where that is certain; else as it is named."""
    if found := _CERTAIN.match(head):
        return found.lastgroup
    from leadconnector_async.sources.formats.mbox import begins_with_mail  # noqa: PLC0415 - not for JSON

    if (single := begins_with_mail(head, named=name is not None)) is not None:
        return name if name in MAIL else "eml" if single else "mbox"
    if name not in (None, "csv") and begins_with_header(head, options):
        return "csv"
    return name


def _source(name: str | None, text: Utf8Text, options: SourceOptions) -> Source:
    _refuse_foreign(text)
    log = None if name in MAIL else log_mapping_of(text.head, options, text.stream.name)
    if log is not None and not _only_looks_so(log, name, text, options):
        return _by(log, text, options)
    if options.format is None:
        name = told_by(text.head, name, options)
    if name in MAIL:
        from leadconnector_async.sources.formats.mailbox import Mailbox  # noqa: PLC0415 - few are such

        source: Source = Mailbox(text, options, single=name == "eml")
    elif (name := name or _by_beginning(text.head.lstrip())) == "xml":
        source = _markup(text, options)
    elif name == "singer" or (
        name == "jsonl" and options.format is None and begins_as_singer(text.head)
    ):
        source = SingerSource(text, options)
    elif name == "jsonl":
        source = JsonSource(text, options, layout_of_json(text.stream.name, text.head, options))
    else:
        source = _delimited(text, options)
    source.warnings += misnamed(source.name, name, options)
    return source


def _by_beginning(head: bytes) -> FormatName:
    is_log = re.match(rb"\[\s*(?:[A-Z]|\d+ ?[-/.:a-z])", head)  # as of LINE and Viber
    return "csv" if is_log else _BY_BEGINNING.get(head[:1], "csv")


def _delimited(text: Utf8Text, options: SourceOptions) -> Source:
    try:
        return Delimited(text, options)
    except SourceError as error:
        name = text.stream.name
        beginning = f"{PurePath(name).name}\n{text.head.decode(errors='replace')}"
        for mark, why in table_of("file_kinds")["chats"].items():
            if options.format is None and re.search(mark, beginning, re.IGNORECASE | re.MULTILINE):
                raise UnknownChatError(f"{name}: {why}") from error
        raise


class Refused(RowSource):
    """A chat that no mapping reads, or a table, as one record, so that it counts among others."""

    def __init__(self, file: SourceFile, options: SourceOptions, error: SourceError) -> None:
        super().__init__(Utf8Text(file.stream(), options.encoding), options)
        self._why = str(error).removeprefix(f"{file.name}: ")

    def __iter__(self) -> Iterator[Parsed]:
        wrong, _, fix = self._why.partition(": ")
        yield Parsed(1, in_api_names({"file": self.name}), None, (Problem("file", wrong, fix),))


def _only_looks_so(log: str, name: str | None, text: Utf8Text, options: SourceOptions) -> bool:
    """Tell what is no log of a chat, for all its dates, or the chat that is pasted into a text."""
    is_own = log == options.mapping_file or log not in mapping_files.NAMES
    is_meant = is_own or mapping_files.chosen(log, options).text is None
    head, named = text.head, options.format is not None
    is_other = named or _CERTAIN.match(head) is not None or told_by(head, name, options) in MAIL
    return not is_meant and (is_other or begins_with_header(head, options))


def _by(name: str, text: Utf8Text, options: SourceOptions) -> Source:
    definition = mapping_files.chosen(name, options)
    source = (HtmlLog if definition.text is None else TextLog)(text, options, definition)
    if name != options.mapping_file:
        source.recognised = name
        source.warnings.append(f"begins as what --mapping {name} reads: read by it")
    return source


def _markup(text: Utf8Text, options: SourceOptions) -> Source:
    from leadconnector_async.sources.formats.xml import XmlSource  # noqa: PLC0415 - few are such

    name, notes = mapping_files.choice_of_markup(text.stream.name, text.head, options)
    source = XmlSource(text, replace(options, mapping_file=name))
    source.warnings += notes
    source.recognised = name if notes else None
    return source


def _refuse_foreign(text: Utf8Text) -> None:
    stream, head = text.stream, text.head
    if head[_TAR] == b"ustar":
        raise SourceError(f"{stream.name}: {notice('tar')}")
    for magic, (wrong, fix) in table_of("file_kinds")["foreign"].items():
        if head.startswith(magic.encode("latin-1")):
            raise SourceError(f"{stream.name}: {wrong}: {fix}")
    if head.strip():
        return
    if stream.damage is not None:
        raise SourceError(f"{stream.name}: {stream.damage}")
    raise SourceError(f"{stream.name}: is empty: name a file with records")


def format_by_name(path: str) -> FormatName | None:
    """Tell what a file holds by the ending of its name, where that says so."""
    suffixes = [suffix.lower() for suffix in PurePath(path).suffixes if suffix.lower() != ".gz"]
    kinds: dict[str, FormatName] = table_of("file_kinds")["names"]
    return kinds.get(suffixes[-1]) if suffixes else None
