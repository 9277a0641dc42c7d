"""The courier: makes one request for a lane, and does what its answer asks for."""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from leadconnector_async._api.answers import Barred, Renew, Stored, Throttled, judge
from leadconnector_async._api.completing import contact_fact, mail_facts
from leadconnector_async._api.late import read_late
from leadconnector_async._api.requests import INBOUND_PATH, lacking
from leadconnector_async._api.search import Finding, Found, Search, Target, Trouble
from leadconnector_async._engine import steps
from leadconnector_async._engine.completer import Completer, Errand, Memory
from leadconnector_async._engine.lanes import Doubt, Lane, Site
from leadconnector_async._errors import (
    AccessError,
    FateUnknownError,
    NotSentError,
    TransportError,
)
from leadconnector_async._messages import InboundMessage, Refusal
from leadconnector_async._policy import retry_after
from leadconnector_async._records import key_text, stamped
from leadconnector_async._transport import Request

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from leadconnector_async._engine.clerk import Clerk
    from leadconnector_async._engine.tally import Tally
    from leadconnector_async._gateway import Gateway
    from leadconnector_async._outbox.interface import Claim
    from leadconnector_async._quota import Slot
    from leadconnector_async._transport import Answer

_MOST_RENEWALS: Final = 2
_payloads: Final = msgspec.json.Decoder(InboundMessage)


class Desk(Memory, Protocol):
    """Where the courier hands in what came of its errands."""

    def rest(self, site: Site, lane: Lane, seconds: float) -> None:
        """Consider the lane when some time has passed."""

    def close(self, site: Site, error: AccessError) -> None:
        """Stop a location alone."""

    async def others(self, claim: Claim) -> set[str]:
        """Message ids that belong to other records of the claim's lane."""


class Courier:
    """Serves lanes, one request at a time. Shared by all workers; keeps nothing of a request."""

    def __init__(self, gateway: Gateway, desk: Desk, clerk: Clerk, tally: Tally) -> None:
        self._gateway = gateway
        self._policy = gateway.policy
        self._desk = desk
        self._clerk = clerk
        self._tally = tally
        self._loop = asyncio.get_running_loop()
        self._random = Random()  # noqa: S311 - jitter, not secrets
        self._completer = Completer(gateway, desk, tally, self._random)

    def serve(self, site: Site, lane: Lane) -> Coroutine[None, None, None]:
        """Send the lane's first record, complete it, or look for it: one request at the most.

        There is a slot for it. What has to be awaited is returned: a layer less for each message.
        """
        claim = lane.claims[0]
        if claim.seq in lane.doubts:
            return self._resolve(site, lane)
        errand = lane.errand
        if claim.late is None or (errand is not None and errand.completed is not None):
            return self._send(site, lane, claim, errand)
        return self._complete(site, lane, errand)

    async def _resolve(self, site: Site, lane: Lane) -> None:
        if lane.search is not None:
            slot = await site.quota.take(self._loop.time())
            await self._look(site, lane, lane.search, slot)
        else:  # no request yet, and so no slot: preparing waits for the store
            lane.search = await self._new_search(site, lane)
            site.ready.appendleft(lane)

    async def _complete(self, site: Site, lane: Lane, errand: Errand | None) -> None:
        claim = lane.claims[0]
        if errand is None or errand.request is None:  # no request yet, and so no slot
            self._take(site, lane, claim, await self._completer.begin(site, lane))
            return
        slot = await site.quota.take(self._loop.time())
        self._tally.requests += 1
        try:
            answer, token = await self._gateway.exchange(
                site.name, site.quota, slot, errand.request
            )
        except NotSentError:
            self._go_on(site, lane, steps.Again(self._policy.delay(1, self._random)))
            return
        except FateUnknownError as error:  # whatever became of it, it can be done again
            self._take(site, lane, claim, self._completer.failed(errand, str(error)))
            return
        except asyncio.CancelledError:
            errand.start_over()
            raise
        verdict = judge(answer.status, answer.body) if answer.status in (401, 403, 429) else None
        if isinstance(verdict, Throttled):
            self._pause(site, lane, answer)
        elif isinstance(verdict, Renew):
            await self._renew(site, lane, verdict.refusal, token)
        elif isinstance(verdict, Barred):
            self._bar(site, lane, lacking(errand.request, verdict.refusal))
        else:
            step = await self._completer.go_on(site, lane, errand, answer)
            self._take(site, lane, claim, step)

    async def _send(self, site: Site, lane: Lane, claim: Claim, errand: Errand | None) -> None:
        quota, completed = site.quota, errand.completed if errand else None
        path, body = INBOUND_PATH, claim.payload
        if completed is not None:
            path, body = completed.path, completed.body
        if self._policy.stamp_alt_id:
            body = stamped(body, claim.key)
        request = Request("POST", path, self._gateway.version, body)
        slot = await quota.take(self._loop.time())
        self._tally.requests += 1
        try:
            answer, token = await self._gateway.exchange(site.name, site.quota, slot, request)
        except NotSentError:
            self._go_on(site, lane, steps.Again(self._policy.delay(1, self._random)))
            return
        except FateUnknownError as error:
            claim.attempts += 1
            self._take(site, lane, claim, self._in_doubt(claim, str(error)))
            return
        except asyncio.CancelledError:
            lane.doubts[claim.seq] = Doubt("the run was interrupted")
            raise
        verdict = judge(answer.status, answer.body)
        if isinstance(verdict, Stored):
            site.take_out(lane, claim)
            site.go_on(lane)
            facts = completed.facts(verdict.receipt.email_message_id) if completed else None
            self._clerk.stored(claim, verdict.receipt, facts)
        elif isinstance(verdict, Renew):
            await self._renew(site, lane, verdict.refusal, token)
        elif isinstance(verdict, Throttled):
            self._pause(site, lane, answer)
        else:
            claim.attempts += 1
            step = steps.after_verdict(
                verdict,
                attempts=claim.attempts,
                retry_after=self._retry_after(answer),
                policy=self._policy,
                random=self._random,
            )
            self._take(site, lane, claim, step)

    async def _look(self, site: Site, lane: Lane, search: Search, slot: Slot) -> None:
        self._tally.looks += 1
        self._tally.requests += 1
        try:
            answer, token = await self._gateway.exchange(
                site.name, site.quota, slot, search.request()
            )
        except TransportError as error:
            self._conclude(
                site, lane, search.trouble(str(error)), blame=not self._gateway.breaker.is_open
            )
            return
        verdict = judge(answer.status, answer.body) if answer.status in (401, 429) else None
        if isinstance(verdict, Throttled):
            self._pause(site, lane, answer)
        elif isinstance(verdict, Renew):
            await self._renew(site, lane, verdict.refusal, token)
        else:
            findings = search.feed(answer)
            if findings is None:
                site.ready.appendleft(lane)
            else:
                self._conclude(site, lane, findings)

    async def _message_of(self, site: Site, lane: Lane, claim: Claim) -> InboundMessage | None:
        """The message as it was sent; None where its contact was not known, and so it was not."""
        message = _payloads.decode(claim.payload)
        contact = read_late(claim.late).contact if claim.late else None
        if contact is None or message.contact_id or message.conversation_id:
            return message
        name = contact_fact(contact)
        known = lane.facts if name in lane.facts else await self._desk.recall(site, [name])
        return msgspec.structs.replace(message, contact_id=known[name]) if known else None

    async def _new_search(self, site: Site, lane: Lane) -> Search | None:
        """One listing tells about every record of the lane that is in doubt."""
        targets = []
        for claim in [claim for claim in lane.claims if claim.seq in lane.doubts]:
            message = await self._message_of(site, lane, claim)
            if message is None:
                del lane.doubts[claim.seq]
            else:
                alt_id = message.alt_id
                if alt_id is None and self._policy.stamp_alt_id:
                    alt_id = key_text(claim.key)
                targets.append(Target(claim.seq, message, alt_id, claim.date))
        if not targets:
            return None
        taken = await self._desk.others(lane.claims[0])
        return Search(site.name, targets, taken, version=self._gateway.version)

    async def _renew(self, site: Site, lane: Lane, refusal: Refusal, token: str) -> None:
        lane.renewals += 1
        if lane.renewals > _MOST_RENEWALS or not await self._gateway.renewed(site.name, token):
            self._bar(site, lane, refusal)
        else:
            site.ready.appendleft(lane)

    def _in_doubt(self, claim: Claim, reason: str) -> steps.Step:
        return steps.in_doubt(
            reason,
            attempts=claim.attempts,
            delay=self._policy.delay(claim.attempts, self._random),
            policy=self._policy,
        )

    def _conclude(
        self, site: Site, lane: Lane, findings: dict[int, Finding], *, blame: bool = True
    ) -> None:
        """Act on a look: end what was found, and let the lane take the step of the rest."""
        who = lane.search.who if lane.search else ""
        lane.search = None
        step: steps.Step | None = None
        for claim in [claim for claim in lane.claims if claim.seq in findings]:
            doubt, finding = lane.doubts[claim.seq], findings[claim.seq]
            doubt.troubles += blame and isinstance(finding, Trouble)
            doubt.looks += not isinstance(finding, Trouble)
            after = steps.after_look(
                finding, doubt, attempts=claim.attempts, policy=self._policy, random=self._random
            )
            if isinstance(after, steps.End):
                site.take_out(lane, claim)
                self._clerk.ended(claim, after, _learned(claim, who, finding))
            else:
                if isinstance(after, steps.Again):
                    del lane.doubts[claim.seq]
                step = step or after
        self._go_on(site, lane, step)

    def _take(self, site: Site, lane: Lane, claim: Claim, step: steps.Step | None) -> None:
        """Take the step after a request for the lane's first record."""
        match step:
            case None:
                site.ready.appendleft(lane)
                return
            case steps.End():
                site.take_out(lane, claim)
                self._clerk.ended(claim, step)
            case steps.Look(_, reason):
                lane.doubts[claim.seq] = Doubt(reason)
            case steps.Bar(refusal):
                self._bar(site, lane, refusal)
                return
        self._go_on(site, lane, step)

    def _go_on(self, site: Site, lane: Lane, step: steps.Step | None) -> None:
        if isinstance(step, steps.Again | steps.Look) and step.delay > 0:
            self._desk.rest(site, lane, step.delay)
        else:
            site.go_on(lane)

    def _pause(self, site: Site, lane: Lane, answer: Answer) -> None:
        self._tally.throttled += 1
        site.quota.throttled(self._loop.time(), self._retry_after(answer))
        site.ready.appendleft(lane)

    def _bar(self, site: Site, lane: Lane, refusal: Refusal) -> None:
        site.ready.appendleft(lane)
        self._desk.close(site, AccessError(refusal))

    def _retry_after(self, answer: Answer) -> float | None:
        return retry_after(answer.headers.get("Retry-After"), self._policy.retry_after_cap)


def _learned(claim: Claim, who: str, finding: Finding) -> dict[str, str] | None:
    """What finding a mail teaches of its thread."""
    if claim.late is None or not isinstance(finding, Found) or finding.thread is None:
        return None
    return dict.fromkeys(mail_facts(read_late(claim.late), who), finding.thread)
