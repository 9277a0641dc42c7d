"""Compare what an outbox believes with what the API exports, page by page.

The export is kept on disk in a temporary file while it is compared, so that memory does not grow
with the history. What came from another location is compared with what that one has now.
"""

import sqlite3
from collections.abc import AsyncIterable, Iterable
from contextlib import closing
from datetime import datetime
from hashlib import blake2b
from itertools import islice
from typing import Final

import msgspec

from leadconnector_async.api.listings import ListedMessage, date_ms
from leadconnector_async.client import LeadConnector
from leadconnector_async.outbox.database import statements
from leadconnector_async.records.keys import id_key, key_text
from leadconnector_async.requester import exported
from leadconnector_async.sources import Parsed

MAX_LISTED: Final = 1_000
"""Differences that are listed; more are only counted."""


_SQL: Final = statements(__package__, "verify")


class Difference(msgspec.Struct, frozen=True):
    """A record that the API does not show, or shows more than once."""

    key: str
    message_id: str
    copies: int


class Verification(msgspec.Struct):
    """What a comparison came to. Each list has the first thousand.

    ``unreadable`` names the exported entries that cannot be compared, or not in full.
    """

    checked: int = 0
    exported: int = 0
    missing_count: int = 0
    double_count: int = 0
    unreadable_count: int = 0
    missing: list[Difference] = msgspec.field(default_factory=list)
    doubles: list[Difference] = msgspec.field(default_factory=list)
    unreadable: list[str] = msgspec.field(default_factory=list)

    @property
    def agrees(self) -> bool:
        """Whether each record that was sent is there, once."""
        return not (self.missing_count or self.double_count or self.unreadable_count)


class SourceVerification(msgspec.Struct):
    """What another location has, against what of it is there. Lists have the first thousand ids.

    ``refused`` are on the list of failed records as rejected; ``absent`` are not there though
    nothing is known against them, or unresolved; ``differing`` have another date or direction.
    """

    messages: int = 0
    there: int = 0
    left_out: int = 0
    refused: int = 0
    absent_count: int = 0
    differing_count: int = 0
    absent: list[str] = msgspec.field(default_factory=list)
    differing: list[str] = msgspec.field(default_factory=list)

    @property
    def agrees(self) -> bool:
        """Whether each message that can be moved is there, as it was."""
        return not (self.absent_count or self.differing_count)


class FoundMessages:
    """The messages that were sent and found, by their keys: on disk, and deleted when closed."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("")
        self._db.execute("CREATE TABLE found (key TEXT PRIMARY KEY, at INTEGER, direction TEXT)")

    def add(self, rows: Iterable[tuple[str, int | None, str | None]]) -> None:
        """Keep keys, with the second and the direction of their messages, or "refused"."""
        self._db.executemany("INSERT OR IGNORE INTO found VALUES (?, ?, ?)", rows)

    def compare(self, source: Iterable[Parsed]) -> SourceVerification:
        """Compare what a location has as a source with what was found."""
        result = SourceVerification()
        for parsed in source:
            result.messages += 1
            self._compare(parsed, result)
        return result

    def _compare(self, parsed: Parsed, result: SourceVerification) -> None:
        row, said = parsed.row, parsed.identity
        id_ = (row.id if row else said.id if said else None) or ""
        key = key_text(id_key(id_)) if id_ else ""
        found = self._db.execute("SELECT at, direction FROM found WHERE key = ?", (key,)).fetchone()
        refused = found == (None, "refused")
        result.there += found is not None and not refused
        if refused or (found is None and row is None):
            result.left_out += parsed.left_out is not None
            result.refused += parsed.left_out is None
        elif found is None:
            result.absent_count += 1
            result.absent += [id_][: MAX_LISTED - len(result.absent)]
        elif row is not None and found != (_second(row.date), row.direction):
            result.differing_count += 1
            result.differing += [id_][: MAX_LISTED - len(result.differing)]

    def close(self) -> None:
        """Delete it."""
        self._db.close()


def _second(date: datetime | None) -> int | None:
    return None if date is None else date_ms(date) // 1000


async def verify(
    api: LeadConnector,
    location: str,
    sent: AsyncIterable[list[tuple[str, str]]],
    *,
    found: FoundMessages | None = None,
) -> Verification:
    """Compare pages of (key, message id) pairs of a location with the API's export.

    ``found`` takes those that are there.

    Raises:
        AccessError, RefusedError: the export is not permitted.
        TransportError: the API is out of reach.
    """
    result = Verification()
    with closing(sqlite3.connect("")) as shelf:  # a temporary file, deleted when it is closed
        shelf.execute(_SQL["message"])
        total = 0
        async for page, _ in exported(api, location):
            rows = (
                (one.id, one.alt_id or None, _look_of(one), _second(one.date_added), one.direction)
                for one in page.messages
            )
            shelf.executemany("INSERT OR REPLACE INTO message VALUES (?, ?, ?, ?, ?)", rows)
            total = max(total, page.total or 0)  # may count mails too, which come with the others
            result.exported += len(page.messages)
            result.unreadable_count += len(page.problems)
            result.unreadable += page.problems[: MAX_LISTED - len(result.unreadable)]
        for made in ("by_alt_id", "by_look", "ours"):
            shelf.execute(_SQL[made])
        async for pairs in sent:
            shelf.executemany("INSERT OR IGNORE INTO ours (key, id) VALUES (?, ?)", pairs)
        _compare(shelf, result)
        if result.missing_count and result.exported + result.unreadable_count < total:
            cut = f"{result.exported:,} of {total:,} messages: the export is cut short, try again"
            result.unreadable.insert(0, cut)
            result.unreadable_count += 1
        if found is not None:
            found.add(shelf.execute(_SQL["found"]))
    return result


def _compare(shelf: sqlite3.Connection, result: Verification) -> None:
    (result.checked,) = shelf.execute("SELECT count(*) FROM ours").fetchone()
    result.missing_count, result.missing = _listed(shelf.execute(_SQL["missing"]))
    result.double_count, result.doubles = _listed(shelf.execute(_SQL["doubles"]))


def _listed(rows: sqlite3.Cursor) -> tuple[int, list[Difference]]:
    """How many there are, and the first of them."""
    first = [Difference(*row) for row in islice(rows, MAX_LISTED)]
    return len(first) + sum(1 for _ in rows), first


def _look_of(message: ListedMessage) -> bytes | None:
    """What tells messages apart that carry no ``altId``; None, equal to no other, for no date."""
    if message.date_added is None:
        return None
    second, kind = str(date_ms(message.date_added) // 1000), message.message_type
    parts = (message.conversation_id, kind, message.direction, second, message.body)
    return blake2b("\0".join(part or "" for part in parts).encode(), digest_size=12).digest()
