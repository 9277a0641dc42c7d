"""The endpoints beside messages: for contacts, conversations, workflows and OAuth's tokens.

A refresh token works once, and its successor comes with the answer. Names may be in snake_case or
camelCase, in a form or in JSON. Version v3 is answered in camelCase, and its location tokens come
with a refresh token of their own; older ones are answered in snake_case. Source: the OpenAPI files
for OAuth, of both versions.
"""

import re
import time
from operator import gt, lt
from typing import Any, Final

from leadconnector_async.sandbox import read_endpoints as reads, replies
from leadconnector_async.sandbox.api_request import ApiRequest, Grant
from leadconnector_async.sandbox.config import OAuthApp, OAuthInstallation
from leadconnector_async.sandbox.message_store import Conversation, iso
from leadconnector_async.sandbox.state import SandboxState

Fields = dict[str, Any]

_TEXTS: Final = (
    *("email", "phone", "name", "firstName", "lastName", "companyName", "address1", "city"),
    *("state", "country", "postalCode", "website", "timezone", "source", "dateOfBirth", "gender"),
)


def get_contact(state: SandboxState, request: ApiRequest) -> replies.Reply:
    """``GET /contacts/{id}``."""
    contact = _named(state, request)
    return replies.json_reply(200, {"contact": _view(contact), "traceId": replies.TRACE_ID})


def delete_contact(state: SandboxState, request: ApiRequest) -> replies.Reply:
    """``DELETE /contacts/{id}``, and with it its conversation."""
    location, contact = request.grant.location, _named(state, request)["id"]
    state.contacts.remove(location, contact)
    state.store.drop(location, contact)
    return replies.json_reply(200, {"succeded": True})


def _named(state: SandboxState, request: ApiRequest) -> Fields:
    found = state.contacts.get(request.grant.location, request.params[0])
    if found is None:
        raise replies.refused(400, f"Contact with id {request.params[0]} not found")
    return found


def find_duplicate(state: SandboxState, request: ApiRequest) -> replies.Reply:
    """``GET /contacts/search/duplicate``: by email, else by number; ``contact`` may be null.

    A ``+`` that is not encoded arrives as a space, and finds nothing.
    """
    found = _find(state, request.location(request.query.get("locationId")), request.query)
    return replies.json_reply(200, {"contact": found and _view(found), "traceId": replies.TRACE_ID})


def _view(contact: Fields) -> Fields:
    """A contact as it is shown: what it has not is absent."""
    return {name: value for name, value in contact.items() if value is not None}


def _find(state: SandboxState, location: str, fields: Fields) -> Fields | None:
    phone = fields.get("phone") or fields.get("number")
    by_email = state.contacts.find(location, "email", fields.get("email"))
    return by_email or state.contacts.find(location, "phone", phone)


def create_contact(state: SandboxState, request: ApiRequest) -> replies.Reply:
    """``POST /contacts/``. A duplicate is refused, and its answer names the one that exists."""
    fields, location = _read(request)
    found = _find(state, location, fields)
    if found is not None:
        by_email = state.contacts.find(location, "email", fields.get("email"))
        meta = {"contactId": found["id"], "matchingField": "email" if by_email else "phone"}
        message = "This location does not allow duplicated contacts."
        raise replies.refused(400, message, meta=meta, traceId=replies.TRACE_ID)
    contact = _put(state, location, {}, fields)
    return replies.json_reply(201, {"contact": _view(contact), "traceId": replies.TRACE_ID})


def upsert_contact(state: SandboxState, request: ApiRequest) -> replies.Reply:
    """``POST /contacts/upsert``: email first, then phone.

    Where the two belong to different contacts, the one with the email is changed, and the phone
    is silently dropped; an additional email becomes the first one, which is lost: the API does so.
    """
    fields, location = _read(request)
    if not fields.get("email") and not fields.get("phone"):
        raise replies.refused(400, "email or phone is required")
    found = _find(state, location, fields)
    owner = state.contacts.find(location, "phone", fields.get("phone"))
    if found is not None and owner is not None and owner["id"] != found["id"]:
        fields = {name: value for name, value in fields.items() if name != "phone"}
    contact = _put(state, location, found or {}, fields)
    content = {"new": found is None, "contact": _view(contact), "traceId": replies.TRACE_ID}
    return replies.json_reply(200, content)


def _read(request: ApiRequest) -> tuple[Fields, str]:
    """What is kept of the fields, and the location."""
    fields = request.json()
    location = request.location(fields.get("locationId"))
    wrong = replies.wrong_texts(fields, _TEXTS)
    others = fields.get("additionalEmails") or []
    if not isinstance(others, list) or not all(isinstance(one, str) for one in others):
        wrong.append("each value in additionalEmails must be a string")
    if wrong:
        raise replies.invalid(*wrong)
    kept = (*_TEXTS, "additionalEmails")
    return {name: value for name, value in fields.items() if name in kept}, location


def _put(state: SandboxState, location: str, known: Fields, fields: Fields) -> Fields:
    moment = iso(time.time_ns() // 1_000_000)
    contact: Fields = {"id": state.ids(), "dateAdded": moment} | known | fields
    contact |= {"locationId": location, "dateUpdated": moment}
    first = (contact.get("email") or "").lower()
    others = contact.get("additionalEmails") or ()
    contact["additionalEmails"] = [one for one in others if one.lower() != first]
    state.contacts.put(contact)
    return contact


def create_conversation(state: SandboxState, request: ApiRequest) -> replies.Reply:
    """``POST /conversations/``. A contact has one conversation: the second call is refused."""
    fields = request.json()
    location = request.location(fields.get("locationId"))
    contact_id = fields.get("contactId")
    if not isinstance(contact_id, str) or not contact_id:
        raise replies.invalid("contactId must be a string", "contactId is required")
    if not state.knows_contact(location, contact_id):
        raise replies.ApiError(replies.NO_CONTACT)
    if state.store.conversation_of(location, contact_id) is not None:
        raise replies.refused(400, f"Conversation with the contact id:{contact_id} already exists!")
    opened = state.store.open(location, contact_id, request.now)
    moment = iso(time.time_ns() // 1_000_000)
    dates = dict.fromkeys(("dateAdded", "dateUpdated", "lastMessageDate"), moment)
    view = reads.ids_of(opened) | dates | {"deleted": False}
    return replies.json_reply(201, {"success": True, "conversation": view})


def get_conversation(state: SandboxState, request: ApiRequest) -> replies.Reply:
    """``GET /conversations/{id}``."""
    return replies.json_reply(200, _single(reads.known_conversation(state, request)))


def _single(conversation: Conversation) -> Fields:
    own = {"deleted": False, "inbox": True, "type": 1, "starred": False}
    return reads.ids_of(conversation) | own | {"unreadCount": conversation.unread}


def update_conversation(state: SandboxState, request: ApiRequest) -> replies.Reply:
    """``PUT /conversations/{id}``: of what the API lets be set, the count of unread messages."""
    fields = request.json()
    request.location(fields.get("locationId"))
    conversation = reads.known_conversation(state, request)
    count = fields.get("unreadCount", conversation.unread)
    if type(count) is not int or count < 0:
        raise replies.invalid("unreadCount must be a number")
    conversation.unread = count
    return replies.json_reply(200, {"success": True, "conversation": _single(conversation)})


def list_workflows(state: SandboxState, request: ApiRequest) -> replies.Reply:
    """``GET /workflows/``: the account's automations, all of them published."""
    location = request.location(request.query.get("locationId"))
    found = [
        {"id": f"w{number}", "name": name, "status": "published", "locationId": location}
        for number, name in enumerate(state.config.workflows, 1)
    ]
    return replies.json_reply(200, {"workflows": found})


def search_conversations(state: SandboxState, request: ApiRequest) -> replies.Reply:
    """``GET /conversations/search``: the index learns of a conversation with its lag."""
    location = request.location(request.query.get("locationId"))
    limit = request.limit(default=20, least=1, most=100)
    found = []
    for conversation in _candidates(state, request, location):
        if conversation.opened_at + state.config.reads.search_lag <= request.now:
            messages = reads.visible(state, conversation.timeline.by_date(), request.now)
            last = messages[-1] if messages else None
            found.append(reads.conversation_view(state, conversation, last))
    sought = request.query.get("query", "").lower()
    names = ("fullName", "email", "phone")
    found = [view for view in found if any(sought in str(view[name]).lower() for name in names)]
    descending = request.query.get("sort", "desc") == "desc"
    found.sort(key=lambda view: (view["lastMessageDate"], view["id"]), reverse=descending)
    start, page = request.moment("startAfterDate"), found
    if start is not None:
        after = lt if descending else gt
        page = [view for view in found if after(view["lastMessageDate"], start)]
    return replies.json_reply(200, {"conversations": page[:limit], "total": len(found)})


def _candidates(state: SandboxState, request: ApiRequest, location: str) -> list[Conversation]:
    contact_id, conversation_id = request.query.get("contactId"), request.query.get("id")
    if contact_id:
        one = state.store.conversation_of(location, contact_id)
    elif conversation_id:
        one = state.store.conversation(location, conversation_id)
    else:
        return state.store.conversations(location)
    return [one] if one is not None else []


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
    return _issue(state, installation, request, renewable=True)


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
    return _issue(state, installation, request, renewable=request.headers.get("Version") == "v3")


def _app(state: SandboxState) -> OAuthApp:
    if state.config.oauth is None:
        raise replies.refused(400, "the sandbox was started without an OAuth app")
    return state.config.oauth


def _issue(
    state: SandboxState, installation: OAuthInstallation, request: ApiRequest, *, renewable: bool
) -> replies.Reply:
    app, token = _app(state), f"access-{state.ids()}"
    company, location = installation.company_id, installation.location_id
    grant = Grant(
        app=app.client_id,
        location=location or company,
        locations=frozenset({location} if location else app.company_locations.get(company, ())),
        company=None if location else company,
        expires_at=request.now + app.expires_in,
    )
    state.access.grants[token] = grant
    answer: Fields = {
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
    if request.headers.get("Version") == "v3":
        names = {name: re.sub("_([a-z])", lambda at: at[1].upper(), name) for name in answer}
        answer = {names[name]: value for name, value in answer.items()}
    return replies.json_reply(200, answer)
