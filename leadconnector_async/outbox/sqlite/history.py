"""The whole of an outbox at one moment, record by record: what a final account is made from.

Other than a `SqliteOutboxReader`, which reads page by page, this is one reading transaction, so
that all figures agree. It keeps nobody from writing; the owner's log only grows while it lasts,
some five seconds for a million records.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from leadconnector_async.errors import OutboxUnusableError
from leadconnector_async.outbox.base import State
from leadconnector_async.outbox.reasons import grouped
from leadconnector_async.outbox.sqlite.counters import PENDING, SPAN_MS
from leadconnector_async.outbox.sqlite.reader import ReadConnection

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

_FOUND: Final = 8
"""A bit beside the state's. A record that was found by looking is sent, with a reason."""

_LOCATIONS: Final = "SELECT id, name FROM location"

_LAST: Final = "SELECT coalesce(max(seq), 0) FROM record"

_ENDS: Final = "SELECT seq, state, state = 2 AND reason IS NOT NULL FROM outcome"

_RECORDS: Final = "SELECT seq, location, date, payload FROM record ORDER BY seq"

_SAID: Final = """SELECT form, raw FROM origin LEFT JOIN source ON source.id = origin.source
    WHERE seq = ?"""

_COPIES: Final = "SELECT coalesce(sum(n), 0) FROM copy"

_TIMES: Final = "SELECT min(first_at), max(last_at), (SELECT count(*) FROM pace) FROM tally"

KindOf = Callable[[bytes | None, bytes | None], tuple[str | None, str | None, int | None]]
"""Reads type, direction and date (in Unix milliseconds) of the form and the text of a record."""


class _PayloadKind(Struct, gc=False):
    """What is decoded of a payload. SQLite's own JSON functions take three times as long."""

    type: str | None = None
    direction: str | None = None
    date: Raw | UnsetType = UNSET


class HistoryRecord(NamedTuple):
    """One record: what it is, and where it stands. A tuple, since a million of them are made."""

    location: str
    type: str | None
    """None where it is not known: validation refused the record."""
    direction: str | None
    date: int | None
    """Unix milliseconds; None where the message has none."""
    state: int
    """A `State`, as a plain integer."""
    found: bool
    """Sent, and found by looking after its answer was lost."""


class ReasonTotal(NamedTuple):
    """How many records ended so, and why."""

    state: State
    reason: str | None
    n: int


class Times(NamedTuple):
    """When records were settled, in Unix milliseconds; None where none was."""

    first_at: int | None
    last_at: int | None
    sending_ms: int
    """The time in which at least one record was sent, in spans of ten seconds."""


class HistoryReader(ReadConnection):
    """An outbox file at the moment of construction. Every method raises `OutboxError`.

    Raises:
        OutboxUnusableError: there is no such file, or it is no outbox.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(path)
        try:
            with self._reading():
                self._connection.execute("BEGIN")
                self._names = dict(self._connection.execute(_LOCATIONS))
        except BaseException:
            self.close()
            raise

    def passages(self, kind_of_refused: KindOf) -> Iterator[HistoryRecord]:
        """Yield every record, in the order of staging. Needs one byte of memory for each.

        ``kind_of_refused`` tells what a record is that validation refused.
        """
        decode = msgspec.json.Decoder(_PayloadKind).decode
        with self._reading():
            states = self._states()
            for seq, location, date, payload in self._connection.execute(_RECORDS):
                if payload is None:
                    said = self._connection.execute(_SAID, (seq,)).fetchone()
                    what = kind_of_refused(*(said or (None, None)))
                else:
                    kind = decode(payload)
                    what = kind.type, kind.direction, None if kind.date is UNSET else date
                state = states[seq]
                yield HistoryRecord(self._names[location], *what, state & ~_FOUND, state >= _FOUND)

    def _states(self) -> bytearray:
        """The state of each record by its number: joining the tables takes twice as long."""
        (last,) = self._connection.execute(_LAST).fetchone()
        states = bytearray([PENDING]) * (int(last) + 1)
        for seq, state, found in self._connection.execute(_ENDS):
            states[seq] = state | _FOUND if found else state
        return states

    def reasons(self) -> list[ReasonTotal]:
        """Return why records failed or are unresolved, the most frequent first."""
        with self._reading():
            groups = grouped(self._connection, most_sources=1)
        return [ReasonTotal(State(of.state), of.reason, of.count) for of in groups]

    def copies(self) -> int:
        """Return how many records were read that equal one that is kept."""
        with self._reading():
            (copies,) = self._connection.execute(_COPIES).fetchone()
        return int(copies)

    def times(self) -> Times:
        """Return when the records were settled that went as far as a request."""
        with self._reading():
            first_at, last_at, spans = self._connection.execute(_TIMES).fetchone()
        return Times(first_at, last_at, spans * SPAN_MS)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            with super()._reading():
                yield
        except (msgspec.DecodeError, LookupError) as error:
            fix = "restore it from a copy"
            raise OutboxUnusableError(f"{self.path} is damaged ({error}): {fix}") from error
