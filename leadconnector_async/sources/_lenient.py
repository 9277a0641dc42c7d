"""JSON as lists of failed records hold it: whatever can be made of a line, and else its text."""

from __future__ import annotations

import json
from typing import Any, Final

from leadconnector_async.sources._names import LOCATION, OUTBOX_KEY, REASON

Record = dict[str, Any]

_STAND_IN_KEYS: Final = frozenset({REASON, OUTBOX_KEY, LOCATION, "line", "raw"})
"""Of the object that stands for a record which could not be read at all."""


def as_it_stands(raw: bytes) -> Record | str:
    """Read a line of JSON Lines, NaN and half characters included, or give its text.

    Bytes that are not UTF-8 become lone surrogates, which ``surrogateescape`` writes as they were.
    """
    text = raw.decode("utf-8", "surrogateescape")
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):  # JSON that nests too deeply is refused by the reader too
        return text
    return record if isinstance(record, dict) else text


def is_unreadable(record: Record) -> bool:
    """Tell the stand-in for a record that could not be read."""
    return isinstance(record.get("raw"), str) and record.keys() <= _STAND_IN_KEYS
