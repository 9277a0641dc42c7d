"""The verdicts that an import would give, for records that are only looked at."""

from __future__ import annotations

import sqlite3
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from leadconnector_async.records.builder import RowCheck, RowDrafter, check_row
from leadconnector_async.records.sameness import content_digest, reused_id

if TYPE_CHECKING:
    from leadconnector_async.models import Problem
    from leadconnector_async.records.draft import Draft
    from leadconnector_async.sources import Parsed

_SOMEWHERE: Final = "?"
"""Stands for the location of records that name none: an import is given it."""

_MEET: Final = "INSERT OR IGNORE INTO met (location, key, source, line, raw, content)"

_FIND: Final = "SELECT source, line, raw, content FROM met WHERE location = ? AND key = ?"


class RowChecker:
    """Judges the records of one run, one after the other.

    What it has to remember of those that have an id lies in a temporary file, which is gone with
    it: memory stays flat. Close it after use.
    """

    def __init__(self) -> None:
        self._drafter = RowDrafter(_SOMEWHERE, 0)
        self._sources: dict[str, int] = {}
        self._shelf = sqlite3.connect("", isolation_level=None)
        self._shelf.execute("PRAGMA journal_mode = OFF")
        self._shelf.execute(
            "CREATE TABLE met (location TEXT, key BLOB, source INTEGER, line INTEGER, raw BLOB, "
            "content BLOB, PRIMARY KEY (location, key)) WITHOUT ROWID"
        )
        self._shelf.execute("BEGIN")  # and never a commit, of which each is as dear as a record

    def close(self) -> None:
        """Forget everything."""
        self._shelf.close()

    def check(self, parsed: Parsed, source: str) -> RowCheck:
        """Check a record. Its row is not to be used any more."""
        found = check_row(parsed)
        row = parsed.row
        named = parsed.identity if row is None else (row.id, None, row.outbox_key)
        if named is None or not (named[0] or named[2]):
            return found
        draft = self._drafter.drafted(parsed, found, source)
        if draft.counted:
            return found
        problem = self._met(draft, source)
        return found if problem is None else found._replace(problems=(problem,))

    def _met(self, draft: Draft, source: str) -> Problem | None:
        """Note an id, and say so where it is that of another record."""
        number = self._sources.setdefault(source, len(self._sources))
        # Ids of records and keys that lists name do not meet.
        key = draft.key if draft.own is None else b"\0" + draft.key
        raw = blake2b(draft.raw or b"", digest_size=16).digest()
        content = None
        if draft.payload is not None:
            content = content_digest(draft.payload, draft.deferred, mail=draft.mail)
        met = draft.location, key, number, draft.line, raw, content
        if self._shelf.execute(f"{_MEET} VALUES (?, ?, ?, ?, ?, ?)", met).rowcount:
            return None
        first, line, *said = self._shelf.execute(_FIND, met[:2]).fetchone()
        if content is None or draft.mail or raw == said[0] or content == said[1]:
            return None
        return reused_id(f"{list(self._sources)[first]}:{line}", listed=draft.own is not None)
