from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from cli_harness import at, leadconnector, write_jsonl
from msgspec.structs import asdict

from leadconnector_async import models
from leadconnector_async.api.effects import GetLookups, PutLookups
from leadconnector_async.api.enrichment import enrich
from leadconnector_async.records.deferred import Deferred
from leadconnector_async.sandbox import SandboxConfig, SandboxContact, SandboxThread
from leadconnector_async.transport.base import Request, Response

if TYPE_CHECKING:
    from pathlib import Path

BODY = b'{"type":"SMS"}'
NOBODY = Response(200, {}, b'{"contact":null}')


def asked(handle: models.Contact, lookups: dict[str, str]) -> list[Request]:
    """The requests that complete a record of a contact whom nobody has."""
    deferred = Deferred(contact=handle)
    todo = enrich(BODY, deferred, location="here", mode="create")
    requests: list[Request] = []
    answer: Any = None
    try:
        while True:
            step = todo.send(answer)
            answer = None
            if isinstance(step, GetLookups):
                answer = {name: lookups[name] for name in step.names if name in lookups}
            elif isinstance(step, Request):
                requests.append(step)
                made = step.method == "POST"
                answer = Response(201, {}, b'{"contact":{"id":"c1"}}') if made else NOBODY
            else:
                assert isinstance(step, PutLookups)
    except StopIteration:
        return requests


def test_what_a_record_says_itself_is_looked_up_first() -> None:
    """Then what else is known of the person, who is created with all of it."""
    person = '{"phone":"+12125550100","email":"kim@example.org","name":"Kim"}'
    handle = models.Contact(email="kim@example.org")
    by_mail, by_number, made = asked(handle, {"person:kim@example.org": person})
    assert "email=kim" in by_mail.path
    assert "number=%2B12125550100" in by_number.path
    assert json.loads(made.body or b"") == {"locationId": "here", **json.loads(person)}
    assert len(asked(handle, {})) == 2


def test_an_address_with_several_numbers_makes_nobody_one_contact() -> None:
    """It may be that of the agent who wrote to all: each number but the first goes without it."""
    first = '{"phone":"+12125550100","email":"agent@example.org"}'
    other = models.Contact(phone="+12125550101", email="agent@example.org")
    known = {"person:agent@example.org": first, "person:+12125550101": json.dumps(asdict(other))}
    for handle in (other, models.Contact(phone="+12125550101")):
        by_number, made = asked(handle, known)
        assert "number=%2B12125550101" in by_number.path
        assert json.loads(made.body or b"") == {"locationId": "here", "phone": "+12125550101"}
    assert len(asked(models.Contact(phone="+12125550100", email="agent@example.org"), known)) == 3


def test_a_number_with_several_addresses_is_not_looked_for_by_the_others() -> None:
    """It may be an office's: a mail is with its own address."""
    first = '{"phone":"+12125550100","email":"ann@example.org"}'
    other = '{"phone":"+12125550100","email":"bo@example.org"}'
    known = {"person:+12125550100": first, "person:bo@example.org": other}
    by_mail, made = asked(models.Contact(email="bo@example.org"), known)
    assert "email=bo" in by_mail.path
    assert json.loads(made.body or b"") == {"locationId": "here", "email": "bo@example.org"}


def record(number: int, **contact: str) -> dict[str, object]:
    """A record that names its contact so."""
    fields = {f"contact.{name}": value for name, value in contact.items()}
    about = {"id": f"r{number}", "type": "SMS", "direction": "inbound", "message": "hi"}
    return {**about, "date": f"2024-01-01T10:0{number}:00Z", **fields}


def test_a_record_that_names_both_joins_the_others(tmp_path: Path) -> None:
    """Whatever the order: one contact, where without it there would be two."""
    by_number = record(1, phone="+12125550100")
    by_mail = record(2, email="kim@example.org")
    by_both = record(3, phone="+12125550100", email="kim@example.org")
    for records, contacts in (([by_number, by_mail], 2), ([by_number, by_mail, by_both], 1)):
        path = write_jsonl(tmp_path / "h.jsonl", records)
        with SandboxThread() as sandbox:
            run = leadconnector("import", path, *at(sandbox, tmp_path / f"{contacts}.db"))
            assert run.exit_code == 0, run.output
            assert len(sandbox.state.contacts.all()) == contacts


def test_contacts_that_the_account_has_apart_stay_apart(tmp_path: Path) -> None:
    """A mail goes to the contact with its address, though the number is another's."""
    known = (
        SandboxContact(id="one", phone="+12125550100"),
        SandboxContact(id="two", email="kim@example.org"),
    )
    by_mail = record(2, email="kim@example.org")
    by_both = record(3, phone="+12125550100", email="kim@example.org")
    path = write_jsonl(tmp_path / "h.jsonl", [by_mail, by_both])
    with SandboxThread(SandboxConfig(contacts=known)) as sandbox:
        assert leadconnector("import", path, *at(sandbox, tmp_path / "o.db")).exit_code == 0
        assert sorted(stored.contact_id for stored in sandbox.messages) == ["one", "two"]
