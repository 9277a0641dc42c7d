from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from leadconnector_async.models import Contact, Problem
from leadconnector_async.records.builder import RowDrafter
from leadconnector_async.records.deferred import Deferred, read_deferred
from leadconnector_async.records.keys import key_text
from leadconnector_async.sources import Identity, Parsed, SourceRow

if TYPE_CHECKING:
    from pathlib import Path

    from leadconnector_async.records.draft import Draft

DRAFTER = RowDrafter("home", now_ms=1_000)


def row(**changes: object) -> SourceRow:
    """A good row with changes."""
    fields: dict[str, object] = {
        "type": "SMS",
        "contact_id": "c1",
        "direction": "inbound",
        "date": datetime(2024, 1, 1, tzinfo=UTC),
        "message": "hi",
    }
    return SourceRow(**(fields | changes))  # type: ignore[arg-type]  # what a test names


def parsed(row: SourceRow) -> Parsed:
    """The row as a source gives it."""
    return Parsed(7, b"raw", row, ())


def test_what_is_beside_the_message_is_not_sent() -> None:
    """The body has the API's fields, and the draft the place and the record as it stood."""
    draft = DRAFTER.draft_of(parsed(row(id="m1", location_id="there", outbox_key="m0")))
    assert json.loads(draft.payload or b"").keys() == {
        *("type", "contactId", "direction", "date", "message")
    }
    assert (draft.location, draft.line, draft.raw) == ("there", 7, b"raw")
    assert (key_text(draft.key), draft.own) == ("m0", b"im1")


def test_a_contact_that_needs_no_look_up_is_not_sent() -> None:
    """Its id is there: of its number and name the API is told nothing."""
    draft = DRAFTER.draft_of(parsed(row(contact=Contact(phone="+12125550101", name="Kim"))))
    assert draft.payload == DRAFTER.draft_of(parsed(row())).payload
    assert draft.deferred is None


def test_a_record_without_a_location_belongs_to_the_default_one() -> None:
    """And without a default it is refused, with the way out."""
    assert DRAFTER.draft_of(parsed(row())).location == "home"
    refused = RowDrafter(None, now_ms=0).draft_of(parsed(row()))
    assert refused.payload is None
    assert "give --location" in (refused.problem or "")


def test_a_record_without_a_date_comes_after_what_happened_before_the_reading() -> None:
    """It is sorted under the moment of the reading."""
    assert DRAFTER.draft_of(parsed(row(date=None))).date == 1_000


def test_a_record_that_breaks_a_rule_is_kept_with_every_problem() -> None:
    """It has no body, and can be given back."""
    draft = DRAFTER.draft_of(parsed(row(direction=None, message=None)))
    assert draft.payload is None
    assert "direction is missing" in (draft.problem or "")
    assert "message is missing" in (draft.problem or "")


def test_a_mended_record_replaces_the_one_of_its_outbox_key() -> None:
    """Whether it is good now, or still bad, or could not even be read."""
    first = DRAFTER.draft_of(parsed(row(direction=None)))
    key = key_text(first.key)
    mended = DRAFTER.draft_of(parsed(row(outbox_key=key)))
    still_bad = DRAFTER.draft_of(parsed(row(outbox_key=key, direction=None)))
    problem = Problem("date", "is wrong", "mend it")
    unread = DRAFTER.draft_of(Parsed(2, b"other", None, (problem,), Identity(None, "there", key)))
    assert first.key == mended.key == still_bad.key == unread.key
    assert mended.payload is not None
    assert not mended.counted
    assert unread.location == "there"


def test_a_record_that_cannot_be_read_at_all_is_known_by_its_text() -> None:
    """The same line again is the same record."""
    problem = Problem("line", "is no JSON", "mend it")
    one = DRAFTER.draft_of(Parsed(1, b"{", None, (problem,)))
    two = DRAFTER.draft_of(Parsed(9, b"{", None, (problem,)))
    other = DRAFTER.draft_of(Parsed(1, b"}", None, (problem,)))
    assert one.key == two.key != other.key


def test_a_provider_is_given_to_those_that_name_none() -> None:
    """By location and type. A further provider of SMS takes them as custom messages."""
    known = {"home": {"Custom": "p1", "Call": "p1"}, "there": {"SMS": "p3"}}
    drafter = RowDrafter("home", now_ms=0, providers=lambda location: known[location])

    def sent(**changes: object) -> tuple[object, object]:
        body = json.loads(drafter.draft_of(parsed(row(**changes))).payload or b"")
        return body["type"], body.get("conversationProviderId")

    assert sent(type="Custom") == ("Custom", "p1")
    assert sent(type="Call", message=None) == ("Call", "p1")
    assert sent(type="Custom", conversation_provider_id="p2") == ("Custom", "p2")
    assert sent() == ("SMS", None)
    assert sent(location_id="there") == ("Custom", "p3")


def test_a_record_stays_the_same_whatever_provider_it_goes_through() -> None:
    """Its key is that of the type that its source gives."""
    through = RowDrafter("home", now_ms=0, providers=lambda _: {"SMS": "p3"})
    assert through.draft_of(parsed(row())).key == DRAFTER.draft_of(parsed(row())).key


@pytest.mark.parametrize("field", ["message", "subject", "html"])
def test_a_nul_is_refused_and_the_record_keeps_what_names_it(field: str) -> None:
    """It is seen in the encoded body, in which the record's id and location do not stand."""
    fields = {"type": "Email", "html": "<p>hi</p>", field: "a\0b"}
    draft = DRAFTER.draft_of(parsed(row(id="m1", location_id="there", **fields)))
    assert (draft.payload, draft.location, key_text(draft.key)) == (None, "there", "m1")
    assert (draft.problem or "").startswith(f"{field} has a NUL character")
    told = DRAFTER.draft_of(parsed(row(id="m2", message="C:\\u0000")))
    assert json.loads(told.payload or b"")["message"] == "C:\\u0000"


def late_of(draft: Draft) -> Deferred:
    """The deferred parts of a draft; empty where it has none."""
    return read_deferred(draft.deferred or "{}")


def test_nearly_all_records_have_no_late_parts() -> None:
    """Nothing is kept for them."""
    assert DRAFTER.draft_of(parsed(row())).deferred is None
    call = row(type="Call", conversation_provider_id="p")
    assert DRAFTER.draft_of(parsed(call)).deferred is None


def test_a_contact_is_late_where_no_id_is_known() -> None:
    """Its body names nobody."""
    kim = Contact(phone="+12125550101")
    draft = DRAFTER.draft_of(parsed(row(contact_id=None, contact=kim)))
    assert late_of(draft) == Deferred(contact=kim)
    assert not {"contactId", "contact"} & json.loads(draft.payload or b"").keys()
    assert DRAFTER.draft_of(parsed(row(contact=kim))).deferred is None


def test_a_name_alone_is_nobody() -> None:
    """Else all who have no number would be one contact."""
    draft = DRAFTER.draft_of(parsed(row(contact_id=None, contact=Contact(name="Kim"))))
    assert "contactId is missing" in (draft.problem or "")


@pytest.mark.parametrize(
    ("fields", "deferred"),
    [
        ({"alt_id": "m"}, Deferred(mail="m")),
        ({"alt_id": "m", "in_reply_to": ["q"]}, Deferred(mail="m", answers=["q"])),
        ({"in_reply_to": ["q"]}, Deferred(answers=["q"])),
        ({}, Deferred()),
    ],
)
def test_a_mail_tells_its_thread(fields: dict[str, object], deferred: Deferred) -> None:
    """By its own id and by those that it answers, which are not part of its body."""
    draft = DRAFTER.draft_of(parsed(row(type="Email", **fields)))
    assert late_of(draft) == deferred
    assert "inReplyTo" not in json.loads(draft.payload or b"")


def test_an_outbound_call_is_one() -> None:
    """It goes to another endpoint."""
    call = row(type="Call", conversation_provider_id="p", direction="outbound")
    assert late_of(DRAFTER.draft_of(parsed(call))).outbound_call


def test_files_are_late_and_urls_beside_them_are_checked(tmp_path: Path) -> None:
    """All stay in their order, and the body has none of them."""
    (tmp_path / "a.png").write_bytes(b"a")
    local, far = (tmp_path / "a.png").as_uri(), "https://x/y"
    draft = DRAFTER.draft_of(parsed(row(message=None, attachments=[far, local])))
    assert [item for item in late_of(draft).attachments if isinstance(item, str)] == [far]
    assert len(late_of(draft).files) == 1
    assert "attachments" not in json.loads(draft.payload or b"")
    bad = DRAFTER.draft_of(parsed(row(attachments=["ftp://x/y", local])))
    assert "attachments has an entry that is no URL" in (bad.problem or "")
    lost = DRAFTER.draft_of(parsed(row(attachments=[local, f"{local}.gone.png"])))
    assert "item 2 cannot be read" in (lost.problem or "")
