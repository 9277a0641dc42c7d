"""The sender: makes one request for a lane, and does what its answer asks for.

The reconciler: finds out what became of records that may be stored.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

from leadconnector_async.api.endpoints import (
    CONVERSATIONS_VERSION,
    INBOUND_PATH,
    with_missing_scope,
)
from leadconnector_async.api.enrichment import CALLS_NEED, contact_lookup, mail_lookups
from leadconnector_async.api.reconciliation import (
    Finding,
    Found,
    Inconclusive,
    LookupFailed,
    Search,
    SearchTarget,
)
from leadconnector_async.api.responses import (
    Accepted,
    Forbidden,
    Throttled,
    classify,
    is_server_error,
    lacks_conversation,
)
from leadconnector_async.delivery import decisions
from leadconnector_async.delivery.enricher import Enricher
from leadconnector_async.delivery.lane import InDoubt
from leadconnector_async.errors import (
    FateUnknownError,
    NotSentError,
    RefusedError,
    TokenStoreError,
    TransportError,
)
from leadconnector_async.models import InboundMessage
from leadconnector_async.records.deferred import read_deferred
from leadconnector_async.records.draft import key_text, milliseconds, stamped
from leadconnector_async.transport.base import FileUnreadableError, Request, WithheldError

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from leadconnector_async.api.enrichment import EnrichedRequest
    from leadconnector_async.api.responses import Indeterminate, Refused
    from leadconnector_async.delivery.lane import Enrichment, Lane
    from leadconnector_async.delivery.outcomes import OutcomeHandler
    from leadconnector_async.delivery.scheduler import LocationState
    from leadconnector_async.outbox.base import Claim
    from leadconnector_async.quota.window import Slot
    from leadconnector_async.transport.base import Response


_payloads: Final = msgspec.json.Decoder(InboundMessage)


class Sender:
    """Serves lanes, one request at a time. Shared by all workers; keeps nothing of a request."""

    def __init__(self, handler: OutcomeHandler) -> None:
        self._handler = handler
        self._session = session = handler.session
        self._policy = session.policy
        self._stats = handler.stats
        self._random = handler.random
        self._loop = asyncio.get_running_loop()
        self._enricher = Enricher(session, handler.control, handler.stats, handler.random)
        self._reconciler = Reconciler(handler)

    def serve(self, state: LocationState, lane: Lane) -> Coroutine[None, None, None]:
        """Send the lane's first record, complete it, or look for it: one request at the most.

        There is a slot for it. What has to be awaited is returned: a layer less for each message.
        """
        claim = lane.claims[0]
        if claim.seq in lane.doubts:
            return self._reconciler.resolve(state, lane)
        enrichment = lane.enrichment
        if (claim.deferred is None and not self._policy.mark_read) or (
            enrichment is not None and enrichment.completed is not None
        ):
            return self._send(state, lane, claim, enrichment)
        return self._complete(state, lane, enrichment)

    async def _complete(
        self, state: LocationState, lane: Lane, enrichment: Enrichment | None
    ) -> None:
        claim = lane.claims[0]
        if enrichment is None or enrichment.request is None:  # no request yet, and so no slot
            self._handler.take(state, lane, claim, await self._enricher.begin(state, lane))
            return
        slot = await state.quota.take(self._loop.time())
        self._stats.requests += 1
        try:
            response = await self._session.exchange(
                *(state.name, state.quota, slot, enrichment.request, state.may_send),
                trace=claim.trace,
            )
        except (RefusedError, WithheldError) as error:
            self._handler.hold_back(state, lane, error)
            return
        # Whatever became of it, it can be done again; but not for ever, where a file is at fault.
        except (FateUnknownError, FileUnreadableError) as error:
            claim.note(f"{enrichment.request.method} not answered: {error}")
            self._handler.take(state, lane, claim, self._enricher.failed(enrichment, str(error)))
            return
        except NotSentError:
            self._handler.go_on(state, lane, decisions.Retry(self._policy.delay(1, self._random)))
            return
        except asyncio.CancelledError:
            enrichment.start_over()
            raise
        classification = classify(response.status, response.body)
        if isinstance(classification, Throttled):
            self._handler.pause(state, lane, response)
        elif isinstance(classification, Forbidden):
            self._handler.stop_location(
                state, lane, with_missing_scope(enrichment.request, classification.refusal)
            )
        else:
            step = await self._enricher.go_on(state, lane, enrichment, response)
            self._handler.take(state, lane, claim, step)

    async def _send(
        self, state: LocationState, lane: Lane, claim: Claim, enrichment: Enrichment | None
    ) -> None:
        completed = enrichment.completed if enrichment else None
        request = self._request(claim, completed)
        slot = await state.quota.take(self._loop.time())
        self._stats.requests += 1
        try:
            response = await self._session.exchange(
                *(state.name, state.quota, slot, request, state.may_send),
                trace=claim.trace,
                resends=claim.attempts + claim.throttled,
            )
        except (RefusedError, WithheldError) as error:
            self._handler.hold_back(state, lane, error)
            return
        except NotSentError:
            self._handler.go_on(state, lane, decisions.Retry(self._policy.delay(1, self._random)))
            return
        except FateUnknownError as error:
            claim.attempts += 1
            claim.note(f"no answer: {error}")
            wait = self._policy.delay(claim.attempts, self._random)
            step = decisions.in_doubt(
                str(error), attempts=claim.attempts, delay=wait, policy=self._policy
            )
            self._handler.take(state, lane, claim, step)
            return
        except TokenStoreError:
            raise  # without a token nothing left
        except BaseException:  # a cancellation, or anything else that proves nothing
            claim.note("no answer: the run was interrupted")
            lane.doubts[claim.seq] = InDoubt("the run was interrupted")
            raise
        classification = classify(response.status, response.body)
        if isinstance(classification, Accepted):
            state.works(claim)
            state.take_out(lane, claim)
            state.go_on(lane)
            lookups = (
                completed.lookups(classification.receipt.email_message_id) if completed else None
            )
            self._handler.stored(claim, classification.receipt, lookups)
        elif completed is not None and completed.by_contact and lacks_conversation(response):
            await self._enricher.begin_again(state, lane, CALLS_NEED)
        else:
            self._not_stored(state, lane, claim, classification, response)

    def _not_stored(
        self,
        state: LocationState,
        lane: Lane,
        claim: Claim,
        classification: Throttled | Refused | Forbidden | Indeterminate,
        response: Response,
    ) -> None:
        """Act on an answer that stored nothing, or does not tell whether it did."""
        if isinstance(classification, Throttled):
            claim.throttled += 1
            self._handler.pause(state, lane, response)
        else:
            claim.attempts += 1
            refusal = classification.refusal
            claim.note(f"answered {decisions.reason_of(refusal)}", refusal.trace_id)
            step = decisions.after_response(
                classification,
                attempts=claim.attempts,
                retry_after=self._handler.retry_after(response),
                policy=self._policy,
                random=self._random,
            )
            self._handler.take(state, lane, claim, step)
            if is_server_error(response) and claim.attempts >= min(2, self._policy.attempts):
                self._handler.check_provider(state, claim)

    def _request(self, claim: Claim, completed: EnrichedRequest | None) -> Request:
        path, body = INBOUND_PATH, claim.payload
        if completed is not None:
            path, body = completed.path, completed.body
        if self._policy.stamp_alt_id:
            body = stamped(body, claim.key)
        return Request("POST", path, CONVERSATIONS_VERSION, body)


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
            slot = await state.quota.take(self._loop.time())
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
        name = contact_lookup(contact)
        known = (
            lane.lookups
            if name in lane.lookups
            else await self._handler.control.get_lookups(state, [name])
        )
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
