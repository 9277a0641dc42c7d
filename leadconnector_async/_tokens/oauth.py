"""The provider over all installations of an OAuth app, and the locations of agencies."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from aiolimiter import AsyncLimiter

from leadconnector_async._api.oauth import Denied, Granted, Kind, Later, Lost, location_token
from leadconnector_async._errors import AccessError, NotSentError
from leadconnector_async._messages import Refusal
from leadconnector_async._tokens.installation import App, Installation
from leadconnector_async._tokens.keeper import Access, Keeper, lasting
from leadconnector_async._tokens.store import TokenStore

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

    from leadconnector_async._transport import Transport

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
        self._app = App(client_id, client_secret, TokenStore(store), clock)
        self._first = dict(refresh_tokens)
        self._company_of = company_of
        self._remedies = dict(remedies)
        self._installed: dict[tuple[Kind, str], Keeper] = {}
        self._locations: dict[str, Keeper] = {}
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
        """See `AsksTheApi.attach_transport`.

        Raises:
            RuntimeError: another client has it.
        """
        if self._app.transport is not None:
            raise RuntimeError("a client has this OAuth already: make another on the same store")
        self._app.transport = transport
        self._pace = AsyncLimiter(*_PACE)

    async def detach_transport(self) -> None:
        """Wait for refreshes that are under way: cut off, they would lose their new tokens."""
        for keeper in (*self._locations.values(), *self._installed.values()):
            await keeper.settle()
        self._app.transport = None

    def _keeper_of(self, location: str) -> Keeper:
        keeper = self._locations.get(location)
        if keeper is None:
            company = self._company_of(location)
            keeper = self._locations[location] = (
                self._keeper("Location", location)
                if company is None
                else Keeper(lambda _: self._derive(company, location), self._app.clock)
            )
        return keeper

    def _keeper(self, kind: Kind, id_: str) -> Keeper:
        keeper = self._installed.get((kind, id_))
        if keeper is None:
            remedy = self._remedies.get(id_, _REMEDY)
            installation = Installation(self._app, kind, id_, self._first.get(id_), remedy)
            keeper = self._installed[kind, id_] = Keeper(installation.fetch, self._app.clock)
        return keeper

    async def _derive(self, company: str, location: str) -> Access:
        """A location's token from its agency's, which is renewed if it has ended meanwhile."""
        agency = self._keeper("Company", company)
        token = await agency.token()
        answer = await self._ask(company, location, token)
        if isinstance(answer, Denied) and answer.status == 401:  # noqa: PLR2004 - HTTP
            answer = await self._ask(company, location, await agency.renew(token))
        if isinstance(answer, Access):
            return answer
        if isinstance(answer, Denied):
            raise AccessError(Refusal(status=401, message=_not_given(company, location, answer)))
        raise NotSentError(f"the token of location {location} cannot be had now: {answer.what}")

    async def _ask(self, company: str, location: str, token: str) -> Access | Denied | Lost | Later:
        asked_at = self._app.clock()
        async with self._pace:
            answer = await self._app.ask(location_token(company, location), token)
        if isinstance(answer, Granted):
            return lasting(answer.access_token, asked_at, answer.life)
        return answer

    def __repr__(self) -> str:
        return f"<OAuth {self._app.client_id} {self._app.store!r}>"


def _not_given(company: str, location: str, answer: Denied) -> str:
    return (
        f"company {company} gives no token for location {location} ({answer.what}): install the "
        "app for that location, or correct its company"
    )
