"""Attachments: URLs pass, files of this machine are checked and named by their URL.

Source of types and size: the OpenAPI file's ``POST /conversations/messages/upload``.
"""

from __future__ import annotations

import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from leadconnector_async.sources._values import Wrong, read_list

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

SUFFIXES: Final = frozenset(
    [
        *(".jpg", ".jpeg", ".png", ".mp4", ".mpeg", ".zip", ".rar"),
        *(".pdf", ".doc", ".docx", ".txt", ".mp3", ".wav"),
    ]
)
"""The types of files that the API takes."""

LARGEST: Final = 25 << 20
"""Bytes of the largest file that the API takes."""

_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_TYPES: Final = ", ".join(sorted(suffix[1:] for suffix in SUFFIXES))


def are_remote(items: Sequence[str]) -> bool:
    """Tell whether there is nothing to check."""
    return all(item.startswith(("https://", "http://")) for item in items)


def read_attachments(value: object, folder: Path | None) -> list[str] | None:
    """Take URLs as they are, and name files by ``file://`` URLs.

    Relative paths start at ``folder``, that of the source. Without one (standard input) no file
    is taken: such records can come from anywhere.
    """
    items = read_list(value)
    if items is None or are_remote(items):
        return items
    return [_url(number, item, folder) for number, item in enumerate(items, 1)]


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


def _url(number: int, item: str, folder: Path | None) -> str:
    local = item.lower().startswith("file://")
    if not local and (_SCHEME.match(item) or not item.strip()):
        return item  # the rules of the API say what is wrong with other schemes
    if folder is None:
        fix = "give public https:// URLs, or save the records in a file beside it"
        raise Wrong(f"item {number} is a file, which standard input may not name", fix)
    path = _path(item) if local else folder / item.strip()
    problem = unfit(path)
    if problem is not None:
        raise Wrong(f"item {number} {problem.wrong}", problem.fix)
    return path.resolve().as_uri()


def _path(url: str) -> Path:
    from urllib.request import url2pathname  # noqa: PLC0415 - imports an HTTP client

    # "#" and "?" of a path are encoded in its URL, so that this takes nothing apart.
    return Path(url2pathname(urlsplit(url).path))


def unfit(path: Path) -> Wrong | None:
    """Say why the API would not take a file."""
    if path.suffix.lower() not in SUFFIXES:
        return Wrong("is no type of file that the API takes", f"convert it to one of {_TYPES}")
    try:
        return _unfit_content(path.stat())
    except (FileNotFoundError, NotADirectoryError):
        fix = "put it there (paths start at the folder of the source), or take it out of the list"
        return Wrong("is a file that is not there", fix)
    except ValueError:
        return Wrong("is a file whose name has a NUL character", "name another")
    except OSError as error:
        return Wrong(f"is a file that cannot be read ({error.strerror})", "check its permissions")


def _unfit_content(status: os.stat_result) -> Wrong | None:
    if not stat.S_ISREG(status.st_mode):
        return Wrong("is no regular file", "name a file")
    if status.st_size > LARGEST:
        wrong = f"is larger than the {LARGEST >> 20} MB that the API takes"
        return Wrong(wrong, "make it smaller, or give the public URL of a copy")
    if status.st_size == 0:
        return Wrong("is an empty file", "export it again, or take it out of the list")
    return None
