"""From a path to its sources: a file is one, and a folder or a zip archive may hold several."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from mimetypes import guess_type
from os import PathLike, fspath
from pathlib import Path
from typing import Final, NoReturn

from msgspec.structs import replace

from leadconnector_async.errors import SourceError
from leadconnector_async.sources import detect
from leadconnector_async.sources.base import (
    FORMATS,
    Source,
    SourceOptions,
    UnreadableError,
    location_in,
)
from leadconnector_async.sources.fields import MAPPABLE, listed, notice
from leadconnector_async.sources.files.byte_stream import SourceFile, printable
from leadconnector_async.sources.files.members import FolderMembers, Members, ZipMembers
from leadconnector_async.sources.formats.spreadsheet import SwappedDatesError
from leadconnector_async.sources.mappings.mapping_files import found_in, right_names
from leadconnector_async.sources.plug_ins import from_plug_ins
from leadconnector_async.sources.values.phone_numbers import is_national

_DEFAULTS: Final = SourceOptions()

_MAX_NAMED: Final = 10


def open_source(path: str | PathLike[str], options: SourceOptions = _DEFAULTS) -> Source:
    """Open a file of records; ``-`` is standard input. A folder or an archive may hold it.

    The name says what it holds (``.jsonl``, ``.ndjson``, ``.json``, ``.csv``, ``.tsv``, ``.mbox``,
    ``.eml``, ``.emlx``, ``.xml``, each also with ``.gz``; ``.xlsx`` and its kin, ``.parquet``),
    else its beginning does. Gzip and zip are recognised by their content. A mapping that does not
    fit it is passed over with a warning, if it can be read without.

    Raises:
        SourceError: there is no such file, it holds no records, or its header is not usable; or it
            holds several sources, which `open_sources` gives.

    Example:
        >>> with open_source("history.csv") as source:
        ...     print([parsed.line for parsed in source])
        [2]
    """
    sources = open_sources(path, options)
    first, *others = iter(sources)
    if not others:
        first.warnings += sources.warnings
        return first
    for source in (first, *others):
        source.__exit__(None, None, None)
    such = f"such as {first.name} and {others[0].name}"
    raise SourceError(f"{path}: holds {len(others) + 1} sources, {such}: name one of them")


def open_sources(path: str | PathLike[str], options: SourceOptions = _DEFAULTS) -> Sources:
    """Find the sources of a path.

    Raises:
        SourceError: it is an archive that cannot be read, or the options map no field of the API.

    Example:
        >>> for source in open_sources("history.csv"):
        ...     with source:
        ...         print(source.name)
        history.csv
    """
    path = fspath(path)
    if not path:  # of a variable that is not set, and would be this folder
        raise SourceError("the name of a source is empty: name a file, or . for this folder")
    for field, column in options.mapping.items():
        if field not in MAPPABLE:
            wrong = f"--map {field}={column}: there is no such field: {right_names(field)}"
            raise SourceError(f"{'standard input' if path == '-' else path}: {wrong}")
    if (location := location_in(path)) is not None:
        from leadconnector_async.sources.location_copy import open_copy  # noqa: PLC0415 - few are such

        return Sources(partial(open_copy, location, options))
    options = replace(options, mapping_file=found_in(options.mappings, options.mapping_file))
    found, broken = None, list[str]()
    if options.format not in FORMATS:
        found, broken = from_plug_ins(path, options)
    sources = _shipped(path, options) if found is None else Sources(lambda: found)
    own = [one for one in options.mine if options.region is None and is_national(one)]
    told = [notice("national_mine", numbers=", ".join(own))] if own else []
    sources.before += [*broken, *told]
    return sources


def _shipped(path: str, options: SourceOptions) -> Sources:
    """Find the sources that the library itself reads."""
    if path != "-" and Path(path).is_dir():
        return Export(FolderMembers(path), options)
    file = SourceFile.at(path)
    known = options.format or detect.format_by_name(path)
    if file.size is None or known in detect.BOOKS.values() or not file.is_archive:
        return Sources(partial(detect.open_file, file, options))
    members = ZipMembers(path, path)
    is_book = members.is_workbook()
    as_book = partial(detect.open_file, file, replace(options, format="excel"))
    sources = Sources(as_book) if is_book else Export(members, options)
    sources.before += detect.misnamed(path, "excel" if is_book else "zip", options)
    return sources


class Sources:
    """The sources of a path, to be closed by whoever takes them; here the only one.

    ``warnings`` are complete when all are read, and begin with those of ``before``.

    Raises:
        SourceError: it cannot be opened.
    """

    def __init__(self, opened: Callable[[], Source]) -> None:
        self.warnings: list[str] = []
        self.before: list[str] = []
        self._opened = opened

    def __iter__(self) -> Iterator[Source]:
        self.warnings[:] = self.before
        yield self._opened()


class Export(Sources):
    """The sources in a folder or an archive.

    Mails come first, then what else can be read, in the order of the names, then archives, and
    last what cannot be looked into, but for what a record names. What is left is told in
    ``warnings``.

    Raises:
        SourceError: it holds none, or a file of it is damaged.
    """

    def __init__(self, members: Members, options: SourceOptions, *, inner: bool = False) -> None:
        super().__init__(self._refuse)
        self.members = members
        self._options = options
        self._is_inner = inner
        self.is_empty: bool = False
        self._left: dict[str, str] = {}
        self._refused: list[tuple[SourceFile, SourceError]] = []

    def __iter__(self) -> Iterator[Source]:
        self._left.clear()
        self._refused.clear()
        self.warnings[:] = self.before
        mails, others = self._sorted()
        if mails:
            from leadconnector_async.sources.formats.mailbox import MailFolder  # noqa: PLC0415 - not for files

            yield MailFolder(self.members, mails, self._options)
        found, archives = False, []
        for file in others:
            is_book = detect.format_by_name(file.name) in detect.BOOKS.values()
            if not is_book and file.is_archive:
                archives.append(file)
            elif source := self._source(file):
                found = True
                yield source
        for file in archives:
            for source in self._inner(file):
                found = True
                yield source
        for file, error in self._refused:
            if file.member not in self.members.taken:  # else it is an attachment
                found = True
                yield detect.Refused(file, self._options, error)
        self._left |= dict.fromkeys(self.members.links, "is a link to a folder")
        self.is_empty = not (mails or found)
        if self.is_empty and not self._is_inner:
            self._refuse()
        self.warnings.extend(self._told("source" if found else "mail"))

    @property
    def others(self) -> list[str]:
        """Files that are no source, and that no record has named so far."""
        return sorted(self._left.keys() - self.members.taken)

    def _sorted(self) -> tuple[list[tuple[SourceFile, bool]], list[SourceFile]]:
        """Tell mails from other files, and these from pictures and the like."""
        from leadconnector_async.sources.formats.mbox import holds_mail, is_passed_over  # noqa: PLC0415 - not for files

        mails: list[tuple[SourceFile, bool]] = []
        others: list[SourceFile] = []
        for name in self.members.names:
            file = SourceFile(printable(f"{self.members.name}/{name}"), self.members, name)
            if (guess_type(name)[0] or "").startswith(("audio/", "font/", "image/", "video/")):
                self._left[name] = ""
            elif (single := holds_mail(file)) is not None and not self._is_misnamed(file):
                mails.append((file, single))
            elif is_passed_over(name):
                continue
            elif self.members.size(name):
                others.append(file)
            elif detect.format_by_name(name) is not None:
                self._left[name] = "is empty, or a link that leads nowhere"
        return mails, others

    def _is_misnamed(self, file: SourceFile) -> bool:
        """Tell a file whose name ends as that of a mail, and that holds something else."""
        named = detect.format_by_name(file.name)
        if self._options.format or named not in detect.MAIL:
            return False
        head = file.peek()[0]
        is_other = file.is_archive or head[:4] in detect.BOOKS
        return is_other or detect.told_by(head, named, self._options) not in detect.MAIL

    def _source(self, file: SourceFile, format_: str | None = None) -> Source | None:
        options = replace(self._options, format=format_ or self._options.format)
        named = detect.format_by_name(file.name)
        is_table, is_named = named == "csv", named is not None or format_ is not None
        try:
            source = detect.open_file(file, options)
        except SourceError as error:
            is_unreadable = is_named and isinstance(error, UnreadableError)
            if is_unreadable or isinstance(error, detect.UnknownChatError):
                self._refused.append((file, error))
                return None
            is_closed = isinstance(error.__cause__, PermissionError)
            # What is closed or damaged may be one.
            if isinstance(error, SwappedDatesError) or is_closed or file.peek()[1] is not None:
                raise
            self._left[file.member] = str(error).removeprefix(f"{file.name}: ")
            return None
        from leadconnector_async.sources.formats.mailbox import Mailbox  # noqa: PLC0415 - not for files

        # Text that reads like a mail is none here: see `holds_mail`. What is named as a table may
        # have columns that nothing knows, to be told with its rows.
        if not isinstance(source, Mailbox) and (is_table or getattr(source, "is_known", True)):
            return source
        source.__exit__(None, None, None)
        self._left[file.member] = "holds no records that are known"
        return None

    def _inner(self, file: SourceFile) -> Iterator[Source]:
        if file.member in self.members.taken:
            return
        if self._is_inner:
            self._left[file.member] = "is an archive in an archive in one: unpack it"
            return
        members = ZipMembers(file.name, file.whole("a zip archive"))
        if members.is_workbook():
            if source := self._source(file, "excel"):
                source.warnings += detect.misnamed(file.name, "excel", self._options)
                yield source
            return
        export = Export(members, self._options, inner=True)
        yield from export
        if export.is_empty:
            self._left[file.member] = "holds nothing that is read"
        else:
            self.warnings.extend(f"{file.member}: {warning}" for warning in export.warnings)

    def _refuse(self) -> NoReturn:
        for name, why in self._left.items():
            if why:
                raise SourceError(f"{self.members.name}: holds nothing that is read: {name} {why}")
        raise SourceError(f"{self.members.name}: {notice('no_source')}")

    def _told(self, what: str) -> Iterator[str]:
        left = self.others
        tables = [name for name in left if detect.format_by_name(name) is not None]
        if left:
            files = "1 file that is" if len(left) == 1 else f"{len(left):,} files that are"
            what += "s" if what == "mail" or len(left) > 1 else ""
            named = sorted({*left[:_MAX_NAMED], *tables[: 10 * _MAX_NAMED]})
            every = [*named, *({*left} - {*named})]
            yield f"{files} no {what}, and not read: {listed(every, len(named))}"
        yield from (f"{name}: {self._left[name]}" for name in tables[:_MAX_NAMED])
