"""Reading a location whose API answers in the shapes of the OpenAPI file, and in odd ones."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from fault_harness import QUICK
from http_peer import serving

from leadconnector_async import LeadConnector, TransportError
from leadconnector_async.location_reader import LocationReader
from leadconnector_async.sources import Parsed, SourceOptions, open_source
from leadconnector_async.sources.batch_reader import SourceReader

if TYPE_CHECKING:
    from pathlib import Path

    from http_peer import Peer

MAX_REQUESTS = 40

MANY = {"email": {"messageIds": ["m1", "m2", "m3"]}}


def entry(id_: str, kind: str, **fields: object) -> dict[str, object]:
    """A message of the export, with what the file says is always there."""
    return {
        "id": id_,
        "type": 3,
        "messageType": f"TYPE_{kind}",
        "locationId": "old",
        "contactId": "kim",
        "conversationId": "v",
        "dateAdded": "2024-03-27T18:13:49.000Z",
        "direction": "inbound",
        "contentType": "text/plain",
        **fields,
    }


def mail(id_: str, minute: int, **fields: object) -> dict[str, object]:
    """A single mail of a thread, from one person to several."""
    given = {"id": id_, "threadId": "m1", "dateAdded": f"2024-03-27T18:{minute}:00.000Z"}
    more = {"direction": "inbound", "contentType": "text/html", "body": f"<p>{id_}</p>"}
    people = {"from": "Kim Lee <kim@example.com>", "to": ["shop@example.com", "b@example.com"]}
    return {**given, **more, **people, "contactId": "kim", **fields}


ANSWERS: dict[str, object] = {
    "contacts/kim": {"contact": {"firstName": "Kim", "lastName": "Lee", "phone": "+13035550142"}},
    "email/m1": mail("m1", 10),
    "email/m2": mail("m2", 20, direction="outbound", replyToMessageId="m1", cc=["c@example.com"]),
    "email/m3": mail("m3", 30, replyToMessageId="m2"),
}


def read(
    folder: Path, answers: dict[str, object], texts: list[object], mails: list[object]
) -> tuple[list[Parsed], list[str], list[str]]:
    """What of a location is read; what is told of it; and what it was asked for."""
    pages = {"export": {"messages": texts, "total": 9}, "channel=Email": {"messages": mails}}
    told = {**pages, **answers}

    async def serve(peer: Peer) -> None:
        while True:
            path = (await peer.request()).split()[1].decode()
            assert len(peer.server.requests) <= MAX_REQUESTS, "it asks without end"
            found = [name for name in told if name in path]
            body = json.dumps(told[found[-1]]).encode() if found else b'{"message": "not found"}'
            status = "200 OK" if found else "404 Not Found"
            head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n"
            await peer.send(head.encode() + body)

    async def scenario() -> tuple[list[str], list[str]]:
        async with (
            serving(serve) as server,
            LeadConnector("t", base_url=server.url, policy=QUICK) as api,
        ):
            reader = SourceReader(["leadconnector:old"], SourceOptions(spool=folder))
            await LocationReader(api, folder, "new").read(reader)
            asked = [re.split(r"[ ?]", one.decode(), maxsplit=2)[1] for one in server.requests]
            return reader.warnings, asked

    warnings, asked = asyncio.run(scenario())
    with open_source("leadconnector:old", SourceOptions(spool=folder)) as source:
        return list(source), warnings, asked


@pytest.mark.slow
def test_a_thread_in_one_entry_gives_all_its_mails(tmp_path: Path) -> None:
    """``messageIds`` are those of all mails of the thread: each is asked for, and comes once.

    Whether the export has an entry for the thread, or one for each of its mails.
    """
    for number, mails in enumerate(
        ([entry("e", "EMAIL", meta=MANY)], [entry(f"e{n}", "EMAIL", meta=MANY) for n in range(3)])
    ):
        found, warnings, asked = read(tmp_path / str(number), ANSWERS, [], list(mails))
        rows = sorted((one.row for one in found if one.row), key=lambda row: str(row.id))
        assert [(row.id, row.direction, row.html) for row in rows] == [
            ("m1", "inbound", "<p>m1</p>"),
            ("m2", "outbound", "<p>m2</p>"),
            ("m3", "inbound", "<p>m3</p>"),
        ]
        assert [row.in_reply_to for row in rows] == [None, ["m1"], ["m2", "m1"]]
        assert {row.email_from for row in rows} == {"kim@example.com"}
        assert rows[1].email_cc == ["b@example.com", "c@example.com"]
        assert rows[0].contact is not None
        assert (rows[0].contact.phone, rows[0].contact.name) == ("+13035550142", "Kim Lee")
        assert [row.date and row.date.minute for row in rows] == [10, 20, 30]
        assert not warnings
        assert len(asked) == len(set(asked)) + 1  # the export twice: with a channel and without


def test_lists_that_are_nested_are_read(tmp_path: Path) -> None:
    """As seen live of conversations; an entry that is in both lists comes once."""
    text = entry("t1", "SMS", body="Hi")
    nested = {"export": {"messages": {"messages": [text]}}}
    found, _, _ = read(tmp_path, {**ANSWERS, **nested}, [], [])
    assert [one.row and one.row.message for one in found] == ["Hi"]


def test_what_has_no_id_or_is_no_message_is_told(tmp_path: Path) -> None:
    """An entry without an id is a record all the same; what is none is counted."""
    texts = [entry("", "SMS", body="Hi"), 7, entry("t2", "SMS", body="Ho", dateAdded="soon")]
    found, warnings, _ = read(tmp_path, ANSWERS, texts, [entry("", "EMAIL")])
    assert [one.row and one.row.message for one in found] == ["Hi", None, None]
    assert [problem.field for problem in found[1].problems] == ["date"]
    assert warnings == ["leadconnector:old: 4 entries of its export cannot be read, or not in full"]


@pytest.mark.parametrize("contact", [{}, {"contact": None}, {"contact": {"name": "Kim"}}, []])
def test_a_contact_that_nothing_is_known_of_costs_its_messages(
    tmp_path: Path,
    contact: Any,  # noqa: ANN401 - of any shape
) -> None:
    """They are refused, and told; it is asked for once in a run, and again in the next."""
    texts: list[object] = [entry(f"t{n}", "SMS", body="Hi") for n in range(3)]
    answers = {"contacts/kim": contact} if contact != [] else {}
    for _ in range(2):
        found, warnings, asked = read(tmp_path, answers, texts, [])
        assert ["contact.phone" in str(one.problems[0]) for one in found] == [True] * 3
        assert warnings == [
            "leadconnector:old: 1 contacts without a number or an address that the API gives"
        ]
        assert asked.count("/contacts/kim") == 1
    found, _, _ = read(tmp_path, ANSWERS, texts, [])
    assert all(one.row for one in found)


@pytest.mark.slow
def test_an_answer_that_is_no_json_ends_with_a_clear_error(tmp_path: Path) -> None:
    """Nothing of it is shown."""
    with pytest.raises(TransportError, match=r"JSON that is no object$"):
        read(tmp_path, {"contacts/kim": ["secret"]}, [entry("t", "SMS", body="Hi")], [])
