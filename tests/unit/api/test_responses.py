from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
import orjson
import pytest
from hypothesis import example, given, strategies as st

from leadconnector_async.api import responses
from leadconnector_async.api.responses import (
    Accepted,
    Classification,
    Forbidden,
    Indeterminate,
    Refused,
    Throttled,
    classify,
    expired_token,
    is_absent,
    lacks_route,
    read_refusal,
    retry_after,
    says_absent,
)
from leadconnector_async.models import Receipt, Refusal
from leadconnector_async.transport.base import Response

if TYPE_CHECKING:
    from collections.abc import Callable

RECEIPT = (
    b'{"success":true,"conversationId":"v1","messageId":"m1","message":"Success",'
    b'"contactId":"c1","dateAdded":"2024-05-01T09:30:00.000Z","emailMessageId":"e1"}'
)
HTML = b"<html><body>Bad gateway</body></html>"
DEEP = b"[" * 200_000
EXPIRED = b'{"statusCode":401,"message":"The token has expired."}'
INVALID = (
    b'{"statusCode":401,"message":"Invalid token: access token is invalid","error":"Unauthorized"}'
)


def said(message: str | list[str], **more: Any) -> bytes:  # noqa: ANN401 - any JSON
    """An error body in the API's usual shape."""
    return orjson.dumps({"message": message, **more})


# One row for each row of the table in the docstring of `classify`'s module, and its edges.
ROWS: list[tuple[str, int, bytes, type]] = [
    ("2xx with an id", 200, RECEIPT, Accepted),
    ("2xx with an id", 201, RECEIPT, Accepted),
    ("2xx with an id", 299, b'{"messageId":"m1"}', Accepted),
    ("2xx without one", 201, b"", Refused),
    ("2xx without one", 201, b" \r\n", Refused),
    ("2xx without one", 204, b"", Refused),
    ("2xx without one", 200, b"{}", Refused),
    ("2xx without one", 200, b"[]", Refused),
    ("2xx without one", 200, b"null", Refused),
    ("2xx without one", 200, b'"OK"', Refused),
    ("2xx without one", 200, b'{"messageId":null}', Refused),
    ("2xx without one", 200, b'{"messageId":""}', Refused),
    ("2xx without one", 200, b'{"success":true,"conversationId":"v1"}', Refused),
    ("2xx unreadable", 200, HTML, Indeterminate),
    ("2xx unreadable", 200, RECEIPT[:-1], Indeterminate),
    ("2xx unreadable", 200, b'{"messageId":7,"conversationId', Indeterminate),
    ("2xx unreadable", 200, b'{"messageId":"\xff"}', Indeterminate),
    ("2xx unreadable", 200, DEEP, Indeterminate),
    ("2xx unreadable", 200, b'{"more":' + DEEP, Indeterminate),
    ("2xx unreadable", 200, b'{"messageId":{"id":"m1"}}', Indeterminate),
    ("302, 303", 302, HTML, Indeterminate),
    ("302, 303", 303, b"", Indeterminate),
    ("other 3xx", 300, RECEIPT, Refused),
    ("other 3xx", 301, b"", Refused),
    ("other 3xx", 307, b"", Refused),
    ("other 3xx", 308, b"", Refused),
    ("400", 400, said("no"), Refused),
    ("404", 404, b"", Refused),
    ("405", 405, b"", Refused),
    ("409", 409, b"", Refused),
    ("410", 410, b"", Refused),
    ("413", 413, HTML, Refused),
    ("414", 414, b"", Refused),
    ("415", 415, b"", Refused),
    ("422", 422, said("no"), Refused),
    ("other 4xx", 418, b"", Refused),
    ("other 4xx", 402, b"", Refused),
    ("other 4xx", 499, b"", Refused),
    ("401 otherwise", 401, INVALID, Forbidden),
    ("401 otherwise", 401, EXPIRED, Forbidden),
    ("401 otherwise", 401, said("Invalid JWT"), Forbidden),
    ("401 otherwise", 401, b'{"error":"invalid token"}', Forbidden),
    ("401 otherwise", 401, b"", Forbidden),
    ("401 otherwise", 401, HTML, Forbidden),
    ("401 otherwise", 401, said("version header was not found."), Forbidden),
    ("401 otherwise", 401, said("The token is not authorized for this scope."), Forbidden),
    (
        "401 otherwise",
        401,
        said("Invalid token", canonicalCode="CONVERSATIONS_MSG_PROVIDER_NO_ACCESS"),
        Forbidden,
    ),
    ("403", 403, said("The token does not have access to this location."), Forbidden),
    ("408", 408, b"", Indeterminate),
    ("429", 429, b"", Throttled),
    ("429", 429, HTML, Throttled),
    ("5xx", 500, said("Internal server error"), Indeterminate),
    ("5xx", 502, HTML, Indeterminate),
    ("5xx", 503, b"", Indeterminate),
    ("5xx", 504, b"", Indeterminate),
    ("5xx", 599, RECEIPT, Indeterminate),
]


@pytest.mark.parametrize(("row", "status", "body", "classification"), ROWS)
def test_an_answer_means_what_the_table_says(
    row: str, status: int, body: bytes, classification: type
) -> None:
    """A row of the table, or an edge of one."""
    assert type(classify(status, body)) is classification, row


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (401, INVALID, "Invalid token: access token is invalid"),
        (401, EXPIRED, "The token has expired."),
        (401, said("Invalid JWT"), "Invalid JWT"),
        (401, b'{"error":"invalid token"}', "invalid token"),
        (401, b'{"error":{"code":"UNAUTHORIZED","message":"Token expired"}}', "Token expired"),
        (401, b'{"error":{"code":"TOKEN_EXPIRED","message":"No"}}', "No"),
        (401, b'{"error":{"code":"INVALID_TOKEN","message":"No"}}', "No"),
        (401, b'{"error":"invalid_token"}', "invalid_token"),
        (401, said("Invalid Private Integration token"), "Invalid Private Integration token"),
        (401, said("The access token is invalid."), "The access token is invalid."),
        (401, said("Token was revoked"), "Token was revoked"),
        (401, said("Invalid version header"), None),
        (401, b"", None),
        (401, HTML, None),
        (401, said("The token is not authorized for this scope."), None),
        (401, said("expired", canonicalCode="CONVERSATIONS_MSG_PROVIDER_NO_ACCESS"), None),
        (401, b'{"error":{"code":"FORBIDDEN","message":"no scope"}}', None),
        (403, EXPIRED, None),
        (400, INVALID, None),
    ],
)
def test_an_ended_token_is_told_from_a_missing_right(
    status: int, body: bytes, words: str | None
) -> None:
    """In either envelope of errors; only the first is worth a renewal."""
    refusal = expired_token(Response(status, {}, body))
    assert (refusal and refusal.message) == words


def test_the_newer_envelope_of_errors_is_read() -> None:
    """Its code stands for the canonical one; details may quote a person, and are not repeated."""
    body = (
        b'{"error":{"code":"RESOURCE_NOT_FOUND","message":"The contact was not found.",'
        b'"details":{"identifier":"Kim"},"resolution":"Look again."},"traceId":"t1"}'
    )
    assert read_refusal(404, body) == Refusal(
        status=404,
        message="The contact was not found.",
        canonical_code="RESOURCE_NOT_FOUND",
        trace_id="t1",
    )


@pytest.mark.parametrize(
    ("status", "body", "absent", "said_so"),
    [
        (404, b"", True, False),
        (404, b"<html>", False, False),
        (404, said("Cannot GET /conversations/v1/messages"), False, False),
        (404, said("Conversation not found"), True, True),
        (400, said("Conversation not found"), True, True),
        (400, said("No conversations found"), True, True),
        (400, said("The contact with id 7 does not exist"), True, True),
        (400, said("Contact with id c1 not found"), True, True),
        (400, said("Location not found"), False, False),
        (400, said("limit must not be greater than 100"), False, False),
        (403, said("Conversation not found"), False, False),
        (500, said("Conversation not found"), False, False),
    ],
)
def test_what_is_not_there_is_told_by_404_or_by_the_words_of_a_400(
    status: int,
    body: bytes,
    absent: bool,  # noqa: FBT001
    said_so: bool,  # noqa: FBT001
) -> None:
    """A path that is not served answers 404 too: where that matters, the words are needed."""
    response = Response(status, {}, body)
    assert (is_absent(response), says_absent(response)) == (absent, said_so)


@pytest.mark.parametrize(
    ("status", "body", "lacks"),
    [
        (404, said("Cannot POST /api/conversations/messages/inbound"), True),
        (404, said("Cannot GET /api/contacts/search/duplicate?number=1"), True),
        (404, b"<html><h1>404 Not Found</h1></html>", True),
        (404, b"", False),
        (404, said("Not Found"), False),
        (404, said("Contact not found"), False),
        (404, said("Cannot find /this contact"), False),
        (400, said("Cannot POST /api/conversations/messages/inbound"), False),
    ],
)
def test_a_path_that_nobody_serves_is_told_from_what_is_not_there(
    status: int,
    body: bytes,
    lacks: bool,  # noqa: FBT001
) -> None:
    """The one is wrong for every record, the other for one."""
    assert lacks_route(Response(status, {}, body)) is lacks


def test_each_row_of_the_table_is_tested() -> None:
    """The table in the docstring has as many rows as are known here."""
    table = (responses.__doc__ or "").split("=\n")[2]
    statuses = {word for line in table.splitlines() for word in re.findall(r"\b\dxx|\b\d{3}", line)}
    assert statuses == {
        *("2xx", "3xx", "4xx", "5xx"),
        *("200", "201", "302", "303", "401", "403", "408", "429", "500"),
    }


def test_a_receipt_is_all_that_the_api_told() -> None:
    """Ids, the thread's id for e-mails, the date, and its words; ``repr`` does not repeat those."""
    assert classify(201, RECEIPT) == Accepted(
        Receipt(
            message_id="m1",
            conversation_id="v1",
            contact_id="c1",
            email_message_id="e1",
            date_added="2024-05-01T09:30:00.000Z",
            success=True,
            message="Success",
        )
    )


@pytest.mark.parametrize(
    "odd", ['"dateAdded":1714555800000', '"contactId":5', '"conversationId":{}', '"success":"?"']
)
def test_what_stands_beside_the_id_takes_nothing_away(odd: str) -> None:
    """A message that has an id is stored, whatever the shape of the rest: else it is sent twice."""
    body = f'{{"emailMessageId":"e1",{odd},"messageId":"m1"}}'.encode()
    classification = classify(200, body)
    assert isinstance(classification, Accepted)
    assert classification.receipt.message_id == "m1"
    assert classification.receipt.email_message_id == "e1"


def test_what_can_be_read_of_an_odd_receipt_is_kept() -> None:
    """One odd field costs itself alone."""
    body = RECEIPT.replace(b"true", b"7").replace(b'"c1"', b"8")
    assert classify(200, body.replace(b'"m1"', b"5")) == Accepted(
        Receipt(
            message_id="5",
            conversation_id="v1",
            email_message_id="e1",
            date_added="2024-05-01T09:30:00.000Z",
            message="Success",
        )
    )
    contact = classify(200, RECEIPT.replace(b'"e1"', b"{}"))
    assert isinstance(contact, Accepted)
    assert (contact.receipt.contact_id, contact.receipt.email_message_id) == ("c1", None)


def test_an_id_may_be_a_number() -> None:
    """A number tells as well as a text that the message is stored."""
    assert classify(200, b'{"messageId":77}') == Accepted(Receipt(message_id="77"))


def test_a_success_without_an_id_says_so() -> None:
    """Three ways of storing nothing, or of hiding it, are told apart."""
    assert _refusal(classify(201, b"")).message == "answered with an empty body: nothing was stored"
    assert (
        _refusal(classify(200, b"{}")).message == "answered without a messageId: nothing was stored"
    )
    assert _refusal(classify(200, HTML)).message == "answered with a body that is not JSON"
    assert _refusal(classify(200, b'{"messageId":[1]}')).message.startswith(
        "answered with a message"
    )


def _refusal(classification: Classification) -> Refusal:
    assert not isinstance(classification, Accepted)
    return classification.refusal


# The error bodies of the contract, and what is read from them.
BODIES: list[tuple[bytes, Refusal]] = [
    (
        said(
            "Incorrect conversationProviderId/type",
            statusCode=400,
            canonicalCode="CONVERSATIONS_MSG_CONVERSATION_PROVIDER_MISMATCH",
        ),
        Refusal(
            status=400,
            message="Incorrect conversationProviderId/type",
            canonical_code="CONVERSATIONS_MSG_CONVERSATION_PROVIDER_MISMATCH",
        ),
    ),
    (
        b'{"statusCode":400,"message":"No conversationProviderId passed in body"}',
        Refusal(status=400, message="No conversationProviderId passed in body"),
    ),
    (INVALID, Refusal(status=401, message="Invalid token: access token is invalid")),
    (
        b'{"statusCode":403,"message":"The token does not have access to this location."}',
        Refusal(status=403, message="The token does not have access to this location."),
    ),
    (
        said(
            ["attachments must contain at least 1 elements"],
            statusCode=422,
            error="Unprocessable Entity",
            traceId="t1",
        ),
        Refusal(status=422, message="attachments must contain at least 1 elements", trace_id="t1"),
    ),
    (
        b'{"status":422,"message":["one","two"]}',
        Refusal(status=422, message="one; two"),
    ),
    (
        b'{"statusCode":500,"message":"Internal server error"}',
        Refusal(status=500, message="Internal server error"),
    ),
    (b'{"error":"Bad Request"}', Refusal(status=400, message="Bad Request")),
    (b'{"message":[{}],"error":"Bad Request"}', Refusal(status=400, message="Bad Request")),
    (b'{"message":{"text":"?"}}', Refusal(status=400, message="no explanation given")),
    (b'{"message":"  ","traceId":7}', Refusal(status=400, message="no explanation given")),
    (b"", Refusal(status=429, message="too many requests")),
    (HTML, Refusal(status=502, message="bad gateway")),
    (b'["no"]', Refusal(status=404, message="not found")),
    (b"", Refusal(status=302, message="redirected; check the base URL")),
]


@pytest.mark.parametrize(("body", "refusal"), BODIES)
def test_error_bodies_come_in_several_shapes(body: bytes, refusal: Refusal) -> None:
    """Each documented one is read, and what has no shape is told by its status."""
    assert read_refusal(refusal.status, body) == refusal
    assert _refusal(classify(refusal.status, body)) == refusal


def test_words_are_cut_and_put_on_one_line() -> None:
    """An error is a line of a report: no endless text, no line breaks, no control codes."""
    refusal = read_refusal(400, said("a\n\tb\x1b[31m\0c " + "d" * 5000, traceId=" t\n1 "))
    assert refusal.message.startswith("a b [31m c ddd")
    assert len(refusal.message) == 300
    assert refusal.trace_id == "t 1"


@pytest.mark.parametrize(
    "token", ["pit-01234567-89ab-cdef-0123-456789abcdef", "eyJhbGciOi.eyJzdWIiOi.c2ln-_X", "a" * 20]
)
def test_a_token_that_is_repeated_is_not_shown(token: str) -> None:
    """Neither in an error nor in a log: a server before the API may quote what it refuses."""
    refusal = read_refusal(401, said(f"Bearer {token} is no token; Bearer authentication needed"))
    assert refusal.message == "Bearer … is no token; Bearer authentication needed"


def test_a_blank_is_nothing() -> None:
    """A code or a trace id of spaces is none."""
    refusal = read_refusal(400, said("no", canonicalCode=" ", traceId="\0"))
    assert (refusal.canonical_code, refusal.trace_id) == (None, None)


@pytest.mark.parametrize(
    ("statuses", "words"),
    [
        ((301, 302, 303, 307, 308), "redirected; check the base URL"),
        ((404,), "not found"),
        ((408,), "the API gave up waiting"),
        ((413,), "too large"),
        ((429,), "too many requests"),
        ((500,), "Internal server error"),
        ((502,), "bad gateway"),
        ((503,), "service unavailable"),
        ((504,), "gateway timeout"),
        ((400, 418, 599), "no explanation given"),
    ],
)
def test_a_status_speaks_for_an_empty_body(statuses: tuple[int, ...], words: str) -> None:
    """A report without any reason helps nobody."""
    assert {read_refusal(status, b"").message for status in statuses} == {words}


def test_a_page_of_html_is_not_repeated() -> None:
    """A session's page says nothing that its status does not."""
    assert "html" not in read_refusal(502, HTML).message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["messageId", "message", "error", "canonicalCode", "traceId", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
ENCODED = JSON.map(msgspec.json.encode)
CUT = st.tuples(ENCODED, st.integers(0, 40)).map(lambda cut: cut[0][: cut[1]])


@pytest.mark.slow
@given(st.integers(100, 999), st.binary(max_size=40) | ENCODED | CUT)
@example(200, DEEP)
@example(500, DEEP)
@example(200, b'{"messageId":"\\ud800"}')
@example(400, b'{"message":"\\ud800"}')
def test_judging_never_fails(status: int, body: bytes) -> None:
    """Whatever a broken server sends, there is a classification; and only an id proves anything."""
    classification = classify(status, body)
    if isinstance(classification, Accepted):
        assert 200 <= status < 300
        assert classification.receipt.message_id
        assert b"messageId" in body
    else:
        assert classification.refusal.status == status
        assert 0 < len(classification.refusal.message) <= 300
        assert classification.refusal.message.isprintable()
        msgspec.json.encode(classification.refusal)


def _answer(text: str | None) -> Response:
    return Response(429, {} if text is None else {"Retry-After": text}, b"")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        (" 7 ", 7.0),
        (" " * 40 + "7", 7.0),
        ("0" * 40 + "7", 7.0),
        ("60", 60.0),
        ("61", 60.0),
        ("31536000", 60.0),
        ("9" * 8000, 60.0),
        (None, None),
        ("", None),
        (" ", None),
        ("-5", None),
        ("1.5", None),
        ("1e3", None),
        ("٣", None),
        ("²", None),
        ("soon", None),
        ("1 2", None),
        ("Wed, 21 Oct 2065 07:28:00 GMT", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", None),
    ],
)
def test_retry_after_is_seconds_within_a_cap(text: str | None, seconds: float | None) -> None:
    """A year ahead is cut, the past and nonsense are no values, dates are not trusted."""
    assert retry_after(_answer(text), 60.0) == seconds


@pytest.mark.slow
@given(st.none() | st.text() | st.from_regex(r"\s*\d+\s*"), st.floats(0, 1e6))
def test_reading_retry_after_never_fails(text: str | None, cap: float) -> None:
    """Whatever a header holds, it is no wait or one between 0 and the cap."""
    seconds = retry_after(_answer(text), cap)
    assert seconds is None or 0 <= seconds <= cap


STATUSES: dict[Callable[[Response], bool], set[int]] = {
    responses.is_success: {*range(200, 300)},
    responses.is_read: {200},
    responses.is_unauthorized: {401},
    responses.is_access_refused: {401, 403},
    responses.is_grant_denied: {400, 401, 403, 404, 422},
    responses.is_refusal: {*range(400, 500)} - {408, 429},
    responses.is_final: {*range(400, 500)} - {408, 429},
    responses.is_server_error: {500},
    responses.is_from_gateway: {502, 503, 504, 511, *range(520, 531)},
    responses.is_unthrottled: {*range(100, 500)} - {429},
    responses.is_absent: {404},
}


@pytest.mark.parametrize("tells", STATUSES, ids=lambda tells: tells.__name__)
def test_each_status_is_told_from_all_others(tells: Callable[[Response], bool]) -> None:
    """What a status means is decided by these alone, whoever asks."""
    answers = (Response(status, {}, b"{}") for status in range(100, 600))
    assert {answer.status for answer in answers if tells(answer)} == STATUSES[tells]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 500])
def test_what_is_lacked_is_told_by_status_and_words(status: int) -> None:
    """A scope by who is refused, a conversation by what: words alone may be anything's."""
    scope, conversation, other = (
        Response(status, {}, said(words))
        for words in ("The token lacks a scope.", "conversationId must be given", "no such luck")
    )
    assert responses.lacks_scope(scope) is (status in (401, 403))
    assert responses.lacks_conversation(conversation) is (status in (400, 404, 422))
    assert not responses.lacks_scope(other)
    assert not responses.lacks_conversation(other)
