"""Folders of mails: Maildir, also with folders in it, and folders of ``.eml`` files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from leadconnector_async._errors import SourceError
from leadconnector_async._messages import Problem
from leadconnector_async.sources._mbox import whole
from leadconnector_async.sources._stream import open_stream
from leadconnector_async.sources.mail import MailReader, left_out
from leadconnector_async.sources.row import Parsed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from leadconnector_async.sources.row import SourceOptions

_MAILS: Final = frozenset({"cur", "new"})
"""Folders of a Maildir whose files are mails, whatever they are called."""
_LEFT_OUT: Final = {"D": "drafts", "T": "deleted mails"}
"""Flags in the names of a Maildir's files."""


class MailFolder:
    """Reads every mail in a folder and the folders in it, by the order of their names.

    The line of a record is the mail's number in that order, from 1.

    Raises:
        SourceError: the folder holds no mail, or the owner's addresses are not given.
    """

    def __init__(self, path: str, options: SourceOptions) -> None:
        self.name = path
        self.size = None
        self.bytes_read = 0
        self.warnings: list[str] = []
        self._folder = Path(path)
        if next(self._files(), None) is None:
            raise SourceError(
                f"{path}: is a folder without mails: name the files in it, "
                "or a folder with .eml files or a Maildir"
            )
        self._reader = MailReader(path, options)
        self.form = self._reader.form

    def __iter__(self) -> Iterator[Parsed]:
        for number, path in enumerate(self._files(), 1):
            name = str(path.relative_to(self._folder))
            if reason := _why_left_out(path):
                yield left_out(number, reason, name)
            else:
                yield self._read(path, name, number)

    def _files(self) -> Iterator[Path]:
        for folder, folders, files in os.walk(self._folder):
            is_maildir = Path(folder).name in _MAILS
            folders.sort()
            for name in sorted(files):
                if name.lower().endswith((".eml", ".eml.gz")) or (is_maildir and name[0] != "."):
                    yield Path(folder, name)

    def _read(self, path: Path, name: str, number: int) -> Parsed:
        try:
            stream = open_stream(str(path))
        except SourceError:  # a mail program can move or delete it at any moment
            gone = Problem(
                "mail", "cannot be opened", "check that it is there, and its permissions"
            )
            return Parsed(number, b"{}", None, (gone,))
        try:
            piece = whole(stream.chunks())
            self.bytes_read += stream.bytes_read
        finally:
            stream.close()
        return self._reader.parsed(piece._replace(line=number), file=name, cut=stream.damage)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Do nothing: each file is closed when it is read."""


def _why_left_out(path: Path) -> str | None:
    _, _, flags = path.name.partition(":2,")
    return next((reason for flag, reason in _LEFT_OUT.items() if flag in flags), None)
