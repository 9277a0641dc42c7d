"""Records that come one by one, each with someone who waits for its fate."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from leadconnector_async._outbox.interface import Admission, Claim, Settlement, State

if TYPE_CHECKING:
    from collections.abc import Sequence
    from sqlite3 import Connection

    from leadconnector_async._outbox.held import Held
    from leadconnector_async._outbox.interface import Draft
    from leadconnector_async._outbox.meeting import Fresh
    from leadconnector_async._outbox.sameness import Known, Sameness
    from leadconnector_async._outbox.sealing import Place, Sealing
    from leadconnector_async._outbox.staging import Staging

_RECORD: Final = "SELECT location, lane, date, seq, key, payload FROM record WHERE seq = ?"
_OUTCOME: Final = """SELECT state, at, attempts, message_id, conversation_id, email_message_id,
        text, detail
    FROM outcome LEFT JOIN reason ON reason.id = outcome.reason
    WHERE location = ? AND lane = ? AND seq = ?"""


class Admitting:
    """Lives in the writer's thread."""

    def __init__(
        self, connection: Connection, staging: Staging, sealing: Sealing, held: Held
    ) -> None:
        self._connection = connection
        self._staging = staging
        self._sealing = sealing
        self._held = held

    def admit(self, drafts: Sequence[Draft]) -> list[Admission]:
        """Stage records and make them claimable; say what is known of each."""
        fresh, rest = self._staging.insert(drafts)
        self._staging.enter(fresh, source=0)
        self._seal(fresh)
        answers = {
            seq: self._known(seq) if draft.payload is None else Admission(seq, State.PENDING, None)
            for seq, _, draft in fresh
        }
        for record in rest:
            known = self._staging.known([record])[record.location, record.draft.key]
            if self._staging.mend(record, known, source=0) or self._is_same(record, known):
                answers[record.seq] = self._known(known.seq)
            else:
                answers[record.seq] = _refused(record, known, self._staging.sameness)
        return [answers[slot] for slot in sorted(answers)]

    def _is_same(self, record: Fresh, known: Known) -> bool:
        draft = record.draft
        if draft.counted or draft.payload is None:
            return True
        return self._staging.sameness.is_same(draft, known)

    def _seal(self, fresh: Sequence[Fresh]) -> None:
        places: list[Place] = [
            (location, draft.lane, draft.date, seq)
            for seq, location, draft in fresh
            if draft.payload is not None
        ]
        if fresh:
            self._sealing.admit([record.seq for record in fresh], places)

    def _known(self, seq: int) -> Admission:
        location, lane, date, _, key, payload = self._connection.execute(_RECORD, (seq,)).fetchone()
        place = location, lane, date, seq
        row = self._connection.execute(_OUTCOME, (location, lane, seq)).fetchone()
        if row is None:
            self._sealing.admit_known(place)
            is_held = self._held.holds({seq})
            return Admission(seq, State.CLAIMED if is_held else State.PENDING, None)
        claim = Claim(*place, key, payload or b"", row[2])
        settlement = Settlement(claim, State(row[0]), *row[1:])
        return Admission(seq, settlement.state, settlement)


def _refused(record: Fresh, known: Known, sameness: Sameness) -> Admission:
    """Say that a record is none of its own: another one has its id."""
    draft = record.draft
    claim = Claim(record.location, draft.lane, draft.date, known.seq, draft.key, b"", 0)
    at, reason = time.time_ns() // 1_000_000, sameness.reason(draft, known)
    refusal = Settlement(claim, State.REJECTED, at, 0, reason=reason)
    return Admission(known.seq, State.REJECTED, refusal)
