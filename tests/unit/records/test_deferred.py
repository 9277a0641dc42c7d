from __future__ import annotations

import json

from leadconnector_async.models import Contact
from leadconnector_async.records.deferred import Deferred, LocalFile, read_deferred, with_contact

FULL = Deferred(
    contact=Contact(phone="+1", name="Kim"),
    attachments=["https://x/y", LocalFile("/secret/a.png", "d1"), LocalFile("/b.pdf", "d2")],
    mail="m1",
    answers=["m0"],
    outbound_call=True,
)


def test_late_parts_are_read_as_they_were_written() -> None:
    """Files stay files, and URLs stay URLs, in their order."""
    assert read_deferred(FULL.encoded()) == FULL
    assert [file.digest for file in FULL.files] == ["d1", "d2"]


def test_nothing_late_is_false_and_short() -> None:
    """So nearly all records keep nothing of it."""
    assert not Deferred()
    assert Deferred().encoded() == "{}"
    assert FULL


def test_a_file_does_not_show_where_it_lies() -> None:
    """Names of files can be private."""
    assert "secret" not in repr(FULL)


def test_a_contact_is_put_into_a_body() -> None:
    """As sources name it; a body that cannot be read stays as it is."""
    body = with_contact(b'{"type":"SMS"}', Contact(phone="+1"))
    assert json.loads(body) == {"type": "SMS", "contact": {"phone": "+1"}}
    assert with_contact(b"{}", None) == b"{}"
    odd = Contact(phone=object())  # type: ignore[arg-type]  # what a program may do
    assert with_contact(b"{}", odd) == b"{}"
