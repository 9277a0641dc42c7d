from __future__ import annotations

from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given, strategies as st

from leadconnector_async.api import endpoints
from leadconnector_async.transport.base import Request

PINNED = "2021-04-15"


def test_a_message_is_posted_as_it_was_encoded() -> None:
    """The body is not touched."""
    assert endpoints.post_message(endpoints.INBOUND_PATH, b"{}") == Request(
        "POST", "/conversations/messages/inbound", PINNED, b"{}"
    )


def test_the_conversation_of_a_contact_is_searched_for() -> None:
    """By location and contact."""
    assert endpoints.search_conversations("l1", contactId="c1") == Request(
        "GET", "/conversations/search?locationId=l1&contactId=c1", PINNED
    )


def test_a_conversation_is_read_in_pages() -> None:
    """The first page, and the page before a message that is known."""
    assert endpoints.list_messages("v1") == Request(
        "GET", "/conversations/v1/messages?limit=100", PINNED
    )
    assert endpoints.list_messages("v1", "m9") == Request(
        "GET", "/conversations/v1/messages?limit=100&lastMessageId=m9", PINNED
    )


def test_a_location_is_exported_in_pages() -> None:
    """Only what is given is asked for; the page is the largest that the API allows."""
    assert endpoints.export_messages("l1") == Request(
        "GET", "/conversations/messages/export?locationId=l1&limit=500", PINNED
    )
    path = endpoints.export_messages("l1", channel="Email", cursor="x y", contactId="c1").path
    assert path == (
        "/conversations/messages/export"
        "?locationId=l1&limit=500&channel=Email&cursor=x+y&contactId=c1"
    )


@pytest.mark.slow
@given(st.text(min_size=1, alphabet=st.characters(exclude_categories=["Cs"])))
def test_ids_are_encoded(text: str) -> None:
    """An id never becomes part of the path or of another parameter; ``+`` stays a plus."""
    found = urlsplit(endpoints.search_conversations("l1", contactId=text).path)
    assert found.path == "/conversations/search"
    query = parse_qs(found.query, strict_parsing=True, keep_blank_values=True)
    assert query == {"locationId": ["l1"], "contactId": [text]}
    listed = urlsplit(endpoints.list_messages(text, text).path)
    assert unquote(listed.path.split("/")[2]) == text
    assert listed.path.count("/") == 3
    assert parse_qs(listed.query)["lastMessageId"] == [text]


def test_the_repr_of_a_request_names_nobody() -> None:
    """What is searched for stands in its query: it is not shown."""
    request = endpoints.search_conversations("here", query="+12125550100", limit=1)
    assert "12125550100" in request.path
    assert repr(request) == "Request(GET /conversations/search)"
