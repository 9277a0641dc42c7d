from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from steps_kit import HTML, Played, answer

from leadconnector_async.api.effects import (
    GetLookups,
    PutLookups,
    StepFailedError,
    StepRefusedError,
)
from leadconnector_async.api.enrichment import (
    LEAVE,
    contact_lookup,
    conversation_lookup,
    enrich,
    mail_lookups,
    note_unread,
    person_lookups,
    place_lookups,
    unread_name,
)
from leadconnector_async.models import Contact
from leadconnector_async.records.deferred import Deferred, LocalFile, Trait
from leadconnector_async.transport.base import Request, Response

if TYPE_CHECKING:
    from leadconnector_async.api.enrichment import EnrichedRequest

KIM = Contact(phone="+12125550101")
FOUND = answer(200, b'{"contact":{"id":"k"}}')
OPENED = answer(201, b'{"conversation":{"id":"v"}}')
ONE, TWO = LocalFile("/f/one.png", "d1"), LocalFile("/f/two.png", "d2")
FILES = {"/f/one.png": "d1", "/f/two.png": "d2"}


def uploaded(**urls: str) -> Response:
    """The answer to an upload."""
    return answer(200, json.dumps({"uploadedFiles": urls}).encode())


def play(
    deferred: Deferred,
    *responses: Response,
    lookups: dict[str, str] | None = None,
    **body: Any,  # noqa: ANN401 - any field
) -> Played:
    """Complete a message."""
    payload = json.dumps({"type": "SMS", **body}, separators=(",", ":")).encode()
    steps = enrich(payload, deferred, location="l", mode="find")
    return Played(steps, responses, lookups=lookups, files=FILES)


def body_of(played: Played) -> dict[str, Any]:
    """The body of the request that it came to."""
    completed: EnrichedRequest = played.result  # type: ignore[assignment]
    found = json.loads(completed.body)
    assert isinstance(found, dict)
    return found


def test_a_contact_is_asked_for_once_and_remembered() -> None:
    """Before the request that needs it."""
    played = play(Deferred(contact=KIM), FOUND, message="hi")
    assert body_of(played) == {"type": "SMS", "message": "hi", "contactId": "k"}
    assert played.learned == [{"contact:+12125550101": "k"}]
    again = play(Deferred(contact=KIM), lookups=played.lookups)
    assert (again.asked, body_of(again)["contactId"]) == ([], "k")


def test_an_id_goes_before_a_name() -> None:
    """Nothing is looked up where the record says who it is."""
    assert play(Deferred(contact=KIM), contactId="c").asked == []
    assert play(Deferred(contact=KIM), conversationId="v").asked == []


def test_files_are_uploaded_in_their_order() -> None:
    """For the contact, each content once; URLs stay in their places."""
    deferred = Deferred(attachments=[ONE, "https://x/y", TWO, ONE])
    responses = uploaded(**{"one.png": "u1"}), uploaded(**{"two.png": "u2"})
    played = play(deferred, *responses, contactId="c")
    assert body_of(played)["attachments"] == ["u1", "https://x/y", "u2", "u1"]
    assert played.lookups == {"file:d1": "u1", "file:d2": "u2"}
    upload = played.requests[1].upload
    assert upload is not None
    assert upload.fields == {"contactId": "c", "locationId": "l"}


def test_an_upload_has_the_url_of_its_name() -> None:
    """Or the only one that the answer tells."""
    for urls in ({"other.png": "x", "one.png": "u"}, {"renamed.png": "u"}):
        played = play(Deferred(attachments=[ONE]), uploaded(**urls), contactId="c")
        assert body_of(played)["attachments"] == ["u"]


@pytest.mark.parametrize(
    ("contact", "known"),
    [
        (None, ()),
        (KIM, ()),
        (Contact(email="kim@example.org"), ()),
        (Contact("+12125550101", "kim@example.org"), ("+12125550101", "kim@example.org")),
    ],
)
def test_a_record_that_names_a_person_by_both_tells_who_has_either(
    contact: Contact | None, known: tuple[str, ...]
) -> None:
    """One that names only one of them tells nothing more."""
    told = person_lookups(Deferred(contact=contact).encoded())
    assert [*told] == [f"person:{name}" for name in known]
    assert Deferred(contact=contact).traits == (Trait.TWO_NAMES if known else Trait(0))


def test_uploads_that_are_refused_without_a_conversation_get_one() -> None:
    """Once for the location: from then on the conversation is opened first."""
    deferred = Deferred(attachments=[ONE, TWO])
    refused = answer(400, b'{"message":"conversationId is required"}')
    responses = refused, OPENED, uploaded(**{"one.png": "u1"}), uploaded(**{"two.png": "u2"})
    played = play(deferred, *responses, contactId="c")
    assert body_of(played)["attachments"] == ["u1", "u2"]
    assert played.lookups["needs:upload"]
    assert played.lookups["conversation:c"] == "v"
    fields = [request.upload.fields for request in played.requests if request.upload is not None]
    assert [found.get("conversationId") for found in fields] == [None, "v", "v"]


def test_the_contact_of_a_conversation_is_found_for_an_upload() -> None:
    """The upload names both."""
    owner = answer(200, b'{"contactId":"c"}')
    played = play(Deferred(attachments=[ONE]), owner, uploaded(x="u1"), conversationId="v")
    assert played.lookups == {"owner:v": "c", "file:d1": "u1"}
    assert "contactId" not in body_of(played)


@pytest.mark.parametrize(("files", "how"), [({}, "is gone"), ({"/f/one.png": "d9"}, "has changed")])
def test_a_file_that_is_another_now_is_not_uploaded(files: dict[str, str], how: str) -> None:
    """It would not be what the record names."""
    steps = enrich(b'{"type":"SMS","contactId":"c"}', Deferred(attachments=["https://x/y", ONE]),
                     location="l", mode="find")  # fmt: skip
    with pytest.raises(StepRefusedError, match=f"attachments item 2 {how} since it was read"):
        Played(steps, [], lookups={"conversation:c": "v"}, files=files)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (413, b'{"message":"too large"}', StepRefusedError),
        (415, b"", StepRefusedError),
        (500, HTML, StepFailedError),
        (200, HTML, StepFailedError),
        (200, b'{"uploadedFiles":{}}', StepFailedError),
        (200, b'{"uploadedFiles":{"one.png":""}}', StepFailedError),
    ],
)
def test_an_upload_that_fails_names_its_item(
    status: int, body: bytes, error: type[Exception]
) -> None:
    """And nothing is remembered of it."""
    with pytest.raises(error, match=r"^attachments item 1 could not be uploaded"):
        play(Deferred(attachments=[ONE]), answer(status, body), contactId="c")


def test_a_mail_begins_a_thread_or_joins_one() -> None:
    """The nearest mail that is known decides; what is stored teaches all names of the thread."""
    deferred = Deferred(mail="m3", answers=["m2", "m1"])
    names = mail_lookups(deferred, "c")
    assert names == ("mail:c:m3", "mail:c:m2", "mail:c:m1")
    first: EnrichedRequest = play(deferred, contactId="c").result  # type: ignore[assignment]
    assert first.lookups("e1") == dict.fromkeys(names, "e1")
    assert first.lookups(None) is None
    known = {"mail:c:m1": "e0", "mail:c:m2": "e9", "mail:other:m3": "e5"}
    played = play(deferred, lookups=known, contactId="c")
    joined: EnrichedRequest = played.result  # type: ignore[assignment]
    assert body_of(played)["emailMessageId"] == "e9"
    assert joined.lookups("e1") == dict.fromkeys(names, "e9")


def test_a_thread_that_the_record_names_stays() -> None:
    """And the mails that follow it join it."""
    played = play(Deferred(mail="m"), contactId="c", emailMessageId="own")
    completed: EnrichedRequest = played.result  # type: ignore[assignment]
    assert body_of(played)["emailMessageId"] == "own"
    assert completed.lookups("e1") == {"mail:c:m": "own"}


def test_a_thread_belongs_to_whom_the_record_names() -> None:
    """What an upload has to learn beside it makes it no other thread."""
    owner = answer(200, b'{"contactId":"c"}')
    played = play(Deferred(mail="m", attachments=[ONE]), owner, uploaded(x="u"), conversationId="v")
    completed: EnrichedRequest = played.result  # type: ignore[assignment]
    assert completed.mails == ("mail:v:m",)


def test_an_outbound_call_has_the_fields_of_its_endpoint() -> None:
    """Those of ``ProcessOutboundMessageBodyDto``, and the contact in a conversation's place."""
    call = {"to": "+12125550101", "status": "completed"}
    more: dict[str, Any] = {"conversationProviderId": "p", "altId": "a", "date": "d", "call": call}
    deferred = Deferred(contact=KIM, outbound_call=True)
    played = play(deferred, FOUND, message="x", direction="outbound", **more)
    completed: EnrichedRequest = played.result  # type: ignore[assignment]
    assert completed.path == "/conversations/messages/outbound"
    assert body_of(played) == {"type": "SMS", "contactId": "k", **more}
    assert completed.by_contact
    needed = {"needs:call": "a conversation"}
    old = play(deferred, FOUND, OPENED, lookups=needed, message="x", **more)
    assert body_of(old) == {"type": "SMS", "conversationId": "v", **more}
    for lookups in ({}, needed):
        known = play(Deferred(outbound_call=True), lookups=lookups, conversationId="w", **more)
        assert (known.asked, body_of(known)["conversationId"]) == ([], "w")


def test_what_is_to_be_asked_again_is_named() -> None:
    """By the record's own words."""
    deferred = Deferred(contact=KIM)
    assert place_lookups(b'{"type":"SMS"}', deferred) == {contact_lookup(KIM)}
    assert place_lookups(b'{"type":"SMS","contactId":"c"}', Deferred()) == {
        conversation_lookup("c")
    }
    assert place_lookups(b'{"type":"SMS","conversationId":"v"}', Deferred()) == {"owner:v"}


def test_a_request_does_not_show_its_text() -> None:
    """Only where it goes."""
    assert repr(play(Deferred(), contactId="c", message="secret").result) == (
        "Completed('/conversations/messages/inbound')"
    )


def noted(
    status: int, content: object, *, conversation: str | None = None, **known: str
) -> str | None:
    """What is remembered of a conversation; None where nothing new is."""
    steps = note_unread(("l", "c1", conversation), 7)
    asked = next(steps)
    assert isinstance(asked, GetLookups)
    try:
        step = steps.send({name: value for name, value in known.items() if name in asked.names})
        if isinstance(step, Request):
            body = content if isinstance(content, bytes) else orjson.dumps(content)
            step = steps.send(Response(status, {}, body))
    except StopIteration:
        return None
    assert isinstance(step, PutLookups)
    (value,) = set(step.lookups.values())
    return value


def search(*found: dict[str, Any]) -> dict[str, Any]:
    """A page of conversations."""
    return {"conversations": [*found], "total": len(found)}


@pytest.mark.parametrize(
    ("status", "content", "value"),
    [
        (200, search(), ""),
        (200, search({"id": "v", "contactId": "c1", "unreadCount": 0}), ""),
        (200, search({"id": "v", "contactId": "c1"}), ""),
        (200, search({"id": "v", "contactId": "c1", "unreadCount": 3}), LEAVE),
        (200, search({"id": "v", "contactId": "c2", "unreadCount": 3}), ""),
        (404, {"message": "Not found"}, ""),
        (400, {"message": "Contact not found"}, ""),
        (200, b"<html>", LEAVE),
        (200, {"conversations": "many"}, LEAVE),
        (200, {"conversations": ["odd"]}, LEAVE),
        (500, {"message": "Internal server error"}, LEAVE),
    ],
)
def test_what_was_unread_is_left(status: int, content: object, value: str) -> None:
    """And so is what nobody can tell. Where there is no conversation, nothing is unread."""
    assert noted(status, content) == value


@pytest.mark.parametrize(
    ("content", "value"),
    [
        ({"id": "v", "unreadCount": 0}, "v"),
        ({"conversation": {"id": "v", "unreadCount": 1}}, LEAVE),
        (b"[]", LEAVE),
    ],
)
def test_a_conversation_that_is_named_is_asked_for(content: object, value: str) -> None:
    """And is the one that is marked, whatever else its lane holds."""
    assert noted(200, content, conversation="v") == value


def test_what_is_known_is_not_asked_again() -> None:
    """By the lane, or by another lane with the same contact."""
    assert noted(500, b"", **{"mark:7:c1": LEAVE}) is None
    assert noted(500, b"", **{"unread:c1": ""}) == ""
    assert noted(500, b"", conversation="v", **{"mark:7:c1": "", "unread:c1": ""}) == LEAVE


def test_a_mark_names_what_is_forgotten_with_it() -> None:
    """Whatever the contact's id holds."""
    assert unread_name("mark:-7:a:b") == "unread:a:b"
