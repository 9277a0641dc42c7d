from __future__ import annotations

from typing import Any

import orjson
import pytest

from leadconnector_async.models import MESSAGE_TYPES
from leadconnector_async.sandbox import SandboxConfig, SandboxContact
from leadconnector_async.sandbox.app import respond
from leadconnector_async.sandbox.state import SandboxState

HEADERS = {"Authorization": "Bearer any", "Version": "2021-04-15"}
PROVIDER = "61d6d1f9cdac7612faf80753"


def post(state: SandboxState, body: object, path: str = "inbound") -> tuple[int, Any]:
    """Post a message; the status and the decoded answer."""
    target = f"/conversations/messages/{path}"
    reply = respond(state, "POST", target, HEADERS, orjson.dumps(body)).reply
    return reply.status, orjson.loads(reply.body) if reply.body else None


def sms(**fields: object) -> dict[str, object]:
    """A good SMS with changes."""
    return {"type": "SMS", "contactId": "contact-1", "message": "hi"} | fields


@pytest.mark.parametrize("message_type", MESSAGE_TYPES)
def test_every_type_is_stored_as_it_came(message_type: str) -> None:
    """Each of the spec's types is accepted with every field, and kept field by field."""
    state = SandboxState(SandboxConfig())
    fields = {
        "type": message_type,
        "contactId": "contact-1",
        "conversationProviderId": PROVIDER,
        "direction": "inbound",
        "date": "2024-02-29T10:11:12.345+01:00",
        "message": "text",
        "subject": "subject",
        "html": "<b>text</b>",
        "emailFrom": "a@x.example",
        "emailTo": "b@x.example",
        "emailCc": ["c@x.example"],
        "emailBcc": ["d@x.example"],
        "emailMessageId": "unknown",
        "altId": "mine-1",
        "attachments": ["https://x.example/1.png"],
        "call": {"to": "+15037081210", "from": "+15037081211", "status": "no-answer"},
    }
    status, answer = post(state, fields)
    stored = state.store.messages()[0]
    assert status == 200
    assert stored.fields == fields
    assert stored.alt_id == "mine-1"
    assert (answer["messageId"], answer["conversationId"]) == (stored.id, stored.conversation_id)
    assert answer["dateAdded"] == "2024-02-29T09:11:12.345Z"
    assert ("emailMessageId" in answer) == (message_type == "Email")


def test_one_contact_has_one_conversation() -> None:
    """A contact id alone finds or opens the contact's conversation; so does the conversation's."""
    state = SandboxState(SandboxConfig())
    _, first = post(state, sms())
    _, second = post(state, sms())
    _, third = post(state, {"type": "SMS", "conversationId": first["conversationId"]})
    _, other = post(state, sms(contactId="contact-2"))
    assert first["conversationId"] == second["conversationId"] == third["conversationId"]
    assert third["contactId"] == "contact-1"
    assert other["conversationId"] != first["conversationId"]


def test_arrival_order_is_kept() -> None:
    """Messages are listed as they came, whatever their dates, and numbered from 1."""
    state = SandboxState(SandboxConfig())
    for date in ("2024-01-02T00:00:00Z", "2024-01-01T00:00:00Z"):
        post(state, sms(date=date, altId=date))
    assert [(one.seq, one.alt_id) for one in state.store.messages()] == [
        (1, "2024-01-02T00:00:00Z"),
        (2, "2024-01-01T00:00:00Z"),
    ]


def test_direction_and_date_have_the_api_s_defaults() -> None:
    """Without a direction the message is outbound, even here; without a date it is now."""
    state = SandboxState(SandboxConfig())
    post(state, sms())
    stored = state.store.messages()[0]
    assert stored.direction == "outbound"
    assert stored.date == stored.stored_ms


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"type": "sms"}, "type must be one of"),
        ({"attachments": []}, "attachments must contain at least 1 elements"),
        ({"attachments": "https://x.example"}, "attachments must be an array"),
        ({"attachments": [1]}, "each value in attachments must be a string"),
        ({"emailCc": "a@x.example"}, "emailCc must be an array"),
        ({"direction": "in"}, "direction must be one of"),
        ({"date": "yesterday"}, "date must be a valid ISO 8601 date string"),
        ({"date": 1700000000}, "date must be a valid ISO 8601 date string"),
        ({"message": 5}, "message must be a string"),
        ({"call": []}, "call must be an object"),
        ({"call": {"status": "hung-up"}}, "call.status must be one of"),
        ({"call": {"to": 1}}, "call.to must be a string"),
    ],
)
def test_wrong_fields_are_422(changes: dict[str, object], message: str) -> None:
    """A field of the wrong shape is refused with the API's list of messages; nothing is stored."""
    state = SandboxState(SandboxConfig())
    status, answer = post(state, sms(**changes))
    assert status == 422
    assert any(one.startswith(message) for one in answer["message"])
    assert (answer["statusCode"], answer["error"]) == (422, "Unprocessable Entity")
    assert state.store.total == 0


def test_a_message_needs_somebody() -> None:
    """Neither contact nor conversation is 400."""
    status, answer = post(SandboxState(SandboxConfig()), {"type": "SMS", "message": "hi"})
    assert (status, answer["message"]) == (400, "contactId or conversationId is required")


@pytest.mark.parametrize("body", [b"{", b"[]", b'"text"'])
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    """Broken JSON is 400, other JSON 422."""
    state = SandboxState(SandboxConfig())
    reply = respond(state, "POST", "/conversations/messages/inbound", HEADERS, body).reply
    assert reply.status == (400 if body == b"{" else 422)


def test_custom_without_provider_vanishes() -> None:
    """The API answers 201 with nothing, and stores nothing; a switch makes it 400."""
    state = SandboxState(SandboxConfig())
    assert post(state, sms(type="Custom")) == (201, None)
    assert state.store.total == 0
    status, answer = post(SandboxState(SandboxConfig(custom_vanishes=False)), sms(type="Custom"))
    assert (status, answer["message"]) == (400, "No conversationProviderId passed in body")


def test_a_call_needs_its_provider() -> None:
    """A Call without a provider id is 400."""
    status, answer = post(SandboxState(SandboxConfig()), sms(type="Call"))
    assert (status, answer["message"]) == (400, "No conversationProviderId passed in body")


@pytest.mark.parametrize(
    ("message_type", "provider", "status"),
    [("Call", PROVIDER, 200), ("SMS", PROVIDER, 400), ("Call", "wrong", 500), ("SMS", None, 200)],
)
def test_known_providers_are_checked(message_type: str, provider: str | None, status: int) -> None:
    """Of another type: 400 with its code. Unknown: 500, as in real life."""
    state = SandboxState(SandboxConfig(providers={PROVIDER: "Call"}))
    got, answer = post(state, sms(type=message_type, conversationProviderId=provider))
    assert got == status
    if status == 400:
        assert answer["canonicalCode"] == "CONVERSATIONS_MSG_CONVERSATION_PROVIDER_MISMATCH"
    assert state.store.total == (status == 200)


def test_a_closed_sandbox_knows_whom_it_knows() -> None:
    """Unknown contacts, conversations and callers are 400; known ones are stored."""
    config = SandboxConfig(
        closed=True, contacts=(SandboxContact(id="contact-1", phone="+1 555 0101"),)
    )
    state = SandboxState(config)
    call = {"type": "Call", "conversationProviderId": PROVIDER, "direction": "inbound"}
    assert post(state, sms(contactId="nobody"))[0] == 400
    assert post(state, {"type": "SMS", "conversationId": "none"})[0] == 400
    assert post(state, sms() | call | {"call": {"from": "+19999999"}})[0] == 400
    assert post(state, sms() | call | {"call": {"from": "+15550101"}})[0] == 200
    status, answer = post(state, sms())
    assert (status, answer["contactId"]) == (200, "contact-1")


def test_an_open_sandbox_opens_conversations_on_demand() -> None:
    """A conversation id that nobody opened is opened, for the contact where one is named."""
    state = SandboxState(SandboxConfig())
    _, answer = post(state, sms(conversationId="conv-1"))
    assert (answer["conversationId"], answer["contactId"]) == ("conv-1", "contact-1")
    _, answer = post(state, {"type": "SMS", "conversationId": "conv-2"})
    assert answer["conversationId"] == "conv-2"


def test_emails_thread_by_what_was_answered() -> None:
    """A later email joins the thread of the id that an earlier answer gave."""
    state = SandboxState(SandboxConfig())
    email = sms(type="Email")
    ids = [post(state, email)[1]["emailMessageId"]]
    ids.append(post(state, email | {"emailMessageId": ids[0]})[1]["emailMessageId"])
    ids.append(post(state, email | {"emailMessageId": ids[1]})[1]["emailMessageId"])
    post(state, email)
    threads = [one.thread_id for one in state.store.messages()]
    assert threads[:3] == [ids[0]] * 3
    assert threads[3] != ids[0]


def test_strict_threads_refuse_an_unknown_parent() -> None:
    """With the switch on, an id that was never answered is 400."""
    state = SandboxState(SandboxConfig(strict_threads=True))
    assert post(state, sms(type="Email", emailMessageId="never"))[0] == 400


def test_success_may_be_201() -> None:
    """The documented status is 200; 201 has been seen."""
    assert post(SandboxState(SandboxConfig(created_status=201)), sms())[0] == 201


def test_outbound_calls_are_logged() -> None:
    """The other endpoint takes calls alone, and records them as outbound."""
    state = SandboxState(SandboxConfig())
    call = {"type": "Call", "contactId": "c", "conversationProviderId": PROVIDER}
    status, _ = post(state, call | {"call": {"to": "+15550101"}}, "outbound")
    assert status == 200
    assert state.store.messages()[0].direction == "outbound"
    assert post(state, sms(), "outbound")[0] == 422
    assert post(state, {"type": "Call", "contactId": "c"}, "outbound")[0] == 400


def test_messages_need_not_be_kept() -> None:
    """With ``keep_messages=False`` they are counted and forgotten."""
    state = SandboxState(SandboxConfig(keep_messages=False))
    post(state, sms())
    post(state, sms())
    assert state.store.messages() == []
    assert (state.store.total, state.store.counts["SandboxLocation00001"]) == (2, 2)


def test_no_text_shows_in_a_repr() -> None:
    """A stored message shows its ids, never its text."""
    state = SandboxState(SandboxConfig())
    post(state, sms(message="very private"))
    assert "very private" not in repr(state.store.messages())
