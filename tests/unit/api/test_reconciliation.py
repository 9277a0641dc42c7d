from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, strategies as st

from leadconnector_async.api import endpoints
from leadconnector_async.api.reconciliation import (
    MAX_PAGES,
    OLDER_MS,
    UNREADABLE,
    Finding,
    Found,
    Inconclusive,
    LookupFailed,
    NotFound,
    Search,
    SearchTarget,
)
from leadconnector_async.models import MESSAGE_TYPES, InboundMessage
from leadconnector_async.transport.base import Response

WHEN = datetime(2024, 5, 1, 9, 30, tzinfo=UTC)
WHEN_MS = 1_714_555_800_000
MS = timedelta(milliseconds=1)


def target(seq: int = 1, *, alt_id: str | None = None, **fields: Any) -> SearchTarget:  # noqa: ANN401
    """A record to look for, whose conversation is known."""
    wanted: dict[str, Any] = {
        "type": "SMS",
        "contact_id": "c1",
        "conversation_id": "v1",
        "direction": "inbound",
        "date": WHEN,
        "message": "hi there",
    }
    message = InboundMessage(**(wanted | fields))
    date = WHEN if message.date is None else message.date
    return SearchTarget(seq, message, alt_id, int(date.timestamp() * 1000))


def shown(id_: str = "m1", **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - any field
    """A message as the API lists it: by default the one that `target` describes."""
    return {
        "id": id_,
        "messageType": "TYPE_SMS",
        "direction": "inbound",
        "dateAdded": WHEN.isoformat(),
        "body": "hi there",
        "conversationId": "v1",
    } | fields


def listing(*messages: dict[str, Any], more: bool = False, last: str | None = None) -> Response:
    """A page of a conversation."""
    page = {"messages": messages, "nextPage": more, "lastMessageId": last}
    return Response(200, {}, msgspec.json.encode({"messages": page}))


def conversations(*found: dict[str, Any]) -> Response:
    """What the search for conversations answers."""
    return Response(200, {}, msgspec.json.encode({"conversations": found}))


def look(
    *messages: dict[str, Any], for_: SearchTarget | None = None, taken: tuple[str, ...] = ()
) -> Any:  # noqa: ANN401 - the finding
    """What one look at one page comes to, for one target."""
    wanted = for_ or target()
    findings = Search("l1", [wanted], set(taken)).feed(listing(*messages))
    assert findings is not None
    return findings[wanted.seq]


def test_a_known_conversation_is_read() -> None:
    """Its messages are the first request."""
    search = Search("l1", [target()], set())
    assert search.request() == endpoints.list_messages("v1")
    assert search.feed(listing(shown())) == {1: Found("m1", "v1")}


def test_an_unknown_conversation_is_found_first() -> None:
    """By the contact, then read; a conversation of another contact is none of ours."""
    search = Search("l1", [target(conversation_id=None)], set())
    assert search.request() == endpoints.search_conversations("l1", contactId="c1")
    found = conversations({"id": "v7", "contactId": "c7"}, {"id": "v1", "contactId": "c1"})
    assert search.feed(found) is None
    assert search.request() == endpoints.list_messages("v1")
    assert search.feed(listing(shown(conversationId=None))) == {1: Found("m1", "v1")}


def test_a_conversation_without_an_id_costs_itself_alone() -> None:
    """Only where no other is the contact's, it may be the one."""
    search = Search("l1", [target(conversation_id=None)], set())
    assert search.feed(conversations({"contactId": "c1"}, {"id": "v9", "contactId": "c1"})) is None
    assert "/conversations/v9/messages" in search.request().path
    search = Search("l1", [target(conversation_id=None)], set())
    assert search.feed(conversations({"contactId": "c1"})) == {1: LookupFailed(UNREADABLE)}


def test_a_search_tells_whom_its_records_are_with_as_they_say_it() -> None:
    """By which name the thread of a mail that is found is remembered."""
    assert Search("l1", [target()], set()).who == "c1"
    assert Search("l1", [target(contact_id=None)], set()).who == "v1"


def test_a_listing_may_keep_the_contact_to_itself() -> None:
    """It was asked for one contact's conversations."""
    search = Search("l1", [target(conversation_id=None)], set())
    assert search.feed(conversations({"id": "v1"})) is None


@pytest.mark.parametrize("found", [(), ({"id": "v7", "contactId": "c7"},)])
def test_without_a_conversation_there_is_no_message(found: tuple[dict[str, Any], ...]) -> None:
    """A proof only after the settling time: the index lags, too."""
    search = Search("l1", [target(conversation_id=None)], set())
    assert search.feed(conversations(*found)) == {1: NotFound()}


def test_an_empty_conversation_has_no_message() -> None:
    """Whatever there is to tell the record by."""
    assert look() == NotFound()
    assert look(for_=target(alt_id="a1")) == NotFound()
    assert look(for_=target(date=None, message=None, alt_id="a1")) == NotFound()


def test_an_alt_id_is_proof() -> None:
    """Whatever else differs, and whoever the message was thought to belong to."""
    odd = shown(altId="a1", body="ho", direction="outbound", dateAdded=None, messageType="TYPE_X")
    assert look(odd, for_=target(alt_id="a1"), taken=("m1",)) == Found("m1", "v1")


def test_where_alt_ids_are_shown_a_likeness_is_none() -> None:
    """Ours would show its own: what looks like it is another message."""
    other = shown("m2", altId="a2", dateAdded=(WHEN - 9 * MS).isoformat())
    assert look(shown(), other, for_=target(alt_id="a1")) == NotFound()
    assert look(shown(altId="a2"), for_=target(alt_id="a1")) == NotFound()


def test_where_no_alt_ids_are_shown_a_likeness_counts() -> None:
    """The API does not always give them back: an empty one is none."""
    assert look(shown(), for_=target(alt_id="a1")) == Found("m1", "v1")
    assert look(shown(altId=""), for_=target(alt_id="a1")) == Found("m1", "v1")


def test_without_an_alt_id_those_of_others_prove_nothing() -> None:
    """A message with one is not ours; one without may be."""
    assert look(shown("m2", altId="a2"), shown()) == Found("m1", "v1")
    assert look(shown("m2", altId="a2")) == NotFound()


@pytest.mark.parametrize(
    "change",
    [
        {"direction": "outbound"},
        {"messageType": "TYPE_CALL"},
        {"body": "ho there"},
        {"dateAdded": (WHEN + 1001 * MS).isoformat()},
        {"dateAdded": (WHEN - 1001 * MS).isoformat()},
    ],
    ids=str,
)
def test_a_likeness_agrees_in_everything(change: dict[str, Any]) -> None:
    """Type, direction, text, and the date to the second."""
    assert look(shown(**change)) == NotFound()


@pytest.mark.parametrize(
    "change",
    [
        {"direction": None},
        {"messageType": None},
        {"messageType": "SMS"},
        {"messageType": "sms"},
        {"messageType": "TYPE_CUSTOM_SMS"},
        {"body": None},
        {"body": ""},
        {"body": " hi\r\n there "},
        {"dateAdded": "2024-05-01T09:30:00"},
        {"dateAdded": "2024-05-01T11:30:00.999+02:00"},
        {"dateAdded": (WHEN - 1000 * MS).isoformat()},
        {"conversationId": "v9"},
    ],
    ids=str,
)
def test_a_likeness_may_say_less(change: dict[str, Any]) -> None:
    """What a listing leaves out, or writes in another way, tells nothing apart."""
    assert look(shown(**change)) == Found("m1", change.get("conversationId", "v1"))


@pytest.mark.parametrize("type_", MESSAGE_TYPES)
def test_every_type_can_be_looked_for(type_: Any) -> None:  # noqa: ANN401 - one of the literals
    """Under its own name, too, which the specification gives as an example."""
    assert look(shown(messageType=type_), for_=target(type=type_)) == Found("m1", "v1")


def test_a_type_may_be_shown_by_its_own_name() -> None:
    """The spec's example has ``SMS`` where its list has ``TYPE_SMS``."""
    for type_ in MESSAGE_TYPES:
        for name in (type_, f"TYPE_{type_.upper()}"):
            assert look(shown(messageType=name), for_=target(type=type_)) == Found("m1", "v1")


def test_a_text_of_ours_may_be_missing() -> None:
    """A call or a picture is told by its type, direction and date."""
    call = target(type="Call", message=None)
    assert look(shown(messageType="TYPE_CALL", body="Incoming call"), for_=call) == Found(
        "m1", "v1"
    )


@pytest.mark.parametrize("body", ["<p>hi</p>", "<p>hi</p>  <img>", "hi", None])
def test_an_html_body_is_not_compared(body: str | None) -> None:
    """The API shows the html, made harmless, or the text, or neither: a date tells enough."""
    mail = target(type="Email", message="hi", html="<p>hi</p>")
    assert look(shown(messageType="TYPE_EMAIL", body=body), for_=mail) == Found("m1", "v1")


def test_an_undated_mail_is_told_by_its_text_or_its_html() -> None:
    """Either may be shown; a third text is another mail's."""
    mail = target(type="Email", message="hi", html="<p>hi</p>", date=None)
    for body, finding in [("hi", Found("m1", "v1")), ("<p>hi</p>", Found("m1", "v1"))]:
        assert look(shown(messageType="TYPE_EMAIL", body=body), for_=mail) == finding
    assert look(shown(messageType="TYPE_EMAIL", body="ho"), for_=mail) == NotFound()


def test_an_undated_message_came_after_it_was_staged() -> None:
    """Stored under the time of its arrival, by a clock that may be a minute off."""
    undated = target(date=None)
    for offset, finding in [(-OLDER_MS, Found("m1", "v1")), (3_600_000, Found("m1", "v1"))]:
        assert look(shown(dateAdded=(WHEN + offset * MS).isoformat()), for_=undated) == finding
    early = shown(dateAdded=(WHEN - (OLDER_MS + 1) * MS).isoformat())
    assert look(early, for_=undated) == NotFound()


def test_nothing_to_be_told_by_is_said() -> None:
    """A record with neither date nor text could be any message: nobody knows."""
    vague = target(type="Call", message=None, date=None)
    found = look(shown(messageType="TYPE_CALL"), for_=vague)
    assert found == Inconclusive("the API shows no altId, and it has neither date nor text")
    assert look(shown(messageType="TYPE_SMS"), for_=vague) == NotFound()


def test_a_message_of_another_record_is_not_ours() -> None:
    """Equal messages are counted: each record has its own."""
    assert look(shown(), taken=("m1",)) == NotFound()
    assert look(shown(), shown("m2"), taken=("m1",)) == Found("m2", "v1")


def test_equal_records_need_equal_messages() -> None:
    """Three records, two messages: two are found, and one is not."""
    search = Search("l1", [target(seq) for seq in (1, 2, 3)], {"m9"})
    findings = search.feed(listing(shown("m1"), shown("m9"), shown("m2")))
    assert findings == {1: Found("m1", "v1"), 2: Found("m2", "v1"), 3: NotFound()}


def test_a_message_that_is_shown_twice_is_one() -> None:
    """Pages overlap where messages arrive meanwhile."""
    search = Search("l1", [target(1), target(2)], set())
    assert search.feed(listing(shown("m1"), more=True, last="p1")) is None
    assert search.feed(listing(shown("m1"))) == {1: Found("m1", "v1"), 2: NotFound()}


def test_a_vague_record_takes_no_message_of_a_plain_one() -> None:
    """One that could be any message leaves those that only another can be."""
    vague = target(1, message=None, attachments=["https://x.com/a"])
    for targets in ([vague, target(2)], [target(2), vague]):
        search = Search("l1", targets, set())
        assert search.feed(listing(shown())) == {1: NotFound(), 2: Found("m1", "v1")}


def test_an_undated_record_takes_no_message_of_a_dated_one() -> None:
    """It could be any later message of its text, the dated one only this."""
    undated = target(1, date=None)
    for targets in ([undated, target(2)], [target(2), undated]):
        search = Search("l1", targets, set())
        assert search.feed(listing(shown())) == {1: NotFound(), 2: Found("m1", "v1")}


def test_a_type_whose_name_on_reads_is_not_known_is_not_compared() -> None:
    """The rest has to agree."""
    form = target(type="TIKTOK")
    assert look(shown(messageType="TYPE_TIKTOK"), for_=form) == Found("m1", "v1")
    assert look(shown(messageType="TYPE_TIKTOK", body="ho"), for_=form) == NotFound()


def test_one_listing_tells_about_all_records_of_a_conversation() -> None:
    """By altId, or by likeness."""
    later = WHEN + timedelta(hours=1)
    targets = [target(1, alt_id="a1"), target(2, alt_id="a2", date=later), target(3)]
    search = Search("l1", targets, set())
    findings = search.feed(listing(shown("m2", altId="a2"), shown("m1")))
    assert findings == {1: NotFound(), 2: Found("m2", "v1"), 3: Found("m1", "v1")}


def test_records_elsewhere_are_looked_for_later() -> None:
    """A contact's records can name several conversations: one look is at one of them."""
    elsewhere = target(2, conversation_id="v2")
    search = Search("l1", [target(1), elsewhere], set())
    assert search.feed(listing()) == {1: NotFound()}
    assert Search("l1", [elsewhere, target(1)], set()).request() == endpoints.list_messages("v2")


def test_a_conversation_is_read_back_to_the_record() -> None:
    """Page by page, newest first, and no further than the oldest record."""
    old = target(2, date=WHEN - timedelta(days=2))
    search = Search("l1", [target(1), old], set())
    newer = shown("m9", dateAdded=(WHEN + timedelta(days=1)).isoformat())
    assert search.feed(listing(newer, more=True, last="p1")) is None
    assert search.request() == endpoints.list_messages("v1", "p1")
    assert search.feed(listing(shown("m8"), more=True)) is None
    assert search.request() == endpoints.list_messages("v1", "m8")
    older = shown("m1", dateAdded=(WHEN - timedelta(days=3)).isoformat())
    assert search.feed(listing(older, more=True)) == {1: Found("m8", "v1"), 2: NotFound()}


def test_a_little_older_is_not_old_enough() -> None:
    """Clocks differ by up to a minute."""
    search = Search("l1", [target()], set())
    edge = shown("m2", body="ho", dateAdded=(WHEN - OLDER_MS * MS).isoformat())
    assert search.feed(listing(edge, more=True)) is None
    undated = shown("m3", body="ho", dateAdded=None)
    assert search.feed(listing(undated, more=True)) is None
    beyond = shown("m4", body="ho", dateAdded=(WHEN - (OLDER_MS + 1) * MS).isoformat())
    assert search.feed(listing(beyond, more=True)) == {1: NotFound()}


def test_what_is_found_needs_no_more_pages() -> None:
    """Once every altId is found, the rest of the conversation does not matter."""
    search = Search("l1", [target(1, alt_id="a1"), target(2, alt_id="a2")], set())
    assert search.feed(listing(shown("m1", altId="a1"), more=True)) is None
    assert search.feed(listing(shown("m2", altId="a2"), more=True)) == {
        1: Found("m1", "v1"),
        2: Found("m2", "v1"),
    }


def test_the_last_page_ends_the_search() -> None:
    """Also an empty one that promises another, and does not say how to ask for it."""
    search = Search("l1", [target()], set())
    assert search.feed(listing(shown(body="ho"), more=True)) is None
    assert search.feed(listing(more=True)) == {1: NotFound()}


def test_an_empty_page_may_lead_on() -> None:
    """What it holds may be of a kind that is not listed; the next one is asked for, once."""
    search = Search("l1", [target()], set())
    assert search.feed(listing(more=True, last="m9")) is None
    assert "lastMessageId=m9" in search.request().path
    assert search.feed(listing(shown())) == {1: Found("m1", "v1")}
    search = Search("l1", [target()], set())
    assert search.feed(listing(more=True, last="m9")) is None
    moves_not = {1: LookupFailed("the API's listing does not move on")}
    assert search.feed(listing(more=True, last="m9")) == moves_not


@pytest.mark.parametrize("more", [msgspec.UNSET, None, "true", 1])
def test_a_page_that_does_not_say_whether_it_is_the_last_proves_no_absence(more: object) -> None:
    """It may have 20 of 500: the next is asked for, until one is empty or comes again."""
    page = {"messages": [shown(body="ho")]}
    said = page if more is msgspec.UNSET else page | {"nextPage": more}
    answer = Response(200, {}, msgspec.json.encode({"messages": said}))
    search = Search("l1", [target()], set())
    assert search.feed(answer) is None
    assert "lastMessageId=m1" in search.request().path
    assert search.feed(answer) == {1: NotFound()}
    search = Search("l1", [target()], set())
    assert search.feed(answer) is None
    assert search.feed(listing(shown("m2"))) == {1: Found("m2", "v1")}
    empty = Response(200, {}, b'{"messages":{}}')
    assert Search("l1", [target()], set()).feed(empty) == {1: NotFound()}


@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize(
    "date", [WHEN_MS, str(WHEN_MS), WHEN_MS // 1000, "2024-05-01T11:30:00+02:00"]
)
def test_both_forms_of_the_listing_and_of_dates_are_read(nested: bool, date: object) -> None:  # noqa: FBT001
    """Nested as seen live, flat as both OpenAPI files say; ids may be numbers."""
    messages = [shown("m9", body="ho"), shown(77, dateAdded=date, meta=7)]  # type: ignore[arg-type]
    search = Search("l1", [target()], set())
    for more, finding in ((True, None), (False, {1: Found("77", "v1")})):
        page: Any = {"messages": messages, "lastMessageId": 77, "nextPage": more}
        body = msgspec.json.encode({"messages": page} if nested else page)
        assert search.feed(Response(200, {}, body)) == finding
    assert "lastMessageId=77" in search.request().path


@pytest.mark.parametrize("odd", [{"dateAdded": "soon"}, {"dateAdded": None}, {"dateAdded": {}}])
def test_an_entry_without_a_readable_date_costs_those_that_it_may_be(odd: dict[str, Any]) -> None:
    """It is not sent again, as it may be stored; all other records are told from it."""
    entry = shown("m1", **odd)
    assert isinstance(look(entry), Inconclusive)
    assert look(entry, for_=target(message="another")) == NotFound()
    assert look(entry, shown("m2")) == Found("m2", "v1")
    assert look(entry | {"altId": "a1"}, for_=target(alt_id="a1")) == Found("m1", "v1")
    assert look(entry | {"altId": "a2"}, for_=target(alt_id="a1")) == NotFound()


@pytest.mark.parametrize("odd", [7, None, {}, {"id": None, "body": "hi there"}])
def test_an_entry_without_an_id_proves_nothing_of_what_is_not_found(odd: Any) -> None:  # noqa: ANN401
    """It may be that one; what is found is found all the same."""
    assert look(odd, shown()) == Found("m1", "v1")
    assert look(odd, shown(body="ho")) == LookupFailed(UNREADABLE)


@pytest.mark.parametrize("conversation", [None, "v1"])
def test_a_conversation_that_is_not_there_is_absent_by_400_too(conversation: str | None) -> None:
    """As by 404, where the words say so."""
    search = Search("l1", [target(conversation_id=conversation)], set())
    body = b'{"statusCode":400,"message":"Conversation not found"}'
    assert search.feed(Response(400, {}, body)) == {1: NotFound()}


def test_endless_pages_have_an_end() -> None:
    """A conversation is given up after so many pages."""
    search = Search("l1", [target()], set())
    for number in range(MAX_PAGES - 1):
        assert search.feed(listing(shown(f"x{number}", body="ho"), more=True)) is None
    found = search.feed(listing(shown("x", body="ho"), more=True))
    assert found == {1: Inconclusive(f"the conversation is longer than {MAX_PAGES} pages")}


def test_a_listing_that_does_not_move_on_is_left() -> None:
    """The same page again and again would never end."""
    search = Search("l1", [target()], set())
    page = listing(shown("m5", body="ho"), more=True)
    assert search.feed(page) is None
    assert search.feed(page) == {1: LookupFailed("the API's listing does not move on")}


@pytest.mark.parametrize("conversation", [None, "v1"])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"null",
        b"[]",
        b"{" * 200_000,
        b'{"x":' + b"[" * 200_000,
        b'{"messages":{"messages":[{}]},"conversations":[{}]}',
        b'{"messages":{"messages":null},"conversations":null}',
        b'{"messages":{"messages":[{"id":"\xff"}]},"conversations":[{"id":"\xff"}]}',
        b'{"messages":7,"conversations":7}',
        b'{"statusCode":500,"message":"Internal server error"}',
    ],
    ids=lambda body: str(body)[:30],
)
def test_garbage_proves_nothing(body: bytes, conversation: str | None) -> None:
    """It is trouble: a later look may come to more."""
    search = Search("l1", [target(conversation_id=conversation)], set())
    assert search.feed(Response(200, {}, body)) == {1: LookupFailed(UNREADABLE)}


@pytest.mark.parametrize("conversation", [None, "v1"])
@pytest.mark.parametrize(
    ("status", "finding"),
    [(status, Inconclusive) for status in (400, 401, 403, 405, 410, 413, 422)]
    + [(status, LookupFailed) for status in (201, 204, 301, 302, 408, 429, 500, 502, 503, 504)],
)
def test_a_look_can_be_refused(
    conversation: str | None, status: int, finding: type[Finding]
) -> None:
    """For good, or for now; the reason has the API's words."""
    search = Search("l1", [target(conversation_id=conversation)], set())
    findings = search.feed(Response(status, {}, b'{"message":"no scope"}'))
    assert findings is not None
    found = findings[1]
    assert type(found) is finding
    assert isinstance(found, Inconclusive | LookupFailed)
    assert found.reason.endswith(f"{status} no scope")


def test_a_conversation_that_is_gone_has_no_message() -> None:
    """But a search for conversations that is not there is a wrong address."""
    gone = Response(404, {}, b"")
    assert Search("l1", [target()], set()).feed(gone) == {1: NotFound()}
    found = Search("l1", [target(conversation_id=None)], set()).feed(gone)
    assert found == {1: Inconclusive("looking was refused: 404 not found")}


@pytest.mark.parametrize("conversation", [None, "v1"])
def test_a_path_that_nobody_serves_tells_nothing_of_a_conversation(
    conversation: str | None,
) -> None:
    """Taken for one that is gone, what is stored was sent again; a page may be gone later."""
    for body, finding in (
        (b"<html>404 Not Found", LookupFailed("looking failed: 404 not found")),
        (b'{"message":"Cannot GET /x"}', Inconclusive("looking was refused: 404 Cannot GET /x")),
    ):
        search = Search("l1", [target(conversation_id=conversation)], set())
        assert search.feed(Response(404, {}, body)) == {1: finding}


def test_a_look_without_an_answer_is_trouble() -> None:
    """For every record that it was for."""
    search = Search("l1", [target(1), target(2)], set())
    assert search.lookup_failed("no answer") == {
        1: LookupFailed("no answer"),
        2: LookupFailed("no answer"),
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["m1", "v1", "c1", "hi there"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["messages", "id", "nextPage", "lastMessageId", "conversations", "dateAdded"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
BODIES = st.binary(max_size=20) | JSON.map(msgspec.json.encode)


@pytest.mark.slow
@given(st.lists(st.tuples(st.sampled_from([200, 200, 200, 404, 500]), BODIES), max_size=6))
@example([(200, b'{"messages":{"messages":[{"id":"m","dateAdded":"0001-01-01T00:00:00+14:00"}]}}')])
def test_a_search_never_fails(answers: list[tuple[int, bytes]]) -> None:
    """Whatever the answers, there is another request or a finding for each target."""
    targets = [target(1, conversation_id=None), target(2, conversation_id=None, alt_id="a2")]
    search = Search("l1", targets, set())
    for status, body in answers:
        findings = search.feed(Response(status, {}, body))
        if findings is not None:
            assert set(findings) == {1, 2}
            return
        assert search.request().method == "GET"


@given(st.permutations(range(4)), st.integers(0, 4), st.integers(1, 3))
def test_as_many_are_found_as_are_stored(order: list[int], stored: int, size: int) -> None:
    """Of equal records as many as there are messages, over however many pages; each its own."""
    search = Search("l1", [target(seq) for seq in order], {"x0"})
    messages = [shown("x0"), *(shown(f"m{number}") for number in range(stored))]
    pages = [messages[start : start + size] for start in range(0, len(messages), size)]
    findings = None
    for number, page in enumerate(pages, 1):
        findings = search.feed(listing(*page, more=number < len(pages)))
    assert findings is not None
    found = [finding for finding in findings.values() if isinstance(finding, Found)]
    assert len(found) == stored
    assert len({finding.message_id for finding in found}) == stored
    assert "x0" not in {finding.message_id for finding in found}
