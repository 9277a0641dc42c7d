"""Mails that SMS Backup+ has made of a telephone's messages and calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from mails import ME

from leadconnector_async import Contact
from leadconnector_async.sources.formats.mailbox import MailReader
from leadconnector_async.sources.formats.mbox import MailPiece

if TYPE_CHECKING:
    from leadconnector_async.sources import Parsed

KIM = '"Kim" <+12125550142@unknown.email>'


def _parsed(kind: str, state: str, *, address: str = "2125550142") -> Parsed:
    head = f"From: {KIM}\nTo: me@example.com\nSubject: SMS with Kim\nMessage-ID: <a@sms.local>\n"
    head += "Date: Fri, 01 Mar 2024 15:05:01 +0000\n"
    head += f"X-smssync-address: {address}\nX-smssync-datatype: {kind}\nX-smssync-type: {state}\n"
    content = f"{head}\nAre you open?\n".encode()
    options = msgspec.structs.replace(ME, region="US")
    return MailReader("inbox", options).parsed(MailPiece(1, content, len(content)))


@pytest.mark.parametrize(
    ("kind", "state", "made"),
    [
        ("SMS", "1", ("SMS", "inbound")),
        ("SMS", "2", ("SMS", "outbound")),
        ("MMS", "132", ("SMS", "inbound")),
        ("MMS", "128", ("SMS", "outbound")),
        ("WHATSAPP", "", ("WhatsApp", "inbound")),
    ],
)
def test_a_message_is_no_mail(kind: str, state: str, made: tuple[str, str]) -> None:
    """It is with a number, and not with an address that nobody has."""
    row = _parsed(kind, state).row
    assert row is not None
    assert (row.type, row.direction) == made
    assert row.contact == Contact(phone="+12125550142", name="Kim")
    assert (row.message, row.subject, row.email_from, row.alt_id) == (
        "Are you open?",
        None,
        None,
        None,
    )


@pytest.mark.parametrize(
    ("state", "made"),
    [
        ("1", ("inbound", "completed")),
        ("2", ("outbound", "completed")),
        ("3", ("inbound", "no-answer")),
    ],
)
def test_a_call_is_one(state: str, made: tuple[str, str]) -> None:
    """With how it ended, and the number at its end."""
    row = _parsed("CALLLOG", state).row
    assert row is not None
    assert row.call is not None
    assert (row.type, row.direction, row.call.status) == ("Call", *made)
    assert (row.call.to or row.call.from_) == "+12125550142"


def test_what_was_never_sent_is_left_out_and_a_number_that_is_none_refused() -> None:
    """As in a telephone's own backup."""
    assert [_parsed("SMS", state).left_out for state in "35"] == [
        "drafts",
        "messages that were never sent",
    ]
    for kind in ("SMS", "CALLLOG"):
        problems = _parsed(kind, "1", address="-1").problems
        assert [problem.field for problem in problems] == ["contact.phone"]
