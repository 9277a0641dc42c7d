from __future__ import annotations

from datetime import UTC, datetime

from leadconnector_async.models import Call, Contact
from leadconnector_async.sources import Identity, SourceOptions, SourceRow
from leadconnector_async.sources.mappings.coerce import RowCoercer, identity_of


def test_every_field_finds_its_place() -> None:
    """Named values become a row, dotted ones its call."""
    values = {
        "type": "Call",
        "contactId": "c",
        "conversationId": "v",
        "conversationProviderId": "p",
        "direction": "outbound",
        "date": "2024-01-31T09:30:00Z",
        "message": "m",
        "subject": "s",
        "html": "h",
        "emailFrom": "f",
        "emailTo": "t",
        "emailCc": ["cc"],
        "emailBcc": ["bcc"],
        "emailMessageId": "e",
        "altId": 8,
        "attachments": ["https://a.example/a"],
        "inReplyTo": ["m1", "m0"],
        "contact.phone": "+1 (212) 555-0100",
        "contact.email": "Me@Example.com",
        "contact.name": " Kim ",
        "call.to": "+1",
        "call.from": "+2",
        "call.status": "no-answer",
        "id": 9,
        "locationId": "l",
        "outboxKey": "k",
    }
    row, problems = RowCoercer(SourceOptions(undated="now")).row(values)
    assert problems == ()
    assert row == SourceRow(
        type="Call",
        contact_id="c",
        conversation_id="v",
        conversation_provider_id="p",
        direction="outbound",
        date=datetime(2024, 1, 31, 9, 30, tzinfo=UTC),
        message="m",
        subject="s",
        html="h",
        email_from="f",
        email_to="t",
        email_cc=["cc"],
        email_bcc=["bcc"],
        email_message_id="e",
        alt_id="8",
        attachments=["https://a.example/a"],
        in_reply_to=["m1", "m0"],
        contact=Contact(phone="+12125550100", email="me@example.com", name="Kim"),
        call=Call(to="+1", from_="+2", status="no-answer"),
        id="9",
        location_id="l",
        outbox_key="k",
    )


def test_all_problems_of_a_record_are_told_at_once() -> None:
    """Whoever mends a record mends it once."""
    values = {"type": "sms", "message": 5, "date": "now", "contactId": "c"}
    row, problems = RowCoercer(SourceOptions(undated="now")).row(values)
    assert row is None
    assert [problem.field for problem in problems] == ["type", "message", "date"]


def test_a_missing_direction_is_told_beside_what_cannot_be_read() -> None:
    """The rules of the type, which tell it else, are not tried on such a record."""
    _, problems = RowCoercer(SourceOptions()).row({"type": "SMS", "date": "31.13.2024"})
    assert [problem.field for problem in problems] == ["date", "direction"]


def test_a_missing_type_is_a_problem_beside_the_others() -> None:
    """No type is guessed; null is as good as nothing."""
    row, problems = RowCoercer(SourceOptions(undated="now")).row({"type": None, "message": 5})
    assert row is None
    assert [str(problem).split(":")[0] for problem in problems] == [
        "type is missing",
        "message is a number",
    ]


def test_names_that_are_not_known_are_collected_and_bounded() -> None:
    """They are warned of once, and cannot fill the memory."""
    coercer = RowCoercer(SourceOptions(undated="now"))
    for number in range(1000):
        assert coercer.row({"type": "SMS", "note": "x", f"key{number}": 1})[1] == ()
    assert len(coercer.unknown) == 100
    assert next(iter(coercer.unknown)) == "note"


def test_a_misspelt_field_is_refused_unless_the_right_one_is_there() -> None:
    """Passing it over would lose what it holds."""
    coercer = RowCoercer(SourceOptions(undated="now"))
    row, problems = coercer.row({"type": "SMS", "contact_id": "c"})
    assert row is None
    assert str(problems[0]) == (
        'contactId is spelled "contact_id": write "contactId", or give --map contactId=contact_id'
    )
    row, problems = coercer.row({"type": "SMS", "contact_id": "c", "contactId": "d"})
    assert row is not None
    assert row.contact_id == "d"
    assert list(coercer.unknown) == ["contact_id"]


def test_an_empty_call_is_none() -> None:
    """A call without anything in it is no call."""
    row, _ = RowCoercer(SourceOptions(undated="now")).row({"type": "Call", "call.to": None})
    assert row is not None
    assert row.call is None


def test_a_refused_record_still_says_which_it_is() -> None:
    """So that a record which is mended by half does not become a second one."""
    assert identity_of({"id": 7, "outboxKey": "k", "type": "sms"}) == Identity("7", None, "k")
    assert identity_of({"id": True, "locationId": "a\udce9"}) == Identity(None, None, None)
