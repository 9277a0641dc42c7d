"""One installation of an OAuth app: its tokens, refreshed by one provider at a time.

A refresh token works once, and what goes wrong between the answer that brings the next pair and
its commit cannot be undone from here. So the store says beforehand that a refresh token is being
sent. Should the process end before the pair is kept, or the answer be lost on its way, the mark
stays; and if the token is refused the next time, the error says that its successor was lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from leadconnector_async.api import oauth
from leadconnector_async.auth.provider import AccessToken, lasting
from leadconnector_async.auth.store import StoredTokens, digest
from leadconnector_async.errors import AccessError, FateUnknownError, NotSentError
from leadconnector_async.models import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from leadconnector_async.auth.store import TokenFile
    from leadconnector_async.auth.token_database import TokenDatabase
    from leadconnector_async.transport.base import Request, Transport


class OAuthApplication:
    """An OAuth app: its credentials, its store, and the way to the API once it has one."""

    def __init__(
        self,
        client_id: str,
        client_secret: str,
        store: TokenFile | TokenDatabase,
        clock: Callable[[], float],
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

    async def ask(self, request: Request, token: str = "") -> oauth.TokenResult:
        """One request for a token, outside of any location's quota."""
        if self.transport is None:
            raise RuntimeError("OAuth asks through a client: give it to LeadConnector(token=…)")
        try:
            response = await self.transport.send(request, token)
        except NotSentError as error:
            return oauth.Later(str(error))
        except FateUnknownError as error:
            return oauth.Lost(str(error))
        return oauth.read_tokens(response)


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

        Raises:
            AccessError: no refresh token works; the message says what to do.
            NotSentError: the API cannot be asked now.
            TokenStoreError: the store cannot be read or written.
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
        pair = StoredTokens(
            access=access.token,
            renew_at=access.renew_at,
            ends_at=access.ends_at,
            refresh=refresh,
            seed=seed,
        )
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
            return (
                f"the OAuth app was refused ({refused.what}): correct its client id or its "
                "client secret"
            )
        lost = kept.asked is not None and self._denied.get(kept.asked) is not None
        why = ", since an earlier refresh was cut off before its successor was kept" if lost else ""
        return f"the refresh token of {self._what} is refused ({refused.what}){why}: {self._remedy}"
