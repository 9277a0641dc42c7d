"""The courier: makes one request for a lane, and does what its answer asks for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from leadconnector_async._api.answers import Barred, Renew, Stored, Throttled, judge
from leadconnector_async._api.requests import INBOUND_PATH, lacking
from leadconnector_async._engine import steps
from leadconnector_async._engine.aftermath import Aftermath
from leadconnector_async._engine.completer import Completer
from leadconnector_async._engine.looker import Looker
from leadconnector_async._engine.unsettled import Doubt
from leadconnector_async._errors import FateUnknownError, NotSentError, TokenStoreError
from leadconnector_async._records import stamped
from leadconnector_async._transport import FileUnreadableError, Request

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from leadconnector_async._api.completing import Completed
    from leadconnector_async._engine.clerk import Clerk
    from leadconnector_async._engine.desk import Desk
    from leadconnector_async._engine.lanes import Lane, Site
    from leadconnector_async._engine.tally import Tally
    from leadconnector_async._engine.unsettled import Errand
    from leadconnector_async._gateway import Gateway
    from leadconnector_async._outbox.interface import Claim


class Courier:
    """Serves lanes, one request at a time. Shared by all workers; keeps nothing of a request."""

    def __init__(self, gateway: Gateway, desk: Desk, clerk: Clerk, tally: Tally) -> None:
        self._gateway = gateway
        self._policy = gateway.policy
        self._clerk = clerk
        self._tally = tally
        self._loop = asyncio.get_running_loop()
        self._aftermath = Aftermath(gateway, desk, clerk, tally)
        self._random = self._aftermath.random
        self._completer = Completer(gateway, desk, tally, self._random)
        self._looker = Looker(gateway, desk, self._aftermath)

    def serve(self, site: Site, lane: Lane) -> Coroutine[None, None, None]:
        """Send the lane's first record, complete it, or look for it: one request at the most.

        There is a slot for it. What has to be awaited is returned: a layer less for each message.
        """
        claim = lane.claims[0]
        if claim.seq in lane.doubts:
            return self._looker.resolve(site, lane)
        errand = lane.errand
        if claim.late is None or (errand is not None and errand.completed is not None):
            return self._send(site, lane, claim, errand)
        return self._complete(site, lane, errand)

    async def _complete(self, site: Site, lane: Lane, errand: Errand | None) -> None:
        claim = lane.claims[0]
        if errand is None or errand.request is None:  # no request yet, and so no slot
            self._aftermath.take(site, lane, claim, await self._completer.begin(site, lane))
            return
        slot = await site.quota.take(self._loop.time())
        self._tally.requests += 1
        try:
            answer, token = await self._gateway.exchange(
                site.name, site.quota, slot, errand.request
            )
        # Whatever became of it, it can be done again; but not for ever, where a file is at fault.
        except (FateUnknownError, FileUnreadableError) as error:
            self._aftermath.take(site, lane, claim, self._completer.failed(errand, str(error)))
            return
        except NotSentError:
            self._aftermath.go_on(site, lane, steps.Again(self._policy.delay(1, self._random)))
            return
        except asyncio.CancelledError:
            errand.start_over()
            raise
        verdict = judge(answer.status, answer.body) if answer.status in (401, 403, 429) else None
        if isinstance(verdict, Throttled):
            self._aftermath.pause(site, lane, answer)
        elif isinstance(verdict, Renew):
            await self._aftermath.renew(site, lane, verdict.refusal, token)
        elif isinstance(verdict, Barred):
            self._aftermath.bar(site, lane, lacking(errand.request, verdict.refusal))
        else:
            step = await self._completer.go_on(site, lane, errand, answer)
            self._aftermath.take(site, lane, claim, step)

    async def _send(self, site: Site, lane: Lane, claim: Claim, errand: Errand | None) -> None:
        completed = errand.completed if errand else None
        request = self._request(claim, completed)
        slot = await site.quota.take(self._loop.time())
        self._tally.requests += 1
        try:
            answer, token = await self._gateway.exchange(site.name, site.quota, slot, request)
        except NotSentError:
            self._aftermath.go_on(site, lane, steps.Again(self._policy.delay(1, self._random)))
            return
        except FateUnknownError as error:
            claim.attempts += 1
            self._aftermath.take(site, lane, claim, self._in_doubt(claim, str(error)))
            return
        except TokenStoreError:
            raise  # without a token nothing left
        except BaseException:  # a cancellation, or anything else that proves nothing
            lane.doubts[claim.seq] = Doubt("the run was interrupted")
            raise
        verdict = judge(answer.status, answer.body)
        if isinstance(verdict, Stored):
            site.take_out(lane, claim)
            site.go_on(lane)
            facts = completed.facts(verdict.receipt.email_message_id) if completed else None
            self._clerk.stored(claim, verdict.receipt, facts)
        elif isinstance(verdict, Renew):
            await self._aftermath.renew(site, lane, verdict.refusal, token)
        elif isinstance(verdict, Throttled):
            self._aftermath.pause(site, lane, answer)
        else:
            claim.attempts += 1
            step = steps.after_verdict(
                verdict,
                attempts=claim.attempts,
                retry_after=self._aftermath.retry_after(answer),
                policy=self._policy,
                random=self._random,
            )
            self._aftermath.take(site, lane, claim, step)

    def _request(self, claim: Claim, completed: Completed | None) -> Request:
        path, body = INBOUND_PATH, claim.payload
        if completed is not None:
            path, body = completed.path, completed.body
        if self._policy.stamp_alt_id:
            body = stamped(body, claim.key)
        return Request("POST", path, self._gateway.version, body)

    def _in_doubt(self, claim: Claim, reason: str) -> steps.Step:
        return steps.in_doubt(
            reason,
            attempts=claim.attempts,
            delay=self._policy.delay(claim.attempts, self._random),
            policy=self._policy,
        )
