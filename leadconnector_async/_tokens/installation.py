"""One installation of an OAuth app, whose refresh token works once.

What can go wrong between the answer that brings a new pair and its commit cannot be undone from
here: the API gives the pair once. So the store says beforehand that a refresh token is being sent.
Should the process end before the pair is kept, or the answer be lost on its way, the mark stays;
and if the token is refused the next time, the error says that its successor was lost.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from leadconnector_async._api.oauth import Denied, Granted, Kind, Later, Lost, Ruling, read_tokens
from leadconnector_async._api.oauth import refresh as refresh_request
from leadconnector_async._errors import (
    AccessError,
    FateUnknownError,
    NotSentError,
    OutboxBusy,
    TokenStoreError,
)
from leadconnector_async._messages import Refusal
from leadconnector_async._outbox.lock import OwnerLock
from leadconnector_async._tokens.keeper import Access, lasting
from leadconnector_async._tokens.store import Kept, TokenStore, digest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from leadconnector_async._transport import Request, Transport

_ASK_AGAIN: Final = 0.05
"""Seconds between two looks whether another process has done with the installation."""


class App:
    """An OAuth app: its credentials, its store, and the way to the API once it has one."""

    def __init__(
        self, client_id: str, client_secret: str, store: TokenStore, clock: Callable[[], float]
    ) -> None:
        self.client_id = client_id
        self.client_secret = client_secret
        self.store = store
        self.clock = clock
        self.transport: Transport | None = None

    async def ask(self, request: Request, token: str = "") -> Ruling:
        """One request for a token, outside of any location's quota."""
        if self.transport is None:
            raise RuntimeError("OAuth asks through a client: give it to LeadConnector(token=…)")
        try:
            answer = await self.transport.send(request, token)
        except NotSentError as error:
            return Later(str(error))
        except FateUnknownError as error:
            return Lost(str(error))
        return read_tokens(answer)

    def __repr__(self) -> str:
        return f"<App {self.client_id}>"


class Installation:
    """The app in one location, or in one company.

    ``first`` is the refresh token from outside, for as long as the store has none that works.
    ``remedy`` is what its user has to do when there is none.
    """

    def __init__(self, app: App, kind: Kind, id_: str, first: str | None, remedy: str) -> None:
        self._app = app
        self._kind: Kind = kind
        self._what = f"{kind.lower()} {id_}"
        self._name = f"{app.client_id}/{kind}/{id_}"
        self._first = first
        self._remedy = remedy
        self._denied: dict[bytes, Denied] = {}

    async def fetch(self, refused: str | None) -> Access:
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

    async def _read(self) -> Kept:
        return await asyncio.to_thread(self._app.store.read, self._name)

    def _usable(self, kept: Kept, refused: str | None) -> Access | None:
        if kept.access is None or kept.renew_at is None or kept.ends_at is None:
            return None
        if kept.access == refused or self._app.clock() >= kept.renew_at:
            return None
        return Access(kept.access, kept.renew_at, kept.ends_at)

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Keep out everyone who uses this installation, until the block ends or the process."""
        path = f"{self._app.store.path}.{digest(self._name).hex()[:12]}"
        while True:
            try:
                lock = OwnerLock(path)
            except OutboxBusy:
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

    async def _refresh(self, kept: Kept) -> Access:
        refused: Denied | None = None
        for token in self._candidates(kept):
            answer = self._denied.get(digest(token)) or await self._exchange(token, kept)
            if isinstance(answer, Access):
                return answer
            self._denied[digest(token)] = refused = answer
            if refused.client:
                break
        raise AccessError(Refusal(status=401, message=self._explained(refused, kept)))

    def _candidates(self, kept: Kept) -> Iterator[str]:
        """The store's own; then the one from outside, unless the store has grown from it."""
        if kept.refresh:
            yield kept.refresh
        if self._first and kept.seed != digest(self._first):
            yield self._first

    async def _exchange(self, token: str, kept: Kept) -> Access | Denied:
        app, sent = self._app, digest(token)
        asked_at = app.clock()
        await asyncio.to_thread(app.store.ask, self._name, sent, asked_at)
        request = refresh_request(app.client_id, app.client_secret, token, self._kind)
        answer = await app.ask(request)
        if isinstance(answer, Granted):
            access = lasting(answer.access_token, asked_at, answer.life)
            pair = Kept(
                access=access.token,
                renew_at=access.renew_at,
                ends_at=access.ends_at,
                refresh=answer.refresh_token or token,
                seed=sent if token == self._first else kept.seed,
            )
            await asyncio.to_thread(app.store.keep, self._name, pair)
            return access
        if not isinstance(answer, Lost):
            await asyncio.to_thread(app.store.ask, self._name, kept.asked, kept.asked_at)
        if isinstance(answer, Denied):
            return answer
        raise NotSentError(f"the token of {self._what} cannot be renewed now: {answer.what}")

    def _explained(self, refused: Denied | None, kept: Kept) -> str:
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
