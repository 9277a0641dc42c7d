"""The reconciler: finds out what became of records that may be stored."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

from leadconnector_async.api.enrichment import contact_lookup, mail_lookups
from leadconnector_async.api.reconciliation import (
    Finding,
    Found,
    Inconclusive,
    LookupFailed,
    Search,
    SearchTarget,
)
from leadconnector_async.api.responses import Throttled, classify
from leadconnector_async.delivery import decisions
from leadconnector_async.errors import NotSentError, RefusedError, TransportError
from leadconnector_async.models import InboundMessage
from leadconnector_async.records.deferred import read_deferred
from leadconnector_async.records.keys import key_text, milliseconds
from leadconnector_async.transport.base import WithheldError

if TYPE_CHECKING:
    from leadconnector_async.delivery.lane import Lane
    from leadconnector_async.delivery.outcomes import OutcomeHandler
    from leadconnector_async.delivery.scheduler import LocationState
    from leadconnector_async.outbox.base import Claim
    from leadconnector_async.quota.window import Slot

_payloads: Final = msgspec.json.Decoder(InboundMessage)


class Reconciler:
    """Shared by all workers; a look that is under way is in its lane."""

    def __init__(self, handler: OutcomeHandler) -> None:
        self._handler = handler
        self._session = handler.session
        self._policy = handler.session.policy
        self._loop = asyncio.get_running_loop()

    async def resolve(self, state: LocationState, lane: Lane) -> None:
        """Look for the lane's records in doubt: one request at the most.

        There is a slot for it.
        """
        if lane.search is not None:
            slot = state.quota.take(self._loop.time())
            await self._look(state, lane, lane.search, slot)
        else:  # no request yet, and so no slot: preparing waits for the store
            lane.search = await self._new_search(state, lane)
            state.ready.insert(0, lane)

    async def _look(self, state: LocationState, lane: Lane, search: Search, slot: Slot) -> None:
        self._handler.stats.searches += 1
        self._handler.stats.requests += 1
        try:
            response = await self._session.exchange(
                *(state.name, state.quota, slot, search.request(), state.may_send),
                trace=lane.claims[0].trace,
            )
        except (RefusedError, WithheldError) as error:
            self._handler.hold_back(state, lane, error)
            return
        except NotSentError:  # no look was made, and so the record is charged with none
            self._handler.not_sent(state, lane)
            return
        except TransportError as error:
            self._conclude(state, lane, search.lookup_failed(str(error)))
            return
        if isinstance(classify(response.status, response.body), Throttled):
            self._handler.pause(state, lane, response)
        else:
            findings = search.feed(response)
            if findings is None:
                state.ready.insert(0, lane)
            else:
                self._conclude(state, lane, findings)

    async def _message_of(
        self, state: LocationState, lane: Lane, claim: Claim
    ) -> InboundMessage | None:
        """The message as it was sent; None where its contact was not known, and so it was not."""
        message = _payloads.decode(claim.payload)
        contact = read_deferred(claim.deferred).contact if claim.deferred else None
        if contact is None or message.contact_id or message.conversation_id:
            return message
        name, known = contact_lookup(contact), lane.lookups
        if name not in known:
            known = await self._handler.control.get_lookups(state, [name])
        return msgspec.structs.replace(message, contact_id=known[name]) if known else None

    async def _new_search(self, state: LocationState, lane: Lane) -> Search | None:
        """One listing tells about every record of the lane that is in doubt."""
        targets = []
        for claim in [claim for claim in lane.claims if claim.seq in lane.doubts]:
            message = await self._message_of(state, lane, claim)
            if message is None:
                del lane.doubts[claim.seq]
            else:
                alt_id = message.alt_id
                if alt_id is None and self._policy.stamp_alt_id:
                    alt_id = key_text(claim.key)
                # Where a mail was moved behind the one that it answers, its own date is another.
                date = claim.date if message.date is None else milliseconds(message.date)
                targets.append(SearchTarget(claim.seq, message, alt_id, date))
        if not targets:
            return None
        taken = await self._handler.control.others(lane.claims[0])
        return Search(state.name, targets, taken)

    def _conclude(self, state: LocationState, lane: Lane, findings: dict[int, Finding]) -> None:
        """Act on a look: end what was found, and let the lane take the step of the rest.

        While the API is down, no record is charged.
        """
        blame = not self._session.breaker.is_open
        who = lane.search.who if lane.search else ""
        lane.search, random = None, self._handler.random
        step: decisions.Decision | None = None
        for claim in [claim for claim in lane.claims if claim.seq in findings]:
            doubt, finding = lane.doubts[claim.seq], findings[claim.seq]
            word, said = _said_of(finding)
            claim.note(said)
            if self._session.observer is not None:
                self._session.observer.reconciled(word)
            doubt.lookup_failures += blame and isinstance(finding, LookupFailed)
            doubt.searches += not isinstance(finding, LookupFailed)
            after = decisions.after_search(
                finding, doubt, attempts=claim.attempts, policy=self._policy, random=random
            )
            if isinstance(finding, Found):
                state.works(claim)
            if isinstance(after, decisions.Settle):
                state.take_out(lane, claim)
                self._handler.ended(claim, after, _learned(claim, who, finding))
            else:
                if isinstance(after, decisions.Retry):
                    del lane.doubts[claim.seq]
                step = step or after
        self._handler.go_on(state, lane, step)


def _said_of(finding: Finding) -> tuple[str, str]:
    """A word for the observer, and what the record's trail says of it."""
    match finding:
        case Found():
            return "found", "looked for: found"
        case Inconclusive(reason):
            return "inconclusive", f"looked for, and cannot be told: {reason}"
        case LookupFailed(reason):
            return "failed", f"looked for, and cannot be told: {reason}"
        case _:
            return "not_found", "looked for: not there"


def _learned(claim: Claim, who: str, finding: Finding) -> dict[str, str] | None:
    """What finding a mail teaches of its thread."""
    if claim.deferred is None or not isinstance(finding, Found) or finding.thread is None:
        return None
    return dict.fromkeys(mail_lookups(read_deferred(claim.deferred), who), finding.thread)
