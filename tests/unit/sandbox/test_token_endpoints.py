from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
from virtual_time import Clock

from leadconnector_async.sandbox import OAuthApp, OAuthInstallation, SandboxConfig
from leadconnector_async.sandbox.app import respond
from leadconnector_async.sandbox.state import SandboxState

LOCATION_REFRESH = "r-loc"
COMPANY_REFRESH = "r-co"
APP = OAuthApp(
    client_id="app",
    client_secret="secret",  # noqa: S106 - opens nothing
    installations=(
        OAuthInstallation(refresh_token=LOCATION_REFRESH, company_id="co", location_id="loc-1"),
        OAuthInstallation(refresh_token=COMPANY_REFRESH, company_id="co"),
    ),
    company_locations={"co": ("loc-1", "loc-2")},
    expires_in=100,
)


def make_state(clock: Clock | None = None) -> SandboxState:
    """A sandbox with the app."""
    return SandboxState(SandboxConfig(oauth=APP), clock or Clock())


def form(state: SandboxState, path: str, token: str = "", **fields: str) -> tuple[int, Any]:
    """Post a form; the status and the decoded answer."""
    headers = {"Authorization": f"Bearer {token}", "Version": "2021-07-28"}
    reply = respond(state, "POST", path, headers, urlencode(fields).encode()).reply
    return reply.status, orjson.loads(reply.body)


def refresh(state: SandboxState, token: str, **changes: str) -> tuple[int, Any]:
    """Refresh with the app's credentials."""
    fields = {"client_id": "app", "client_secret": "secret", "grant_type": "refresh_token"}
    return form(state, "/oauth/token", **fields | {"refresh_token": token} | changes)


def export(state: SandboxState, token: str, location: str = "loc-1") -> int:
    """The status of a read with this token."""
    headers = {"Authorization": f"Bearer {token}", "Version": "2021-04-15"}
    target = f"/conversations/messages/export?locationId={location}"
    return respond(state, "GET", target, headers, b"").reply.status


def test_a_refresh_token_works_once() -> None:
    """Its successor comes with the answer, and works once as well."""
    sandbox = make_state()
    status, first = refresh(sandbox, "r-loc")
    assert status == 200
    assert (first["locationId"], first["userType"], first["expires_in"]) == (
        "loc-1",
        "Location",
        100,
    )
    assert refresh(sandbox, "r-loc")[0] == 400
    status, second = refresh(sandbox, first["refresh_token"])
    assert status == 200
    assert second["access_token"] != first["access_token"]
    assert export(sandbox, second["access_token"]) == 200


@pytest.mark.parametrize(
    ("changes", "status"),
    [({"client_secret": "x"}, 401), ({"grant_type": "magic"}, 422), ({"refresh_token": "x"}, 400)],
)
def test_wrong_refreshes_are_refused(changes: dict[str, str], status: int) -> None:
    """Wrong credentials, a wrong grant type, an unknown token; none of them uses the token up."""
    sandbox = make_state()
    assert refresh(sandbox, "r-loc", **changes)[0] == status
    assert refresh(sandbox, "r-loc")[0] == 200


def test_access_tokens_expire() -> None:
    """After ``expires_in`` seconds the token is invalid."""
    clock = Clock()
    sandbox = make_state(clock)
    token = refresh(sandbox, "r-loc")[1]["access_token"]
    clock.now += 99
    assert export(sandbox, token) == 200
    clock.now += 1
    assert export(sandbox, token) == 401


def test_a_company_token_gives_location_tokens() -> None:
    """For the company's own locations, and the new token reaches that location alone."""
    sandbox = make_state()
    company = refresh(sandbox, "r-co")[1]["access_token"]
    ask = {"companyId": "co", "locationId": "loc-2"}
    status, answer = form(sandbox, "/oauth/locationToken", company, **ask)
    assert (status, answer["locationId"]) == (200, "loc-2")
    assert "refresh_token" not in answer
    assert export(sandbox, answer["access_token"], "loc-2") == 200
    assert export(sandbox, answer["access_token"], "loc-1") == 403
    assert form(sandbox, "/oauth/locationToken", company, **ask | {"locationId": "x"})[0] == 400
    assert form(sandbox, "/oauth/locationToken", company, companyId="co")[0] == 422


@pytest.mark.parametrize("as_json", [True, False])
def test_v3_is_written_in_camel_case(as_json: bool) -> None:  # noqa: FBT001 - a parameter of the case
    """In JSON or in a form, in and out; a location's token can be refreshed."""

    def post(path: str, token: str = "", **fields: str) -> tuple[int, Any]:
        body = orjson.dumps(fields) if as_json else urlencode(fields).encode()
        kind = "application/json" if as_json else "application/x-www-form-urlencoded"
        headers = {"Authorization": f"Bearer {token}", "Version": "v3", "Content-Type": kind}
        reply = respond(sandbox, "POST", path, headers, body).reply
        return reply.status, orjson.loads(reply.body)

    sandbox = make_state()
    app = {"clientId": "app", "clientSecret": "secret", "grantType": "refresh_token"}
    status, company = post("/oauth/token", **app, refreshToken="r-co")
    assert (status, company["expiresIn"], "access_token" in company) == (200, 100, False)
    place = {"companyId": "co", "locationId": "loc-2"}
    status, answer = post("/oauth/location-token", company["accessToken"], **place)
    assert (status, export(sandbox, answer["accessToken"], "loc-2")) == (200, 200)
    assert post("/oauth/token", **app, refreshToken=answer["refreshToken"])[0] == 200


def test_a_location_token_gives_none() -> None:
    """Only a company's token may ask."""
    sandbox = make_state()
    token = refresh(sandbox, "r-loc")[1]["access_token"]
    assert (
        form(sandbox, "/oauth/locationToken", token, companyId="co", locationId="loc-1")[0] == 401
    )


def test_without_an_app_there_is_no_oauth() -> None:
    """The answer says what is missing."""
    assert refresh(SandboxState(SandboxConfig()), "r")[0] == 400


def test_secrets_stay_out_of_reprs() -> None:
    """Neither the client's secret nor a refresh token is shown."""
    shown = repr(SandboxConfig(oauth=APP)) + repr(APP) + repr(APP.installations)
    assert "secret" not in shown
    assert "r-loc" not in shown
