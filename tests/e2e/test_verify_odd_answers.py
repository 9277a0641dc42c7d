"""``verify`` against exports that answer oddly: a clear error or a finding, and an end."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from fault_harness import QUICK
from http_peer import serving
from outbox_kit import one_page

from leadconnector_async import LeadConnector, TransportError
from leadconnector_async.verify import verify

if TYPE_CHECKING:
    from collections.abc import Callable

    from http_peer import Peer

    from leadconnector_async.verify import Verification

MAX_REQUESTS = 20


def compare(
    answer: Callable[[int, str], bytes], sent: list[tuple[str, str]]
) -> tuple[Verification, int]:
    """Verify against a server that answers request number n for a path so; and how many it met."""

    async def serve(peer: Peer) -> None:
        while True:
            request = await peer.request()
            assert len(peer.server.requests) <= MAX_REQUESTS, "it asks without end"
            body = answer(len(peer.server.requests), request.split()[1].decode())
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n"
            await peer.send(head.encode() + body)

    async def scenario() -> tuple[Verification, int]:
        async with (
            serving(serve) as server,
            LeadConnector("t", location_id="l", base_url=server.url, policy=QUICK) as api,
        ):
            return await verify(api, "l", one_page(sent)), len(server.requests)

    return asyncio.run(scenario())


def page(*ids: object, **more: object) -> bytes:
    """A page of messages."""
    messages = [{"id": id_, "dateAdded": "2024-01-01T00:00:00Z"} for id_ in ids]
    return json.dumps({"messages": messages, **more}).encode()


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b"", "an empty body"),
        (b"<html>x</html>", "an HTML page"),
        (b'{"messages": null}', "JSON without a list of messages"),
    ],
)
def test_an_answer_that_is_no_page_is_a_clear_error(body: bytes, what: str) -> None:
    """It is asked for as often as the policy says, and no more."""
    met = []

    def answer(number: int, _: str) -> bytes:
        met.append(number)
        return body

    with pytest.raises(TransportError, match=f"answered 200 with {what}$"):
        compare(answer, [])
    assert met[-1] == QUICK.attempts


def test_a_page_that_came_as_html_once_is_asked_for_again() -> None:
    """A proxy's page passes."""
    result, _ = compare(lambda n, _: b"<html>" if n == 1 else page("m1"), [("k", "m1")])
    assert result.agrees


def test_cursors_that_go_round_are_an_error() -> None:
    """A, B, A, B: each page is read once, and what is missing is not said to be."""

    def answer(_: int, path: str) -> bytes:
        at_a = "cursor=A" in path
        return page("m2" if at_a else "m1", nextCursor="B" if at_a else "A")

    with pytest.raises(TransportError, match="goes round after 2 messages"):
        compare(answer, [("k", "m1")])


def test_pages_that_come_back_under_new_cursors_are_an_error() -> None:
    """Each cursor is another one, and the page the same."""
    with pytest.raises(TransportError, match="goes round after 1 messages"):
        compare(lambda number, _: page("m1", nextCursor=f"c{number}"), [("k", "m1")])


def test_a_round_after_all_messages_is_the_end() -> None:
    """An export whose last page names a cursor again has given what it says there is."""
    result, requests = compare(
        lambda _, path: page("m2" if "cursor" in path else "m1", nextCursor="A", total=2),
        [("k1", "m1"), ("k2", "m2")],
    )
    assert result.agrees
    assert requests == 4


def test_an_empty_page_with_a_cursor_is_not_the_last() -> None:
    """What it had was left out, as mails are. But pages that are all empty end."""

    def answer(number: int, path: str) -> bytes:
        if "Email" in path:
            return page(nextCursor=f"e{number}")
        at = int(path.rpartition("cursor=")[2]) if "cursor=" in path else 0
        ids = [f"m{at}"] if at % 3 == 0 else []
        return page(*ids, nextCursor=str(at + 1) if at < 9 else None)

    result, requests = compare(answer, [("k", "m9")])
    assert (result.missing_count, result.exported) == (0, 4)
    assert requests == 10 + 9


@pytest.mark.parametrize("cursor", [None, "again"])
def test_an_export_that_gives_less_than_it_says_was_cut_short(cursor: str | None) -> None:
    """What is missing may be there. Where all that was sent is shown, the figure is no matter."""

    def answer(number: int, path: str) -> bytes:
        more = f"c{number}" if cursor and "Email" not in path else None
        return page(*["m1"] if "cursor" not in path else [], nextCursor=more, total=3)

    result, _ = compare(answer, [("k1", "m1"), ("k2", "m2")])
    assert result.missing_count == 1
    assert result.unreadable == ["2 of 3 messages: the export is cut short, try again"]
    assert compare(answer, [("k1", "m1")])[0].agrees


def test_a_numeric_id_is_the_one_that_the_receipt_had() -> None:
    """The outbox keeps ids as texts."""
    result, _ = compare(lambda _, path: page(*[] if "Email" in path else [5]), [("k", "5")])
    assert (result.agrees, result.exported) == (True, 1)


def test_an_entry_that_cannot_be_compared_is_a_finding() -> None:
    """It is counted and listed, the comparison does not agree, and other records are compared."""
    odd: list[Any] = [{"body": "no id"}, {"id": "m1", "dateAdded": "soon"}, {"id": "m2"}]
    body = json.dumps({"messages": odd}).encode()
    result, _ = compare(
        lambda _, path: page() if "Email" in path else body, [("k1", "m1"), ("k2", "m2")]
    )
    assert result.unreadable == [
        "an entry without an id",
        "message m1: dateAdded cannot be read",
    ]
    assert (result.unreadable_count, result.missing_count, result.double_count) == (2, 0, 0)
    assert not result.agrees


def test_messages_without_a_date_are_nobodys_copies() -> None:
    """Two messages of which neither date nor ``altId`` is known are not told to be one twice.

    An empty ``altId`` is none.
    """
    body = b'{"messages": [{"id": "m1", "dateAdded": "?", "altId": ""}, {"id": "x", "altId": ""}]}'
    result, _ = compare(lambda _, path: page() if "Email" in path else body, [("k1", "m1")])
    assert result.double_count == 0
