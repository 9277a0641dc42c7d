"""What a look-up gives is compared with what was asked: nobody else's contact is used."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from late_harness import CLOSED, KIM, import_records, named, reasons
from steps_kit import Played, answer

from leadconnector_async.api.contacts import find_contact
from leadconnector_async.api.effects import StepRefusedError
from leadconnector_async.models import Contact
from leadconnector_async.sandbox import SandboxThread
from leadconnector_async.sandbox.message_store import ContactBook

if TYPE_CHECKING:
    from pathlib import Path

    from leadconnector_async.transport.base import Response

NUMBER, ADDRESS = "+12125550142", "ann@example.org"
BY_NUMBER, BY_ADDRESS = Contact(phone=NUMBER), Contact(email=ADDRESS)
NONE = answer(200, b'{"contact":null}')
NEW = answer(201, b'{"contact":{"id":"new"}}')


def shown(**fields: object) -> Response:
    """A look-up that gives one contact."""
    return answer(200, json.dumps({"contact": {"id": "k"} | fields}).encode())


@pytest.mark.parametrize(
    ("whom", "fields"),
    [
        (BY_NUMBER, {"phone": NUMBER}),
        (BY_NUMBER, {"phone": "+1 (212) 555-0142", "email": "x@example.org"}),
        (BY_NUMBER, {"phone": "12125550142"}),
        (BY_NUMBER, {"phone": "+1999", "additionalPhones": [NUMBER]}),
        (BY_NUMBER, {"phone": None, "additionalPhones": [{"label": "work", "phone": NUMBER}]}),
        (BY_ADDRESS, {"email": " Ann@Example.org", "phone": "+1999"}),
        (BY_ADDRESS, {"email": "x@example.org", "additionalEmails": [{"email": ADDRESS}]}),
        (BY_NUMBER, {"email": "x@example.org"}),  # shows no number at all: nothing speaks against
    ],
)
def test_a_contact_that_has_what_was_asked_is_used(whom: Contact, fields: dict[str, Any]) -> None:
    """Whatever its spelling, as the first or as a further one."""
    assert Played(find_contact("l", whom, "find"), [shown(**fields)]).result == "k"


STRANGERS = [
    (BY_NUMBER, {"phone": "+12125550143", "email": ADDRESS}),
    (BY_NUMBER, {"phone": "2125550142"}),
    (BY_NUMBER, {"phone": "+112125550142", "additionalPhones": ["+12125550199"]}),
    (BY_NUMBER, {"phone": None}),
    (BY_NUMBER, {"additionalPhones": ["+12125550199"]}),
    (BY_NUMBER, {"phone": 12125550143}),
    (BY_ADDRESS, {"email": "joann@example.org"}),
    (BY_ADDRESS, {"email": None, "phone": NUMBER}),
]


@pytest.mark.parametrize(("whom", "fields"), STRANGERS)
def test_another_ones_contact_is_as_good_as_none(whom: Contact, fields: dict[str, Any]) -> None:
    """A fuzzy match is not used: one is made, and where none may be, the reason says why."""
    made = Played(find_contact("l", whom, "create"), [shown(**fields), NEW])
    assert made.result == "new"
    with pytest.raises(StepRefusedError, match="shows another number or address"):
        Played(find_contact("l", whom, "find"), [shown(**fields)])


@pytest.mark.parametrize(("whom", "fields"), STRANGERS)
def test_a_refused_creation_does_not_bring_the_stranger_back(
    whom: Contact, fields: dict[str, Any]
) -> None:
    """The API may name it as the duplicate: it was turned down, and stays so."""
    duplicate = answer(400, b'{"message":"no duplicates","meta":{"contactId":"k"}}')
    with pytest.raises(StepRefusedError, match="give the record its contactId"):
        Played(find_contact("l", whom, "create"), [shown(**fields), duplicate])


@pytest.mark.parametrize("name", ["contact", "contacts"])
def test_a_number_that_contacts_share_is_nobodys(name: str) -> None:
    """The reason says how many there are; equal copies of one, and strangers, do not count."""
    two = [{"id": one, "phone": NUMBER} for one in ("a", "b")]
    with pytest.raises(StepRefusedError, match=r"^2 contacts have this number: give the contactId"):
        Played(
            find_contact("l", BY_NUMBER, "create"), [answer(200, json.dumps({name: two}).encode())]
        )
    one = [two[0], two[0], {"id": "c", "phone": "+1999"}]
    found = answer(200, json.dumps({name: one}).encode())
    assert Played(find_contact("l", BY_NUMBER, "find"), [found]).result == "a"


@pytest.mark.parametrize("status", [400, 404, 409, 422])
def test_a_creation_that_was_refused_may_have_happened(status: int) -> None:
    """So it is looked for once more before it is given up."""
    refused = answer(status, b'{"message":"phone is not valid"}')
    made = shown(phone=NUMBER)
    played = Played(find_contact("l", BY_NUMBER, "create"), [NONE, refused, made])
    assert (played.result, len(played.requests)) == ("k", 3)
    with pytest.raises(
        StepRefusedError, match=f"^the contact could not be created: {status} phone"
    ):
        Played(find_contact("l", BY_NUMBER, "create"), [NONE, refused, NONE])


class Fuzzy(ContactBook):
    """Finds by the last seven digits, as a search of parts does."""

    def find(self, location: str, field: str, value: str | None) -> dict[str, Any] | None:
        """The first contact that is like it."""
        for contact in self.all():
            if (
                value
                and contact["locationId"] == location
                and str(contact.get(field) or "").endswith(value[-7:])
            ):
                return contact
        return None


def test_no_record_goes_to_a_contact_that_only_looks_like_it(tmp_path: Path) -> None:
    """Through the command: it fails with a reason that can be followed."""
    with SandboxThread(CLOSED) as sandbox:
        fuzzy = Fuzzy()
        for contact in sandbox.contacts:
            fuzzy.put(contact)
        sandbox.state.contacts = fuzzy
        records = [named(1, "+13105550101"), named(2, KIM)]
        result = import_records(sandbox, tmp_path, records, exits=3)
        assert (result["sent"], result["failed"]) == (1, 1)
        assert [stored.contact_id for stored in sandbox.messages] == ["kim"]
        assert "shows another number or address" in reasons(tmp_path)[0]
