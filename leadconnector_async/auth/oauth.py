"""OAuth: the provider of tokens over the installations of an app."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final

from aiolimiter import AsyncLimiter

from leadconnector_async.api.oauth import Denied, Granted, Kind, TokenResult, location_token
from leadconnector_async.auth.installation import Installation, OAuthApplication
from leadconnector_async.auth.provider import AccessToken, TokenCache, lasting
from leadconnector_async.auth.store import TokenFile
from leadconnector_async.errors import AccessError, NotSentError
from leadconnector_async.models import Refusal
from leadconnector_async.outbox.open import database_stores, is_url
from leadconnector_async.public_place import name_public_place

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from leadconnector_async.auth.token_database import TokenDatabase
    from leadconnector_async.transport.base import Transport

_PACE: Final = (4, 0.5)
"""Location tokens asked for, in seconds: 84 at most in any 10 s, of the 100 that an app may."""

_REMEDY: Final = "install the app there again, and give OAuth its new refresh token"


class OAuth:
    """A `TokenProvider` that refreshes by itself. Give it to one `LeadConnector` at a time.

    Tokens are renewed ahead of their end, or when the API refuses them, once however many requests
    wait; also where several processes use the same store. Refresh tokens work once: each new pair
    is written to the store before it is used. Should the process or the machine fail in the moment
    between the API's answer and the end of that write, the pair is lost, and the app has to be
    installed again: the `AccessError` says so.

    Args:
        client_id: the app's.
        client_secret: the app's.
        store: the file that keeps the tokens; made if it does not exist, readable by its owner
            alone. Delete it, and the apps have to be installed again. Or the URL of a database, as
            that of an outbox, for providers on several machines.
        refresh_tokens: the first refresh token of each location or company where the app is
            installed. Once the store has its successor, it is not used, unless that is refused and
            this is another one than before.
        company_of: tells the company whose token gives that of a location, and None where the app
            is installed in the location itself; for one agency, ``lambda _: "its id"``.
        remedies: by location or company, what to do where no refresh token works; for errors.
        clock: seconds since 1970.

    Example:
        >>> agency = OAuth(
        ...     "client-id",
        ...     "secret",
        ...     store="tokens.db",
        ...     refresh_tokens={"companyId": "the first refresh token"},
        ...     company_of=lambda location_id: "companyId",
        ... )
    """

    def __init__(  # noqa: PLR0913 - four have defaults
        self,
        client_id: str,
        client_secret: str,
        *,
        store: str | os.PathLike[str],
        refresh_tokens: Mapping[str, str] = {},
        company_of: Callable[[str], str | None] = lambda _: None,
        remedies: Mapping[str, str] = {},
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._app = OAuthApplication(client_id, client_secret, _token_place(store), clock)
        self._first = dict(refresh_tokens)
        self._company_of = company_of
        self._remedies = dict(remedies)
        self._installed: dict[tuple[Kind, str], TokenCache] = {}
        self._locations: dict[str, TokenCache] = {}
        self._pace = AsyncLimiter(*_PACE)

    async def token(self, location_id: str) -> str:
        """The token to use now.

        Raises:
            AccessError: there is none to be had; the message says what to do.
            NotSentError: the API cannot be asked for one now.
            TokenStoreError: the store cannot be read or written.
        """
        return await self._keeper_of(location_id).token()

    async def renew(self, location_id: str, refused: str) -> str | None:
        """A token other than ``refused``. Raises what `token` does."""
        return await self._keeper_of(location_id).renew(refused)

    def attach_transport(self, transport: Transport) -> None:
        """See `NeedsTransport.attach_transport`.

        Raises:
            RuntimeError: another client has it.
        """
        if self._app.transport is not None:
            raise RuntimeError("a client has this OAuth already: make another on the same store")
        self._app.transport = transport
        self._pace = AsyncLimiter(*_PACE)

    async def detach_transport(self) -> None:
        """Wait for refreshes that are under way: cut off, they would lose their new tokens."""
        for cache in (*self._locations.values(), *self._installed.values()):
            await cache.settle()
        await self._app.store.close()
        self._app.transport = None

    def _keeper_of(self, location: str) -> TokenCache:
        cache = self._locations.get(location)
        if cache is None:
            company = self._company_of(location)
            cache = self._locations[location] = (
                self._keeper("Location", location)
                if company is None
                else self._derived(company, location)
            )
        return cache

    def _keeper(self, kind: Kind, id_: str) -> TokenCache:
        cache = self._installed.get((kind, id_))
        if cache is None:
            fetch = self._installation(kind, id_).fetch
            cache = self._installed[kind, id_] = TokenCache(fetch, self._app.clock)
        return cache

    def _installation(self, kind: Kind, id_: str) -> Installation:
        remedy = self._remedies.get(id_, _REMEDY)
        return Installation(self._app, kind, id_, self._first.get(id_), remedy)

    def _derived(self, company: str, location: str) -> TokenCache:
        own = self._installation("Location", location)

        async def fetch(refused: str | None) -> AccessToken:
            return await own.fetch_own(refused) or await self._derive(company, location, own)

        return TokenCache(fetch, self._app.clock)

    async def _derive(self, company: str, location: str, own: Installation) -> AccessToken:
        """A location's token from its agency's, which is renewed if it has ended meanwhile.

        In v3 it comes with a refresh token of the location's own, which is kept.
        """
        agency = self._keeper("Company", company)
        token = await agency.token()
        asked_at = self._app.clock()
        answer = await self._ask(company, location, token)
        if isinstance(answer, Denied) and answer.expired:
            token, asked_at = await agency.renew(token), self._app.clock()
            answer = await self._ask(company, location, token)
        if isinstance(answer, Granted):
            if answer.refresh_token:
                return await own.keep(answer, asked_at, answer.refresh_token)
            return lasting(answer.access_token, asked_at, answer.life)
        if isinstance(answer, Denied):
            raise AccessError(Refusal(status=401, message=_not_given(company, location, answer)))
        raise NotSentError(f"the token of location {location} cannot be had now: {answer.what}")

    async def _ask(self, company: str, location: str, token: str) -> TokenResult:
        request = location_token(company, location, self._app.version)
        async with self._pace:
            return await self._app.ask(request, token)

    def __repr__(self) -> str:
        return f"<OAuth {self._app.client_id} {self._app.store!r}>"


def _token_place(store: str | os.PathLike[str]) -> TokenFile | TokenDatabase:
    """Where the tokens are kept. Raises `OutboxUnusableError` where it is a URL that is none."""
    if not is_url(store):
        return TokenFile(store)
    database_stores()  # says which extra is missing
    from leadconnector_async.auth.token_database import TokenDatabase  # noqa: PLC0415 - if used

    return TokenDatabase(os.fspath(store))


def _not_given(company: str, location: str, answer: Denied) -> str:
    return (
        f"company {company} gives no token for location {location} ({answer.what}): install the "
        "app for that location, or correct its company"
    )


name_public_place(globals())
