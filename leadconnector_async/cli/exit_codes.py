"""Exit codes."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """How the command ends. Scripts rely on the numbers."""

    DONE = 0
    ERROR = 1
    """Stopped by an error, or a location could not go on."""
    USAGE = 2
    FAILED = 3
    """Finished, and some records failed or are unresolved."""
    DAY_SPENT = 4
    """The day's quota, or the time that the run was given, is spent: run again later."""
    INTERRUPTED = 130
    """Run again to go on."""
