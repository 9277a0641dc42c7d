"""An outbox file that is opened to be read, beside its owner if it has one."""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from leadconnector_async._outbox.opening import explained, open_to_read

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType


class View:
    """Nothing here writes, or waits for the owner.

    Raises:
        OutboxUnusable: there is no such file, or it is no outbox.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self._connection = open_to_read(self.path)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise explained(self.path, error) from error

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.path}>"
