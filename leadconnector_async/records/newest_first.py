"""Sources whose conversations come newest first: where dates are equal, too.

A conversation is sent in the order of its dates, equal ones in that of the source. Many exports
have no seconds, and are newest first: answers would stand above their questions.
"""

from itertools import groupby
from typing import Final

from leadconnector_async.records.draft import Draft

_CERTAIN: Final = 20
"""More earlier dates behind later ones than so many for each that rises, and more than one: else it
may be an unsorted source."""


class NewestFirst:
    """Tells such a source by what of it came by, and turns what it has of one date."""

    def __init__(self) -> None:
        self._falls = 0
        self._rises = 0

    def turned(self, drafts: list[Draft]) -> list[Draft]:
        """Give a batch, what is sent of one date in the order in which it was written."""
        last: dict[int, int] = {}
        for draft in drafts:
            if draft.payload is not None:
                lane, date = draft.lane, draft.date
                before = last.get(lane, date)
                if date < before:
                    self._falls += 1
                elif date > before:
                    self._rises += 1
                last[lane] = date
        if self._falls <= max(1, _CERTAIN * self._rises):
            return drafts
        turned = drafts.copy()
        sent = [at for at, draft in enumerate(drafts) if draft.payload is not None]
        for _, places in groupby(sent, lambda at: drafts[at].date):
            run = [*places]
            for at, of in zip(run, reversed(run), strict=True):
                turned[at] = drafts[of]
        return turned
