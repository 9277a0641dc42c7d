"""Records whose keys are known: told apart from mended ones, and from others that equal them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from sqlite3 import Connection

    from leadconnector_async._outbox.interface import Draft, Reading
    from leadconnector_async._outbox.staging import Staging

_SHORT_NUMBERS: Final = 0xFFFF


class Known(NamedTuple):
    """A record that is in the outbox already."""

    seq: int
    lane: int
    date: int
    payload: bytes | None
    late: str | None

    def equals(self, draft: Draft) -> bool:
        """Tell whether a draft says the same."""
        return draft.payload == self.payload and draft.late == self.late


class Fresh(NamedTuple):
    """A draft that has become a record, under a number that was free."""

    seq: int
    location: int
    draft: Draft


class Meeting:
    """What becomes of the drafts of a batch whose keys are known, in the order of the source."""

    def __init__(self, staging: Staging, connection: Connection, reading: Reading) -> None:
        self._staging = staging
        self._connection = connection
        self._reading = reading
        self.fresh: list[Fresh] = []
        self.mended = self.refused_again = self.conflicts = 0

    def meet(self, records: Sequence[Fresh]) -> None:
        """Tell a record that is known from a second one that equals it, and from a mended one."""
        known_by_key = self._staging.known(records)
        for record in records:
            place = record.location, record.draft.key
            known = known_by_key[place]
            if self._reading.meet(known.seq):
                if self._meet_first(record, known):
                    draft = record.draft
                    known_by_key[place] = known._replace(payload=draft.payload, late=draft.late)
            elif record.draft.counted:
                self._number(record)
            elif not known.equals(record.draft):
                self.conflicts += 1

    def _meet_first(self, record: Fresh, known: Known) -> bool:
        is_mended = self._staging.mend(record, known, self._reading.source)
        if is_mended:
            self.mended += 1
            self.refused_again += record.draft.problem is not None
        return is_mended

    def _number(self, record: Fresh) -> None:
        """Take the first number among equal records that this reading has not met.

        Those it has met are 1, 2, … n without a gap, so doubling and halving finds n + 1.
        """
        met, unmet = 1, 2
        while self._has_met(record, unmet):
            met, unmet = unmet, unmet * 2
        while unmet - met > 1:
            middle = (met + unmet) // 2
            if self._has_met(record, middle):
                met = middle
            else:
                unmet = middle
        known = self._numbered(record, unmet)
        if known is None:
            self._staging.insert_again(record, numbered(record.draft.key, unmet))
            self._reading.meet(record.seq)
            self.fresh.append(record)
        else:
            self._reading.meet(known.seq)
            self._meet_first(record, known)

    def _has_met(self, record: Fresh, number: int) -> bool:
        known = self._numbered(record, number)
        return known is not None and self._reading.has_met(known.seq)

    def _numbered(self, record: Fresh, number: int) -> Known | None:
        row = self._connection.execute(
            "SELECT seq, lane, date, payload, late FROM record WHERE location = ? AND key = ?",
            (record.location, numbered(record.draft.key, number)),
        ).fetchone()
        return None if row is None else Known(*row)


def numbered(key: bytes, number: int) -> bytes:
    """The key of one among equal records: the first has the key itself."""
    if number == 1:
        return key
    return key + number.to_bytes(2 if number <= _SHORT_NUMBERS else 4, "big")
