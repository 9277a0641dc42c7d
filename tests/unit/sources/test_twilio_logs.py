"""Twilio's logs, in each of the forms in which people have them."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from bad_inputs import parse

from leadconnector_async.models import Contact
from leadconnector_async.sources import SourceOptions

KIM = Contact(phone="+12125550111")
OURS = "+12125550100"
JS_DATE = "Wed Jan 31 2024 10:04:05 GMT-0500 (Eastern Standard Time)"
ISO, RFC = "2024-01-31T15:04:05.000Z", "Wed, 31 Jan 2024 15:04:05 +0000"
STATES = ["received", "delivered", "undelivered", "queued", "canceled", "read", "failed"]


def _resources(date: str | None = ISO, **more: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    kim, ours = KIM.phone, OURS
    return [
        {
            "sid": f"SM{number}",
            "from": kim if state == "received" else ours,
            "to": ours if state == "received" else kim,
            "body": f"text {number}",
            "status": state,
            "direction": "inbound" if state == "received" else "outbound-api",
            "date_created": "2024-01-31T15:04:00Z",
            "date_sent": date,
            "num_media": "0",
            "price": None,
            **more,
        }
        for number, state in enumerate(STATES)
    ]


def _camel(item: dict[str, Any]) -> dict[str, Any]:
    def name(key: str) -> str:
        first, *rest = key.split("_")
        return first + "".join(part.title() for part in rest)

    return {name(key): value for key, value in item.items()}


def _table(names: dict[str, str], rows: list[dict[str, Any]], delimiter: str) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerow(names)
    writer.writerows([row[key] for key in names.values()] for row in rows)
    return out.getvalue().encode()


CSV_NAMES = {
    "SMS Message SID": "sid",
    "From": "from",
    "To": "to",
    "Date Created": "date_created",
    "Date Sent": "date_sent",
    "Status": "status",
    "Direction": "direction",
    "Body": "body",
}
TSV_NAMES = {name: key for name, key in CSV_NAMES.items() if key != "sid"} | {"SID": "sid"}
PAGE = {"first_page_uri": "/x", "messages": _resources(RFC), "next_page_uri": None, "page": 0}
FORMS = {
    "bulk export": (b"\n".join(json.dumps(one).encode() for one in _resources()), ".json"),
    "page of the API": (json.dumps(PAGE, indent=2).encode(), ".json"),
    "command": (json.dumps([_camel(one) for one in _resources()], indent=2).encode(), ".json"),
    "command's table": (_table(TSV_NAMES, _resources(JS_DATE), "\t"), ".tsv"),
    "script's table": (_table(CSV_NAMES, _resources("2024-01-31 15:04:05"), ","), ".csv"),
}


@pytest.mark.parametrize("form", FORMS)
def test_messages_are_recognised_in_each_form(form: str) -> None:
    """Without --mapping: direction, person, date in UTC, text; what never came is left out."""
    parsed, warnings = parse(*FORMS[form])
    rows = [one.row for one in parsed if one.row is not None]
    assert [one.problems for one in parsed if one.problems] == []
    assert [(row.id, row.direction, row.message) for row in rows] == [
        ("SM0", "inbound", "text 0"),
        ("SM1", "outbound", "text 1"),
        ("SM5", "outbound", "text 5"),
    ]
    assert {row.contact for row in rows} == {KIM}
    assert {str(row.date) for row in rows} == {"2024-01-31 15:04:05+00:00"}
    assert [one.left_out for one in parsed if one.left_out] == [
        "messages that were never delivered",
        "messages that were not sent yet",
        "messages that were canceled before they were sent",
        "messages that were never delivered",
    ]
    assert warnings[0] == "its columns are those of --mapping twilio-messages: read by it"


def _message(**fields: Any) -> Any:  # noqa: ANN401
    (one,), _ = parse(json.dumps(_resources(**fields)[0]).encode(), ".json")
    return one


def test_pictures_are_attachments_or_told() -> None:
    """Each URL; a message of a picture alone without one has nothing to send."""
    urls = {"media_url": "https://a.example/0", "MediaUrl1": "https://a.example/1"}
    one = _message(num_media="2", body=None, **urls)
    assert one.row.attachments == list(urls.values())
    assert one.notices == ()
    one = _message(num_media=1)
    assert one.row.attachments is None
    assert one.notices == ("messages had pictures that are not in the log",)
    assert _message(num_media="1", body="").left_out == (
        "messages of pictures alone, which are not in the log"
    )


def test_who_has_no_number_is_of_a_kind() -> None:
    """Ids of other channels, and nobody: each with a reason that can be followed."""
    problem = "contact.phone is {}"
    said = str(_message(**{"from": "messenger:123"}).problems[0])
    assert said.startswith(problem.format("a name in its own system"))
    assert "--leave-out names" in said
    said = str(_message(**{"from": ""}).problems[0])
    assert said.startswith(problem.format("missing: the log names nobody"))
    line = json.dumps(_resources(**{"from": "messenger:123"})[0]).encode()
    (one,), _ = parse(line, ".json", SourceOptions(leave_out=frozenset({"names"})))
    assert one.left_out


def test_a_table_without_the_state_says_so() -> None:
    """Nobody can tell what was never delivered; and one without texts has nothing to read."""
    names = {name: key for name, key in TSV_NAMES.items() if key != "status"}
    parsed, warnings = parse(_table(names, _resources(JS_DATE), "\t"), ".tsv")
    assert len(parsed) == len(STATES)
    assert "no column gives the status: messages that were never delivered are sent" in warnings[1]


CALLS = """Sid,ParentCallSid,From,To,Status,StartTime,Duration,Direction
CA1,,+12125550111,+12125550100,completed,"Wed, 31 Jan 2024 15:04:05 +0000",120,inbound
CA2,CA1,+12125550111,+12125550199,completed,"Wed, 31 Jan 2024 15:04:06 +0000",117,outbound-dial
CA3,,+12125550111,+12125550199,completed,"Wed, 31 Jan 2024 15:04:06 +0000",117,outbound-dial
CA4,,+266696687,+12125550100,no-answer,"Wed, 31 Jan 2024 15:04:05 +0000",0,inbound
CA5,,Anonymous,+12125550100,completed,"Wed, 31 Jan 2024 15:04:05 +0000",10,inbound
CA6,,client:kim,+12125550111,busy,"Wed, 31 Jan 2024 15:04:05 +0000",0,outbound-dial
CA7,,+12125550100,+12125550111,ringing,,0,outbound-api
"""


def test_calls_are_whole_calls() -> None:
    """Legs of others, hidden callers and what is not over yet are left out; durations are told."""
    options = SourceOptions(leave_out=frozenset({"withheld"}))
    parsed, _ = parse(CALLS.encode(), ".csv", options)
    rows = [one.row for one in parsed if one.row is not None]
    assert [(row.id, row.direction, row.contact) for row in rows] == [
        ("CA1", "inbound", KIM),
        ("CA6", "outbound", KIM),
    ]
    assert [row.call.status for row in rows if row.call] == ["completed", "busy"]
    assert [(one.line, one.left_out) for one in parsed if one.left_out] == [
        (3, "legs of other calls"),
        (4, "legs of other calls"),
        (5, "withheld numbers"),
        (6, "withheld numbers"),
        (8, "calls that were not over yet"),
    ]
    assert [one.notices for one in parsed if one.row] == [(), ()]
    assert [row.message for row in rows] == ["Duration: 0:02:00", None]
    refused = [str(one.problems[0]) for one in parse(CALLS.encode(), ".csv")[0] if one.problems]
    assert len(refused) == 2
    assert all("is withheld" in said and "--leave-out withheld" in said for said in refused)


def test_calls_of_the_api_are_recognised() -> None:
    """Whose keys are those of messages too, but for the duration."""
    call = {
        "sid": "CA1",
        "parent_call_sid": None,
        "from": KIM.phone,
        "to": OURS,
        "duration": "5",
        "status": "completed",
        "direction": "inbound",
        "start_time": RFC,
        "date_created": RFC,
    }
    (one,), _ = parse(json.dumps({"calls": [call]}, indent=1).encode(), ".json")
    assert one.row is not None
    assert (one.row.type, str(one.row.date)) == ("Call", "2024-01-31 15:04:05+00:00")


EXPORT = {
    "id": "m1",
    "type": 2,
    "messageType": "TYPE_SMS",
    "locationId": "old",
    "contactId": "old",
    "conversationId": "old",
    "dateAdded": ISO,
    "body": "hi",
    "direction": "inbound",
    "status": "delivered",
    "contentType": "text/plain",
    "attachments": [],
    "source": "app",
}


def test_highlevels_own_export_needs_numbers() -> None:
    """The ids are the old account's; activity is no message; an address does as well."""
    activity = EXPORT | {"messageType": "TYPE_ACTIVITY_OPPORTUNITY"}
    mail = EXPORT | {"messageType": "TYPE_EMAIL", "contactEmail": "kim@example.com"}
    content = json.dumps({"messages": [EXPORT, activity, mail], "nextCursor": None}).encode()
    (bad, left, good), _ = parse(content, ".json")
    assert str(bad.problems[0]).startswith("contact.phone is missing: add the contact's number")
    assert left.left_out == "entries of activity and comments, which are no messages"
    assert good.row is not None
    assert (good.row.type, good.row.contact) == ("Email", Contact(email="kim@example.com"))
    assert (good.row.contact_id, good.row.conversation_id, good.row.location_id) == (None,) * 3
