from __future__ import annotations

from typing import Any

import orjson
import pytest
from virtual_time import Clock

from leadconnector_async.models import MESSAGE_TYPES
from leadconnector_async.sandbox import Reads, SandboxConfig
from leadconnector_async.sandbox.app import respond
from leadconnector_async.sandbox.read_endpoints import MESSAGE_TYPES_ON_READ
from leadconnector_async.sandbox.state import SandboxState

HEADERS = {"Authorization": "Bearer any", "Version": "2021-04-15"}


def post(state: SandboxState, **fields: object) -> dict[str, Any]:
    """Store a message; the decoded answer."""
    body = orjson.dumps({"type": "SMS", "contactId": "c", "message": "hi"} | fields)
    reply = respond(state, "POST", "/conversations/messages/inbound", HEADERS, body).reply
    assert reply.status == 200, reply.body
    answer: dict[str, Any] = orjson.loads(reply.body)
    return answer


def get(state: SandboxState, target: str, status: int = 200) -> dict[str, Any]:
    """Get an address; the decoded answer."""
    reply = respond(state, "GET", target, HEADERS, b"").reply
    assert reply.status == status, reply.body
    answer: dict[str, Any] = orjson.loads(reply.body)
    return answer


def filled(count: int, **config: Any) -> tuple[SandboxState, str]:  # noqa: ANN401 - any setting
    """A sandbox with so many messages a minute apart, and their conversation."""
    state = SandboxState(SandboxConfig(**config))
    conversation = ""
    for number in range(count):
        date = f"2024-01-01T{number // 60:02d}:{number % 60:02d}:00Z"
        conversation = post(state, date=date, altId=str(number))["conversationId"]
    return state, conversation


def export_target(**query: object) -> str:
    """The export's address with this query."""
    pairs = {"locationId": "loc"} | query
    return "/conversations/messages/export?" + "&".join(f"{k}={v}" for k, v in pairs.items())


def test_a_conversation_s_messages_come_newest_first() -> None:
    """20 a page, nested in ``messages.messages``, by date and not by arrival."""
    state, conversation = filled(25)
    post(state, date="2020-01-01T00:00:00Z", altId="oldest")
    page = get(state, f"/conversations/{conversation}/messages")["messages"]
    assert [one["altId"] for one in page["messages"]] == [str(n) for n in range(24, 4, -1)]
    assert page["nextPage"] is True
    assert page["lastMessageId"] == page["messages"][-1]["id"]
    rest = get(
        state, f"/conversations/{conversation}/messages?lastMessageId={page['lastMessageId']}"
    )["messages"]
    assert [one["altId"] for one in rest["messages"]] == ["4", "3", "2", "1", "0", "oldest"]
    assert rest["nextPage"] is False


@pytest.mark.parametrize(("limit", "size"), [(1, 1), (100, 100), (500, 100)])
def test_a_page_has_a_hundred_at_most(limit: int, size: int) -> None:
    """``limit`` is obeyed up to 100."""
    state, conversation = filled(120)
    page = get(state, f"/conversations/{conversation}/messages?limit={limit}")["messages"]
    assert len(page["messages"]) == size


@pytest.mark.parametrize(("limit", "more"), [(2, True), (3, False), (4, False)])
def test_there_is_a_next_page_only_if_it_holds_something(limit: int, more: bool) -> None:  # noqa: FBT001 - a parameter of the case
    """A page that ends with the oldest message is the last one."""
    state, conversation = filled(3)
    page = get(state, f"/conversations/{conversation}/messages?limit={limit}")["messages"]
    assert page["nextPage"] is more


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "limit=-1"])
def test_a_limit_that_makes_no_sense_is_422(query: str) -> None:
    """So is one below the least."""
    state, conversation = filled(1)
    get(state, f"/conversations/{conversation}/messages?{query}", status=422)


def test_what_is_unknown_is_400() -> None:
    """Conversations, messages, emails and page marks that do not exist."""
    state, conversation = filled(1)
    get(state, "/conversations/none/messages", status=400)
    get(state, "/conversations/messages/none", status=400)
    get(state, "/conversations/messages/email/none", status=400)
    get(state, f"/conversations/{conversation}/messages?lastMessageId=none", status=400)


def test_a_message_shows_what_the_api_shows() -> None:
    """Names, numbers and dates of the API's model, in UTC with milliseconds."""
    state = SandboxState(SandboxConfig())
    answer = post(
        state,
        message="hello",
        direction="inbound",
        date="2024-05-01T12:00:00.1234+02:00",
        altId="mine",
        attachments=["https://x.example/a.png"],
    )
    view = get(state, f"/conversations/messages/{answer['messageId']}")
    assert view == view | {
        "id": answer["messageId"],
        "type": 2,
        "messageType": "TYPE_SMS",
        "contactId": "c",
        "conversationId": answer["conversationId"],
        "dateAdded": "2024-05-01T10:00:00.123Z",
        "body": "hello",
        "direction": "inbound",
        "altId": "mine",
        "attachments": ["https://x.example/a.png"],
    }


def test_a_call_shows_its_status_and_no_attachments() -> None:
    """As the API's model says of calls and voicemails."""
    state = SandboxState(SandboxConfig())
    call = {"status": "busy", "to": "+1", "from": "+2"}
    files = ["https://x.example/a.mp3"]
    answer = post(state, type="Call", conversationProviderId="p", call=call, attachments=files)
    view = get(state, f"/conversations/messages/{answer['messageId']}")
    assert view["meta"]["callStatus"] == "busy"
    assert "attachments" not in view
    assert "body" not in view


def test_an_email_has_no_text_in_lists() -> None:
    """The API leaves it out; the email's own address has it."""
    state = SandboxState(SandboxConfig())
    answer = post(state, type="Email", html="<p>x</p>", subject="S", emailTo="a@x.example")
    target = f"/conversations/messages/{answer['messageId']}"
    assert "body" not in get(state, target)
    email = get(state, f"/conversations/messages/email/{answer['emailMessageId']}")
    assert (email["body"], email["subject"], email["to"]) == ("<p>x</p>", "S", ["a@x.example"])


def test_an_email_names_its_thread() -> None:
    """``meta.email.messageIds`` lists the whole thread."""
    state = SandboxState(SandboxConfig())
    first = post(state, type="Email")
    second = post(state, type="Email", emailMessageId=first["emailMessageId"])
    view = get(state, f"/conversations/messages/{second['messageId']}")
    ids = [first["emailMessageId"], second["emailMessageId"]]
    assert view["meta"] == {"email": {"messageIds": ids}}
    email = get(state, f"/conversations/messages/email/{ids[1]}")
    assert (email["threadId"], email["replyToMessageId"]) == (ids[0], ids[0])


def test_alt_ids_may_be_missing_from_reads() -> None:
    """The API's model omits them."""
    state, conversation = filled(1, reads=Reads(alt_id=False))
    page = get(state, f"/conversations/{conversation}/messages")["messages"]
    assert "altId" not in page["messages"][0]


def test_a_listing_may_be_flat() -> None:
    """As the OpenAPI files and the SDKs' types have it."""
    state, conversation = filled(2, reads=Reads(flat=True))
    page = get(state, f"/conversations/{conversation}/messages")
    assert page.keys() == {"lastMessageId", "nextPage", "messages"}
    assert len(page["messages"]) == 2


def test_types_can_be_asked_for() -> None:
    """``type`` is a list of read types, separated by commas."""
    state, conversation = filled(2)
    post(state, type="WhatsApp")
    page = get(state, f"/conversations/{conversation}/messages?type=TYPE_WHATSAPP,TYPE_GMB")
    assert [one["messageType"] for one in page["messages"]["messages"]] == ["TYPE_WHATSAPP"]


def test_reads_lag_behind_writes() -> None:
    """A message shows only after the lag, in lists, alone, and in the export."""
    clock = Clock()
    state = SandboxState(SandboxConfig(reads=Reads(lag=2.0)), clock)
    answer = post(state)
    clock.now += 1.9
    conversation = answer["conversationId"]
    assert get(state, f"/conversations/{conversation}/messages")["messages"]["messages"] == []
    assert get(state, export_target())["total"] == 0
    get(state, f"/conversations/messages/{answer['messageId']}", status=400)
    clock.now += 0.2
    assert len(get(state, f"/conversations/{conversation}/messages")["messages"]["messages"]) == 1
    assert get(state, export_target())["total"] == 1


def test_the_export_pages_through_everything_once() -> None:
    """Pages follow ``nextCursor`` newest first, also while messages are added."""
    state, _ = filled(57)
    seen, cursor, total = [], "", 0
    while True:
        page = get(state, export_target(limit=10, cursor=cursor))
        seen += [one["altId"] for one in page["messages"]]
        total = max(total, page["total"])
        cursor = page.get("nextCursor", "")
        if not cursor:
            break
        post(state, date="2025-01-01T00:00:00Z", altId="later")
    assert seen == [str(n) for n in range(56, -1, -1)]
    assert total > 57


def test_the_export_goes_up_when_asked_to() -> None:
    """``sortOrder=asc`` is oldest first."""
    state, _ = filled(12)
    first = get(state, export_target(limit=10, sortOrder="asc"))
    rest = get(state, export_target(limit=10, sortOrder="asc", cursor=first["nextCursor"]))
    found = [one["altId"] for one in first["messages"] + rest["messages"]]
    assert found == [str(n) for n in range(12)]
    assert "nextCursor" not in rest


def test_the_export_leaves_emails_out() -> None:
    """Without a channel there are no emails; ``channel=Email`` gives them alone."""
    state, _ = filled(2)
    post(state, type="Email", altId="mail")
    post(state, type="WhatsApp", altId="wa")
    ids = {
        channel: [one["altId"] for one in get(state, export_target(**query))["messages"]]
        for channel, query in {
            "": {},
            "Email": {"channel": "Email"},
            "WhatsApp": {"channel": "WhatsApp"},
        }.items()
    }
    assert ids == {"": ["wa", "1", "0"], "Email": ["mail"], "WhatsApp": ["wa"]}
    get(state, export_target(channel="Pigeon"), status=422)


def test_the_export_filters() -> None:
    """By contact, by conversation, and by date, both ends included."""
    state, conversation = filled(10)
    post(state, contactId="other", altId="other", date="2024-01-01T00:00:30Z")

    def ids(**query: object) -> list[str]:
        return [one["altId"] for one in get(state, export_target(**query))["messages"]]

    assert ids(contactId="other") == ["other"]
    assert len(ids(conversationId=conversation)) == 10
    assert ids(startDate="2024-01-01T00:08:00Z") == ["9", "8"]
    assert ids(endDate="2024-01-01T00:00:30.000Z") == ["other", "0"]
    assert ids(startDate="1704067740000") == ["9"]
    get(state, export_target(startDate="soon"), status=422)


def test_the_export_s_dates_may_mean_storing() -> None:
    """The documentation does not tell, so a switch makes dates and order those of storing."""
    state, _ = filled(3, reads=Reads(export_by="stored"))
    post(state, date="2020-01-01T00:00:00Z", altId="old")
    assert get(state, export_target(startDate="2025-01-01T00:00:00Z"))["total"] == 4
    assert get(state, export_target())["messages"][0]["altId"] == "old"


@pytest.mark.parametrize("query", [{"limit": 9}, {"cursor": "rubbish"}, {"locationId": ""}])
def test_the_export_refuses_nonsense(query: dict[str, object]) -> None:
    """A page below 10, a broken cursor, no location."""
    get(filled(1)[0], export_target(**query), status=422)


def test_every_type_has_a_name_on_reads() -> None:
    """No type of the spec is without its read type."""
    assert MESSAGE_TYPES_ON_READ.keys() == set(MESSAGE_TYPES)


def test_custom_with_mail_fields_reads_as_email() -> None:
    """A second email provider's messages are ``Custom`` with a subject or html."""
    state = SandboxState(SandboxConfig())
    post(state, type="Custom", conversationProviderId="p", html="<p>")
    assert get(state, export_target())["total"] == 0
    assert get(state, export_target(channel="Email"))["total"] == 1
