"""Where files are kept that came within a source, until they are uploaded."""

import io
import os
import re
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path, PurePosixPath
from tempfile import mkstemp
from typing import Final
from urllib.parse import unquote

from leadconnector_async.errors import SourceError
from leadconnector_async.sources.fields import notice
from leadconnector_async.sources.files.encoding import sound

URLS: Final = "urls"
"""The folder in a spool's that notes what each URL gave."""

_UNSAFE: Final = re.compile(r'[\x00-\x1f\x7f<>:"|?*;]')

_MAX_NAME: Final = 100
"""Bytes of a file's name. Systems allow 255."""

_MAX_SUFFIX: Final = 20
"""Characters. What is longer is no ending."""


class SpooledUrl(str):
    """The ``file://`` URL of a file in a spool, whose type and size the API takes."""

    __slots__ = ()

    @property
    def digest(self) -> str:
        """That of what the file holds."""
        return self.rsplit("/", 2)[1]


class Spool:
    """A folder, for its owner alone, with one folder per content in it, named by its digest.

    What is there already is not written again. Without a folder nothing is written at all: files
    get the names that they would have, so that a rehearsal sees what an import does.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def keep(self, name: str, content: bytes) -> SpooledUrl:
        """Write a file, unless it is there, and give its URL.

        Raises:
            SourceError: it cannot be written.
        """
        digest = blake2b(content, digest_size=16).hexdigest()
        if self._folder is None:
            return SpooledUrl(PurePosixPath("/", digest, name).as_uri())
        path = self._folder / digest / name
        self._put(path, content)
        return SpooledUrl(path.resolve().as_uri())

    def of_url(self, url: str, location: str) -> SpooledUrl | None:
        """Give what was fetched from a URL before for a location.

        Of what was sent there since, the file is gone.
        """
        assert self._folder is not None  # noqa: S101 - nothing is fetched in a rehearsal
        try:
            path = self._folder / self._note_of(url, location).read_text("utf-8")
        except OSError:
            return None
        return SpooledUrl(path.resolve().as_uri())

    def note_url(self, url: str, location: str, kept: str) -> None:
        """Note that what a URL gave is kept there, for records of a location.

        Raises:
            SourceError: it cannot be written.
        """
        path = unquote("/".join(kept.rsplit("/", 2)[1:]))
        self._put(self._note_of(url, location), path.encode())

    def _put(self, path: Path, content: bytes) -> None:
        folder = path.parent.parent
        try:
            if not path.exists():
                for made in (folder, path.parent):
                    made.mkdir(mode=0o700, parents=True, exist_ok=True)
                _write(path, content)
        except OSError as error:
            raise SourceError(f"{folder}: {notice('not_kept', error=error.strerror)}") from error

    def _note_of(self, url: str, location: str) -> Path:
        named = f"{location} {url}".encode("utf-8", "surrogatepass")
        return (self._folder or Path()) / URLS / blake2b(named, digest_size=16).hexdigest()


def safe_name(given: str, ending: str = "") -> str:
    """The last part of a path that somebody else chose, safe as a name in a folder of ours."""
    name = re.split(r"[/\\]", sound(given))[-1]
    name = (_UNSAFE.sub("_", name).strip(". ") or "attachment") + ending
    suffix = PurePosixPath(name).suffix
    if len(suffix) > _MAX_SUFFIX:
        suffix = ""
    stem = name.removesuffix(suffix).encode()[: _MAX_NAME - len(suffix.encode())]
    return stem.decode(errors="ignore") + suffix


def packed(name: str, content: bytes) -> bytes:
    """Pack a file so that equal ones stay equal, on any machine: stored, and without a time."""
    import zipfile  # noqa: PLC0415 - few sources have such files

    out = io.BytesIO()
    entry = zipfile.ZipInfo(name)
    entry.create_system = 3  # else it tells the machine's
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(entry, content)
    return out.getvalue()


def _write(path: Path, content: bytes) -> None:
    """Write all of it or nothing: a crash must leave no file that looks whole."""
    descriptor, temporary = mkstemp(dir=path.parent)  # made with mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(temporary).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(temporary).unlink()
        raise
