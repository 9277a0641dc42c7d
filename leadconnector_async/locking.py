"""Who owns an outbox: a lock on a file beside it, which the system lets go of with the process.

Not a lock of SQLite, since a report must be able to read while an import runs.
"""

import os
import platform
import sys
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Final

from leadconnector_async.errors import OutboxBusyError

_FAR: Final = 1 << 30
"""Windows bars others from reading a locked byte, so this one is not where the pid stands."""


def this_process() -> str:
    """How people find this process: its machine and its number there."""
    return f"{platform.node() or 'localhost'} process {os.getpid()}"


class OwnerLock(AbstractContextManager["OwnerLock"]):
    """Held from construction to `release`.

    Raises:
        OutboxBusyError: someone else holds it, in this process or another.
        OSError: the folder takes no file.
    """

    def __init__(self, outbox: str) -> None:
        self.path: Path = Path(os.path.realpath(outbox) + ".lock")
        self._descriptor = self._take(outbox)
        self.note(os.read(self._descriptor, 99).decode("ascii", "replace").partition(" ")[2])

    def __exit__(self, *_: object) -> None:
        self.release()

    def note(self, text: str) -> None:
        """Leave a note: for who owns it next, unless it is empty when this is released."""
        self.noted = text
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, f"{os.getpid()} {text}".encode())

    def _take(self, outbox: str) -> int:
        while True:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
            if not _lock(descriptor):
                with os.fdopen(descriptor) as holder:
                    raise OutboxBusyError(_busy(outbox, holder.read(20)))
            if self._is_current(descriptor):
                return descriptor
            os.close(descriptor)

    def _is_current(self, descriptor: int) -> bool:
        """Tell whether the locked file is still the one that others find by its name."""
        if sys.platform == "win32":
            return True
        with suppress(FileNotFoundError):
            return os.path.samestat(os.fstat(descriptor), self.path.stat())
        return False

    def release(self) -> None:
        """Let the next owner in. The file stays where none can be removed any more."""
        if sys.platform != "win32" and not self.noted:
            with suppress(OSError):
                self.path.unlink()
        os.close(self._descriptor)


def _busy(outbox: str, said: str) -> str:
    pid = said.partition(" ")[0]
    if pid == str(os.getpid()):
        return f"{outbox} is open already, in this process: close it first"
    holder = f"process {pid}" if pid.isdigit() else "another process"
    fix = "wait for it to end, or stop it; an outbox in PostgreSQL is for several at once"
    return f"{outbox} is in use by {holder}: {fix}"


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> bool:
        os.lseek(descriptor, _FAR, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)
        return True

else:
    import fcntl

    def _lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
