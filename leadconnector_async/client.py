"""The client: one message, one receipt."""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING, Self

from msgspec.structs import replace

from leadconnector_async.api.endpoints import BASE_URL, inbound
from leadconnector_async.api.responses import (
    SILENT,
    Accepted,
    Forbidden,
    Indeterminate,
    Throttled,
    classify,
    read_rate_limit_headers,
    retry_after,
)
from leadconnector_async.auth.provider import FIX_TOKEN, NeedsTransport, StaticToken, TokenProvider
from leadconnector_async.errors import (
    AccessError,
    FateUnknownError,
    InvalidMessageError,
    NotSentError,
    RefusedError,
    ThrottledError,
)
from leadconnector_async.policy import Policy
from leadconnector_async.public_place import name_public_place
from leadconnector_async.quota.limits import RateLimit
from leadconnector_async.records.draft import encode, verified
from leadconnector_async.session import ApiSession
from leadconnector_async.transport.aiohttp_session import AiohttpTransport, Timeouts
from leadconnector_async.transport.base import is_token

if TYPE_CHECKING:
    from collections.abc import Mapping
    from ssl import SSLContext
    from types import TracebackType

    import aiohttp

    from leadconnector_async.models import InboundMessage, Receipt
    from leadconnector_async.transport.base import Request, Response


class LeadConnector:
    """An asynchronous client. Use it as a context manager, in one event loop.

    Args:
        token: a private integration token, or a provider of tokens per location.
        location_id: the location that messages belong to unless they say otherwise.
        base_url: the API, or a sandbox. Plain http only on loopback.
        session: an aiohttp session of the application's own. It is used, and not closed.
        limit: the quota to assume until the API's headers tell; None for no limit.
        limits: the same for single locations, where it is another.
        policy: how patient to be.
        timeouts: limits on one request.
        connections: how many connections its own session may open.
        proxy: address of an HTTP proxy; by default what ``HTTPS_PROXY`` says.
        ssl: a context with a CA of your own.
        version: the ``Version`` header of every request, such as ``v3``, that of OAuth included; by
            default the one that each endpoint is known by.

    Raises:
        ValueError: the token or the version is empty, or has characters that none has.
        TypeError: it is neither a text nor a provider.
    """

    def __init__(  # noqa: PLR0913 - all but two have defaults that suit nearly everyone
        self,
        token: str | TokenProvider,
        *,
        location_id: str | None = None,
        base_url: str = BASE_URL,
        session: aiohttp.ClientSession | None = None,
        limit: RateLimit | None = RateLimit(),  # noqa: B008 - frozen
        limits: Mapping[str, RateLimit | None] = {},
        policy: Policy = Policy(),  # noqa: B008 - frozen
        timeouts: Timeouts = Timeouts(),  # noqa: B008 - frozen
        connections: int = 1024,
        proxy: str | None = None,
        ssl: SSLContext | None = None,
        version: str | None = None,
    ) -> None:
        if version is not None and not is_token(version):
            raise ValueError(
                "the version is empty or has characters that none has: give such as v3"
            )
        self.location_id = location_id
        self.policy = policy
        self.base_url = base_url
        self._connections = connections
        transport = AiohttpTransport(
            base_url,
            timeouts=timeouts,
            connections=connections,
            session=session,
            proxy=proxy,
            ssl=ssl,
            version=version,
        )
        tokens = _provider(token)
        if isinstance(tokens, NeedsTransport):
            tokens.attach_transport(transport)
        self.session = ApiSession(
            transport,
            tokens,
            policy=policy,
            limit=limit,
            limits=limits,
            request_limit_s=timeouts.read,
        )
        self.closed = False
        self.random = Random()  # noqa: S311 - jitter, not secrets

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections, unless the session is the application's own. For good."""
        self.closed = True
        if isinstance(self.session.tokens, NeedsTransport):
            await self.session.tokens.detach_transport()
        await self.session.transport.close()

    async def add_inbound_message(
        self, message: InboundMessage, *, location_id: str | None = None
    ) -> Receipt:
        """Add one message to a conversation's history, within the location's quota.

        It is sent again after a 429, and when it provably did not reach the API. When it may have
        been stored, it is not: use an `Ingestor` to have it looked for.

        Raises:
            InvalidMessageError: it breaks a rule of its type; nothing was sent.
            RefusedError: the API said no; `AccessError`, `ThrottledError` and
                `DailyQuotaSpentError`
                are kinds of it. Nothing was stored.
            NotSentError: the API cannot be reached. Nothing was stored.
            FateUnknownError: it may have been stored.
            ClosedError: the client was closed before.
        """
        location = self.location_of(location_id)
        message, problems = verified(message)
        if problems:
            raise InvalidMessageError(problems)
        return await self._deliver(location, inbound(encode(message)))

    async def _deliver(self, location: str, request: Request) -> Receipt:
        attempt = 1
        while True:
            last = attempt >= self.policy.attempts
            try:
                response = await self.exchange(location, request)
            except NotSentError:
                if last:
                    raise
                await asyncio.sleep(self.policy.delay(attempt, self.random))
                attempt += 1
                continue
            classification = classify(response.status, response.body)
            if isinstance(classification, Accepted):
                seen = read_rate_limit_headers(response.headers)
                return replace(classification.receipt, quota=seen if seen != SILENT else None)
            if isinstance(classification, Throttled) and not last:
                self.pause(location, response)
                attempt += 1
            else:
                raise _error(classification)

    def location_of(self, location_id: str | None) -> str:
        """The location of a message.

        Raises:
            ValueError: neither the message nor the client names one.
        """
        location = location_id or self.location_id
        if not location:
            raise ValueError("no location: give LeadConnector(location_id=…), or one per message")
        return location

    def pause(self, location: str, response: Response) -> None:
        """Hold a location back after a 429."""
        after = retry_after(response, self.policy.retry_after_cap)
        self.session.pause(location, self.session.quota(location), after)

    async def exchange(self, location: str, request: Request) -> Response:
        """One request when the quota allows it. No retry."""
        quota = self.session.quota(location)
        slot = await self.session.acquire_slot(location, quota)
        return await self.session.exchange(location, quota, slot, request)

    def __repr__(self) -> str:
        return f"<LeadConnector {self.base_url} location={self.location_id!r}>"


def _provider(token: object) -> TokenProvider:
    if isinstance(token, str):
        return StaticToken(token)
    if token is None:  # such as os.environ.get of a variable that is not set
        raise TypeError(f"the token is None: {FIX_TOKEN}")
    if not isinstance(token, TokenProvider):
        raise TypeError(f"the token is a {type(token).__name__}: {FIX_TOKEN}")
    return token


def _error(classification: object) -> Exception:
    match classification:
        case Indeterminate(refusal):
            return FateUnknownError(str(refusal))
        case Forbidden(refusal):
            return AccessError(refusal)
        case Throttled(refusal):
            return ThrottledError(refusal)
    return RefusedError(classification.refusal)  # type: ignore[attr-defined]  # Refused is what is left


name_public_place(globals())
