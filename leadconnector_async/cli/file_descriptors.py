"""How many requests in flight the limit on open files (``ulimit -n``) has room for."""

from __future__ import annotations

from typing import Final

RESERVE: Final = 48
"""Descriptors for all but the connections: the outbox and its log, sources, attachments, the loop,
the standard streams."""


def room_for(concurrency: int, *, each: int = 1) -> int:
    """Make room for so many requests, which take ``each`` descriptors apiece, and say for how many.

    The soft limit is raised as far as the hard one allows. Where the system has no such limit
    (Windows), there is room for all.
    """
    try:
        import resource  # noqa: PLC0415 - not on Windows
    except ImportError:
        return concurrency
    needed = RESERVE + concurrency * each
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        wanted = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
        except (ValueError, OSError):  # some systems have a lower limit than they tell
            pass
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return concurrency
    return max(1, (soft - RESERVE) // each)
