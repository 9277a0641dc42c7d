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
        AND seq NOT IN (SELECT seq FROM early)
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
    places = {late.mail: place for place, (_, _, late) in enumerate(mails) if late.mail}
    dates = [date for date, _, _ in mails]
    answered = [[places[name] for name in late.answers if name in places] for _, _, late in mails]
    for place in _answered_first(answered):
        dates[place] = max([dates[place], *(dates[other] + 1 for other in answered[place])])
    yield from (
        (after, seq)
        for after, (before, seq, _) in zip(dates, mails, strict=True)
        if after != before
    )


def _answered_first(answered: list[list[int]]) -> Iterator[int]:
    """Yield each place once, after those that it answers, and drop what would close a circle.

    One pass, whatever the order: a mailbox is not trusted to be a tree, nor to be a shallow one.
    """
    state = [_UNSEEN] * len(answered)
    for root in range(len(answered)):
        path = [root]
        while path:
            place = path[-1]
            if state[place] == _UNSEEN:
                state[place] = _OPEN
                answered[place] = [other for other in answered[place] if state[other] != _OPEN]
                path += [other for other in answered[place] if state[other] == _UNSEEN]
                continue
            path.pop()
            if state[place] == _OPEN:
                state[place] = _DONE
                yield place


_UNSEEN, _OPEN, _DONE = range(3)
