"""A request on its way to an endpoint: who asks, what for, and readers for its body and query.

Who may do what: tokens, versions and scopes.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson
from msgspec import Struct, structs

from leadconnector_async.sandbox import replies
from leadconnector_async.sandbox.config import ANY_LOCATION, SandboxConfig
from leadconnector_async.sandbox.message_store import derived_id, is_own_form

_EPOCH: Final = datetime.fromtimestamp(0, UTC)

_MAX_DIGITS: Final = 20


def parse_ms(text: str) -> int | None:
    """An ISO 8601 date-time as milliseconds of the Unix epoch; without offset it is UTC.

    A moment that is not in the calendar's years once it is in UTC is no date.
    """
    try:
        moment = datetime.fromisoformat(text)
        in_utc = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    return (in_utc - _EPOCH) // timedelta(milliseconds=1)


def json_object(body: bytes) -> dict[str, Any]:
    """The object that a body is; empty where it is none."""
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return content if isinstance(content, dict) else {}


def _digits(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS else None


class Grant(Struct, frozen=True, kw_only=True):
    """What a token gives access to.

    ``app`` is what the quota is counted by, beside the location. ``open`` is the grant of a
    sandbox without tokens: one location under any name, or, ``apart``, one for each token.
    """

    app: str
    location: str
    locations: frozenset[str] = frozenset()
    company: str | None = None
    open: bool = False
    apart: bool = False
    expires_at: float | None = None


class ApiRequest(Struct, gc=False):
    """One request. ``now`` is the sandbox's clock in seconds; for the rest see `SandboxConfig`."""

    path: str
    params: tuple[str, ...]
    query: dict[str, str]
    body: bytes
    headers: Mapping[str, str]
    grant: Grant
    now: float
    closed: bool
    trusting: bool

    def location(self, asked: object) -> str:
        """The location to work on, where the request names one.

        Raises:
            ApiError: 422 for none, 403 for one that the token has no access to.
        """
        if not isinstance(asked, str) or not asked:
            raise replies.invalid("locationId must be a string", "locationId is required")
        grant = self.grant
        if grant.open:
            any_name = grant.apart or grant.location == ANY_LOCATION
            known = any_name or grant.location == asked or (self.trusting and is_own_form(asked))
            if self.closed and not known:
                raise replies.ApiError(replies.NO_LOCATION_ACCESS)
            return grant.location
        if asked not in grant.locations:
            raise replies.ApiError(replies.NO_LOCATION_ACCESS)
        return asked

    def json(self) -> dict[str, Any]:
        """The body, which has to be a JSON object."""
        try:
            content = orjson.loads(self.body)
        except orjson.JSONDecodeError as exc:
            raise replies.refused(400, f"Unexpected token in JSON: {exc}") from exc
        if not isinstance(content, dict):
            raise replies.invalid("the body must be an object")
        return content

    def form(self) -> dict[str, str]:
        """The texts of the body, url-encoded or JSON, under names in snake_case."""
        is_json = "json" in self.headers.get("Content-Type", "").lower()
        given = self.json() if is_json else dict(parse_qsl(self.body.decode("utf-8", "replace")))
        texts = {name: value for name, value in given.items() if isinstance(value, str)}
        return {re.sub("([A-Z])", r"_\1", name).lower(): value for name, value in texts.items()}

    def limit(self, *, default: int, least: int, most: int) -> int:
        """The page size asked for, ``most`` at most; below ``least`` it is 422."""
        text = self.query.get("limit")
        if text is None:
            return default
        size = _digits(text)
        if size is None:
            raise replies.invalid("limit must be a number")
        if size < least:
            raise replies.invalid(f"limit must not be less than {least}")
        return min(size, most)

    def moment(self, name: str) -> int | None:
        """A date of the query, in ISO 8601 or as milliseconds."""
        text = self.query.get(name)
        if text is None:
            return None
        digits = _digits(text)
        moment = parse_ms(text) if digits is None else digits
        if moment is None:
            raise replies.invalid(f"{name} must be a valid ISO 8601 date string")
        return moment


class AccessControl:
    """The tokens that are known, and what each of them grants."""

    def __init__(self, config: SandboxConfig) -> None:
        self._anyone: Grant | None = None
        if not config.tokens and config.oauth is None:
            self._anyone = Grant(app="", location=config.location_id, open=True, apart=config.apart)
        self.grants: dict[str, Grant] = {
            token: Grant(app=token, location=location, locations=frozenset({location}))
            for token, location in config.tokens.items()
        }

    def check(
        self, scope: str, headers: Mapping[str, str], config: SandboxConfig, now: float
    ) -> Grant:
        """Let a request in to what needs a scope; '' is for everyone.

        Raises:
            ApiError: 401 for a wrong version, token or scope, or a token that is expired.
        """
        if not scope:
            return Grant(app="", location="")
        if headers.get("Version", "") not in config.versions:
            raise replies.ApiError(replies.NO_VERSION)
        scheme, _, token = headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not token:
            raise replies.ApiError(replies.BAD_TOKEN)
        found = self.grants.get(token, self._anyone)
        if found is not None and found is self._anyone and found.apart:
            own = derived_id("location of", token)
            found = self.grants[token] = structs.replace(found, app=own, location=own)
        if found is None or (found.expires_at is not None and found.expires_at <= now):
            raise replies.ApiError(replies.BAD_TOKEN)
        if scope in config.denied_scopes:
            raise replies.ApiError(replies.NO_SCOPE)
        return found
