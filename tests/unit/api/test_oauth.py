from __future__ import annotations

from urllib.parse import parse_qs

import pytest

from leadconnector_async.api.oauth import (
    USUAL_LIFE,
    Denied,
    Granted,
    Later,
    Lost,
    TokenResult,
    location_token,
    read_tokens,
    refresh,
)
from leadconnector_async.transport.base import FORM, Response

SECRET = "s&cret="


def test_a_refresh_is_a_form() -> None:
    """In snake case, encoded, with the version, and with no secret in its repr."""
    request = refresh("app", SECRET, "r+1", "Company")
    assert (request.method, request.path, request.version) == ("POST", "/oauth/token", "2021-07-28")
    assert request.content_type == FORM
    assert parse_qs((request.body or b"").decode()) == {
        "client_id": ["app"],
        "client_secret": [SECRET],
        "grant_type": ["refresh_token"],
        "refresh_token": ["r+1"],
        "user_type": ["Company"],
    }
    assert SECRET not in repr(request)


def test_a_location_token_is_asked_for_by_both_ids() -> None:
    """In camel case."""
    request = location_token("co", "loc")
    assert (request.method, request.path) == ("POST", "/oauth/locationToken")
    assert (request.version, request.content_type) == ("2021-07-28", FORM)
    assert request.body == b"companyId=co&locationId=loc"


KEPT = Granted("a", USUAL_LIFE, "r")


@pytest.mark.parametrize(
    ("status", "body", "ruling"),
    [
        (
            200,
            b'{"access_token":"a","expires_in":86399,"refresh_token":"r"}',
            Granted("a", 86399.0, "r"),
        ),
        (201, b'{"access_token":"a","expires_in":"60"}', Granted("a", 60.0, None)),
        (200, b'{"access_token":"a"}', Granted("a", USUAL_LIFE, None)),
        (
            200,
            b'{"accessToken":"a","expiresIn":60,"refreshToken":"r","refresh_token":null}',
            Granted("a", 60.0, "r"),
        ),
        (200, b'{"access_token":"a","refreshToken":"r"}', Granted("a", USUAL_LIFE, "r")),
        (
            400,
            b'{"error":{"code":"INVALID_GRANT","message":"used: eyJ"}}',
            Denied("400 invalid_grant"),
        ),
        (200, b'{"access_token":"a","expires_in":-5}', Granted("a", 1.0, None)),
        (200, b'{"access_token":"a","expires_in":"soon"}', Granted("a", USUAL_LIFE, None)),
        (
            200,
            b'{"access_token":"a b"}',
            Lost("the API's answer 200 has no token that can be sent"),
        ),
        (200, b"", Lost("the API's answer 200 has no token that can be read")),
        (200, b"\xff<html>", Lost("the API's answer 200 has no token that can be read")),
        (400, b'{"error":"invalid_grant"}', Denied("400 invalid_grant")),
        (400, b'{"error":"invalid_client"}', Denied("400 invalid_client", client=True)),
        (
            401,
            b'{"message":"Invalid client credentials!","error":"UnAuthorized!"}',
            Denied("401", client=True, expired=True),
        ),
        (401, b'{"message":"Invalid token"}', Denied("401", expired=True)),
        (422, b"[]", Denied("422")),
        (403, b" <!DOCTYPE html>", Later("the API answered 403")),
        (404, b"<html>", Later("the API answered 404")),
        (200, b'{"access_token":"a","expires_in":[],"refresh_token":"r"}', KEPT),
        (200, b'{"access_token":"a","expires_in":true,"refresh_token":"r"}', KEPT),
        (
            200,
            b'{"access_token":"a","expires_in":"nan","refresh_token":"r"}',
            Granted("a", 1.0, "r"),
        ),
        (429, b"", Later("the API answered 429")),
        (302, b"", Lost("the API answered 302")),
        (307, b"", Later("the API answered 307")),
        (408, b"", Lost("the API answered 408")),
        (503, b"<html>", Lost("the API answered 503")),
    ],
)
def test_what_an_answer_means(status: int, body: bytes, ruling: TokenResult) -> None:
    """By its status; what may have used the refresh token up is told from what has not.

    A firewall's page denies no token, and an odd life is no reason to lose a pair.
    """
    assert read_tokens(Response(status, {}, body)) == ruling


def test_words_that_may_quote_a_token_are_not_repeated() -> None:
    """Only a code in lower case is."""
    quoting = b'{"error":"Invalid refresh token: eyJhbGciOi"}'
    assert "eyJ" not in repr(read_tokens(Response(400, {}, quoting)))
    assert "eyJ" not in repr(Granted("eyJ", 1.0, "eyJ"))
