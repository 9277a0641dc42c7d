"""What was found out before an import, and what to do about it."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

FindingState = Literal["ok", "note", "warning", "fault"]
"""``fault``: an import would not work. ``warning``: it would, and something is to be known first.
``note``: nobody can tell."""


class Finding(Struct, frozen=True):
    """One thing that was looked at. ``fix`` says what to do, where something is to be done."""

    check: str
    state: FindingState
    found: str
    fix: str | None = None
