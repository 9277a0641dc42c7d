"""What any answer can ask for: a pause, another token, the end of a location, a rest of a lane."""

from __future__ import annotations

import asyncio
from math import inf
from random import Random
from typing import TYPE_CHECKING, Final

from leadconnector_async._api.answers import read_refusal
from leadconnector_async._engine import steps
from leadconnector_async._engine.endings import throttled
from leadconnector_async._engine.unsettled import Doubt
from leadconnector_async._errors import AccessError
from leadconnector_async._policy import retry_after

if TYPE_CHECKING:
    from leadconnector_async._engine.clerk import Clerk
    from leadconnector_async._engine.desk import Desk
    from leadconnector_async._engine.lanes import Lane, Site
    from leadconnector_async._engine.tally import Tally
    from leadconnector_async._gateway import Gateway
    from leadconnector_async._messages import Refusal
    from leadconnector_async._outbox.interface import Claim
    from leadconnector_async._transport import Answer

MOST_RENEWALS: Final = 2
"""Tokens asked for in a row for one record."""


class Aftermath:
    """Carries out the step that follows a request, whatever the request was for."""

    def __init__(self, gateway: Gateway, desk: Desk, clerk: Clerk, tally: Tally) -> None:
        self._gateway = gateway
        self._desk = desk
        self.clerk = clerk
        self.tally = tally
        self.random = Random()  # noqa: S311 - jitter, not secrets
        self._loop = asyncio.get_running_loop()

    def take(self, site: Site, lane: Lane, claim: Claim, step: steps.Step | None) -> None:
        """Take the step after a request for the lane's first record."""
        match step:
            case None:
                site.ready.appendleft(lane)
                return
            case steps.End():
                site.take_out(lane, claim)
                self.clerk.ended(claim, step)
            case steps.Look(_, reason):
                lane.doubts[claim.seq] = Doubt(reason)
            case steps.Bar(refusal):
                self.bar(site, lane, refusal)
                return
        self.go_on(site, lane, step)

    def go_on(self, site: Site, lane: Lane, step: steps.Step | None) -> None:
        """Let the lane go on at once, or after the delay of the step."""
        if isinstance(step, steps.Again | steps.Look) and step.delay > 0:
            self._desk.rest(site, lane, step.delay)
        else:
            site.go_on(lane)

    def pause(self, site: Site, lane: Lane, answer: Answer) -> None:
        """Hold the location back after a 429, which is not the record's.

        One that gets nothing else for longer than the policy's patience stops alone: at that time,
        where the pause lasts longer.
        """
        self.tally.throttled += 1
        quota, now = site.quota, self._loop.time()
        goes_on = quota.throttled(now, self.retry_after(answer))
        site.ready.appendleft(lane)
        ends = quota.throttled_since + self._gateway.policy.patience
        if now > ends:
            self._give_up(site, answer, quota.throttled_since)
        elif ends < goes_on < inf:
            self._loop.call_at(ends, self._give_up, site, answer, quota.throttled_since)

    def _give_up(self, site: Site, answer: Answer, since: float) -> None:
        if site.quota.throttled_since == since:
            refusal = read_refusal(answer.status, answer.body)
            self._desk.close(site, throttled(site, refusal, self._loop.time() - since))

    async def renew(self, site: Site, lane: Lane, refusal: Refusal, token: str) -> None:
        """Ask for another token; without one the location stops."""
        lane.renewals += 1
        if lane.renewals > MOST_RENEWALS or not await self._gateway.renewed(site.name, token):
            self.bar(site, lane, refusal)
        else:
            site.ready.appendleft(lane)

    def bar(self, site: Site, lane: Lane, refusal: Refusal) -> None:
        """Stop the location."""
        site.ready.appendleft(lane)
        self._desk.close(site, AccessError(refusal))

    def retry_after(self, answer: Answer) -> float | None:
        """Seconds that an answer asks to wait, where it does."""
        return retry_after(answer.headers.get("Retry-After"), self._gateway.policy.retry_after_cap)
