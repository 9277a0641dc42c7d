"""The endpoints for tokens. A refresh token works once, and its successor comes with the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from leadconnector_async.sandbox.api_request import Grant
from leadconnector_async.sandbox.config import OAuthInstallation
from leadconnector_async.sandbox.replies import (
    BAD_TOKEN,
    ApiError,
    Reply,
    error,
    json_reply,
    unprocessable,
)

if TYPE_CHECKING:
    from leadconnector_async.sandbox.api_request import ApiRequest
    from leadconnector_async.sandbox.config import OAuthApp
    from leadconnector_async.sandbox.state import SandboxState


def refresh(state: SandboxState, request: ApiRequest) -> Reply:
    """``POST /oauth/token``, form-encoded, ``grant_type=refresh_token``."""
    form, app = request.form(), _app(state)
    if (form.get("client_id"), form.get("client_secret")) != (app.client_id, app.client_secret):
        raise ApiError(error(401, "Invalid client credentials!", error="UnAuthorized!"))
    if form.get("grant_type") != "refresh_token":
        raise ApiError(
            unprocessable("grant_type must be one of the following values: refresh_token")
        )
    installation = state.refresh_tokens.pop(form.get("refresh_token", ""), None)
    if installation is None:
        body = {"error": "invalid_grant", "error_description": "This refresh token is invalid"}
        raise ApiError(json_reply(400, body))
    successor = f"refresh-{state.ids()}"
    state.refresh_tokens[successor] = installation
    pair = _issue(state, app, installation, request.now) | {"refresh_token": successor}
    return json_reply(200, pair)


def location_token(state: SandboxState, request: ApiRequest) -> Reply:
    """``POST /oauth/locationToken``: a token for one location, from the company's token."""
    form, app = request.form(), _app(state)
    company, location = request.grant.company, form.get("locationId", "")
    if company is None:
        raise ApiError(BAD_TOKEN)
    missing = [name for name in ("companyId", "locationId") if not form.get(name)]
    if missing:
        raise ApiError(unprocessable(*(f"{name} must be a string" for name in missing)))
    if form["companyId"] != company or location not in app.company_locations.get(company, ()):
        raise ApiError(error(400, "Location not found"))
    installation = OAuthInstallation(refresh_token="", company_id=company, location_id=location)
    return json_reply(200, _issue(state, app, installation, request.now))


def _app(state: SandboxState) -> OAuthApp:
    if state.config.oauth is None:
        raise ApiError(error(400, "the sandbox was started without an OAuth app"))
    return state.config.oauth


def _issue(
    state: SandboxState, app: OAuthApp, installation: OAuthInstallation, now: float
) -> dict[str, Any]:
    token = f"access-{state.ids()}"
    company, location = installation.company_id, installation.location_id
    grant = Grant(
        app=app.client_id,
        location=location or company,
        locations=frozenset({location} if location else app.company_locations.get(company, ())),
        company=None if location else company,
        expires_at=now + app.expires_in,
    )
    state.access.issue(token, grant)
    answer: dict[str, Any] = {
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": app.expires_in,
        "scope": "conversations/message.readonly conversations/message.write",
        "userType": "Location" if location else "Company",
        "companyId": company,
        "userId": "SandboxUser000000001",
    }
    return answer | ({"locationId": location} if location else {})
