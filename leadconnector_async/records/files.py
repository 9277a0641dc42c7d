"""Files that attachments name: what they hold, so that each content is uploaded once.

What files of this machine hold.

What kind of message a refused record is, as far as it says so itself.
"""

from __future__ import annotations

import errno
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit
from urllib.request import url2pathname
from zoneinfo import ZoneInfo

from leadconnector_async.models import DIRECTIONS, MESSAGE_TYPES, Problem
from leadconnector_async.records.deferred import LocalFile
from leadconnector_async.records.draft import milliseconds
from leadconnector_async.sources.dates import Dates
from leadconnector_async.sources.failed_list import as_api_names
from leadconnector_async.sources.fields import WrongValueError, flat
from leadconnector_async.sources.spool import SpooledUrl
from leadconnector_async.sources.stream_source import decode_format

if TYPE_CHECKING:
    from collections.abc import Sequence

_CACHED: Final = 4096

_CHUNK: Final = 1 << 20


def current_digest(path: str) -> str:
    """Digest of what a file holds now.

    Raises:
        OSError: it cannot be read, or is no regular file.
    """
    status = Path(path).stat()
    if not S_ISREG(status.st_mode):  # a pipe would be waited for without an end
        raise OSError(errno.EINVAL, "is no regular file")
    return _digest(path, status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size)


@lru_cache(maxsize=_CACHED)  # the picture of a signature is in each mail
def _digest(path: str, *_state: int) -> str:
    digest = blake2b(digest_size=16)
    with Path(path).open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


_LOCAL: Final = "file://"


class FileLostError(Exception):
    """A file that was there when its record was read is not there any more."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


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
    if isinstance(url, SpooledUrl):  # in a rehearsal it is nowhere
        return LocalFile(path, url.digest)
    try:
        return LocalFile(path, current_digest(path))
    except (OSError, ValueError) as error:  # no file has a name with a NUL character
        why = error.strerror if isinstance(error, OSError) else "no file has such a name"
        wrong = f"item {number} cannot be read ({why})"
        fix = "put the file back, or take it out of the list"
        raise FileLostError(Problem("attachments", wrong, fix)) from None


_TYPES: Final = {name.lower(): name for name in MESSAGE_TYPES}

_UNKNOWN: Final = (None, None, None)


def kind_of_refused(
    form: bytes | None, raw: bytes | None
) -> tuple[str | None, str | None, int | None]:
    """Give the type, the direction, and the date in Unix milliseconds; None for what is not known.

    ``form`` and ``raw`` are those of the record's source.
    """
    if form is None or raw is None:
        return _UNKNOWN
    try:
        record = as_api_names(form, raw)
    except (ValueError, LookupError, TypeError):  # what is refused may be of any shape
        return _UNKNOWN
    if isinstance(record, str):
        return _UNKNOWN
    values = flat(record)
    direction = str(values.get("direction")).lower()
    return (
        _TYPES.get(str(values.get("type")).lower()),
        direction if direction in DIRECTIONS else None,
        _moment(values.get("date"), decode_format(form).timezone),
    )


def _moment(date: object, zone: str | None) -> int | None:
    try:
        moment = Dates(ZoneInfo(zone) if zone else None).read(date)
    except (WrongValueError, ValueError, OverflowError):
        return None
    return None if moment is None else milliseconds(moment)
