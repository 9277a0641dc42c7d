"""OAuth: the installations of an app, and the provider of tokens over all of them.

A refresh token works once, and what goes wrong between the answer that brings the next pair and
its commit cannot be undone from here. So the store says beforehand that a refresh token is being
sent. Should the process end before the pair is kept, or the answer be lost on its way, the mark
stays; and if the token is refused the next time, the error says that its successor was lost.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from aiolimiter import AsyncLimiter

from leadconnector_async.api.oauth import (
    Denied,
    Granted,
    Kind,
    Later,
    Lost,
    TokenResult,
    location_token,
    read_tokens,
)
from leadconnector_async.api.oauth import refresh as refresh_request
from leadconnector_async.auth.cache import AccessToken, TokenCache, lasting
from leadconnector_async.auth.store import StoredTokens, TokenStore, digest
from leadconnector_async.errors import (
    AccessError,
    FateUnknownError,
    NotSentError,
    OutboxBusyError,
    TokenStoreError,
)
from leadconnector_async.locking import OwnerLock
from leadconnector_async.models import Refusal
from leadconnector_async.public_place import name_public_place

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    from leadconnector_async.transport.base import Request, Transport

_ASK_AGAIN: Final = 0.05
"""Seconds between two looks whether another process has done with the installation."""


class OAuthApplication:
    """An OAuth app: its credentials, its store, and the way to the API once it has one."""

    def __init__(
        self, client_id: str, client_secret: str, store: TokenStore, clock: Callable[[], float]
    ) -> None:
        self.client_id = client_id
        self.client_secret = client_secret
        self.store = store
        self.clock = clock
        self.transport: Transport | None = None

    @property
    def version(self) -> str | None:
        """The version of the API that its client was told; None for the endpoints' own."""
        return self.transport.version if self.transport is not None else None

    async def ask(self, request: Request, token: str = "") -> TokenResult:
        """One request for a token, outside of any location's quota."""
        if self.transport is None:
            raise RuntimeError("OAuth asks through a client: give it to LeadConnector(token=…)")
        try:
            response = await self.transport.send(request, token)
        except NotSentError as error:
            return Later(str(error))
        except FateUnknownError as error:
            return Lost(str(error))
        return read_tokens(response)

    def __repr__(self) -> str:
        return f"<OAuthApplication {self.client_id}>"


class Installation:
    """The app in one location, or in one company.

    ``first`` is the refresh token from outside, for as long as the store has none that works.
    ``remedy`` is what its user has to do when there is none.
    """

    def __init__(
        self, app: OAuthApplication, kind: Kind, id_: str, first: str | None, remedy: str
    ) -> None:
        self._app = app
        self._kind: Kind = kind
        self._what = f"{kind.lower()} {id_}"
        self._name = f"{app.client_id}/{kind}/{id_}"
        self._first = first
        self._remedy = remedy
        self._denied: dict[bytes, Denied] = {}

    async def fetch(self, refused: str | None) -> AccessToken:
        """An access token other than the refused one: the store's, or a new one.

        The new pair is in the store before this returns. Other providers on the same store, in
        this process or another, wait meanwhile, and then find it there.

        Raises:
            AccessError: no refresh token works; the message says what to do.
            NotSentError: the API cannot be asked now.
            TokenStoreError: the store cannot be read or written.
        """
        found = self._usable(await self._read(), refused)
        if found is not None:
            return found
        async with self._alone():
            kept = await self._read()
            return self._usable(kept, refused) or await self._refresh(kept)

    async def keep(
        self, answer: Granted, asked_at: float, refresh: str, seed: bytes | None = None
    ) -> AccessToken:
        """Write what was given down, and return it only then."""
        access = lasting(answer.access_token, asked_at, answer.life)
        pair = StoredTokens(
            access=access.token,
            renew_at=access.renew_at,
            ends_at=access.ends_at,
            refresh=refresh,
            seed=seed,
        )
        await asyncio.to_thread(self._app.store.keep, self._name, pair)
        return access

    async def fetch_own(self, refused: str | None) -> AccessToken | None:
        """An access token as `fetch` gives it, where the store has a pair that works."""
        try:
            return await self.fetch(refused) if (await self._read()).refresh else None
        except AccessError:
            return None

    async def _read(self) -> StoredTokens:
        return await asyncio.to_thread(self._app.store.read, self._name)

    def _usable(self, kept: StoredTokens, refused: str | None) -> AccessToken | None:
        if kept.access is None or kept.renew_at is None or kept.ends_at is None:
            return None
        if kept.access == refused or self._app.clock() >= kept.renew_at:
            return None
        return AccessToken(kept.access, kept.renew_at, kept.ends_at)

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Keep out everyone who uses this installation, until the block ends or the process."""
        path = f"{self._app.store.path}.{digest(self._name).hex()[:12]}"
        while True:
            try:
                lock = OwnerLock(path)
            except OutboxBusyError:
                await asyncio.sleep(_ASK_AGAIN)
            except OSError as error:
                raise TokenStoreError(
                    f"{path}.lock cannot be made ({error.strerror}): the token store needs a "
                    "folder that can be written"
                ) from error
            else:
                break
        try:
            yield
        finally:
            lock.release()

    async def _refresh(self, kept: StoredTokens) -> AccessToken:
        refused: Denied | None = None
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

    async def _exchange(self, token: str, kept: StoredTokens) -> AccessToken | Denied:
        app, sent = self._app, digest(token)
        asked_at = app.clock()
        await asyncio.to_thread(app.store.ask, self._name, sent, asked_at)
        request = refresh_request(app.client_id, app.client_secret, token, self._kind, app.version)
        answer = await app.ask(request)
        if isinstance(answer, Granted):
            seed = sent if token == self._first else kept.seed
            return await self.keep(answer, asked_at, answer.refresh_token or token, seed)
        if not isinstance(answer, Lost):
            await asyncio.to_thread(app.store.ask, self._name, kept.asked, kept.asked_at)
        if isinstance(answer, Denied):
            return answer
        raise NotSentError(f"the token of {self._what} cannot be renewed now: {answer.what}")

    def _explained(self, refused: Denied | None, kept: StoredTokens) -> str:
        if refused is None:
            return f"there is no refresh token of {self._what}: {self._remedy}"
        if refused.client:
            return (
                f"the OAuth app was refused ({refused.what}): correct its client id or its "
                "client secret"
            )
        lost = kept.asked is not None and self._denied.get(kept.asked) is not None
        why = ", since an earlier refresh was cut off before its successor was kept" if lost else ""
        return f"the refresh token of {self._what} is refused ({refused.what}){why}: {self._remedy}"

    def __repr__(self) -> str:
        return f"<Installation {self._what}>"


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
            alone. Delete it, and the apps have to be installed again.
        refresh_tokens: the first refresh token of each location or company where the app is
            installed. Once the store has its successor, it is not used, unless that is refused and
            this is another one than before.
        company_of: tells the company whose token gives that of a location, and None where the app
            is installed in the location itself; for one agency, ``lambda _: "its id"``.
        remedies: by location or company, what to do where no refresh token works; for errors.
        clock: seconds since 1970.
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
        self._app = OAuthApplication(client_id, client_secret, TokenStore(store), clock)
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


def _not_given(company: str, location: str, answer: Denied) -> str:
    return (
        f"company {company} gives no token for location {location} ({answer.what}): install the "
        "app for that location, or correct its company"
    )


name_public_place(globals())
