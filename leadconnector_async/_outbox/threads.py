"""Mails go out after those that they answer, whatever their writers' clocks said."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Final

from leadconnector_async._api.late import read_late

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from sqlite3 import Connection

_MAILS: Final = """SELECT location, lane, date, seq, late FROM record
    WHERE seq > ? AND seq <= ? AND late LIKE '%"mail"%' AND payload IS NOT NULL
    ORDER BY location, lane, date, seq"""
_MOVE: Final = "UPDATE record SET date = ? WHERE seq = ?"


def put_answers_last(connection: Connection, after: int, up_to: int) -> None:
    """Move the mails among these records that stand before one that they answer."""
    mails = connection.execute(_MAILS, (after, up_to))
    for _, lane in groupby(mails, key=lambda row: row[:2]):
        moves = list(_moved(row[2:] for row in lane))
        connection.executemany(_MOVE, moves)


def _moved(rows: Iterable[tuple[int, int, str]]) -> Iterator[tuple[int, int]]:
    """Yield the new date and the number of each mail of one lane that has to move."""
    mails = [(date, seq, read_late(late)) for date, seq, late in rows]
    by_name = {late.mail: place for place, (_, _, late) in enumerate(mails) if late.mail}
    dates = [date for date, _, _ in mails]
    parents = [[by_name[name] for name in late.answers if name in by_name] for _, _, late in mails]
    for _ in mails:  # a longer chain than there are mails is a circle
        moved = False
        for place, answered in enumerate(parents):
            least = max((dates[parent] + 1 for parent in answered if parent != place), default=0)
            if dates[place] < least:
                dates[place] = least
                moved = True
        if not moved:
            break
    yield from (
        (after, seq)
        for after, (before, seq, _) in zip(dates, mails, strict=True)
        if after != before
    )
