"""What files of this machine hold."""

from __future__ import annotations

import errno
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from stat import S_ISREG
from typing import Final

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
