"""The clerk: writes the end of a record down, and counts it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from leadconnector_async._outbox.interface import Settlement, State

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from leadconnector_async._engine.steps import End
    from leadconnector_async._engine.tally import Tally
    from leadconnector_async._messages import Receipt
    from leadconnector_async._outbox.interface import Claim


class Clerk:
    """Makes settlements. ``settle`` takes them, to be written with the next commit."""

    def __init__(self, tally: Tally, settle: Callable[[Settlement], None]) -> None:
        self._tally = tally
        self._settle = settle

    def stored(
        self, claim: Claim, receipt: Receipt, facts: Mapping[str, str] | None = None
    ) -> None:
        """The API answered with a receipt: the end of nearly all."""
        self._tally.sent += 1
        self._settle(
            Settlement(
                claim,
                State.SENT,
                time.time_ns() // 1_000_000,
                claim.attempts + 1,
                receipt.message_id,
                receipt.conversation_id,
                receipt.email_message_id,
                facts=facts,
            )
        )

    def ended(self, claim: Claim, end: End, facts: Mapping[str, str] | None = None) -> None:
        """Any other end: refused, found by looking, or given up."""
        if end.state is State.SENT:
            self._tally.sent += 1
            self._tally.found += 1
        elif end.state is State.REJECTED:
            self._tally.rejected += 1
        else:
            self._tally.unresolved += 1
        self._settle(
            Settlement(
                claim,
                end.state,
                time.time_ns() // 1_000_000,
                claim.attempts,
                end.message_id,
                end.conversation_id,
                None,
                end.reason,
                end.detail,
                facts,
            )
        )
