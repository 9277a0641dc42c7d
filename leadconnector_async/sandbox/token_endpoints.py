"""The endpoints for tokens. A refresh token works once, and its successor comes with the answer.

Names may be in snake_case or camelCase, in a form or in JSON. Version v3 is answered in camelCase,
and its location tokens come with a refresh token of their own; older ones are answered in
snake_case. Source: the OpenAPI files for OAuth, of both versions.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from leadconnector_async.sandbox import replies
from leadconnector_async.sandbox.api_request import Grant
from leadconnector_async.sandbox.config import OAuthInstallation

if TYPE_CHECKING:
    from leadconnector_async.sandbox.api_request import ApiRequest
    from leadconnector_async.sandbox.config import OAuthApp
    from leadconnector_async.sandbox.state import SandboxState


def refresh(state: SandboxState, request: ApiRequest) -> replies.Reply:
    """``POST /oauth/token``, ``grant_type=refresh_token``."""
    form, app = request.form(), _app(state)
    if (form.get("client_id"), form.get("client_secret")) != (app.client_id, app.client_secret):
        raise replies.refused(401, "Invalid client credentials!", error="UnAuthorized!")
    if form.get("grant_type") != "refresh_token":
        raise replies.invalid("grant_type must be one of the following values: refresh_token")
    installation = state.refresh_tokens.pop(form.get("refresh_token", ""), None)
    if installation is None:
        body = {"error": "invalid_grant", "error_description": "This refresh token is invalid"}
        raise replies.ApiError(replies.json_reply(400, body))
    return _issue(state, app, installation, request, renewable=True)


def location_token(state: SandboxState, request: ApiRequest) -> replies.Reply:
    """``POST /oauth/locationToken``: a token for one location, from the company's token."""
    form, app = request.form(), _app(state)
    company, location = request.grant.company, form.get("location_id", "")
    if company is None:
        raise replies.ApiError(replies.BAD_TOKEN)
    names = {"company_id": "companyId", "location_id": "locationId"}
    missing = [f"{name} must be a string" for key, name in names.items() if not form.get(key)]
    if missing:
        raise replies.invalid(*missing)
    if form["company_id"] != company or location not in app.company_locations.get(company, ()):
        raise replies.refused(400, "Location not found")
    installation = OAuthInstallation(refresh_token="", company_id=company, location_id=location)
    return _issue(state, app, installation, request, renewable=request.version == "v3")


def _app(state: SandboxState) -> OAuthApp:
    if state.config.oauth is None:
        raise replies.refused(400, "the sandbox was started without an OAuth app")
    return state.config.oauth


def _issue(
    state: SandboxState,
    app: OAuthApp,
    installation: OAuthInstallation,
    request: ApiRequest,
    *,
    renewable: bool,
) -> replies.Reply:
    token = f"access-{state.ids()}"
    company, location = installation.company_id, installation.location_id
    grant = Grant(
        app=app.client_id,
        location=location or company,
        locations=frozenset({location} if location else app.company_locations.get(company, ())),
        company=None if location else company,
        expires_at=request.now + app.expires_in,
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
    if location:
        answer["locationId"] = location
    if renewable:
        answer["refresh_token"] = f"refresh-{state.ids()}"
        state.refresh_tokens[answer["refresh_token"]] = installation
    if request.version == "v3":
        answer = {
            re.sub("_([a-z])", lambda at: at[1].upper(), name): answer[name] for name in answer
        }
    return replies.json_reply(200, answer)
