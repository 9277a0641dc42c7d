"""Who may do what: tokens, versions and scopes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from leadconnector_async.sandbox._replies import BAD_TOKEN, NO_SCOPE, NO_VERSION, ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from leadconnector_async.sandbox._config import SandboxConfig
    from leadconnector_async.sandbox._routes import Route


class Grant(Struct, frozen=True, kw_only=True):
    """What a token gives access to.

    ``app`` is what the quota is counted by, beside the location. ``open`` is the grant of a
    sandbox without tokens: one location under any name.
    """

    app: str
    location: str
    locations: frozenset[str] = frozenset()
    company: str | None = None
    open: bool = False
    expires_at: float | None = None


NOBODY: Final = Grant(app="", location="")


class Access:
    """The tokens that are known, and what each of them grants."""

    def __init__(self, config: SandboxConfig) -> None:
        self._anyone: Grant | None = None
        if not config.tokens and config.oauth is None:
            self._anyone = Grant(app="", location=config.location_id, open=True)
        self._grants = {
            token: Grant(app=token, location=location, locations=frozenset({location}))
            for token, location in config.tokens.items()
        }

    def issue(self, token: str, grant: Grant) -> None:
        """Let a new token in."""
        self._grants[token] = grant

    def grant(self, authorization: str, now: float) -> Grant:
        """What the request's token grants.

        Raises:
            ApiError: 401 for a token that is unknown or expired.
        """
        scheme, _, token = authorization.partition(" ")
        if scheme != "Bearer" or not token:
            raise ApiError(BAD_TOKEN)
        found = self._grants.get(token, self._anyone)
        if found is None or (found.expires_at is not None and found.expires_at <= now):
            raise ApiError(BAD_TOKEN)
        return found

    def check(
        self, route: Route, headers: Mapping[str, str], config: SandboxConfig, now: float
    ) -> Grant:
        """Let a request in to a route.

        Raises:
            ApiError: 401 for a wrong version, token or scope.
        """
        if route.public:
            return NOBODY
        if headers.get("Version", "") not in config.versions:
            raise ApiError(NO_VERSION)
        grant = self.grant(headers.get("Authorization", ""), now)
        if route.scope in config.denied_scopes:
            raise ApiError(NO_SCOPE)
        return grant
