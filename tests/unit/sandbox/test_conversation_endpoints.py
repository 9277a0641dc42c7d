from __future__ import annotations

from typing import Any

import orjson
from virtual_time import Clock

from leadconnector_async.sandbox import Reads, SandboxConfig, SandboxContact
from leadconnector_async.sandbox.app import respond
from leadconnector_async.sandbox.state import SandboxState

HEADERS = {"Authorization": "Bearer any", "Version": "2021-04-15"}


def ask(state: SandboxState, method: str, target: str, body: object = None) -> tuple[int, Any]:
    """Send a request; the status and the decoded answer."""
    reply = respond(state, method, target, HEADERS, orjson.dumps(body) if body else b"").reply
    return reply.status, orjson.loads(reply.body)


def store(state: SandboxState, contact: str, date: str) -> None:
    """Store an SMS of a contact."""
    body = {"type": "SMS", "contactId": contact, "message": f"of {date}", "date": date}
    ask(state, "POST", "/conversations/messages/inbound", body)


def search(state: SandboxState, query: str = "") -> tuple[list[str], int]:
    """The contacts of the conversations found, and the total."""
    status, answer = ask(state, "GET", f"/conversations/search?locationId=loc{query}")
    assert status == 200
    return [one["contactId"] for one in answer["conversations"]], answer["total"]


def test_a_conversation_is_opened_once() -> None:
    """The slash is part of the address; the second time the API says that it exists."""
    state = SandboxState(SandboxConfig())
    body = {"locationId": "loc", "contactId": "c"}
    assert ask(state, "POST", "/conversations", body)[0] == 404
    status, answer = ask(state, "POST", "/conversations/", body)
    assert (status, answer["conversation"]["contactId"]) == (201, "c")
    status, refused = ask(state, "POST", "/conversations/", body)
    assert status == 400
    assert "already exists" in refused["message"]
    store(state, "c", "2024-01-01T00:00:00Z")
    assert state.store.messages()[0].conversation_id == answer["conversation"]["id"]


def test_a_conversation_needs_location_and_contact() -> None:
    """Either missing is 422; an unknown contact is 400 in a closed sandbox."""
    state = SandboxState(SandboxConfig(closed=True, contacts=(SandboxContact(id="c"),)))
    assert ask(state, "POST", "/conversations/", {"contactId": "c"})[0] == 422
    assert ask(state, "POST", "/conversations/", {"locationId": "loc"})[0] == 422
    unknown = {"locationId": "loc", "contactId": "x"}
    assert ask(state, "POST", "/conversations/", unknown)[0] == 400
    assert ask(state, "POST", "/conversations/", unknown | {"contactId": "c"})[0] == 201


def test_a_conversation_can_be_looked_up() -> None:
    """By its id."""
    state = SandboxState(SandboxConfig())
    store(state, "c", "2024-01-01T00:00:00Z")
    conversation = state.store.messages()[0].conversation_id
    status, answer = ask(state, "GET", f"/conversations/{conversation}")
    assert (status, answer["id"], answer["contactId"]) == (200, conversation, "c")
    assert ask(state, "GET", "/conversations/none")[0] == 400


def test_the_search_orders_by_the_last_message() -> None:
    """Newest first unless asked otherwise; pages by ``startAfterDate``."""
    state = SandboxState(SandboxConfig())
    for contact, day in (("a", 2), ("b", 3), ("c", 1)):
        store(state, contact, f"2024-01-0{day}T00:00:00Z")
    assert search(state) == (["b", "a", "c"], 3)
    assert search(state, "&sort=asc&limit=2") == (["c", "a"], 3)
    assert search(state, "&startAfterDate=1704240000000") == (["a", "c"], 3)
    assert search(state, "&contactId=a") == (["a"], 1)
    assert search(state, "&contactId=x") == ([], 0)
    conversation = state.store.messages()[0].conversation_id
    assert search(state, f"&id={conversation}") == (["a"], 1)


def test_the_search_matches_contacts() -> None:
    """``query`` looks at name, email and phone."""
    contacts = (
        SandboxContact(id="a", name="Ann Lee", email="ann@x.example"),
        SandboxContact(id="b"),
    )
    state = SandboxState(SandboxConfig(contacts=contacts))
    for contact in "ab":
        store(state, contact, "2024-01-01T00:00:00Z")
    assert search(state, "&query=ann%20l") == (["a"], 1)
    assert search(state, "&query=ANN@x") == (["a"], 1)
    assert search(state, "&query=nobody") == ([], 0)


def test_the_index_lags() -> None:
    """A new conversation is found only after a while, though it exists."""
    clock = Clock()
    state = SandboxState(SandboxConfig(reads=Reads(search_lag=3.0)), clock)
    store(state, "c", "2024-01-01T00:00:00Z")
    clock.now += 2.9
    assert search(state) == ([], 0)
    clock.now += 0.2
    assert search(state) == (["c"], 1)
