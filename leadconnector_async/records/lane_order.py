"""What is known only when all is staged: who has two names, and which mail answers which.

One file knows a person's number, another the address: a record that names both joins their lanes.
And mails go out after those that they answer, whatever their writers' clocks said.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from leadconnector_async.records.deferred import read_deferred

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from leadconnector_async.models import Contact

    StagedMail = tuple[int, int, int, int, str]
    """Location, lane, date, seq and deferred parts of a mail."""


def two_names_of(deferred: str) -> tuple[Contact, tuple[str, str]] | None:
    """The contact that a record names by number and address both, and these."""
    contact = read_deferred(deferred).contact
    if contact is None or contact.phone is None or contact.email is None:
        return None
    return contact, (contact.phone, contact.email)


def answers_last(mails: Iterable[StagedMail]) -> Iterator[tuple[int, int]]:
    """Yield the new date and the number of each mail that stands before one that it answers.

    ``mails`` come by location, lane, date and number.
    """
    for _, lane in groupby(mails, key=lambda row: row[:2]):
        yield from _moved(row[2:] for row in lane)


def _moved(rows: Iterable[tuple[int, int, str]]) -> Iterator[tuple[int, int]]:
    """Yield the new date and the number of each mail of one lane that has to move."""
    mails = [(date, seq, read_deferred(deferred)) for date, seq, deferred in rows]
    places = {deferred.mail: place for place, (_, _, deferred) in enumerate(mails) if deferred.mail}
    dates = [date for date, _, _ in mails]
    answered = [
        [places[name] for name in deferred.answers if name in places] for _, _, deferred in mails
    ]
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
