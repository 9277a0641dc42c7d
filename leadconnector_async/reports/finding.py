"""What was found out before an import, and what to do about it; findings on this machine."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final, Literal

from msgspec import Struct

SOUND_WAL: Final = (3, 51, 3)

BACKPORTED: Final = {(3, 50): 7, (3, 44): 6}
"""Older lines of SQLite, and the release of each that has the repair too."""

GROWTH: Final = 4
"""Bytes of an outbox for each byte of the sources: texts stand in it twice, beside keys and log."""

LEAST_ROOM: Final = 100_000_000

FindingState = Literal["ok", "note", "warning", "fault"]
"""``fault``: an import would not work. ``warning``: it would, and something is to be known first.
``note``: nobody can tell."""


class Finding(Struct, frozen=True):
    """One thing that was looked at. ``fix`` says what to do, where something is to be done.

    ``location`` is the one that it was looked at in, None for what all locations share.
    """

    check: str
    state: FindingState
    found: str
    fix: str | None = None
    location: str | None = None


def sqlite_finding(version: tuple[int, ...]) -> Finding:
    """Name the fault of SQLite's that a file may meet."""
    shown = f"SQLite {'.'.join(map(str, version[:3]))}"
    repaired = BACKPORTED.get((version[0], version[1]))
    if version >= SOUND_WAL or (repaired is not None and version[2] >= repaired):
        return Finding("sqlite", "ok", shown)
    return Finding(
        "sqlite",
        "warning",
        f"{shown} has the fault in WAL mode that 3.51.3 repairs: two connections that write or "
        "reset the log at the same moment can damage the file. One process alone writes an outbox",
        "open the outbox with no other program while an import runs, or use a Python with SQLite "
        "3.51.3 or later",
    )


def room_finding(place: str, size: int) -> Finding:
    """Whether the outbox's drive has room for sources of so many bytes."""
    folder = Path(place).absolute().parent
    if not folder.is_dir():
        fix = "make it, or choose another outbox"
        return Finding("disk", "fault", f"the folder {folder} does not exist", fix)
    for path, name in ((folder, f"the folder {folder}"), (Path(place), place)):
        as_whom = os.access in os.supports_effective_ids
        if path.exists() and not os.access(path, os.W_OK, effective_ids=as_whom):
            fix = "give yourself the right to, or choose another outbox"
            return Finding("disk", "fault", f"{name} cannot be written", fix)
    free = shutil.disk_usage(folder).free
    wanted = LEAST_ROOM + GROWTH * size
    found = f"{free / 1e9:,.1f} GB are free in {folder}, {wanted / 1e9:,.1f} GB are wanted"
    if free < wanted:
        return Finding("disk", "fault", found, "make room, or choose an outbox on another drive")
    return Finding("disk", "ok", found)
