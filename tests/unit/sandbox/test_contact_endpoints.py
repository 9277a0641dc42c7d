from __future__ import annotations

from typing import Any

import orjson
import pytest

from leadconnector_async.sandbox import Fault, SandboxConfig, SandboxContact
from leadconnector_async.sandbox.app import respond
from leadconnector_async.sandbox.state import SandboxState

HEADERS = {"Authorization": "Bearer any", "Version": "2021-07-28"}
PHONE_OWNER = SandboxContact(id="by-phone", phone="+1 (312) 555-0101")
EMAIL_OWNER = SandboxContact(id="by-email", email="Ann@X.example")


def ask(state: SandboxState, method: str, target: str, body: object = None) -> tuple[int, Any]:
    """Send a request; the status and the decoded answer."""
    reply = respond(state, method, target, HEADERS, orjson.dumps(body) if body else b"").reply
    return reply.status, orjson.loads(reply.body)


def known() -> SandboxState:
    """A sandbox with one contact for a number and one for an address."""
    return SandboxState(SandboxConfig(contacts=(PHONE_OWNER, EMAIL_OWNER)))


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("number=%2B13125550101", "by-phone"),
        ("number=+13125550101", None),
        ("email=ann%40x.example", "by-email"),
        ("email=ann%40x.example&number=%2B13125550101", "by-email"),
        ("email=nobody%40x.example", None),
        ("", None),
    ],
)
def test_duplicates_are_found(query: str, found: str | None) -> None:
    """By email first, by number next; a plus sign that is not encoded finds nothing."""
    status, answer = ask(known(), "GET", f"/contacts/search/duplicate?locationId=loc&{query}")
    assert status == 200
    assert (answer["contact"] or {"id": None})["id"] == found


def test_a_contact_is_created_once() -> None:
    """201 the first time; then 400, and the answer names the contact that exists."""
    state = SandboxState(SandboxConfig())
    body = {"locationId": "loc", "phone": "+13125550199", "name": "Ann"}
    status, answer = ask(state, "POST", "/contacts/", body)
    assert status == 201
    contact_id = answer["contact"]["id"]
    status, refused = ask(state, "POST", "/contacts/", body | {"phone": "+1 312 555 0199"})
    assert status == 400
    assert refused["meta"] == {"contactId": contact_id, "matchingField": "phone"}
    assert len(state.contacts.all()) == 1


def test_a_created_contact_can_be_written_to() -> None:
    """A closed sandbox knows it from then on."""
    state = SandboxState(SandboxConfig(closed=True))
    _, answer = ask(state, "POST", "/contacts/", {"locationId": "loc", "phone": "+1312"})
    message = {"type": "SMS", "contactId": answer["contact"]["id"], "message": "hi"}
    assert ask(state, "POST", "/conversations/messages/inbound", message)[0] == 200


def test_upsert_creates_or_changes() -> None:
    """``new`` tells which of the two it did."""
    state = known()
    body = {"locationId": "loc", "email": "ann@x.example", "name": "Ann"}
    status, answer = ask(state, "POST", "/contacts/upsert", body)
    assert (status, answer["new"], answer["contact"]["id"]) == (200, False, "by-email")
    status, answer = ask(state, "POST", "/contacts/upsert", body | {"email": "new@x.example"})
    assert (status, answer["new"]) == (200, True)


def test_upsert_drops_the_phone_of_another_contact() -> None:
    """Email and phone on two contacts: the email's is changed, the phone stays where it is."""
    state = known()
    body = {"locationId": "loc", "email": "ann@x.example", "phone": "+13125550101"}
    _, answer = ask(state, "POST", "/contacts/upsert", body)
    assert answer["contact"]["id"] == "by-email"
    assert "phone" not in answer["contact"]
    _, found = ask(state, "GET", "/contacts/search/duplicate?locationId=loc&number=%2B13125550101")
    assert found["contact"]["id"] == "by-phone"


def test_a_changed_number_is_found_and_the_old_one_is_not() -> None:
    """The index follows the contact."""
    state = known()
    body = {"locationId": "loc", "email": "ann@x.example", "phone": "+111"}
    ask(state, "POST", "/contacts/upsert", body)
    ask(state, "POST", "/contacts/upsert", body | {"phone": "+222"})
    assert state.contacts.find(state.config.location_id, "phone", "+111") is None
    assert state.contacts.find(state.config.location_id, "phone", "+222") is not None


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/contacts/", {"phone": "+1"}, 422),
        ("/contacts/", {"locationId": "loc", "phone": 1}, 422),
        ("/contacts/upsert", {"locationId": "loc", "name": "Ann"}, 400),
    ],
)
def test_wrong_contacts_are_refused(path: str, body: object, status: int) -> None:
    """No location, a field of the wrong shape, nothing to find the contact by."""
    assert ask(SandboxState(SandboxConfig()), "POST", path, body)[0] == status


def test_a_contact_can_be_read() -> None:
    """By its id; one that does not exist is 400."""
    state = known()
    status, answer = ask(state, "GET", "/contacts/by-phone")
    assert (status, answer["contact"]["phone"]) == (200, PHONE_OWNER.phone)
    assert ask(state, "GET", "/contacts/none")[0] == 400


def test_upsert_by_an_additional_address_loses_the_first_one() -> None:
    """The additional address becomes the primary one, and the primary one is gone."""
    owner = SandboxContact(id="c", email="one@x.example", additional_emails=("two@x.example",))
    state = SandboxState(SandboxConfig(contacts=(owner,)))
    body = {"locationId": "loc", "email": "Two@x.example"}
    _, answer = ask(state, "POST", "/contacts/upsert", body)
    assert (answer["new"], answer["contact"]["id"]) == (False, "c")
    assert (answer["contact"]["email"], answer["contact"]["additionalEmails"]) == (
        "Two@x.example",
        [],
    )
    _, found = ask(state, "GET", "/contacts/search/duplicate?locationId=loc&email=one%40x.example")
    assert found["contact"] is None


def test_a_contact_may_be_created_and_refused() -> None:
    """The API has answered 422 to a contact that was there afterwards."""
    state = SandboxState(SandboxConfig(faults=(Fault("422", "after", endpoint="create_contact"),)))
    body = {"locationId": "loc", "phone": "+13125550199"}
    assert ask(state, "POST", "/contacts/", body)[0] == 422
    query = "locationId=loc&number=%2B13125550199"
    assert ask(state, "GET", f"/contacts/search/duplicate?{query}")[1]["contact"] is not None
