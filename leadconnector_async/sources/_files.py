"""Files of this machine that attachments name: where they may lie, and which the API takes.

Source of the types: the OpenAPI file's ``POST /conversations/messages/upload``. Of the sizes: the
description of ``channel`` of its ``/conversations/messages/upload/signed-url``.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from leadconnector_async.sources._values import Wrong

if TYPE_CHECKING:
    from collections.abc import Sequence

SUFFIXES: Final = frozenset(
    [
        *(".jpg", ".jpeg", ".png", ".mp4", ".mpeg", ".zip", ".rar"),
        *(".pdf", ".doc", ".docx", ".txt", ".mp3", ".wav"),
    ]
)
"""The types of files that the API takes."""

LARGEST: Final = 5 << 20
"""Bytes of the largest file that the API takes."""
LARGEST_OF_WHATSAPP: Final = 100 << 20

_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_LOCAL: Final = "file://"
_GIVE_FOLDER: Final = "give --files FOLDER for the folder that it is in, or take it out of the list"


def largest(type_: object) -> int:
    """Bytes of the largest file that a message of a type may have."""
    return LARGEST_OF_WHATSAPP if type_ == "WhatsApp" else LARGEST


def are_remote(items: Sequence[str]) -> bool:
    """Tell whether there is nothing to check."""
    return all(item.startswith(("https://", "http://")) for item in items)


def is_path(item: str) -> bool:
    """Tell a file from a URL, and from nothing at all."""
    return item.lower().startswith(_LOCAL) or not (_SCHEME.match(item) or not item.strip())


def anchored(item: str, folder: Path, near: Path | None = None) -> str:
    """Name a file, whose path starts at a folder, so that it is found from another one.

    It stays a path if the file lies ``near``, or below; else it becomes a ``file://`` URL.
    """
    if _SCHEME.match(item) or not item.strip():
        return item
    path = (folder / item.strip()).resolve()
    if near is not None:
        near = near.resolve()
        if near == folder.resolve():
            return item
        if path.is_file() and path.is_relative_to(near):
            return path.relative_to(near).as_posix()
    return path.as_uri() if path.is_file() else item


class Reach:
    """The folders whose files the records of a source may name, with all that is in them.

    A client's table must not make anybody upload what else is on the machine, so links are
    followed before it is told where a file lies. Standard input has no folder of its own:
    such records can come from anywhere.
    """

    def __init__(self, folder: Path | None, others: Sequence[Path], kept: Path | None) -> None:
        starts = (*others,) if folder is None else (folder, *others)
        self._starts = [Path(os.path.realpath(start)) for start in starts]
        self._homes = [*self._starts, *(() if kept is None else (Path(os.path.realpath(kept)),))]
        self._piped = folder is None

    def find(self, item: str) -> Path:
        """Find a file, by a URL or by a path that starts at one of the folders.

        Raises:
            Wrong: it lies elsewhere, or is none that can be sent.
        """
        path = self._first(item)
        try:
            problem = _unfit(path.stat())
        except (FileNotFoundError, NotADirectoryError):
            fix = (
                "put it there (paths start at the folder of the source), give --files FOLDER for "
                "the folder that it is in, or take it out of the list"
            )
            raise Wrong("is a file that is not there", fix) from None
        except OSError as error:
            wrong = f"is a file that cannot be read ({error.strerror})"
            raise Wrong(wrong, "check its permissions") from None
        if problem is not None:
            raise problem
        return path

    def _first(self, item: str) -> Path:
        """The file in the first folder that has it. If none has, its place in the first folder."""
        given = _path(item) if item.lower().startswith(_LOCAL) else Path(item.strip())
        starts = self._homes[:1] if given.is_absolute() else self._starts
        try:
            places = [Path(os.path.realpath(start / given)) for start in starts]
        except ValueError:
            raise Wrong("is a file whose name has a NUL character", "name another") from None
        allowed = [place for place in places if False in self._hidden(place)]
        for place in allowed:
            if os.path.lexists(place):
                return place
        if allowed[:1] == places[:1] != []:
            return allowed[0]
        if any(True in self._hidden(place) for place in places):
            fix = "copy it to a name without a leading dot, if it is meant"
            raise Wrong("is a hidden file, or in a hidden folder", fix)
        if self._piped:
            raise Wrong("is a file, which standard input may not name", _GIVE_FOLDER)
        raise Wrong("is a file outside the folder of its source", _GIVE_FOLDER)

    def _hidden(self, place: Path) -> list[bool]:
        """For each folder that a file lies in, whether it is hidden there."""
        return [
            any(part.startswith(".") for part in place.relative_to(home).parts)
            for home in self._homes
            if place != home and place.is_relative_to(home)
        ]


def _path(url: str) -> Path:
    """The path of a ``file://`` URL; of one of another machine, one that is nowhere here."""
    from urllib.request import url2pathname  # noqa: PLC0415 - imports an HTTP client

    # "#" and "?" of a path are encoded in its URL, so that this takes nothing apart.
    parts = urlsplit(url)
    local = parts.netloc in ("", "localhost")
    return Path(url2pathname(parts.path)) if local else Path("//", parts.netloc)


def _unfit(status: os.stat_result) -> Wrong | None:
    if not stat.S_ISREG(status.st_mode):
        return Wrong("is no regular file", "name a file")
    if status.st_size == 0:
        return Wrong("is an empty file", "export it again, or take it out of the list")
    return None
