"""The looker: finds out what became of records that may be stored."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

from leadconnector_async._api.answers import Renew, Throttled, judge
from leadconnector_async._api.completing import contact_fact, mail_facts
from leadconnector_async._api.late import read_late
from leadconnector_async._api.likeness import Target
from leadconnector_async._api.search import Finding, Found, Search, Trouble
from leadconnector_async._engine import steps
from leadconnector_async._errors import TransportError
from leadconnector_async._messages import InboundMessage
from leadconnector_async._records import key_text, milliseconds

if TYPE_CHECKING:
    from leadconnector_async._engine.aftermath import Aftermath
    from leadconnector_async._engine.desk import Desk
    from leadconnector_async._engine.lanes import Lane, Site
    from leadconnector_async._gateway import Gateway
    from leadconnector_async._outbox.interface import Claim
    from leadconnector_async._quota import Slot

_payloads: Final = msgspec.json.Decoder(InboundMessage)


class Looker:
    """Shared by all workers; a look that is under way is in its lane."""

    def __init__(self, gateway: Gateway, desk: Desk, aftermath: Aftermath) -> None:
        self._gateway = gateway
        self._policy = gateway.policy
        self._desk = desk
        self._aftermath = aftermath
        self._loop = asyncio.get_running_loop()

    async def resolve(self, site: Site, lane: Lane) -> None:
        """Look for the lane's records in doubt: one request at the most.

        There is a slot for it.
        """
        if lane.search is not None:
            slot = await site.quota.take(self._loop.time())
            await self._look(site, lane, lane.search, slot)
        else:  # no request yet, and so no slot: preparing waits for the store
            lane.search = await self._new_search(site, lane)
            site.ready.appendleft(lane)

    async def _look(self, site: Site, lane: Lane, search: Search, slot: Slot) -> None:
        self._aftermath.tally.looks += 1
        self._aftermath.tally.requests += 1
        try:
            answer, token = await self._gateway.exchange(
                site.name, site.quota, slot, search.request()
            )
        except TransportError as error:
            self._conclude(site, lane, search.trouble(str(error)))
            return
        verdict = judge(answer.status, answer.body) if answer.status in (401, 429) else None
        if isinstance(verdict, Throttled):
            self._aftermath.pause(site, lane, answer)
        elif isinstance(verdict, Renew):
            await self._aftermath.renew(site, lane, verdict.refusal, token)
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
                # Where a mail was moved behind the one that it answers, its own date is another.
                date = claim.date if message.date is None else milliseconds(message.date)
                targets.append(Target(claim.seq, message, alt_id, date))
        if not targets:
            return None
        taken = await self._desk.others(lane.claims[0])
        return Search(site.name, targets, taken, version=self._gateway.version)

    def _conclude(self, site: Site, lane: Lane, findings: dict[int, Finding]) -> None:
        """Act on a look: end what was found, and let the lane take the step of the rest.

        While the API is down, no record is charged.
        """
        blame = not self._gateway.breaker.is_open
        who = lane.search.who if lane.search else ""
        lane.search, random = None, self._aftermath.random
        step: steps.Step | None = None
        for claim in [claim for claim in lane.claims if claim.seq in findings]:
            doubt, finding = lane.doubts[claim.seq], findings[claim.seq]
            doubt.troubles += blame and isinstance(finding, Trouble)
            doubt.looks += not isinstance(finding, Trouble)
            after = steps.after_look(
                finding,
                doubt,
                attempts=claim.attempts,
                policy=self._policy,
                random=random,
            )
            if isinstance(after, steps.End):
                site.take_out(lane, claim)
                self._aftermath.clerk.ended(claim, after, _learned(claim, who, finding))
            else:
                if isinstance(after, steps.Again):
                    del lane.doubts[claim.seq]
                step = step or after
        self._aftermath.go_on(site, lane, step)


def _learned(claim: Claim, who: str, finding: Finding) -> dict[str, str] | None:
    """What finding a mail teaches of its thread."""
    if claim.late is None or not isinstance(finding, Found) or finding.thread is None:
        return None
    return dict.fromkeys(mail_facts(read_late(claim.late), who), finding.thread)
