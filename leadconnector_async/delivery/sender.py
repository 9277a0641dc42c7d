"""The sender: makes one request for a lane, and does what its answer asks for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from leadconnector_async.api.endpoints import (
    CONVERSATIONS_VERSION,
    INBOUND_PATH,
    with_missing_scope,
)
from leadconnector_async.api.enrichment import CALLS_NEED, EnrichedRequest
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
from leadconnector_async.delivery.lane import Enrichment, InDoubt, Lane
from leadconnector_async.delivery.reconciler import Reconciler
from leadconnector_async.errors import FateUnknownError, NotSentError, RefusedError, TokenStoreError
from leadconnector_async.records.keys import stamped
from leadconnector_async.transport.base import FileUnreadableError, Request, Response, WithheldError

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from leadconnector_async.api.responses import Indeterminate, Refused
    from leadconnector_async.delivery.outcomes import OutcomeHandler
    from leadconnector_async.delivery.scheduler import LocationState
    from leadconnector_async.outbox.base import Claim


class Sender:
    """Serves lanes, one request at a time. Shared by all workers; keeps nothing of a request."""

    def __init__(self, handler: OutcomeHandler) -> None:
        self._handler = handler
        self._session = session = handler.session
        self._policy = session.policy
        self._stats = handler.stats
        self._random = handler.random
        self._enricher = Enricher(session, handler.control, handler.stats, handler.random)
        self._reconciler = Reconciler(handler)

    def serve(self, state: LocationState, lane: Lane, now: float) -> Coroutine[None, None, None]:
        """Send the lane's first record, complete it, or look for it: one request at the most.

        There is a slot for it ``now``. What has to be awaited is returned: a layer less for each
        message.
        """
        claim = lane.claims[0]
        if claim.seq in lane.doubts:
            return self._reconciler.resolve(state, lane)
        enrichment = lane.enrichment
        if (claim.deferred is None and not self._policy.mark_read) or (
            enrichment is not None and enrichment.completed is not None
        ):
            return self._send(state, lane, claim, enrichment, now)
        return self._complete(state, lane, enrichment, now)

    async def _complete(
        self, state: LocationState, lane: Lane, enrichment: Enrichment | None, now: float
    ) -> None:
        claim = lane.claims[0]
        if enrichment is None or enrichment.request is None:  # no request yet, and so no slot
            self._handler.take(state, lane, claim, await self._enricher.begin(state, lane))
            return
        slot = state.quota.take(now)
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
            self._handler.not_sent(state, lane)
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
        self,
        state: LocationState,
        lane: Lane,
        claim: Claim,
        enrichment: Enrichment | None,
        now: float,
    ) -> None:
        completed = enrichment.completed if enrichment else None
        request = self._request(claim, completed)
        slot = state.quota.take(now)
        self._stats.requests += 1
        try:
            response = await self._session.exchange(
                *(state.name, state.quota, slot, request, state.may_send),
                trace=claim.trace,
                resends=claim.attempts + claim.throttled,
            )
            classification = classify(response.status, response.body)
        except (RefusedError, WithheldError) as error:
            self._handler.hold_back(state, lane, error)
            return
        except NotSentError:
            self._handler.not_sent(state, lane)
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
        if isinstance(classification, Accepted):
            state.works(claim)
            state.take_out(lane, claim)
            state.go_on(lane)
            mail_id = classification.receipt.email_message_id
            lookups = completed.lookups(mail_id) if completed else None
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
