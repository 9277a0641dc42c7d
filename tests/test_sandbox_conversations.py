from __future__ import annotations

from typing import Any

import orjson

from leadconnector_async.sandbox import Contact, Reads, SandboxConfig
from leadconnector_async.sandbox._world import World

HEADERS = {"Authorization": "Bearer any", "Version": "2021-04-15"}


class Clock:
    """A clock that is set by hand."""

    now = 1000.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


def ask(world: World, method: str, target: str, body: object = None) -> tuple[int, Any]:
    """Send a request; the status and the decoded answer."""
    reply = world.serve(method, target, HEADERS, orjson.dumps(body) if body else b"").reply
    return reply.status, orjson.loads(reply.body)


def store(world: World, contact: str, date: str) -> None:
    """Store an SMS of a contact."""
    body = {"type": "SMS", "contactId": contact, "message": f"of {date}", "date": date}
    ask(world, "POST", "/conversations/messages/inbound", body)


def search(world: World, query: str = "") -> tuple[list[str], int]:
    """The contacts of the conversations found, and the total."""
    status, answer = ask(world, "GET", f"/conversations/search?locationId=loc{query}")
    assert status == 200
    return [one["contactId"] for one in answer["conversations"]], answer["total"]


def test_a_conversation_is_opened_once() -> None:
    """The slash is part of the address; the second time the API says that it exists."""
    world = World(SandboxConfig())
    body = {"locationId": "loc", "contactId": "c"}
    assert ask(world, "POST", "/conversations", body)[0] == 404
    status, answer = ask(world, "POST", "/conversations/", body)
    assert (status, answer["conversation"]["contactId"]) == (201, "c")
    status, refused = ask(world, "POST", "/conversations/", body)
    assert status == 400
    assert "already exists" in refused["message"]
    store(world, "c", "2024-01-01T00:00:00Z")
    assert world.store.messages()[0].conversation_id == answer["conversation"]["id"]


def test_a_conversation_needs_location_and_contact() -> None:
    """Either missing is 422; an unknown contact is 400 in a closed sandbox."""
    world = World(SandboxConfig(closed=True, contacts=(Contact(id="c"),)))
    assert ask(world, "POST", "/conversations/", {"contactId": "c"})[0] == 422
    assert ask(world, "POST", "/conversations/", {"locationId": "loc"})[0] == 422
    unknown = {"locationId": "loc", "contactId": "x"}
    assert ask(world, "POST", "/conversations/", unknown)[0] == 400
    assert ask(world, "POST", "/conversations/", unknown | {"contactId": "c"})[0] == 201


def test_a_conversation_can_be_looked_up() -> None:
    """By its id."""
    world = World(SandboxConfig())
    store(world, "c", "2024-01-01T00:00:00Z")
    conversation = world.store.messages()[0].conversation_id
    status, answer = ask(world, "GET", f"/conversations/{conversation}")
    assert (status, answer["id"], answer["contactId"]) == (200, conversation, "c")
    assert ask(world, "GET", "/conversations/none")[0] == 400


def test_the_search_orders_by_the_last_message() -> None:
    """Newest first unless asked otherwise; pages by ``startAfterDate``."""
    world = World(SandboxConfig())
    for contact, day in (("a", 2), ("b", 3), ("c", 1)):
        store(world, contact, f"2024-01-0{day}T00:00:00Z")
    assert search(world) == (["b", "a", "c"], 3)
    assert search(world, "&sort=asc&limit=2") == (["c", "a"], 3)
    assert search(world, "&startAfterDate=1704240000000") == (["a", "c"], 3)
    assert search(world, "&contactId=a") == (["a"], 1)
    assert search(world, "&contactId=x") == ([], 0)
    conversation = world.store.messages()[0].conversation_id
    assert search(world, f"&id={conversation}") == (["a"], 1)


def test_the_search_matches_contacts() -> None:
    """``query`` looks at name, email and phone."""
    contacts = (Contact(id="a", name="Ann Lee", email="ann@x.example"), Contact(id="b"))
    world = World(SandboxConfig(contacts=contacts))
    for contact in "ab":
        store(world, contact, "2024-01-01T00:00:00Z")
    assert search(world, "&query=ann%20l") == (["a"], 1)
    assert search(world, "&query=ANN@x") == (["a"], 1)
    assert search(world, "&query=nobody") == ([], 0)


def test_the_index_lags() -> None:
    """A new conversation is found only after a while, though it exists."""
    clock = Clock()
    world = World(SandboxConfig(reads=Reads(search_lag=3.0)), clock)
    store(world, "c", "2024-01-01T00:00:00Z")
    clock.now += 2.9
    assert search(world) == ([], 0)
    clock.now += 0.2
    assert search(world) == (["c"], 1)
