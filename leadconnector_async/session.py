"""What a client and an ingestor share: the transport, the tokens, and a quota for each location."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import Counter
from copy import copy
from dataclasses import KW_ONLY, dataclass, field
from sys import exception
from typing import TYPE_CHECKING, Final, Self

from leadconnector_async import errors
from leadconnector_async.api import responses
from leadconnector_async.api.endpoints import is_needed
from leadconnector_async.auth.session_tokens import NoTokenYetError, SessionTokens, without_token
from leadconnector_async.breaker import Breaker
from leadconnector_async.models import Refusal
from leadconnector_async.observer import Exchange, Observer
from leadconnector_async.quota.quota import Quota
from leadconnector_async.transport.base import FileUnreadableError, Network, WithheldError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from leadconnector_async.auth.provider import TokenProvider
    from leadconnector_async.policy import Policy
    from leadconnector_async.quota.limits import QuotaSnapshot, RateLimit
    from leadconnector_async.quota.window import Slot
    from leadconnector_async.records.draft import TraceContext
    from leadconnector_async.transport.base import MaySend, Request, Response, Transport

_log: Final = logging.getLogger(__name__)

MAX_RENEWALS: Final = 2
"""Tokens asked for in a row for one request: the first may have ended while it waited."""

RECHECK: Final = 0.05
"""Seconds after which the first in line asks again, in case another's answer freed a slot."""

FOREIGN: Final = "a page or other bytes come in its place: see the proxy, and the base URL"

MAX_PAGES: Final = 3
"""Pages with 404 that tell that the API is not there, where none of its answers has come. Where one
has, as many in a row, or as one record is tried for, are the records' own that they answer."""

_DAY_SPENT: Final = Refusal(status=429, message="the day's quota is spent")

_GONE: Final = Refusal(status=404, message=f"the API has gone: {FOREIGN}")

NO_ROUTE: Final = Refusal(status=404, message="the API is not at this address: check the base URL")


_NOTHING_LEFT: Final = (errors.AccessError, NoTokenYetError, FileUnreadableError, WithheldError)
"""No request was begun."""


@dataclass(eq=False, repr=False)
class ApiSession:
    """One app's way to the API. Belongs to one event loop.

    ``limits`` has the quota to assume for locations where it is not ``limit``; ``request_limit_s``
    is how long a request may take; ``network`` how others than the API are reached.
    """

    transport: Transport
    tokens: TokenProvider
    _: KW_ONLY
    policy: Policy
    limit: RateLimit | None
    limits: Mapping[str, RateLimit | None] = field(default_factory=dict)
    request_limit_s: float = 60.0
    network: Network = Network()  # noqa: RUF009 - frozen
    observer: Observer | None = None
    breaker: Breaker = field(default_factory=Breaker, init=False)
    closed: bool = field(default=False, init=False)
    """Whether its client is: who waits for a slot is told then."""
    _quotas: dict[tuple[str, float], Quota] = field(default_factory=dict, init=False)
    _slot_locks: dict[str, asyncio.Lock] = field(default_factory=dict, init=False)
    _is_served: bool = field(default=False, init=False)
    """Whether the API has done anything, and so is at its address: a 404 is of one record then."""
    _pages: int = field(default=0, init=False)
    _in_line: Counter[str] = field(default_factory=Counter, init=False)
    """How many wait for a slot, by location."""

    def __post_init__(self) -> None:
        quotas = self._quotas
        self._tokens = SessionTokens(self.tokens, self.breaker, lambda: len(quotas) == 1)

    def under(self, *, policy: Policy | None = None, observer: Observer | None = None) -> Self:
        """The same session with another policy or observer, tokens, breaker and quotas included.

        But who uses another share of the quotas has some of its own.
        """
        other = copy(self)
        other.policy, other.observer = policy or self.policy, observer or self.observer
        return other

    def quota(self, location: str, snapshot: QuotaSnapshot | None = None) -> Quota:
        """The quota of a location: one object, whoever sends.

        ``snapshot`` is what was used before.
        """
        part = location, self.policy.share
        quota = self._quotas.get(part)
        if quota is None:
            quota = self._quotas[part] = Quota(
                self.limits.get(location, self.limit),
                snapshot=snapshot,
                now=asyncio.get_running_loop().time(),
                wall_ms=time.time_ns() // 1_000_000,
                share=self.policy.share,
            )
        return quota

    def forget(self, location: str) -> None:
        """Let go of a location's quota: from now on another process uses it."""
        self._quotas.pop((location, self.policy.share), None)
        self._slot_locks.pop(location, None)
        self._tokens.forget(location)

    async def acquire_slot(self, location: str, quota: Quota) -> Slot:
        """Wait for a slot, for a caller that has no scheduler of its own. First come, first served.

        Raises:
            DailyQuotaSpentError: there will be none today.
        """
        loop = asyncio.get_running_loop()
        # One reading of the clock decides: between two, a slot could seem to be free.
        if location not in self._in_line and quota.ready_at(now := loop.time()) <= now:
            return quota.take(now)
        self._in_line[location] += 1
        try:
            async with self._slot_locks.setdefault(location, asyncio.Lock()):
                while (ready_at := quota.ready_at(now := loop.time())) > now:
                    if self.closed:
                        raise errors.ClosedError(errors.CLOSED)
                    if quota.day.spent:
                        raise errors.DailyQuotaSpentError(_DAY_SPENT)
                    await asyncio.sleep(min(ready_at - now, RECHECK))
                return quota.take(now)
        finally:
            self._in_line[location] -= 1
            if not self._in_line[location]:
                del self._in_line[location]

    async def exchange(  # noqa: PLR0913 - the last three have defaults
        self,
        location: str,
        quota: Quota,
        slot: Slot,
        request: Request,
        may_send: MaySend | None = None,
        *,
        trace: TraceContext | None = None,
        resends: int = 0,
    ) -> Response:
        """One request within its slot; and, where its token has ended, again with the next one.

        ``trace`` and ``resends``: see `Exchange`.

        Raises:
            AccessError: no token is to be had, or the next one is refused as well; or the API is
                not at this address, which it takes several pages of a server's to tell.
            DailyQuotaSpentError: the request cannot be repeated today.
            TransportError: as `Transport.send` does.

        Of an `AccessError` and a `DailyQuotaSpentError`, nothing was stored.
        """
        renewals, token = 0, None
        while True:
            self.breaker.began()
            response = None
            try:
                if token is None:
                    token = await self._tokens.token(location, self.policy.patience)
                response = await self.transport.send(request, token, may_send)
            except BaseException as error:
                self._unanswered(quota, slot, error)
                if isinstance(error, errors.AccessError):
                    raise without_token(error) from error.__cause__ or error
                raise
            finally:
                why = exception() if response is None else None
                if self.observer is not None and not isinstance(why, _NOTHING_LEFT):
                    now, times = asyncio.get_running_loop().time(), resends + renewals
                    ended = Exchange(location, request, slot, now, response, why, trace, times)
                    self.observer.requested(ended)
            refusal = self._observe(quota, slot, response)
            self._tokens.forget(location)
            if responses.lacks_route(response) and is_needed(request):
                self._see_that_it_is_there(response)
            if refusal is None:
                return response
            renewals += 1
            refused, token = token, None
            if renewals <= MAX_RENEWALS:
                token = await self._tokens.renewed(location, refused, self.policy.patience)
            if token is None or token == refused:
                raise errors.AccessError(refusal)
            slot = await self.acquire_slot(location, quota)

    def _unanswered(self, quota: Quota, slot: Slot, error: BaseException) -> None:
        """Give the slot of a request back that has no answer, and tell the circuit breaker."""
        now = asyncio.get_running_loop().time()
        if isinstance(error, errors.NotSentError | errors.AccessError):
            quota.unused(slot)
        else:
            quota.give_back(slot, now, None)
        if isinstance(error, errors.TransportError) and not isinstance(error, _NOTHING_LEFT):
            self.breaker.failed(now, str(error))
        else:  # others' get through; or a cancellation, or a provider's own, which proves nothing
            self.breaker.abandoned()

    def _observe(self, quota: Quota, slot: Slot, response: Response) -> Refusal | None:
        """Tell quota and circuit breaker of an answer. Returns why its token has to be renewed."""
        now = asyncio.get_running_loop().time()
        listens = quota.listens(now)
        seen = responses.read_rate_limit_headers(response.headers) if listens else responses.SILENT
        quota.give_back(slot, now, seen)
        if responses.is_success(response):
            quota.throttled_since = math.inf
            if responses.is_foreign(response):
                self.breaker.failed(now, FOREIGN)
            else:
                self._is_served, self._pages = True, 0
                self.breaker.succeeded()
            return None
        if responses.is_unthrottled(response):
            quota.throttled_since = math.inf
        if responses.is_from_gateway(response):
            self.breaker.failed(now, f"{response.status} of a proxy")
        else:
            self.breaker.succeeded()
        return responses.expired_token(response)

    def _see_that_it_is_there(self, response: Response) -> None:
        """Raise what a path that nobody serves comes to: single pages may be a firewall's."""
        is_page = responses.is_foreign(response)
        self._pages += is_page
        if self._is_served:
            if is_page and self._pages > max(MAX_PAGES, self.policy.attempts):
                raise errors.AccessError(_GONE)
        elif is_page and self._pages < MAX_PAGES:
            raise errors.NotSentError(f"404: {FOREIGN}")
        else:
            raise errors.AccessError(NO_ROUTE)

    def token_due(self, location: str) -> float:
        """When what gives a location's token is asked again, in the loop's seconds."""
        return self._tokens.due_at(location)

    def pause(self, location: str, quota: Quota, after: float | None) -> float:
        """Hold a location back after a 429. Returns when it goes on, in the loop's seconds.

        ``after`` is what the answer asks for, in seconds; None where it says nothing.
        """
        now = asyncio.get_running_loop().time()
        goes_on = quota.throttled(now, after)
        if self.observer is not None:
            self.observer.paused(location, "throttled")
        _log.warning("429: location %s pauses for %.1f s", location, goes_on - now)
        return goes_on
