from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest
from rich.pretty import pretty_repr

from leadconnector_async.api.listings import ListedMessage
from leadconnector_async.api.reconciliation import SearchTarget
from leadconnector_async.models import (
    CALL_STATUSES,
    DIRECTIONS,
    MESSAGE_TYPES,
    Call,
    InboundMessage,
    MessageFields,
    Problem,
    Receipt,
    Record,
    Refusal,
    Rejected,
    Sent,
    Unresolved,
)
from leadconnector_async.outbox.base import Claim, Lease, Settlement, State
from leadconnector_async.records.draft import Draft
from leadconnector_async.transport.base import Request, Response

TEXT = "Blue-Heron-77"

FULL = InboundMessage(
    type="Email",
    contact_id="c1",
    direction="inbound",
    date=datetime(2024, 5, 1, tzinfo=UTC),
    message=TEXT,
    subject=TEXT,
    html=TEXT,
    email_from=TEXT,
    email_to=TEXT,
    email_cc=[TEXT],
    email_bcc=[TEXT],
    attachments=[TEXT],
    call=Call(to=TEXT, from_=TEXT, status="busy"),
)
CLAIM = Claim(Lease("l1", 1, 1), 2, 3, 4, b"i5", TEXT.encode(), 0)
DRAFT = Draft("loc", 1, 2, b"i5", False, TEXT.encode(), 7, TEXT.encode(), None)  # noqa: FBT003
SETTLEMENT = Settlement(CLAIM, State.SENT, 1, 1, "m1")
LISTED = ListedMessage("m1", body=TEXT)
HOLDERS = [
    FULL,
    FULL.call,
    Record(message=FULL, id="7"),
    CLAIM,
    DRAFT,
    SETTLEMENT,
    Request("POST", "/conversations/messages/inbound", "2021-04-15", TEXT.encode()),
    Response(200, {}, TEXT.encode()),
    LISTED,
    SearchTarget(1, FULL, "a1", 0),
]


def test_every_type_of_the_specification_is_known() -> None:
    """There are 17 types; the ten that are documented come first."""
    assert MESSAGE_TYPES[:10] == (
        "SMS",
        "Email",
        "WhatsApp",
        "GMB",
        "IG",
        "FB",
        "Custom",
        "WebChat",
        "Live_Chat",
        "Call",
    )
    assert set(MESSAGE_TYPES[10:]) == {
        "RCS",
        "IVR_Call",
        "Campaign_Call",
        "Campaign_VoiceMail",
        "TIKTOK",
        "ALL_IN_ONE_CHAT",
        "FORM_SUBMISSION",
    }


def test_directions_and_call_statuses_are_those_of_the_contract() -> None:
    """What the API calls them, letter by letter."""
    assert set(DIRECTIONS) == {"inbound", "outbound"}
    assert CALL_STATUSES == (
        "pending",
        "completed",
        "answered",
        "busy",
        "no-answer",
        "failed",
        "canceled",
        "voicemail",
    )


def test_fields_have_the_names_of_the_wire() -> None:
    """Python's snake_case is the API's camelCase; ``from_`` is ``from``."""
    names = {field.name: field.encode_name for field in msgspec.structs.fields(InboundMessage)}
    assert names == {
        "type": "type",
        "contact_id": "contactId",
        "conversation_id": "conversationId",
        "conversation_provider_id": "conversationProviderId",
        "direction": "direction",
        "date": "date",
        "message": "message",
        "subject": "subject",
        "html": "html",
        "email_from": "emailFrom",
        "email_to": "emailTo",
        "email_cc": "emailCc",
        "email_bcc": "emailBcc",
        "email_message_id": "emailMessageId",
        "alt_id": "altId",
        "attachments": "attachments",
        "call": "call",
    }
    calls = {field.name: field.encode_name for field in msgspec.structs.fields(Call)}
    assert calls == {"to": "to", "from_": "from", "status": "status"}


@pytest.mark.parametrize("value", HOLDERS, ids=lambda value: type(value).__name__)
def test_what_holds_a_text_does_not_show_it(value: object) -> None:
    """A log line and a traceback show ids and types, and no text."""
    assert TEXT not in repr(value)
    assert TEXT not in str(value)
    assert TEXT not in f"{value}"


@pytest.mark.parametrize("value", [FULL, FULL.call, Record(message=FULL), LISTED], ids=repr)
def test_a_pretty_printer_shows_no_more(value: object) -> None:
    """Rich asks a struct for its fields, and gets what the repr shows."""
    assert TEXT not in pretty_repr(value)
    assert type(value).__name__ in pretty_repr(value)


def test_a_message_shows_who_and_what_it_is() -> None:
    """The repr names the type, the contact (or else the conversation), and the direction."""
    assert repr(FULL) == "InboundMessage(type='Email', who='c1', direction='inbound')"
    other = MessageFields(type="SMS", conversation_id="v1")
    assert repr(other) == "MessageFields(type='SMS', who='v1', direction=None)"
    assert repr(Call(status="busy")) == "Call(status='busy')"


@pytest.mark.parametrize(
    "value",
    [
        FULL,
        Call(),
        Record(message=FULL),
        Receipt(message_id="m1"),
        Problem("date", "is odd", "mend it"),
        Refusal(status=400, message="no"),
        Sent(key="k", location_id="l", receipt=Receipt(message_id="m1")),
        Rejected(key="k", location_id="l", reason="no"),
        Unresolved(key="k", location_id="l", reason="no answer"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_public_values_are_frozen(value: msgspec.Struct) -> None:
    """A value that was given to the library does not change under it."""
    name = value.__struct_fields__[0]
    with pytest.raises(AttributeError):
        setattr(value, name, None)


def test_a_problem_reads_as_a_sentence() -> None:
    """Field, what is wrong, what to do."""
    assert str(Problem("date", "has no offset", "add one")) == "date has no offset: add one"


@pytest.mark.parametrize(
    ("refusal", "text"),
    [
        (Refusal(status=400, message="no"), "400 no"),
        (Refusal(status=400, message="no", canonical_code="CODE"), "400 no [CODE]"),
        (Refusal(status=400, message="no", trace_id="t1"), "400 no (trace t1)"),
        (
            Refusal(status=400, message="no", canonical_code="CODE", trace_id="t1"),
            "400 no [CODE] (trace t1)",
        ),
    ],
)
def test_a_refusal_tells_all_that_the_api_told(refusal: Refusal, text: str) -> None:
    """Status and words, and the code and the trace id where there are any."""
    assert str(refusal) == text


def test_a_receipt_takes_the_names_of_the_wire() -> None:
    """Only ``messageId`` is sure to be there."""
    receipt = msgspec.json.decode(b'{"messageId":"m1","dateAdded":"d","more":1}', type=Receipt)
    assert receipt == Receipt(message_id="m1", date_added="d")
