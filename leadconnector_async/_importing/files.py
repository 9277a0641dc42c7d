"""Files that attachments name: what they hold, so that each content is uploaded once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit
from urllib.request import url2pathname

from leadconnector_async._api.late import LocalFile
from leadconnector_async._errors import OutboxError
from leadconnector_async._files import current_digest
from leadconnector_async._messages import Problem
from leadconnector_async._outbox.ledger import Ledger
from leadconnector_async.sources._spool import Kept

if TYPE_CHECKING:
    from collections.abc import Sequence

_LOCAL: Final = "file://"


class FileLostError(Exception):
    """A file that was there when its record was read is not there any more."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


def folders_of(outbox: str) -> list[Path]:
    """The folders of the sources that were read into an outbox, which may not be there yet.

    Their files may be named again: a list of failed records can lie in another folder.
    """
    if not Path(outbox).is_file():
        return []
    try:
        with Ledger(outbox) as ledger:
            names = ledger.sources()
    except OutboxError:  # of an older form, or none: who opens it to write says so
        return []
    return list(dict.fromkeys(Path(name).absolute().parent for name in names if name))


def are_local(attachments: Sequence[str] | None) -> bool:
    """Tell whether any of them has to be uploaded."""
    return attachments is not None and any(item.startswith(_LOCAL) for item in attachments)


def located(attachments: Sequence[str]) -> list[str | LocalFile]:
    """Replace ``file://`` URLs by the files, with digests of what they hold.

    Raises:
        FileLostError: one cannot be read.
    """
    return [
        _file(number, item) if item.startswith(_LOCAL) else item
        for number, item in enumerate(attachments, 1)
    ]


def _file(number: int, url: str) -> LocalFile:
    path = url2pathname(urlsplit(url).path)
    if isinstance(url, Kept):  # in a rehearsal it is nowhere
        return LocalFile(path, url.digest)
    try:
        return LocalFile(path, current_digest(path))
    except (OSError, ValueError) as error:  # no file has a name with a NUL character
        why = error.strerror if isinstance(error, OSError) else "no file has such a name"
        wrong = f"item {number} cannot be read ({why})"
        fix = "put the file back, or take it out of the list"
        raise FileLostError(Problem("attachments", wrong, fix)) from None
