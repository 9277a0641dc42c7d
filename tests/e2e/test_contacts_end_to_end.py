"""Records that name their contact by number or address, through the command."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from cli_harness import at, leadconnector, result_of, write_jsonl
from late_harness import CLOSED, KIM, LEE, asked, import_records, named, reasons
from msgspec.structs import replace

from leadconnector_async import (
    Contact,
    InboundMessage,
    Ingestor,
    LeadConnector,
    Policy,
    Record,
    Rejected,
)
from leadconnector_async.sandbox import Fault, SandboxThread
from leadconnector_async.sandbox.message_store import ContactBook

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NEW = "+12125550199"


@pytest.fixture
def sandbox() -> Iterator[SandboxThread]:
    """A closed sandbox that knows two contacts."""
    with SandboxThread(CLOSED) as sandbox:
        yield sandbox


def with_whom(sandbox: SandboxThread) -> set[str]:
    """The contacts that have messages."""
    return {stored.contact_id for stored in sandbox.messages}


@pytest.mark.slow
def test_each_contact_is_asked_for_once(sandbox: SandboxThread, tmp_path: Path) -> None:
    """Over all of its records, and over two runs."""
    records = [named(number, (KIM, LEE)[number % 2]) for number in range(40)]
    assert import_records(sandbox, tmp_path, records)["sent"] == 40
    assert with_whom(sandbox) == {"kim", "lee"}
    more = [*records, *(named(number, KIM) for number in range(40, 50))]
    assert import_records(sandbox, tmp_path, more)["sent"] == 10
    assert asked(sandbox, "find_contact") == 2
    assert asked(sandbox, "create_contact") == 0


def test_two_spellings_of_a_number_are_one_contact(sandbox: SandboxThread, tmp_path: Path) -> None:
    """With and without punctuation, national or not."""
    spellings = [NEW, "+1 (212) 555-0199", "(212) 555-0199", "212.555.0199"]
    records = [named(number, phone) for number, phone in enumerate(spellings)]
    import_records(sandbox, tmp_path, records, "--region", "US")
    assert len(with_whom(sandbox)) == 1
    assert len(sandbox.contacts) == 3
    assert asked(sandbox, "create_contact") == 1


def test_what_is_not_found_is_created_with_what_is_known_of_it(
    sandbox: SandboxThread, tmp_path: Path
) -> None:
    """Number, address and name."""
    contact = {"phone": NEW, "email": "New@Example.org", "name": "New One"}
    import_records(sandbox, tmp_path, [named(1) | {"contact": contact}])
    made = sandbox.contacts[-1]
    assert (made["phone"], made["email"], made["name"]) == (NEW, "new@example.org", "New One")
    assert with_whom(sandbox) == {made["id"]}


def test_an_address_finds_where_the_number_does_not(sandbox: SandboxThread, tmp_path: Path) -> None:
    """Both are asked for, the number first."""
    contact = {"phone": NEW, "email": "kim@example.org"}
    import_records(sandbox, tmp_path, [named(1) | {"contact": contact}], "--contacts", "find")
    assert with_whom(sandbox) == {"kim"}
    assert asked(sandbox, "find_contact") == 2


def test_upsert_changes_no_contact_that_exists(sandbox: SandboxThread, tmp_path: Path) -> None:
    """The API's own upsert is not called: by a second address it deletes the first."""
    before = [dict(contact) for contact in sandbox.contacts]
    both = {"phone": KIM, "email": "second@example.org", "name": "Another"}
    records = [named(1) | {"contact": both}, named(2, NEW), named(3, NEW)]
    import_records(sandbox, tmp_path, records, "--contacts", "upsert")
    assert asked(sandbox, "upsert_contact") == 0
    assert [dict(contact) for contact in sandbox.contacts[:2]] == before
    assert with_whom(sandbox) == {"kim", sandbox.contacts[2]["id"]}


def test_a_contact_that_is_not_there_fails_all_its_records_after_one_look_up(
    sandbox: SandboxThread, tmp_path: Path
) -> None:
    """With ``find``: a clear reason, and the others are sent."""
    records = [named(number, NEW if number % 2 else KIM) for number in range(20)]
    result = import_records(sandbox, tmp_path, records, "--contacts", "find", exits=3)
    assert (result["sent"], result["failed"], result["pending"]) == (10, 10, 0)
    assert asked(sandbox, "find_contact") == 2
    assert {reason.partition(": ")[2] for reason in reasons(tmp_path)} == {
        "no contact has this number or address, and none is created"
    }


def test_failed_records_keep_their_contact_and_are_sent_once_it_is_there(
    sandbox: SandboxThread, tmp_path: Path
) -> None:
    """By ``retry``, or by importing the list of failed ones."""
    history = [named(1, NEW), named(2, NEW)]
    import_records(sandbox, tmp_path, history, "--contacts", "find", exits=3)
    listed = leadconnector("failed", "--outbox", tmp_path / "o.db").stdout.splitlines()
    assert [json.loads(line)["contact"] for line in listed] == [{"phone": NEW}] * 2
    mended = write_jsonl(tmp_path / "mended.jsonl", [json.loads(listed[0]) | {"message": "new"}])
    options = [*at(sandbox, tmp_path / "o.db"), "--json"]
    assert result_of(leadconnector("import", mended, *options).stdout)["sent"] == 1
    assert leadconnector("retry", "--outbox", tmp_path / "o.db").exit_code == 0
    assert import_records(sandbox, tmp_path, history)["sent"] == 1
    assert len(sandbox.contacts) == 3
    assert len(sandbox.messages) == 2


def test_a_duplicate_names_the_contact_that_the_look_up_missed(
    sandbox: SandboxThread, tmp_path: Path
) -> None:
    """The index of contacts lags: the refusal to create says who it is."""

    class Lagging(ContactBook):
        misses = 1

        def find(self, location: str, field: str, value: str | None) -> dict[str, Any] | None:
            if value and self.misses:
                self.misses -= 1
                return None
            return super().find(location, field, value)

    lagging = Lagging()
    for contact in sandbox.contacts:
        lagging.put(contact)
    sandbox.state.contacts = lagging
    import_records(sandbox, tmp_path, [named(1, KIM), named(2, KIM)])
    assert with_whom(sandbox) == {"kim"}
    assert sandbox.requests["create_contact", 400] == 1
    assert len(sandbox.contacts) == 2


@pytest.mark.slow
def test_a_contact_deleted_since_is_looked_up_again_by_a_retry(tmp_path: Path) -> None:
    """The first sends are refused; after ``retry`` the contact is made anew."""
    with SandboxThread(CLOSED) as sandbox:
        import_records(sandbox, tmp_path, [named(1)])
        sandbox.state.contacts.remove(sandbox.location_id, "kim")
        history = [named(1), named(2), named(3)]
        assert import_records(sandbox, tmp_path, history, exits=3)["failed"] == 2
        assert all("Contact not found" in reason for reason in reasons(tmp_path))
        leadconnector("retry", "--outbox", tmp_path / "o.db")
        assert import_records(sandbox, tmp_path, history)["sent"] == 2
        assert asked(sandbox, "find_contact") == 2
        assert asked(sandbox, "create_contact") == 1


@pytest.mark.parametrize(("scope", "phone"), [("contacts.readonly", KIM), ("contacts.write", NEW)])
def test_a_token_without_the_scope_stops_the_location_and_names_it(
    scope: str, phone: str, tmp_path: Path
) -> None:
    """Nothing is refused for it: the records wait for a better token."""
    with SandboxThread(replace(CLOSED, denied_scopes=frozenset({scope}))) as sandbox:
        history = write_jsonl(tmp_path / "h.jsonl", [named(1, phone), named(2, phone)])
        options = [*at(sandbox, tmp_path / "o.db"), "--json"]
        done = leadconnector("import", history, *options)
        assert done.exit_code == 1
        assert f"not authorized for this scope: it lacks {scope}" in done.stderr
        result = result_of(done.stdout)
        assert (result["pending"], result["failed"]) == (2, 0)
        sandbox.reconfigure(denied_scopes=frozenset())
        assert result_of(leadconnector("import", history, *options).stdout)["sent"] == 2


@pytest.mark.slow
def test_a_look_up_that_is_never_answered_is_not_the_end_of_others(
    sandbox: SandboxThread, tmp_path: Path
) -> None:
    """What fails each time is given up, and nothing was sent for it."""
    sandbox.set_faults(Fault("500", endpoint="find_contact"))
    records = [named(1), {**named(2, None), "contactId": "lee"}]
    result = import_records(sandbox, tmp_path, records, "--attempts", "2", exits=3)
    assert (result["sent"], result["failed"]) == (1, 1)
    assert "could not be looked up: 500" in reasons(tmp_path)[0]
    assert "(in 2 attempts)" in reasons(tmp_path)[0]
    assert with_whom(sandbox) == {"lee"}


def test_a_record_of_a_program_keeps_its_contact(sandbox: SandboxThread, tmp_path: Path) -> None:
    """In the list of failed ones, refused by the API or by validation; the command takes it."""
    outbox = tmp_path / "o.db"

    async def scenario() -> list[object]:
        message = InboundMessage(type="SMS", direction="inbound", message="hi")
        whom = (Contact(phone=NEW), Contact(phone="555 0101"), Contact(phone=KIM))
        async with (
            LeadConnector(
                sandbox.token,
                location_id=sandbox.location_id,
                base_url=sandbox.url,
                policy=Policy(contacts="find"),
            ) as api,
            Ingestor(api, outbox=outbox) as ingestor,
        ):
            records = [Record(message=message, contact=one) for one in whom]
            return [outcome async for outcome in ingestor.run(records)]

    outcomes = asyncio.run(scenario())
    assert sum(isinstance(outcome, Rejected) for outcome in outcomes) == 2
    assert with_whom(sandbox) == {"kim"}
    listed = leadconnector("failed", "--outbox", outbox).stdout.splitlines()
    contacts = [json.loads(line)["contact"] for line in listed]
    assert contacts == [{"phone": NEW}, {"phone": "555 0101"}]
    mended = tmp_path / "mended.jsonl"
    mended.write_text("\n".join(listed).replace("555 0101", LEE).replace('"hi"', '"ho"'))
    done = leadconnector("import", mended, *at(sandbox, outbox), "--json", "--undated", "now")
    assert result_of(done.stdout)["sent"] == 2, done.output
    assert len(sandbox.contacts) == 3


def test_the_report_counts_people_matched_made_and_doubtful(
    sandbox: SandboxThread, tmp_path: Path
) -> None:
    """Each once, however many messages they have; without a number or an address of theirs."""
    records = [named(number, (KIM, LEE, NEW)[number % 3]) for number in range(9)]
    import_records(sandbox, tmp_path, records, "--contacts", "create")
    strangers = [named(number, "+12125550177") for number in range(20, 23)]
    import_records(sandbox, tmp_path, [*records, *strangers], "--contacts", "find", exits=3)
    page = leadconnector("report", "--html", "-", "--outbox", tmp_path / "o.db").stdout
    assert "2 matched, 1 made, 1 doubtful: their messages failed" in page
    assert "2125550177" not in page
