"""What a client and an ingestor share: the transport, the tokens, and a quota for each location."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Final

from leadconnector_async.api.responses import SILENT, no_token, read_rate_limit_headers
from leadconnector_async.breaker import Breaker
from leadconnector_async.errors import (
    AccessError,
    DailyQuotaSpentError,
    NotSentError,
    TransportError,
)
from leadconnector_async.models import Refusal
from leadconnector_async.quota.quota import Quota
from leadconnector_async.transport.base import FileUnreadableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from leadconnector_async.auth.provider import TokenProvider
    from leadconnector_async.policy import Policy
    from leadconnector_async.quota.limits import QuotaSnapshot, RateLimit
    from leadconnector_async.quota.window import Slot
    from leadconnector_async.transport.base import Request, Response, Transport

_log: Final = logging.getLogger(__name__)

GATEWAY_STATUSES: Final = frozenset({502, 503, 504})
"""What a proxy answers for an API that is down."""

TOO_MANY: Final = 429

SERVER_ERRORS: Final = 500
"""From here on an answer tells nothing of the quota."""

RECHECK: Final = 0.05
"""Seconds after which the first in line asks again, in case another's answer freed a slot."""


class ApiSession:
    """One app's way to the API. Belongs to one event loop.

    ``limits`` has the quota to assume for locations where it is not ``limit``.
    """

    def __init__(  # noqa: PLR0913 - one has a default
        self,
        transport: Transport,
        tokens: TokenProvider,
        *,
        policy: Policy,
        limit: RateLimit | None,
        version: str,
        limits: Mapping[str, RateLimit | None] = {},
    ) -> None:
        self.transport = transport
        self.tokens = tokens
        self.policy = policy
        self.version = version
        self.breaker = Breaker()
        self._limit = limit
        self._limits = limits
        self._quotas: dict[str, Quota] = {}
        self._denied: dict[str, tuple[str, Refusal]] = {}
        """Tokens that were refused and whose renewal was, with why: they are not sent again."""
        self._renewals: dict[str, asyncio.Task[str | None]] = {}
        self._slot_locks: dict[str, asyncio.Lock] = {}

    def with_policy(self, policy: Policy) -> ApiSession:
        """The same session, quotas, tokens and breaker included, under another policy."""
        other = copy(self)
        other.policy = policy
        return other

    def quota(self, location: str, snapshot: QuotaSnapshot | None = None) -> Quota:
        """The quota of a location: one object, whoever sends.

        ``snapshot`` is what was used before.
        """
        quota = self._quotas.get(location)
        if quota is None:
            quota = self._quotas[location] = Quota(
                self._limits.get(location, self._limit),
                snapshot=snapshot,
                now=asyncio.get_running_loop().time(),
                wall_ms=time.time_ns() // 1_000_000,
            )
        return quota

    async def acquire_slot(self, location: str, quota: Quota) -> Slot:
        """Wait for a slot, for a caller that has no scheduler of its own. First come, first served.

        Raises:
            DailyQuotaSpentError: there will be none today.
        """
        loop = asyncio.get_running_loop()
        async with self._slot_locks.setdefault(location, asyncio.Lock()):
            # One reading of the clock decides: between two, a slot could seem to be free.
            while (ready_at := quota.ready_at(now := loop.time())) > now:
                if quota.day_spent:
                    raise DailyQuotaSpentError(
                        Refusal(status=429, message="the day's quota is spent")
                    )
                await asyncio.sleep(min(ready_at - now, RECHECK))
            return await quota.take(now)

    async def exchange(
        self, location: str, quota: Quota, slot: Slot, request: Request
    ) -> tuple[Response, str]:
        """One request within its slot, and the token it went with.

        Every way out of here gives the slot back, and tells the circuit breaker. Raises as
        `Transport.send` does. Where the provider has no token, that is told as the API's own answer
        would be, with an empty token: so the location stops alone, whoever asks for it.
        """
        breaker, clock = self.breaker, asyncio.get_running_loop().time
        breaker.began()
        try:
            token = await self.tokens.token(location)
            if self._denied:
                self._check_denied(location, token)
            response = await self.transport.send(request, token)
        except AccessError as error:
            breaker.abandoned()
            quota.unused(slot)
            return no_token(error.refusal), ""
        except FileUnreadableError:  # this machine's trouble: others' requests get through
            breaker.abandoned()
            quota.unused(slot)
            raise
        except TransportError as error:
            breaker.failed(clock())
            if isinstance(error, NotSentError):
                quota.unused(slot)
            else:
                quota.give_back(slot, clock(), None)
            raise
        except BaseException:  # a cancellation, or a token provider's own: it proves nothing
            breaker.abandoned()
            quota.give_back(slot, clock(), None)
            raise
        self._observe(quota, slot, response, clock())
        return response, token

    def _observe(self, quota: Quota, slot: Slot, response: Response, now: float) -> None:
        seen = read_rate_limit_headers(response.headers) if quota.listens(now) else SILENT
        quota.give_back(slot, now, seen)
        if response.status < SERVER_ERRORS and response.status != TOO_MANY:
            quota.throttled_since = math.inf
        if response.status in GATEWAY_STATUSES:
            self.breaker.failed(now)
        else:
            self.breaker.succeeded()

    async def renewed(self, location: str, refused: str) -> str | None:
        """The token to go on with, asked for once however many wait; None if there is no other.

        Where the provider fails, it is the refused one: what is sent next meets the same failure,
        in `exchange`, where it is known what to do about it.
        """
        if not refused:
            return None
        try:
            current = await self.tokens.token(location)
            token = current if current != refused else await self._renewal(location, refused)
        except AccessError as error:
            self._denied[location] = refused, error.refusal
            return refused
        except TransportError:
            return refused
        return token if token != refused else None

    def _check_denied(self, location: str, token: str) -> None:
        refused, why = self._denied.get(location, (None, None))
        if why is not None and token == refused:
            raise AccessError(why)

    async def _renewal(self, location: str, refused: str) -> str | None:
        task = self._renewals.get(location)
        if task is None:
            task = asyncio.ensure_future(self.tokens.renew(location, refused))
            self._renewals[location] = task
            task.add_done_callback(partial(self._renewal_ended, location))
        return await asyncio.shield(task)

    def _renewal_ended(self, location: str, task: asyncio.Task[str | None]) -> None:
        self._renewals.pop(location, None)
        if not task.cancelled() and task.exception() is None and task.result() is not None:
            _log.info("token of location %s renewed", location)

    def pause(self, location: str, quota: Quota, after: float | None) -> float:
        """Hold a location back after a 429. Returns when it goes on, in the loop's seconds.

        ``after`` is what the answer asks for, in seconds; None where it says nothing.
        """
        now = asyncio.get_running_loop().time()
        goes_on = quota.throttled(now, after)
        _log.warning("429: location %s pauses for %.1f s", location, goes_on - now)
        return goes_on

    def __repr__(self) -> str:
        return f"<ApiSession {self.transport!r} {len(self._quotas)} locations>"
