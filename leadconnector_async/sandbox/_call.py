"""A request on its way to an endpoint: who asks, what for, and readers for its body and query."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

import orjson
from msgspec import Struct

from leadconnector_async.sandbox._config import ANY_LOCATION
from leadconnector_async.sandbox._ids import is_own_form
from leadconnector_async.sandbox._replies import (
    NO_LOCATION_ACCESS,
    ApiError,
    error,
    unprocessable,
)

if TYPE_CHECKING:
    from leadconnector_async.sandbox._access import Grant

_EPOCH: Final = datetime.fromtimestamp(0, UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


def milliseconds(text: str) -> int | None:
    """An ISO 8601 date-time as milliseconds of the Unix epoch; without offset it is UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // _MILLISECOND


class Call(Struct, kw_only=True, gc=False):
    """One request. ``now`` is the sandbox's clock in seconds; for the rest see `SandboxConfig`."""

    path: str
    params: tuple[str, ...]
    query: dict[str, str]
    body: bytes
    content_type: str
    grant: Grant
    now: float
    closed: bool = False
    trusting: bool = False

    def location(self, asked: object) -> str:
        """The location to work on, where the request names one.

        Raises:
            ApiError: 422 for none, 403 for one that the token has no access to.
        """
        if not isinstance(asked, str) or not asked:
            raise ApiError(unprocessable("locationId must be a string", "locationId is required"))
        grant = self.grant
        if grant.open:
            known = grant.location in (asked, ANY_LOCATION) or (
                self.trusting and is_own_form(asked)
            )
            if self.closed and not known:
                raise ApiError(NO_LOCATION_ACCESS)
            return grant.location
        if asked not in grant.locations:
            raise ApiError(NO_LOCATION_ACCESS)
        return asked

    def json(self) -> dict[str, Any]:
        """The body, which has to be a JSON object."""
        try:
            content = orjson.loads(self.body)
        except orjson.JSONDecodeError as exc:
            raise ApiError(error(400, f"Unexpected token in JSON: {exc}")) from exc
        if not isinstance(content, dict):
            raise ApiError(unprocessable("the body must be an object"))
        return content

    def form(self) -> dict[str, str]:
        """The body, url-encoded."""
        return dict(parse_qsl(self.body.decode("utf-8", "replace")))

    def limit(self, *, default: int, least: int, most: int) -> int:
        """The page size asked for, ``most`` at most; below ``least`` it is 422."""
        text = self.query.get("limit")
        if text is None:
            return default
        if not text.isascii() or not text.isdigit():
            raise ApiError(unprocessable("limit must be a number"))
        if int(text) < least:
            raise ApiError(unprocessable(f"limit must not be less than {least}"))
        return min(int(text), most)

    def moment(self, name: str) -> int | None:
        """A date of the query, in ISO 8601 or as milliseconds."""
        text = self.query.get(name)
        if text is None:
            return None
        moment = int(text) if text.isascii() and text.isdigit() else milliseconds(text)
        if moment is None:
            raise ApiError(unprocessable(f"{name} must be a valid ISO 8601 date string"))
        return moment
