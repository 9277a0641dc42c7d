"""The calls that give OAuth tokens, and what their answers mean. Nothing here does I/O.

============================  =========  ==============================================
answer                        meaning    source
============================  =========  ==============================================
2xx with an ``access_token``  `Granted`  OpenAPI file for OAuth (2021-07-28)
2xx without, 302 303 408 5xx  `Lost`     the refresh token may be used up
400 401 403 404 422           `Denied`   OpenAPI file; ``invalid_grant``: RFC 6749, 5.2
any other, a page as any 4xx  `Later`    nothing was given; asking again may help
============================  =========  ==============================================

The API's own words are not repeated: they might quote a token.
"""

import re
from typing import Final, Literal
from urllib.parse import urlencode

import msgspec
import orjson

from leadconnector_async.api import responses
from leadconnector_async.transport.base import FORM, Request, Response, is_token

OAUTH_VERSION: Final = "2021-07-28"

TOKEN_PATH: Final = "/oauth/token"  # noqa: S105 - a path

NEWER_VERSION: Final = "v3"

USUAL_LIFE: Final = 86_399.0
"""Seconds, where an answer does not tell: the OpenAPI file's example."""

_CODE: Final = re.compile(r"[a-z_]{1,40}")
"""An error code of RFC 6749, which is a word of its own and no token."""

Kind = Literal["Company", "Location"]


class Granted(msgspec.Struct, frozen=True):
    """A token. ``life`` is in seconds; ``refresh_token`` is None where the old one stays."""

    access_token: str
    life: float
    refresh_token: str | None

    def __repr__(self) -> str:
        return f"Granted(for {self.life:g} s)"


class Denied(msgspec.Struct, frozen=True):
    """The same request would be denied again.

    ``client`` tells that the app itself is unknown, ``expired`` that the agency's token is refused.
    """

    what: str
    client: bool = False
    expired: bool = False


class Lost(msgspec.Struct, frozen=True):
    """A token was given, perhaps, and has not come."""

    what: str


class Later(msgspec.Struct, frozen=True):
    """No token this time."""

    what: str


TokenResult = Granted | Denied | Lost | Later


def _folded(name: str) -> str:
    """A name as both versions have it: ``access_token`` and ``accessToken`` are one."""
    return name.replace("_", "").lower()


class _Tokens(msgspec.Struct, rename=_folded):
    access_token: str
    expires_in: object = None
    refresh_token: str | None = None


def refresh(
    client_id: str, client_secret: str, refresh_token: str, kind: Kind, version: str | None = None
) -> Request:
    """Exchange a refresh token, which works once, for an access token and its own successor.

    Version v3 takes JSON, in camelCase; older ones a form, in snake_case.
    """
    values = (client_id, client_secret, "refresh_token", refresh_token, kind)
    if version == NEWER_VERSION:
        names = ("clientId", "clientSecret", "grantType", "refreshToken", "userType")
        body = orjson.dumps(dict(zip(names, values, strict=True)))
        return Request("POST", TOKEN_PATH, version, body)
    names = ("client_id", "client_secret", "grant_type", "refresh_token", "user_type")
    return _form(TOKEN_PATH, dict(zip(names, values, strict=True)))


def location_token(company: str, location: str, version: str | None = None) -> Request:
    """Ask, with the token of an agency, for one of its location: a form in every version."""
    path = "/oauth/location-token" if version == NEWER_VERSION else "/oauth/locationToken"
    return _form(path, {"companyId": company, "locationId": location})


def _form(path: str, form: dict[str, str]) -> Request:
    return Request("POST", path, OAUTH_VERSION, urlencode(form).encode(), FORM)


def read_tokens(response: Response) -> TokenResult:
    """Tell what an answer to either call means; see the table above."""
    if responses.is_success(response):
        return _read_success(response)
    code, words = _read_error(response.body)
    what = f"{response.status} {code}".strip()
    if responses.is_grant_denied(response) and response.body.lstrip()[:1] != b"<":
        client = code == "invalid_client" or "client" in words
        return Denied(what, client=client, expired=responses.is_unauthorized(response))
    meant = responses.classify(response.status, response.body)
    kind = Lost if isinstance(meant, responses.Indeterminate) else Later
    return kind(f"the API answered {what}")


def _read_success(response: Response) -> TokenResult:
    try:
        fields = msgspec.json.decode(response.body, type=dict[str, object])
        given = {_folded(name): value for name, value in fields.items() if value is not None}
        found = msgspec.convert(given, _Tokens)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Lost(f"the API's answer {response.status} has no token that can be read")
    if not is_token(found.access_token):
        return Lost(f"the API's answer {response.status} has no token that can be sent")
    return Granted(found.access_token, _life(found.expires_in), found.refresh_token or None)


def _life(expires_in: object) -> float:
    try:
        return max(1.0, float(str(expires_in)))
    except ValueError:
        return USUAL_LIFE


def _read_error(body: bytes) -> tuple[str, str]:
    """The code that may be shown, and the words that may only be looked at."""
    found = responses.json_object(body)
    if isinstance(found.get("error"), dict):  # the envelope of the v3 files
        found = found["error"]
        found["error"] = str(found.get("code", "")).lower()
    code = found.get("error")
    shown = code if isinstance(code, str) and _CODE.fullmatch(code) else ""
    return shown, str(found.get("message", "")).lower()
