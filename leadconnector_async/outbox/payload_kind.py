"""What a record is, read from its payload: for a report of all records."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType


class _PayloadKind(Struct, gc=False):
    """What is decoded of a payload. A database's own JSON functions take three times as long."""

    type: str | None = None
    direction: str | None = None
    date: Raw | UnsetType = UNSET


_kinds: Final = msgspec.json.Decoder(_PayloadKind)


def kind_of(payload: bytes, date: int) -> tuple[str | None, str | None, int | None]:
    """Type, direction, and ``date`` if the message has one."""
    kind = _kinds.decode(payload)
    return kind.type, kind.direction, None if kind.date is UNSET else date
