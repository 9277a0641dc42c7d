"""Where files are kept that came within a source, until they are uploaded."""

from __future__ import annotations

import os
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from tempfile import mkstemp

from leadconnector_async._errors import SourceError


class Spool:
    """A folder, for its owner alone, with one folder per content in it, named by its digest.

    What is there already is not written again.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, name: str, content: bytes) -> str:
        """Write a file, unless it is there, and give its ``file://`` URL.

        Raises:
            SourceError: it cannot be written.
        """
        digest = blake2b(content, digest_size=16).hexdigest()
        path = self._folder / digest / name
        try:
            if not path.exists():
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                path.parent.mkdir(mode=0o700, exist_ok=True)
                _write(path, content)
        except OSError as error:
            raise SourceError(
                f"{self._folder}: attachments cannot be kept there ({error.strerror}): "
                "free some space, or choose an outbox in another folder"
            ) from error
        return path.resolve().as_uri()

    def __repr__(self) -> str:
        return f"Spool({str(self._folder)!r})"


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
