"""Records that come one by one, each with someone who waits for its fate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from leadconnector_async.outbox.base import State, StoredOutcome, Submission

if TYPE_CHECKING:
    from collections.abc import Sequence
    from sqlite3 import Connection

    from leadconnector_async.outbox.sqlite.claims import ClaimIndex
    from leadconnector_async.outbox.sqlite.deduplicator import NewRecord
    from leadconnector_async.outbox.sqlite.enqueuer import Enqueuer, QueuePlace
    from leadconnector_async.outbox.sqlite.sameness import ExistingRecord, Sameness
    from leadconnector_async.outbox.sqlite.staging import Staging
    from leadconnector_async.records.draft import Draft

_RECORD: Final = "SELECT location, lane, date, seq, key FROM record WHERE seq = ?"

_OUTCOME: Final = """SELECT state, message_id, conversation_id, email_message_id, text, detail
    FROM outcome LEFT JOIN reason ON reason.id = outcome.reason
    WHERE location = ? AND lane = ? AND seq = ?"""


class Submitter:
    """Lives in the writer's thread."""

    def __init__(
        self, connection: Connection, staging: Staging, enqueuer: Enqueuer, claim_index: ClaimIndex
    ) -> None:
        self._connection = connection
        self._staging = staging
        self._enqueuer = enqueuer
        self._claim_index = claim_index

    def submit(self, drafts: Sequence[Draft]) -> list[Submission]:
        """Stage records and make them claimable; say what is known of each."""
        created, rest = self._staging.insert(drafts)
        self._staging.enter(created, source=0)
        self._publish(created)
        answers = {
            seq: self._known(seq) if draft.payload is None else Submission(seq, State.PENDING, None)
            for seq, _, draft in created
        }
        for record in rest:
            known = self._staging.known([record])[record.location, record.draft.key]
            if self._staging.mend(record, known, source=0) or self._is_same(record, known):
                answers[record.seq] = self._known(known.seq)
            else:
                answers[record.seq] = _refused(record, known, self._staging.sameness)
        return [answers[slot] for slot in sorted(answers)]

    def _is_same(self, record: NewRecord, known: ExistingRecord) -> bool:
        draft = record.draft
        if draft.counted or draft.payload is None:
            return True
        return self._staging.sameness.is_same(draft, known)

    def _publish(self, created: Sequence[NewRecord]) -> None:
        places: list[QueuePlace] = [
            (location, draft.lane, draft.date, seq)
            for seq, location, draft in created
            if draft.payload is not None
        ]
        if created:
            self._enqueuer.publish_ahead([record.seq for record in created], places)

    def _known(self, seq: int) -> Submission:
        *place, key = self._connection.execute(_RECORD, (seq,)).fetchone()
        location, lane, date, _ = place
        row = self._connection.execute(_OUTCOME, (location, lane, seq)).fetchone()
        if row is None:
            self._enqueuer.publish_known((location, lane, date, seq))
            is_held = self._claim_index.holds({seq})
            return Submission(seq, State.CLAIMED if is_held else State.PENDING, None)
        state, *rest = row
        end = StoredOutcome(key, State(state), *rest)
        return Submission(seq, end.state, end)


def _refused(record: NewRecord, known: ExistingRecord, sameness: Sameness) -> Submission:
    """Say that a record is none of its own: another one has its id."""
    reason = sameness.reason(record.draft, known)
    refusal = StoredOutcome(record.draft.key, State.REJECTED, reason=reason)
    return Submission(known.seq, State.REJECTED, refusal)
