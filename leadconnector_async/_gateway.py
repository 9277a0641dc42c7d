"""What a client and an ingestor share: the transport, the tokens, and a quota for each location."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from leadconnector_async._api.allowance import SILENT, read_allowance
from leadconnector_async._breaker import Breaker
from leadconnector_async._errors import DailyQuotaSpent, NotSentError, TransportError
from leadconnector_async._messages import Refusal
from leadconnector_async._quota import Quota, RateLimit

if TYPE_CHECKING:
    from leadconnector_async._outbox.interface import Spend
    from leadconnector_async._policy import Policy
    from leadconnector_async._quota import Slot
    from leadconnector_async._tokens import TokenProvider
    from leadconnector_async._transport import Answer, Request, Transport


GATEWAY_STATUSES: Final = frozenset({502, 503, 504})
"""What a proxy answers for an API that is down."""
RECHECK: Final = 0.05
"""Seconds after which the first in line asks again, in case another's answer freed a slot."""


class Gateway:
    """One app's way to the API. Belongs to one event loop."""

    def __init__(
        self,
        transport: Transport,
        tokens: TokenProvider,
        *,
        policy: Policy,
        limit: RateLimit | None,
        version: str,
    ) -> None:
        self.transport = transport
        self.tokens = tokens
        self.policy = policy
        self.version = version
        self.breaker = Breaker()
        self._limit = limit
        self._quotas: dict[str, Quota] = {}
        self._renewals: dict[str, asyncio.Task[str | None]] = {}
        self._turnstiles: dict[str, asyncio.Lock] = {}

    def quota(self, location: str, spend: Spend | None = None) -> Quota:
        """The quota of a location: one object, whoever sends. ``spend`` is what was used before."""
        quota = self._quotas.get(location)
        if quota is None:
            quota = self._quotas[location] = Quota(
                self._limit,
                spend=spend,
                now=asyncio.get_running_loop().time(),
                wall_ms=time.time_ns() // 1_000_000,
            )
        return quota

    async def turn(self, location: str, quota: Quota) -> Slot:
        """Wait for a slot, for a caller that has no scheduler of its own. First come, first served.

        Raises:
            DailyQuotaSpent: there will be none today.
        """
        loop = asyncio.get_running_loop()
        async with self._turnstiles.setdefault(location, asyncio.Lock()):
            while (ready_at := quota.ready_at(loop.time())) > loop.time():
                if quota.day_spent:
                    raise DailyQuotaSpent(Refusal(status=429, message="the day's quota is spent"))
                await asyncio.sleep(min(ready_at - loop.time(), RECHECK))
            return await quota.take(loop.time())

    async def exchange(
        self, location: str, quota: Quota, slot: Slot, request: Request
    ) -> tuple[Answer, str]:
        """One request within its slot, and the token it went with.

        Every way out of here gives the slot back, and tells the circuit breaker. Raises as
        `Transport.send` does.
        """
        breaker, time_ = self.breaker, asyncio.get_running_loop().time
        breaker.began()
        try:
            token = await self.tokens.token(location)
            answer = await self.transport.send(request, token)
        except TransportError as error:
            breaker.failed(time_())
            if isinstance(error, NotSentError):
                quota.unused(slot)
            else:
                quota.give_back(slot, time_(), None)
            raise
        except BaseException:  # a cancellation, or a token provider's own: it proves nothing
            breaker.abandoned()
            quota.give_back(slot, time_(), None)
            raise
        now = time_()
        seen = read_allowance(answer.headers) if quota.listens(now) else SILENT
        quota.give_back(slot, now, seen)
        if answer.status in GATEWAY_STATUSES:
            breaker.failed(now)
        else:
            breaker.succeeded()
        return answer, token

    async def renewed(self, location: str, refused: str) -> str | None:
        """A token other than the refused one, asked for once however many wait for it."""
        current = await self.tokens.token(location)
        if current != refused:
            return current
        task = self._renewals.get(location)
        if task is None:
            task = asyncio.ensure_future(self.tokens.renew(location, refused))
            self._renewals[location] = task
            task.add_done_callback(lambda _: self._renewals.pop(location, None))
        token = await asyncio.shield(task)
        return token if token != refused else None

    def __repr__(self) -> str:
        return f"<Gateway {self.transport!r} {len(self._quotas)} locations>"
