"""The client: one message, one receipt."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from os import PathLike
from ssl import SSLContext
from typing import Self

import aiohttp
from msgspec.structs import replace

from leadconnector_async.api import endpoints, responses
from leadconnector_async.api.enrichment import CALLS_NEED, enrich
from leadconnector_async.arguments import AtLeastOne, check
from leadconnector_async.auth.provider import FIX_TOKEN, NeedsTransport, StaticToken, TokenProvider
from leadconnector_async.auth.session_tokens import TimedTokens
from leadconnector_async.cancellation import undisturbed
from leadconnector_async.errors import FateUnknownError, InvalidMessageError, RefusedError
from leadconnector_async.location_api import LocationApi
from leadconnector_async.models import Call, InboundMessage, Receipt
from leadconnector_async.observer import Telemetry, guarded
from leadconnector_async.policy import Policy
from leadconnector_async.public_place import name_public_place
from leadconnector_async.quota.limits import RateLimit
from leadconnector_async.records.deferred import Deferred
from leadconnector_async.records.draft import verified
from leadconnector_async.session import ApiSession
from leadconnector_async.transport.aiohttp_session import AiohttpTransport, Timeouts
from leadconnector_async.transport.base import Response, is_token, network_of
from leadconnector_async.transport.http1 import user_agent as agent_of


class LeadConnector(LocationApi):
    """An asynchronous client. Use it as a context manager, in one event loop.

    Everything goes within the quota of its location, and with its token, renewed where it has
    ended. Reads, and what changes nothing when it is done twice, are asked for again after a
    failure, `Policy.attempts` times in all.

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
        proxy: address of an HTTP proxy, such as ``http://user:password@proxy:3128``. By default
            what ``HTTPS_PROXY`` says, unless ``NO_PROXY`` names the host. Tokens and attachments
            that are fetched go the same way. No repr and no error shows it.
        ssl: a context of your own, for a CA or a certificate of yours.
        ca_file: certificates in PEM, trusted beside the system's: a company proxy's, say.
        user_agent: your program's name and version, such as ``my-app/1.2``: it is added to the
            library's own in each request.
        version: the ``Version`` header of every request, such as ``v3``, that of OAuth included; by
            default the one that each endpoint is known by.
        telemetry: metrics and traces of what is sent, such as `OpenTelemetry`; by default none.

    Raises:
        ValueError: the token or the version is empty, or has characters that none has; or there is
            no such proxy, CA file or user agent; or ``connections`` is less than 1.
        TypeError: the token is neither a text nor a provider, a limit is no `RateLimit`,
            ``policy`` no `Policy`, or ``timeouts`` no `Timeouts`.

    Example:
        >>> async with LeadConnector(
        ...     token, location_id="ve9EPM428h8vShlRW1KT", user_agent="my-app/1.2"
        ... ) as api:
        ...     contact = await api.find_contact(number="+12125550100")
    """

    def __init__(  # noqa: PLR0913 - all but two have defaults that suit nearly everyone
        self,
        token: str | TokenProvider,
        *,
        location_id: str | None = None,
        base_url: str = endpoints.BASE_URL,
        session: aiohttp.ClientSession | None = None,
        limit: RateLimit | None = RateLimit(),  # noqa: B008 - frozen
        limits: Mapping[str, RateLimit | None] = {},
        policy: Policy = Policy(),  # noqa: B008 - frozen
        timeouts: Timeouts = Timeouts(),  # noqa: B008 - frozen
        connections: int = 1024,
        proxy: str | None = None,
        ssl: SSLContext | None = None,
        ca_file: str | PathLike[str] | None = None,
        user_agent: str | None = None,
        version: str | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        check({"version": version, "user_agent": user_agent, "proxy": proxy}, str | None)
        if version is not None and not is_token(version):
            raise ValueError(f"version is {version!r}: give one of the API's, such as v3")
        check({"connections": connections}, AtLeastOne)
        check({"limits": limits}, Mapping)
        for one in (limit, *limits.values()):
            if not isinstance(one, RateLimit | None):
                raise TypeError(f"a limit is a {type(one).__name__}: give a RateLimit, or None")
        for name, kind, given in (("policy", Policy, policy), ("timeouts", Timeouts, timeouts)):
            if not isinstance(given, kind):
                raise TypeError(f"{name} is a {type(given).__name__}: give a {kind.__name__}")
        self.base_url: str = base_url
        self._connections = connections
        network = network_of(proxy, ssl, ca_file)
        transport = AiohttpTransport(
            base_url,
            timeouts=timeouts,
            connections=connections,
            session=session,
            proxy=network.proxy,
            ssl=network.ssl,
            version=version,
            agent=agent_of(user_agent),
        )
        tokens = _provider(token)
        if isinstance(tokens, NeedsTransport):
            tokens.attach_transport(transport)
        elif not isinstance(tokens, StaticToken):
            tokens = TimedTokens(tokens, max(policy.patience, timeouts.read))
        session_ = ApiSession(
            transport,
            tokens,
            policy=policy,
            limit=limit,
            limits=limits,
            request_limit_s=timeouts.read,
            observer=None if telemetry is None else guarded(telemetry.observer(base_url)),
            network=network,
        )
        super().__init__(session_, policy, location_id)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self.session.closed

    async def close(self) -> None:
        """Close the connections, unless the session is the application's own. For good."""
        self.session.closed = True
        await undisturbed(self._close())

    async def _close(self) -> None:
        try:
            if isinstance(self.session.tokens, NeedsTransport):
                await self.session.tokens.detach_transport()
        finally:
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

        Example:
            >>> message = InboundMessage(
            ...     type="SMS", contact_id="9VEmS0si86GW6gXWU89b", message="hi", direction="inbound"
            ... )
            >>> receipt = await api.add_inbound_message(message)
            >>> print(receipt.message_id, receipt.quota and receipt.quota.remaining)
        """
        location = self.location_of(location_id)
        _, problems, body = verified(message)
        if problems:
            raise InvalidMessageError(problems)
        request = endpoints.post_message(endpoints.INBOUND_PATH, body)
        return await self.answered(location, request, _receipt, repeatable=False)

    async def add_outbound_call(  # noqa: PLR0913 - the fields of the call
        self,
        call: Call,
        *,
        conversation_provider_id: str,
        contact_id: str | None = None,
        conversation_id: str | None = None,
        date: datetime | None = None,
        attachments: Sequence[str] = (),
        alt_id: str | None = None,
        location_id: str | None = None,
    ) -> Receipt:
        """Log one call that was made elsewhere. Nobody is called; ``call.to`` is the contact.

        Where the location takes no call without a conversation, the contact's is opened. Otherwise
        as `add_inbound_message`. The API has no field for a duration.

        Args:
            call: who called whom, in E.164, and how it ended.
            conversation_provider_id: the provider of calls, which the token's app must own.
            contact_id: whom the call was made to, unless ``conversation_id`` says it.
            conversation_id: the same.
            date: when, an aware datetime; now, by the API's clock, if it is not given.
            attachments: URLs of recordings.
            alt_id: the call's id in your own system.
            location_id: where it belongs, unless it is the client's.

        Raises:
            InvalidMessageError, RefusedError, NotSentError, FateUnknownError, ClosedError: as of
                `add_inbound_message`.

        Example:
            >>> call = Call(to="+12125550100", from_="+12125550199", status="completed")
            >>> receipt = await api.add_outbound_call(
            ...     call,
            ...     contact_id="9VEmS0si86GW6gXWU89b",
            ...     conversation_provider_id="61d6d1f9cdac7612faf80753",
            ...     date=datetime(2024, 5, 1, 9, 30, tzinfo=UTC),
            ... )
            >>> print(receipt.message_id)
        """
        location = self.location_of(location_id)
        check({"call": call}, Call)
        _, problems, payload = verified(
            InboundMessage(
                type="Call",
                direction="outbound",
                contact_id=contact_id,
                conversation_id=conversation_id,
                conversation_provider_id=conversation_provider_id,
                date=date,
                alt_id=alt_id,
                attachments=list(attachments or ()) or None,
                call=call,
            )
        )
        if problems:
            raise InvalidMessageError(problems)
        needs = Deferred(outbound_call=True)
        lookups: dict[str, str] = {}
        while True:
            flow = partial(enrich, payload, needs, location=location, mode=self.policy.contacts)
            made = await self.run(location, flow, lookups=lookups)
            request = endpoints.post_message(made.path, made.body)
            response = await self._response(location, request, repeatable=False)
            if not (made.by_contact and responses.lacks_conversation(response)):
                return _receipt(response)
            lookups[CALLS_NEED] = "a conversation"

    def __repr__(self) -> str:
        return f"<LeadConnector {self.base_url} location={self.location_id!r}>"


def _provider(token: object) -> TokenProvider:
    if isinstance(token, str):
        return StaticToken(token)
    if not isinstance(token, TokenProvider):
        raise TypeError(f"the token is a {type(token).__name__}: {FIX_TOKEN}")
    return token


def _receipt(response: Response) -> Receipt:
    """What was stored, or why not.

    Raises:
        RefusedError: nothing was. FateUnknownError: it cannot be told.
    """
    classification = responses.classify(response.status, response.body)
    if isinstance(classification, responses.Accepted):
        seen = responses.read_rate_limit_headers(response.headers)
        return replace(classification.receipt, quota=seen if seen != responses.SILENT else None)
    if isinstance(classification, responses.Indeterminate):
        raise FateUnknownError(str(classification.refusal))
    raise RefusedError(classification.refusal)


name_public_place(globals())
