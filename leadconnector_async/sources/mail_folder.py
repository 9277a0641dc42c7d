"""Folders of mails, and of folders: Maildir, mbox files, ``.eml`` and ``.emlx`` files."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from leadconnector_async.errors import SourceError
from leadconnector_async.models import Problem
from leadconnector_async.sources.base import Parsed
from leadconnector_async.sources.byte_stream import open_stream
from leadconnector_async.sources.fields import listed
from leadconnector_async.sources.mail_selection import states_of_folders
from leadconnector_async.sources.mailbox import NO_MAIL, LostLines, MailReader, mails_in
from leadconnector_async.sources.mbox import begins_with_mail

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from leadconnector_async.sources.base import SourceOptions

_MAILS: Final = frozenset({"cur", "new"})
"""Folders of a Maildir whose files are mails, whatever they are called."""

_FLAGS: Final = {"D": "drafts", "T": "deleted"}
"""Flags in the names of a Maildir's files."""

_SINGLE: Final = (".eml", ".eml.gz", ".emlx")

_MBOX: Final = (".mbox", ".mbx", ".mbox.gz", ".mbx.gz")

_INDEX: Final = (".msf", "table_of_contents", "maildirfolder", "maildirsize", "subscriptions")
"""Ends of the names of files that mail programs keep beside mails."""

_MAX_NAMED: Final = 10


class _File(NamedTuple):
    path: Path
    single: bool


class MailFolder:
    """Reads every mail in a folder and the folders in it, by the order of their names.

    The line of a record is that in its mbox file; of a mail that is a file, the number of the file
    in that order, from 1.

    Raises:
        SourceError: the folder holds no mail, or the owner's addresses are not given.
    """

    def __init__(self, path: str, options: SourceOptions) -> None:
        self.name = path
        self.size = None
        self.bytes_read = 0
        self.warnings: list[str] = []
        self._folder = Path(path)
        self._others: list[str] = []
        if next(self._files(), None) is None:
            raise SourceError(
                f"{path}: is a folder without mails: name the files in it, or a folder with mbox, "
                ".eml or .emlx files, or a Maildir"
            )
        self._reader = MailReader(path, options)
        self.form = self._reader.form

    def __iter__(self) -> Iterator[Parsed]:
        self._others.clear()
        for number, file in enumerate(self._files(), 1):
            name = str(file.path.relative_to(self._folder))
            for parsed in self._read(file, name):
                if file.single:
                    yield parsed._replace(line=number, within=name)
                else:
                    yield parsed._replace(within=f"{name}:{parsed.line}")
        if self._others:
            count = len(self._others)
            what = "1 file that is" if count == 1 else f"{count:,} files that are"
            named = listed(self._others, _MAX_NAMED)
            self.warnings.append(f"{what} no mails, and not read: {named}")

    def _files(self) -> Iterator[_File]:
        for folder, folders, files in os.walk(self._folder):
            folders.sort()
            if _MAILS.intersection(folders) and "tmp" in folders:
                folders.remove("tmp")  # of a Maildir: what is being delivered
            for name in sorted(files):
                path = Path(folder, name)
                single = _is_single(path)
                if single is not None:
                    yield _File(path, single)
                elif name[0] != "." and not name.endswith(_INDEX) and _is_filled(path):
                    self._others.append(str(path.relative_to(self._folder)))
            links = (path for name in folders if (path := Path(folder, name)).is_symlink())
            self._others += (str(path.relative_to(self._folder)) for path in links)

    def _read(self, file: _File, name: str) -> Iterator[Parsed]:
        try:
            stream = open_stream(str(file.path))
        except SourceError:  # a mail program can move or delete it at any moment
            yield _refused(
                name,
                Problem("mail", "cannot be opened", "check that it is there, and its permissions"),
            )
            return
        lost, found = LostLines(), False
        try:
            pieces = mails_in(stream, stream.chunks(), lost, single=file.single)
            states = states_of_folders([self._folder.name, *Path(name).parts]) | _flagged(name)
            for parsed in self._reader.mails(pieces, stream, states, name):
                found = True
                yield parsed
        finally:
            self.bytes_read += stream.bytes_read
            stream.close()
        self.warnings += [f"{name}: {warning}" for warning in lost.warnings()]
        if not found and stream.damage is not None:
            yield _refused(name, stream.damage)
        elif not found and stream.bytes_read:
            self.warnings.append(f"{name}: {NO_MAIL}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Do nothing: each file is closed when it is read."""


def _is_single(path: Path) -> bool | None:
    """Tell a file of one mail from one of many; None for one of none."""
    name = path.name.lower()
    if name.endswith(_SINGLE):
        return True
    if name[0] == ".":
        return None
    if path.parent.name in _MAILS:
        return True
    if name.endswith(_MBOX):
        return False
    if name.endswith(_INDEX):
        return None
    return begins_with_mail(_beginning(path), named="." in name) if _is_filled(path) else None


def _is_filled(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _beginning(path: Path) -> bytes:
    try:
        stream = open_stream(str(path))
    except SourceError:
        return b""
    try:
        return next(stream.chunks(), b"")
    except SourceError:
        return b""
    finally:
        stream.close()


def _flagged(name: str) -> set[str]:
    _, _, flags = name.partition(":2,")
    return {state for flag, state in _FLAGS.items() if flag in flags}


def _refused(name: str, problem: Problem) -> Parsed:
    return Parsed(1, json.dumps({"file": name}).encode(), None, (problem,))
