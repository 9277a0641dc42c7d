"""OAuth: the provider of tokens over the installations of an app, each refreshed by one at a time.

A refresh token works once, and what goes wrong between the answer that brings the next pair and
its commit cannot be undone from here. So the store says beforehand that a refresh token is being
sent. Should the process end before the pair is kept, or the answer be lost on its way, the mark
stays; and if the token is refused the next time, the error says that its successor was lost.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from aiolimiter import AsyncLimiter

from leadconnector_async.api import oauth
from leadconnector_async.arguments import NotEmpty, check
from leadconnector_async.auth.provider import AccessToken, TokenCache, lasting
from leadconnector_async.auth.store import StoredTokens, TokenStore, digest
from leadconnector_async.errors import AccessError, FateUnknownError, NotSentError
from leadconnector_async.models import Refusal
from leadconnector_async.outbox.open import database_stores, is_url
from leadconnector_async.public_place import name_public_place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from leadconnector_async.auth.token_database import TokenDatabase
    from leadconnector_async.transport.base import Request, Transport

_PACE: Final = (4, 0.5)
"""Location tokens asked for, in seconds: 84 at most in any 10 s, of the 100 that an app may."""


@dataclass(slots=True, eq=False, repr=False)
class OAuthApplication:
    """An OAuth app: its credentials, its store, and the way to the API once it has one."""

    client_id: str
    client_secret: str
    store: TokenStore | TokenDatabase
    clock: Callable[[], float]
    transport: Transport | None = None

    @property
    def version(self) -> str | None:
        """The version of the API that its client was told; None for the endpoints' own."""
        return self.transport.version if self.transport is not None else None

    async def ask(self, request: Request, token: str = "") -> oauth.TokenResult:
        """One request for a token, outside of any location's quota."""
        if self.transport is None:
            raise RuntimeError("OAuth asks through a client: give it to LeadConnector(token=…)")
        try:
            return oauth.read_tokens(await self.transport.send(request, token))
        except NotSentError as error:
            return oauth.Later(str(error))
        except FateUnknownError as error:
            return oauth.Lost(str(error))


class Installation:
    """The app in one location, or in one company.

    ``first`` is the refresh token from outside, for as long as the store has none that works.
    ``remedy`` is what its user has to do when there is none.
    """

    def __init__(
        self, app: OAuthApplication, kind: oauth.Kind, id_: str, first: str | None, remedy: str
    ) -> None:
        self._app = app
        self._kind: oauth.Kind = kind
        self._what = f"{kind.lower()} {id_}"
        self._name = f"{app.client_id}/{kind}/{id_}"
        self._first = first
        self._remedy = remedy
        self._denied: dict[bytes, oauth.Denied] = {}

    async def fetch(self, refused: str | None) -> AccessToken:
        """An access token other than the refused one: the store's, or a new one.

        The new pair is in the store before this returns. Other providers on the same store, in
        this process or another, wait meanwhile, and then find it there.

        Raises what `OAuth.token` does.
        """
        found = self._usable(await self._read(), refused)
        if found is not None:
            return found
        async with self._app.store.alone(self._name):
            kept = await self._read()
            return self._usable(kept, refused) or await self._refresh(kept)

    async def keep(
        self, answer: oauth.Granted, asked_at: float, refresh: str, seed: bytes | None = None
    ) -> AccessToken:
        """Write what was given down, and return it only then."""
        access = lasting(answer.access_token, asked_at, answer.life)
        pair = StoredTokens(access.token, access.renew_at, access.ends_at, refresh, seed)
        await self._app.store.keep(self._name, pair)
        return access

    async def fetch_own(self, refused: str | None) -> AccessToken | None:
        """An access token as `fetch` gives it, where the store has a pair that works."""
        try:
            return await self.fetch(refused) if (await self._read()).refresh else None
        except AccessError:
            return None

    async def _read(self) -> StoredTokens:
        return await self._app.store.read(self._name)

    def _usable(self, kept: StoredTokens, refused: str | None) -> AccessToken | None:
        if kept.access is None or kept.renew_at is None or kept.ends_at is None:
            return None
        if kept.access == refused or self._app.clock() >= kept.renew_at:
            return None
        return AccessToken(kept.access, kept.renew_at, kept.ends_at)

    async def _refresh(self, kept: StoredTokens) -> AccessToken:
        refused: oauth.Denied | None = None
        for token in self._candidates(kept):
            answer = self._denied.get(digest(token)) or await self._exchange(token, kept)
            if isinstance(answer, AccessToken):
                return answer
            self._denied[digest(token)] = refused = answer
            if refused.client:
                break
        raise AccessError(Refusal(status=401, message=self._explained(refused, kept)))

    def _candidates(self, kept: StoredTokens) -> Iterator[str]:
        """The store's own; then the one from outside, unless the store has grown from it."""
        if kept.refresh:
            yield kept.refresh
        if self._first and kept.seed != digest(self._first):
            yield self._first

    async def _exchange(self, token: str, kept: StoredTokens) -> AccessToken | oauth.Denied:
        app, sent = self._app, digest(token)
        asked_at = app.clock()
        await app.store.ask(self._name, sent, asked_at)
        request = oauth.refresh(app.client_id, app.client_secret, token, self._kind, app.version)
        answer = await app.ask(request)
        if isinstance(answer, oauth.Granted):
            seed = sent if token == self._first else kept.seed
            return await self.keep(answer, asked_at, answer.refresh_token or token, seed)
        if not isinstance(answer, oauth.Lost):
            await app.store.ask(self._name, kept.asked, kept.asked_at)
        if isinstance(answer, oauth.Denied):
            return answer
        raise NotSentError(f"the token of {self._what} cannot be renewed now: {answer.what}")

    def _explained(self, refused: oauth.Denied | None, kept: StoredTokens) -> str:
        if refused is None:
            return f"there is no refresh token of {self._what}: {self._remedy}"
        if refused.client:
            fix = "correct its client id or its client secret"
            return f"the OAuth app was refused ({refused.what}): {fix}"
        lost = kept.asked is not None and self._denied.get(kept.asked) is not None
        why = ", since an earlier refresh was cut off before its successor was kept" if lost else ""
        return f"the refresh token of {self._what} is refused ({refused.what}){why}: {self._remedy}"


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

    Raises:
        TypeError, ValueError: the app's id, its secret or the store is no text, or empty, as of a
            variable of the environment that is not set.

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
        given = {"client_id": client_id, "client_secret": client_secret, "store": os.fspath(store)}
        check(given, NotEmpty)
        self._app = OAuthApplication(client_id, client_secret, _token_place(store), clock)
        self._first = dict(refresh_tokens)
        self._company_of = company_of
        self._remedies = dict(remedies)
        self._caches: dict[tuple[oauth.Kind, str], TokenCache] = {}
        self._pace = AsyncLimiter(*_PACE)

    async def token(self, location_id: str) -> str:
        """The token to use now.

        Raises:
            AccessError: there is none to be had; the message says what to do.
            NotSentError: the API cannot be asked for one now.
            TokenStoreError: the store cannot be read or written.
        """
        return await self._cache_of("Location", location_id).token()

    async def renew(self, location_id: str, refused: str) -> str | None:
        """A token other than ``refused``. Raises what `token` does."""
        return await self._cache_of("Location", location_id).renew(refused)

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
        for cache in list(self._caches.values()):
            await cache.settle()
        await self._app.store.close()
        self._app.transport = None

    def _cache_of(self, kind: oauth.Kind, id_: str) -> TokenCache:
        cache = self._caches.get((kind, id_))
        if cache is None:
            company = self._company_of(id_) if kind == "Location" else None
            again = "install the app there again, and give OAuth its new refresh token"
            remedy = self._remedies.get(id_, again)
            own = Installation(self._app, kind, id_, self._first.get(id_), remedy)
            fetch = own.fetch if company is None else partial(self._derive, company, id_, own)
            cache = self._caches[kind, id_] = TokenCache(fetch, self._app.clock)
        return cache

    async def _derive(
        self, company: str, location: str, own: Installation, refused: str | None
    ) -> AccessToken:
        """A location's token from its agency's, which is renewed if it has ended meanwhile.

        In v3 it comes with a refresh token of the location's own, which is kept and used first.
        """
        if (kept := await own.fetch_own(refused)) is not None:
            return kept
        agency = self._cache_of("Company", company)
        token = await agency.token()
        asked_at = self._app.clock()
        answer = await self._ask(company, location, token)
        if isinstance(answer, oauth.Denied) and answer.expired:
            token, asked_at = await agency.renew(token), self._app.clock()
            answer = await self._ask(company, location, token)
        if isinstance(answer, oauth.Granted):
            if answer.refresh_token:
                return await own.keep(answer, asked_at, answer.refresh_token)
            return lasting(answer.access_token, asked_at, answer.life)
        if isinstance(answer, oauth.Denied):
            what = f"company {company} gives no token for location {location} ({answer.what})"
            fix = "install the app for that location, or correct its company"
            raise AccessError(Refusal(status=401, message=f"{what}: {fix}"))
        raise NotSentError(f"the token of location {location} cannot be had now: {answer.what}")

    async def _ask(self, company: str, location: str, token: str) -> oauth.TokenResult:
        request = oauth.location_token(company, location, self._app.version)
        async with self._pace:
            return await self._app.ask(request, token)

    def __repr__(self) -> str:
        return f"<OAuth {self._app.client_id} {self._app.store!r}>"


def _token_place(store: str | os.PathLike[str]) -> TokenStore | TokenDatabase:
    """Where the tokens are kept. Raises `OutboxUnusableError` where it is a URL that is none."""
    if not is_url(store):
        return TokenStore(store)
    database_stores()  # says which extra is missing
    from leadconnector_async.auth.token_database import TokenDatabase  # noqa: PLC0415 - if used

    return TokenDatabase(os.fspath(store))


name_public_place(globals())
