from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from leadconnector_async import Contact, InboundMessage, Record
from leadconnector_async.records.builder import RecordBuilder
from leadconnector_async.records.deferred import read_deferred

WHEN = datetime(2024, 1, 1, tzinfo=UTC)
KIM = Contact(phone="+1 212 555 0101", name="Kim")


def record(contact: Contact | None = KIM, **fields: Any) -> Record:  # noqa: ANN401 - any field
    """A good message that names its contact."""
    message = InboundMessage(
        **{"type": "SMS", "direction": "inbound", "date": WHEN, "message": "hi", **fields}
    )
    return Record(message=message, contact=contact)


BUILDER = RecordBuilder(lambda location: location or "home")


def test_a_contact_that_is_named_is_looked_up_later() -> None:
    """In one spelling; its body says nothing of it."""
    draft = BUILDER.draft_of(record())
    assert draft.deferred is not None
    assert read_deferred(draft.deferred).contact == Contact(phone="+12125550101", name="Kim")
    assert "contact" not in json.loads(draft.payload or b"")
    assert draft.key == BUILDER.draft_of(record(Contact(phone="+12125550101"))).key


@pytest.mark.parametrize("field", ["contact_id", "conversation_id"])
def test_an_id_goes_before_a_name(field: str) -> None:
    """Then nothing is looked up."""
    assert BUILDER.draft_of(record(KIM, **{field: "x"})).deferred is None


def test_an_id_makes_a_message_without_a_date_the_same_one() -> None:
    """Submitted again it is known; without either it is a record of its own each time."""
    message = record(None, contact_id="c1", date=None).message
    keys = [
        BUILDER.draft_of(Record(message=message, id=id_), alone=True).key
        for id_ in ("m1", "m1", None, None)
    ]
    assert keys[:2] == [b"im1", b"im1"]
    assert len({*keys}) == 3


def test_a_wrong_contact_refuses_its_record_and_is_kept() -> None:
    """In the form in which sources name it, so that the list of failed ones can be mended."""
    draft = BUILDER.draft_of(record(Contact(phone="555 0101")))
    assert draft.payload is None
    assert draft.problem == "contact.phone is no number in E.164: write it as +12125550100"
    assert json.loads(draft.raw or b"")["contact"] == {"phone": "555 0101"}


def test_a_message_without_anybody_is_refused() -> None:
    """As ever."""
    assert "contactId is missing" in (BUILDER.draft_of(record(None)).problem or "")


def test_an_outbound_call_goes_to_the_endpoint_for_those() -> None:
    """As one from a file does. An inbound one needs nothing else."""
    fields = {"type": "Call", "contact_id": "c1", "conversation_provider_id": "p", "message": None}
    made = BUILDER.draft_of(record(None, **fields, direction="outbound"))
    assert made.deferred is not None
    assert read_deferred(made.deferred).outbound_call
    assert BUILDER.draft_of(record(None, **fields)).deferred is None


@pytest.mark.parametrize("key", [17, b"17", UUID(int=17)])
def test_an_id_that_is_no_text_refuses_its_record(key: object) -> None:
    """Such as the number of a database's row. Those beside it are sent, as with any other fault."""
    draft = BUILDER.draft_of(Record(message=record(None, contact_id="c1").message, id=key))  # type: ignore[arg-type]
    assert draft.payload is None
    assert draft.problem == "id has a wrong type: give it as text"
