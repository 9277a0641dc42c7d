"""The tokens of a file's locations, each from its own source."""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from leadconnector_async.auth.oauth import OAuth
from leadconnector_async.auth.provider import CommandToken, StaticToken, TokenProvider
from leadconnector_async.errors import AccessError, LocationsError
from leadconnector_async.locations.toml_file import Location, Locations
from leadconnector_async.models import Refusal
from leadconnector_async.outbox.open import is_url
from leadconnector_async.transport.base import Transport

_MAX_COMMANDS: Final = 4
"""Run at a time: each may start a decryption."""


@dataclass(eq=False, repr=False)
class LocationTokens:
    """A `TokenProvider` that asks the source of each location.

    A location that is not listed has no token: it stops alone, and its records stay pending. They
    are sound; what is missing is in the file of locations, and the same command again sends them.
    """

    _locations: Locations
    _sources: Mapping[str, TokenProvider]
    _oauth: OAuth | None = None

    async def token(self, location_id: str) -> str:
        """The token to use now.

        Raises:
            AccessError: there is none; the message says what to do.
            NotSentError, TokenStoreError: see `OAuth.token`.
        """
        return await self._source(location_id).token(location_id)

    async def renew(self, location_id: str, refused: str) -> str | None:
        """A token other than ``refused``, where its source has one. Raises what `token` does."""
        return await self._source(location_id).renew(location_id, refused)

    def attach_transport(self, transport: Transport) -> None:
        """See `NeedsTransport.attach_transport`."""
        if self._oauth is not None:
            self._oauth.attach_transport(transport)

    async def detach_transport(self) -> None:
        """See `NeedsTransport.detach_transport`."""
        if self._oauth is not None:
            await self._oauth.detach_transport()

    def _source(self, location_id: str) -> TokenProvider:
        source = self._sources.get(location_id)
        if source is None:
            raise AccessError(Refusal(status=401, message=self._locations.unlisted(location_id)))
        return source

    def __repr__(self) -> str:
        return f"<LocationTokens of {self._locations.file}, {len(self._sources)} locations>"


def tokens_of(
    locations: Locations, environ: Mapping[str, str] = os.environ, *, outbox: str | None = None
) -> LocationTokens:
    """Make the provider. Variables are read now, commands when their token is first needed.

    OAuth's tokens stand in the ``outbox`` where it is a database, and the file names no store.

    Raises:
        LocationsError: a variable is not set, or holds no token; or OAuth's tokens have no store.
        OutboxUnusableError: their store is a URL that cannot be read, or lacks its driver.
    """
    oauth = _oauth(locations, environ, outbox) if locations.app is not None else None
    turns = asyncio.Semaphore(_MAX_COMMANDS)

    def source(location: Location) -> TokenProvider:
        name = location.token_env
        if name is not None:
            where = f"{locations.file}: location {location.id}: token_env"
            try:
                return StaticToken(_value(name, where, environ))
            except ValueError as error:
                raise LocationsError(f"{where}: in {name} {error}: set it to the token") from None
        if location.token_command is not None:
            return CommandToken(location.token_command, f"location {location.id}", turns)
        assert oauth is not None  # noqa: S101 - the reading has seen to it
        return oauth

    sources = {id_: source(location) for id_, location in locations.locations.items()}
    return LocationTokens(locations, sources, oauth)


def _value(name: str, where: str, environ: Mapping[str, str]) -> str:
    value = environ.get(name)
    if not value:
        if not name.isidentifier():  # it may be the token itself, which is not to be shown
            raise LocationsError(f"{where}: write the name of a variable, not the token itself")
        raise LocationsError(f"{where}: the variable {name} is not set: export it, and run again")
    return value


def _oauth(locations: Locations, environ: Mapping[str, str], outbox: str | None) -> OAuth:
    app = locations.app
    assert app is not None  # noqa: S101 - tells the type checker
    store = app.store or (outbox if outbox and is_url(outbox) else None)
    if store is None:
        fix = 'write store = "tokens.db", or keep the outbox in a database'
        raise LocationsError(f"{locations.file}: [oauth] has no store: {fix}")
    listed = locations.locations.items()
    variables = locations.companies | {
        id_: of.refresh_token_env for id_, of in listed if of.refresh_token_env is not None
    }
    return OAuth(
        app.client_id,
        _value(app.client_secret_env, f"{locations.file}: [oauth]: client_secret_env", environ),
        store=store,
        refresh_tokens={id_: environ[name] for id_, name in variables.items() if environ.get(name)},
        company_of={id_: of.company for id_, of in listed}.get,
        remedies={
            id_: f"install the app there, set {name} to its new refresh token, and run again"
            for id_, name in variables.items()
        },
    )
