"""Writing down what became of claims."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from leadconnector_async._outbox.books import SENT
from leadconnector_async._outbox.interface import State
from leadconnector_async._outbox.rows import run_rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from sqlite3 import Connection

    from leadconnector_async._outbox.books import Books
    from leadconnector_async._outbox.claims import Claims
    from leadconnector_async._outbox.facts import Facts
    from leadconnector_async._outbox.interface import Claim, Settlement, Spend

# A bare list of VALUES there would be looked through for each row of the queue.
_LEAVE: Final = "DELETE FROM queue WHERE (location, lane, date, seq) IN (SELECT * FROM ("
_END: Final = """INSERT INTO outcome (location, lane, seq, state, at, attempts, message_id,
    conversation_id, email_message_id, reason, detail)"""
_STAY: Final = """UPDATE queue SET attempts = ?
    WHERE location = ? AND lane = ? AND date = ? AND seq = ?"""
_STORED: Final = """SELECT message_id FROM outcome WHERE location = ? AND lane = ? AND state = ?
    AND seq != ? AND message_id IS NOT NULL"""


class Settling:
    """Lives in the writer's thread."""

    def __init__(self, connection: Connection, books: Books, claims: Claims, facts: Facts) -> None:
        self._connection = connection
        self._books = books
        self._claims = claims
        self._facts = facts

    def settle(self, settlements: Sequence[Settlement], spends: Sequence[Spend]) -> None:
        """Give each claim its end, or give it back unsent."""
        self._check(settlements)
        given = [fate for fate in settlements if fate.state is State.PENDING]
        ended = [fate for fate in settlements if fate.state is not State.PENDING]
        if ended:
            self._end(ended)
        drop = self._claims.held.drop
        for claim, *_ in settlements:
            drop(claim.location, claim.lane, claim.seq)
        self._give_back(given)
        self._claims.held.tidy(everything=bool(given))
        self._books.spend(spends)

    def _check(self, settlements: Sequence[Settlement]) -> None:
        holds = self._claims.held.holds
        for claim, state, *_ in settlements:
            if state is State.CLAIMED or not holds(claim.location, claim.lane, claim.seq):
                raise ValueError(f"record {claim.seq} is not claimed, or is to stay so")
        if len({fate.claim.seq for fate in settlements}) < len(settlements):
            raise ValueError("a record is settled twice")

    def _end(self, ended: Sequence[Settlement]) -> None:
        places = [(c.location, c.lane, c.date, c.seq) for c, *_ in ended]
        reason = self._books.reason
        rows = [
            (
                c.location,
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
        ]
        run_rows(self._connection, _LEAVE, places, "))")
        run_rows(self._connection, _END, rows)
        self._books.settled(ended)
        for fate in ended:
            if fate.facts:
                self._facts.add(fate.claim.location, fate.facts)

    def _give_back(self, given: Sequence[Settlement]) -> None:
        for claim, _, _, attempts, *_ in given:
            place = claim.location, claim.lane, claim.date, claim.seq
            self._connection.execute(_STAY, (attempts, *place))
            self._claims.arrived(claim.location)

    def stored(self, claim: Claim) -> set[str]:
        """Return the message ids of the other sent records of the claim's lane."""
        rows = self._connection.execute(_STORED, (claim.location, claim.lane, SENT, claim.seq))
        return {message_id for (message_id,) in rows}
