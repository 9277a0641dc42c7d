"""What LeadConnector's own export of messages gave to somebody."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from leadconnector_async.records.builder import check_row
from leadconnector_async.sources import Parsed, open_source

if TYPE_CHECKING:
    from pathlib import Path

PROVIDER = "61d6d1f9cdac7612faf80753"


def message(number: int, **fields: object) -> dict[str, object]:
    """An entry of the export, to which somebody added the contact's number."""
    return {
        "id": f"oldMessage{number}",
        "type": 2,
        "messageType": "TYPE_SMS",
        "locationId": "oldLocation",
        "contactId": "oldContact",
        "conversationId": "oldConversation",
        "dateAdded": f"2024-03-27T18:13:{number:02}.000Z",
        "body": "Hi there",
        "direction": "inbound",
        "status": "delivered",
        "contentType": "text/plain",
        "attachments": [],
        "contactPhone": "+13035550142",
        **fields,
    }


def page(*messages: object, **fields: object) -> dict[str, object]:
    """An answer of the export."""
    return {"messages": list(messages), "total": 4, **fields}


def read(folder: Path, text: str) -> list[Parsed]:
    """All records of a file."""
    path = folder / "export.json"
    path.write_text(text)
    with open_source(str(path)) as source:
        return list(source)


A, B = page(message(1), message(2), nextCursor="x"), page(message(3), message(4), nextCursor=None)


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(page(*(message(n) for n in range(1, 5)))),
        json.dumps({"messages": page(*(message(n) for n in range(1, 5)))}),
        json.dumps(A) + "\n" + json.dumps(B),
        json.dumps(A) + json.dumps(B),
        json.dumps(A, indent=2) + "\n" + json.dumps(B, indent=2),
        json.dumps([A, B]),
        "\n".join(json.dumps(message(n)) for n in range(1, 5)),
        json.dumps(page()) + "\n" + json.dumps(A) + "\n" + json.dumps(B),
    ],
)
def test_pages_are_read_however_they_were_kept(tmp_path: Path, text: str) -> None:
    """One or several, a line each or not, in a list, an empty one among them."""
    rows = [parsed.row for parsed in read(tmp_path, text)]
    assert [row and row.id for row in rows] == [f"oldMessage{n}" for n in range(1, 5)]
    assert all(row and row.location_id is row.contact_id is row.conversation_id for row in rows)


def test_a_page_without_messages_holds_no_records(tmp_path: Path) -> None:
    """An export of an empty location is no record that is wrong."""
    assert read(tmp_path, json.dumps(page())) == []


def test_the_text_of_a_mail_is_html_where_it_says_so(tmp_path: Path) -> None:
    """Of mails alone: in a chat it is text."""
    html = {"contentType": "text/html", "body": "<p>Hi</p>"}
    mail, plain, chat = read(
        tmp_path,
        json.dumps(
            page(
                message(1, messageType="TYPE_EMAIL", **html),
                message(2, messageType="TYPE_EMAIL"),
                message(3, messageType="TYPE_WEBCHAT", **html),
            )
        ),
    )
    assert mail.row is not None
    assert plain.row is not None
    assert chat.row is not None
    assert (mail.row.html, mail.row.message) == ("<p>Hi</p>", None)
    assert (plain.row.html, plain.row.message) == (None, "Hi there")
    assert (chat.row.html, chat.row.message) == (None, "<p>Hi</p>")


TYPES = tuple(
    """
CALL SMS RCS EMAIL SMS_REVIEW_REQUEST WEBCHAT SMS_NO_SHOW_REQUEST CAMPAIGN_SMS CAMPAIGN_CALL
CAMPAIGN_EMAIL CAMPAIGN_VOICEMAIL FACEBOOK CAMPAIGN_FACEBOOK CAMPAIGN_MANUAL_CALL
CAMPAIGN_MANUAL_SMS GMB CAMPAIGN_GMB REVIEW INSTAGRAM WHATSAPP CUSTOM_SMS CUSTOM_EMAIL
CUSTOM_PROVIDER_SMS CUSTOM_PROVIDER_EMAIL IVR_CALL ACTIVITY_CONTACT ACTIVITY_INVOICE
ACTIVITY_PAYMENT ACTIVITY_OPPORTUNITY LIVE_CHAT LIVE_CHAT_INFO_MESSAGE ACTIVITY_APPOINTMENT
FACEBOOK_COMMENT INSTAGRAM_COMMENT CUSTOM_CALL INTERNAL_COMMENT ACTIVITY_EMPLOYEE_ACTION_LOG
TIKTOK TIKTOK_COMMENT ACTIVITY_WHATSAPP FORM_SUBMISSION SMS_REACTION
""".split()  # noqa: SIM905 - as a list it fills a page
)
"""Those of ``GetMessageResponseDto`` in the OpenAPI file for conversations."""


@pytest.mark.parametrize("name", TYPES)
def test_every_type_of_the_api_has_a_fate(tmp_path: Path, name: str) -> None:
    """It is a type that can be imported, or is left out with words that say what it is."""
    (found,) = read(tmp_path, json.dumps(page(message(1, messageType=f"TYPE_{name}"))))
    assert found.left_out or not check_row(found, {"Custom": PROVIDER, "Call": PROVIDER}).problems
    no_message = ("ACTIVITY", "COMMENT", "REVIEW", "REACTION", "INFO")
    if any(part in name for part in no_message) and name != "SMS_REVIEW_REQUEST":
        assert found.left_out


def test_a_type_that_nobody_knows_is_a_problem_of_its_record(tmp_path: Path) -> None:
    """So it is on the list of failed records, and not gone."""
    (found,) = read(tmp_path, json.dumps(page(message(1, messageType="TYPE_TELEPATHY"))))
    assert [problem.field for problem in found.problems] == ["type"]


@pytest.mark.parametrize(
    ("status", "fields", "left_out"),
    [
        ("scheduled", {}, "messages that were not sent yet"),
        ("failed", {}, "messages that were never delivered"),
        ("undelivered", {}, "messages that were never delivered"),
        ("failed", {"messageType": "TYPE_CALL"}, None),
        ("read", {}, None),
    ],
)
def test_what_never_arrived_is_left_out(
    tmp_path: Path, status: str, fields: dict[str, Any], left_out: str | None
) -> None:
    """A call that failed is a call all the same."""
    (found,) = read(tmp_path, json.dumps(page(message(1, status=status, **fields))))
    assert found.left_out == left_out


def test_what_of_a_call_does_not_come_along_is_told(tmp_path: Path) -> None:
    """Whichever way the API writes its status, once."""
    meta = {"call": {"duration": 120, "status": "completed"}, "callStatus": "completed"}
    (found,) = read(tmp_path, json.dumps(page(message(1, messageType="TYPE_CALL", meta=meta))))
    assert found.row is not None
    assert found.row.call is not None
    assert found.row.call.status == "completed"
    assert found.row.message == "Hi there\nDuration: 0:02:00"
    (notice,) = found.notices
    assert "recordings" in notice
