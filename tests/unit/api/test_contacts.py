from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
import pytest
from steps_kit import HTML, Played, answer

from leadconnector_async.api.contacts import find_contact, upsert_contact
from leadconnector_async.api.effects import StepFailedError, StepRefusedError
from leadconnector_async.models import Contact, UpsertedContact

if TYPE_CHECKING:
    from leadconnector_async.policy import ContactMode

KIM = Contact(phone="+12125550101", email="kim@example.org", name="Kim")
FOUND, NONE = answer(200, b'{"contact":{"id":"k"}}'), answer(200, b'{"contact":null}')
BY_NUMBER = "GET /contacts/search/duplicate?locationId=l&number=%2B12125550101"
BY_ADDRESS = "GET /contacts/search/duplicate?locationId=l&email=kim%40example.org"


@pytest.mark.parametrize(
    ("mode", "answers", "asked"),
    [
        ("find", [FOUND], [BY_NUMBER]),
        ("find", [NONE, FOUND], [BY_NUMBER, BY_ADDRESS]),
        ("find", [answer(404), FOUND], [BY_NUMBER, BY_ADDRESS]),
        ("create", [FOUND], [BY_NUMBER]),
        ("create", [NONE, NONE, FOUND], [BY_NUMBER, BY_ADDRESS, "POST /contacts/"]),
        ("upsert", [FOUND], [BY_NUMBER]),
        ("upsert", [NONE, NONE, FOUND], [BY_NUMBER, BY_ADDRESS, "POST /contacts/"]),
    ],
)
def test_what_is_asked_in_which_mode(mode: ContactMode, answers: list, asked: list[str]) -> None:  # type: ignore[type-arg]
    """By number, by address, then by making one: as far as needed. A plus is encoded."""
    played = Played(find_contact("l", KIM, mode), answers)
    assert (played.result, played.asked) == ("k", asked)
    assert {request.version for request in played.requests} == {"2021-07-28"}


def test_what_is_known_of_a_contact_is_given_on() -> None:
    """And what is not known is left out."""
    played = Played(find_contact("l", Contact(phone="+1", name="Kim"), "create"), [NONE, FOUND])
    body = json.loads(played.requests[1].body or b"")
    assert body == {"locationId": "l", "phone": "+1", "name": "Kim"}


def test_what_a_record_says_itself_is_looked_for_before_what_else_is_known() -> None:
    """Who it is may be told by others; then the contact is made with all of it."""
    mine = Contact(email="kim@example.org")
    played = Played(find_contact("l", mine, "create", KIM), [NONE, NONE, FOUND])
    assert played.asked == [BY_ADDRESS, BY_NUMBER, "POST /contacts/"]
    body = json.loads(played.requests[2].body or b"")
    assert body == {"locationId": "l", **msgspec.to_builtins(KIM)}


def test_an_upsert_tells_what_the_contact_has_not_got() -> None:
    """Of what was given; an answer that names nobody tells nothing."""
    by_number = Contact(phone="+12125550101")
    shown = answer(200, b'{"new":true,"contact":{"id":"k","phone":"+12125550101","email":"x@y.z"}}')
    for whom, dropped in ((by_number, ()), (KIM, ("email",))):
        upserted = Played(upsert_contact("l", whom), [shown]).result
        assert isinstance(upserted, UpsertedContact)
        assert (upserted.new, upserted.dropped) == (True, dropped)
    with pytest.raises(StepFailedError, match="names none"):
        Played(upsert_contact("l", KIM), [answer(200, b'{"new":true,"contact":{}}')])


def test_a_contact_that_is_not_there_is_not_made_where_that_is_not_wanted() -> None:
    """Only ``find`` ends so."""
    with pytest.raises(StepRefusedError, match="no contact has this number or address"):
        Played(find_contact("l", KIM, "find"), [NONE, NONE])


@pytest.mark.parametrize("status", [400, 409])
def test_a_refused_duplicate_names_the_contact(status: int) -> None:
    """That is as good as a success."""
    body = b'{"message":"no duplicates","meta":{"contactId":"k","matchingField":"phone"}}'
    played = Played(find_contact("l", KIM, "create"), [NONE, NONE, answer(status, body)])
    assert played.result == "k"


@pytest.mark.parametrize(
    "body",
    [b"", HTML, b"{}", b'{"meta":null}', b'{"meta":{"contactId":""}}',
     b'{"meta":' + b"[" * 100_000, b"\xff"],
)  # fmt: skip
def test_a_refusal_that_names_no_contact_is_one(body: bytes) -> None:
    """Whatever its body is."""
    with pytest.raises(StepRefusedError, match=r"^the contact could not be created: 400"):
        Played(find_contact("l", KIM, "create"), [NONE, NONE, answer(400, body), NONE, NONE])


def test_what_one_entry_says_wrong_costs_that_entry() -> None:
    """Ids may be numbers; an entry that is no contact is passed over."""
    found = answer(200, b'{"contacts":["x",{"id":null},{"id":7,"phone":"+12125550101"}]}')
    assert Played(find_contact("l", KIM, "find"), [found]).result == "7"
    made = answer(201, b'{"contact":{"id":8,"phone":5}}')
    assert Played(find_contact("l", KIM, "create"), [NONE, NONE, made]).result == "8"
    duplicate = answer(400, b'{"meta":{"contactId":9}}')
    assert Played(find_contact("l", KIM, "create"), [NONE, NONE, duplicate]).result == "9"


def test_a_contact_that_is_not_found_is_absent_by_400_too() -> None:
    """As by 404: it is created."""
    absent = answer(400, b'{"message":"Contact not found"}')
    made = answer(201, b'{"contact":{"id":"k"}}')
    assert Played(find_contact("l", KIM, "create"), [absent, absent, made]).result == "k"


@pytest.mark.parametrize("status", [408, 500, 502, 503])
def test_trouble_names_no_contact_whatever_its_body_says(status: int) -> None:
    """A duplicate is a refusal, and nothing else is believed."""
    named = answer(status, b'{"meta":{"contactId":"x"}}')
    with pytest.raises(StepFailedError):
        Played(find_contact("l", KIM, "create"), [NONE, NONE, named])


@pytest.mark.parametrize(
    "body", [b"", HTML, b'{"contact":null}', b'{"contact":{}}', b'{"contact":{"id":""}}', b"[]"]
)
def test_a_success_without_an_id_is_no_contact(body: bytes) -> None:
    """It is asked for again: perhaps it was made."""
    with pytest.raises(StepFailedError, match=r"^the contact could not be created"):
        Played(find_contact("l", KIM, "create"), [NONE, NONE, answer(201, body)])


def test_a_look_up_in_trouble_makes_no_contact() -> None:
    """Only a look-up that was answered proves that there is none."""
    with pytest.raises(StepFailedError, match="could not be looked up: 500"):
        Played(find_contact("l", KIM, "create"), [answer(500)])
    with pytest.raises(StepFailedError, match="cannot be read"):
        Played(find_contact("l", KIM, "create"), [answer(200, HTML)])
    for error in (b'{"error":"Internal"}', b'{"statusCode":500,"message":"Internal server error"}'):
        with pytest.raises(StepFailedError, match="cannot be read"):
            Played(find_contact("l", KIM, "find"), [answer(200, error)])
    with pytest.raises(StepFailedError, match="could not be looked up: 404"):
        Played(find_contact("l", KIM, "find"), [answer(404, HTML)])
    with pytest.raises(StepRefusedError, match="could not be looked up: 422"):
        Played(find_contact("l", KIM, "create"), [answer(422)])
