"""Writing down what became of claims."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from leadconnector_async.outbox.base import State
from leadconnector_async.outbox.sqlite.connection import run_rows
from leadconnector_async.outbox.sqlite.counters import SENT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from sqlite3 import Connection

    from leadconnector_async.outbox.base import Claim, Lease, Settlement
    from leadconnector_async.outbox.sqlite.claims import Claims
    from leadconnector_async.outbox.sqlite.counters import Counters, Lookups
    from leadconnector_async.quota.limits import QuotaSnapshot

# A bare list of VALUES there would be looked through for each row of the queue.
_LEAVE: Final = "DELETE FROM queue WHERE (location, lane, date, seq) IN (SELECT * FROM ("

# Of nearly all there is nothing more to say, and a third of the time goes by the values.
_SENT: Final = """INSERT OR FAIL INTO outcome (location, lane, seq, state, at, attempts, message_id,
    conversation_id)"""

_END: Final = """INSERT OR FAIL INTO outcome (location, lane, seq, state, at, attempts, message_id,
    conversation_id, email_message_id, reason, detail)"""

_TRAIL: Final = "INSERT INTO trail (seq, at, what, trace)"

_STAY: Final = """UPDATE queue SET attempts = ?
    WHERE location = ? AND lane = ? AND date = ? AND seq = ?"""

_STORED: Final = """SELECT message_id FROM outcome WHERE location = ? AND lane = ? AND state = ?
    AND seq != ? AND message_id IS NOT NULL"""


class Settler:
    """Lives in the writer's thread."""

    def __init__(
        self, connection: Connection, counters: Counters, claims: Claims, lookups: Lookups
    ) -> None:
        self._connection = connection
        self._counters = counters
        self._claims = claims
        self._lookups = lookups

    def settle(
        self, settlements: Sequence[Settlement], quotas: Sequence[tuple[Lease, QuotaSnapshot]]
    ) -> None:
        """Give each claim its end, or give it back unsent."""
        self._check(settlements)
        pending = State.PENDING
        given = [fate for fate in settlements if fate[1] is pending]
        ended = [fate for fate in settlements if fate[1] is not pending] if given else settlements
        if ended:
            self._end(ended)
        self._claims.index.drop([(c.lease.number, c.lane, c.seq) for c, *_ in settlements])
        self._give_back(given)
        trail = [(c.seq, *event) for c, *_ in settlements for event in c.trail or ()]
        run_rows(self._connection, _TRAIL, trail)
        self._claims.index.tidy(everything=bool(given))
        self._counters.quotas(quotas)

    def _check(self, settlements: Sequence[Settlement]) -> None:
        seqs = {fate[0].seq for fate in settlements}
        if len(seqs) < len(settlements):
            raise ValueError("a record is settled twice")
        if not self._claims.index.holds(seqs):
            raise ValueError("a record is not claimed")
        if any(fate[1] is State.CLAIMED for fate in settlements):
            raise ValueError("a record is not claimed, or is to stay so")

    def _end(self, ended: Sequence[Settlement]) -> None:
        places = [(c.lease.number, c.lane, c.date, c.seq) for c, *_ in ended]
        run_rows(self._connection, _LEAVE, places, "))")
        sent = State.SENT
        plain = [
            (c.lease.number, c.lane, c.seq, SENT, at, tries, message, conversation)
            for c, state, at, tries, message, conversation, email, why, detail, _ in ended
            if state is sent and email is None and why is None and detail is None
        ]
        run_rows(self._connection, _SENT, plain)
        rows = [] if len(plain) == len(ended) else self._full(ended)
        run_rows(self._connection, _END, rows)
        self._counters.settled([(row[0], row[3], row[4]) for row in (*plain, *rows)])
        for claim, *_, lookups in ended:
            if lookups:
                self._lookups.add(claim.lease.number, lookups)

    def _full(self, ended: Sequence[Settlement]) -> list[tuple[Any, ...]]:
        reason = self._counters.reason
        return [
            (
                c.lease.number,
                c.lane,
                c.seq,
                int(state),
                at,
                tries,
                message,
                conversation,
                email,
                reason(why),
                detail,
            )
            for c, state, at, tries, message, conversation, email, why, detail, _ in ended
            if not (state is State.SENT and email is None and why is None and detail is None)
        ]

    def _give_back(self, given: Sequence[Settlement]) -> None:
        for claim, _, _, attempts, *_ in given:
            place = claim.lease.number, claim.lane, claim.date, claim.seq
            self._connection.execute(_STAY, (attempts, *place))
            self._claims.arrived(claim.lease.number)

    def stored(self, claim: Claim) -> set[str]:
        """Return the message ids of the other sent records of the claim's lane."""
        place = claim.lease.number, claim.lane, SENT, claim.seq
        rows = self._connection.execute(_STORED, place)
        return {message_id for (message_id,) in rows}
