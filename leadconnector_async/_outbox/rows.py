"""Many rows in one statement.

``executemany`` lets go of the interpreter and takes it back for every row, and next to a busy
event loop each taking is a wait. With 64 rows a statement there are 64 times fewer.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from sqlite3 import Connection

_SIZES: Final = (64, 8, 1)
"""64 rows of 15 values stay within the 999 parameters that older SQLite allows."""


def run_rows(
    connection: Connection, head: str, rows: Sequence[tuple[Any, ...]], tail: str = ""
) -> None:
    """Execute ``head VALUES (…), (…), … tail`` over all rows."""
    for statement, values in _statements(head, rows, tail):
        connection.execute(statement, values)


def fetch_rows(
    connection: Connection, head: str, rows: Sequence[tuple[Any, ...]], tail: str = ""
) -> Iterator[Any]:
    """Yield what ``head VALUES (…), (…), … tail`` selects over all rows."""
    for statement, values in _statements(head, rows, tail):
        yield from connection.execute(statement, values)


def _statements(
    head: str, rows: Sequence[tuple[Any, ...]], tail: str
) -> Iterator[tuple[str, list[Any]]]:
    at = 0
    for size in _SIZES:
        while len(rows) - at >= size:
            statement = _statement(head, len(rows[at]), size, tail)
            yield statement, list(chain.from_iterable(rows[at : at + size]))
            at += size


@lru_cache(maxsize=128)
def _statement(head: str, width: int, rows: int, tail: str) -> str:
    row = f"({','.join('?' * width)})"
    return f"{head} VALUES {','.join([row] * rows)}{tail}"
