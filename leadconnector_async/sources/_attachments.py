"""The files of records: those that they name, and those that come within them."""

from __future__ import annotations

import io
import re
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from leadconnector_async.sources._files import SUFFIXES, Reach, are_remote, is_path, largest
from leadconnector_async.sources._spool import Kept, Spool, safe_name
from leadconnector_async.sources._values import Wrong, read_list

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from leadconnector_async.sources.row import SourceOptions

    Warn = Callable[[str], None]

_TYPES: Final = ", ".join(sorted(suffix[1:] for suffix in SUFFIXES))
_PLAIN_SUFFIX: Final = re.compile(r"\.[a-z0-9]{1,5}")
_PACKED: Final = 1 << 10
"""Bytes, at most, by which a file grows when it is packed."""
_LEFT_OUT: Final = "which the API does not take: they are left out"


class Attached(Struct):
    """A file within a record, under a name that is safe."""

    name: str
    content: bytes

    def __repr__(self) -> str:
        return f"Attached({len(self.content)} bytes)"


class Attachments:
    """Takes the files of one source's records in.

    URLs pass. Files are named by ``file://`` URLs once their type and size are right; one of a type
    that the API does not take is packed, left out, or refused, as its owner says.
    """

    def __init__(self, options: SourceOptions, folder: Path | None) -> None:
        self._reach = Reach(folder, options.files, options.spool)
        self._spool = Spool(options.spool)
        self._other = options.other_files

    def read(self, value: object, type_: object, warn: Warn) -> list[str] | None:
        """Take what a record of a type of message names.

        Raises:
            Wrong: it is no list, or an item cannot be sent.
        """
        if isinstance(value, list) and all(isinstance(item, Kept) for item in value):
            return value or None
        items = read_list(value)
        if items is None or are_remote(items):
            return items
        taken: list[str] = []
        for number, item in enumerate(items, 1):
            # The rules of the API say what is wrong with other schemes.
            url = self._named(number, item, largest(type_), warn) if is_path(item) else item
            taken += () if url is None else (url,)
        return taken or None

    def keep(self, files: Iterable[Attached], type_: object, warn: Warn) -> list[str] | Wrong:
        """Take what a record of a type of message holds, each content once.

        Of a file that cannot be sent its owner is given the place, to mend it there.

        Raises:
            SourceError: a file cannot be kept.
        """
        urls: dict[str, None] = {}
        problem: Wrong | None = None
        for file in files:
            wrong, ending = None, None
            try:
                ending = self._ending(file.name, len(file.content), largest(type_), warn)
            except Wrong as error:
                wrong, ending = error, ""
            if ending is None:
                continue
            url = self._kept(file.name, file.content, ending)
            urls[url] = None
            if wrong is not None and problem is None:
                number = list(urls).index(url) + 1
                problem = Wrong(f"item {number} {wrong.wrong}", wrong.fix)
        if problem is not None:
            problem.given = [str(url) for url in urls]
            return problem
        return list(urls)

    def _named(self, number: int, item: str, most: int, warn: Warn) -> str | None:
        try:
            path = self._reach.find(item)
            ending = self._ending(path.name, path.stat().st_size, most, warn)
            if not ending:
                return path.as_uri() if ending == "" else None
            return self._kept(path.name, path.read_bytes(), ending)
        except Wrong as error:
            raise Wrong(f"item {number} {error.wrong}", error.fix) from None
        except OSError as error:
            wrong = f"item {number} is a file that cannot be read ({error.strerror})"
            raise Wrong(wrong, "check its permissions") from None

    def _ending(self, name: str, size: int, most: int, warn: Warn) -> str | None:
        """Tell what a file's name ends with when it is sent, beside its own: "" or ".zip".

        None: it is left out.

        Raises:
            Wrong: it cannot be sent.
        """
        suffix = PurePath(name).suffix.lower()
        fits = suffix in SUFFIXES
        files = f"files of type {suffix if _PLAIN_SUFFIX.fullmatch(suffix) else 'unknown'}"
        if not fits and self._other == "fail":
            fix = f"convert it to one of {_TYPES}, or give --other-files zip to send it packed"
            raise Wrong("is no type of file that the API takes", fix)
        if not fits and self._other == "leave-out":
            warn(f"{files}, {_LEFT_OUT}")
            return None
        if size > (most if fits else most - _PACKED):
            wrong = f"is larger than the {most >> 20} MB that the API takes"
            raise Wrong(wrong, "make it smaller, or give the public URL of a copy")
        if not fits:
            warn(f"{files}, which the API does not take: they are sent as .zip")
        return "" if fits else ".zip"

    def _kept(self, name: str, content: bytes, ending: str) -> Kept:
        if ending:
            content = _packed(safe_name(name), content)
        return self._spool.keep(safe_name(name, ending), content)


def lost_files(notices: Iterable[str]) -> bool:
    """Tell by a record's notices whether files of it were left out."""
    return any(notice.endswith(_LEFT_OUT) for notice in notices)


def _packed(name: str, content: bytes) -> bytes:
    """Pack a file so that equal ones stay equal, on any machine: stored, and without a time."""
    import zipfile  # noqa: PLC0415 - few sources have such files

    out = io.BytesIO()
    entry = zipfile.ZipInfo(name)
    entry.create_system = 3  # else it tells the machine's
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(entry, content)
    return out.getvalue()
