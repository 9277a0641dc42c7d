"""What the sandbox refuses, as the API does: all that it never gave out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from cli_harness import at, leadconnector, result_of, sms, write_jsonl

from leadconnector_async.sandbox import SandboxConfig, SandboxThread
from leadconnector_async.sandbox.app import respond
from leadconnector_async.sandbox.state import SandboxState

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.honest_sandbox

HEADERS = {"Authorization": "Bearer any", "Version": "2021-04-15"}
CONTACT, CONVERSATION = "ve9EPM428h8vShlRW1KT", "tDtDnQdgm2LXpyiqYvZ6"
PROVIDER = "61d6d1f9cdac7612faf80753"
TEXT = {"type": "SMS", "direction": "inbound", "message": "hi"}


def ask(state: SandboxState, method: str, path: str, body: object = None) -> tuple[int, Any]:
    """Ask for something; the status and the decoded answer."""
    reply = respond(state, method, path, HEADERS, orjson.dumps(body)).reply
    return reply.status, orjson.loads(reply.body) if reply.body else None


def refusal(state: SandboxState, **fields: object) -> tuple[int, str]:
    """What a message is refused with."""
    status, answer = ask(state, "POST", "/conversations/messages/inbound", TEXT | fields)
    return status, answer["message"]


def test_what_was_never_given_out_is_refused() -> None:
    """Whatever form the id has, in the API's words."""
    state = SandboxState(SandboxConfig())
    for contact in ("c1", CONTACT):
        assert refusal(state, contactId=contact) == (400, "Contact not found")
        assert refusal(state, contactId=contact, conversationId=CONVERSATION)[0] == 400
    for conversation in ("CN1", CONVERSATION):
        assert refusal(state, conversationId=conversation) == (400, "Conversation not found")
    body = {"locationId": "any", "contactId": CONTACT}
    status, answer = ask(state, "POST", "/conversations/", body)
    assert (status, answer["message"]) == (400, "Contact not found")
    assert ask(state, "GET", f"/conversations/{CONVERSATION}")[0] == 400
    state.know(state.config.location_id, contacts=[CONTACT])
    wrong = (400, "Incorrect conversationProviderId/type")
    for type_ in ("SMS", "Custom", "Call"):
        said = refusal(state, contactId=CONTACT, type=type_, conversationProviderId=PROVIDER)
        assert said == wrong
    assert state.store.total == 0


def test_what_it_gave_out_is_taken() -> None:
    """Contacts by their creation, conversations by their first message or their opening."""
    state = SandboxState(SandboxConfig())
    _, made = ask(state, "POST", "/contacts/", {"locationId": "any", "phone": "+12125550131"})
    status, stored = ask(
        state,
        "POST",
        "/conversations/messages/inbound",
        TEXT | {"contactId": made["contact"]["id"]},
    )
    assert status == 200
    assert refusal(state, conversationId=stored["conversationId"]) == (200, "Success")


def test_a_program_says_what_is_known() -> None:
    """Ids of any form: a test may name them as it likes."""
    with SandboxThread() as sandbox:
        sandbox.know(contacts=["c1"], conversations=["v1"], providers=["p1"])
        state = sandbox.state
        assert refusal(state, contactId="c1", type="Custom", conversationProviderId="p1")[0] == 200
        assert refusal(state, conversationId="v1")[0] == 200
        owner = ask(state, "GET", "/conversations/v1")[1]["contactId"]
        assert refusal(state, contactId=owner)[0] == 200
        assert refusal(state, contactId="c2")[0] == 400


def test_a_given_location_is_the_only_one() -> None:
    """Another one is 403, as with a token that does not belong to it."""
    body = {"locationId": "there", "phone": "+12125550131"}
    status, answer = ask(
        SandboxState(SandboxConfig(location_id="here")), "POST", "/contacts/", body
    )
    assert status == 403
    assert answer["message"] == "The token does not have access to this location."
    assert ask(SandboxState(SandboxConfig()), "POST", "/contacts/", body)[0] == 201
    trusting = SandboxState(SandboxConfig(location_id="here", trusting=True))
    assert ask(trusting, "POST", "/contacts/", body)[0] == 403
    assert ask(trusting, "POST", "/contacts/", body | {"locationId": CONTACT})[0] == 201


def test_an_open_sandbox_takes_all() -> None:
    """As a test of something else may want it."""
    state = SandboxState(SandboxConfig(closed=False))
    assert refusal(state, contactId="c1", type="Custom", conversationProviderId="p1")[0] == 200
    assert refusal(state, conversationId="v1")[0] == 200


def test_a_trusting_sandbox_knows_the_form_of_ids() -> None:
    """A conversation is with the contact that is named with it."""
    state = SandboxState(SandboxConfig(trusting=True))
    both = {"contactId": CONTACT, "conversationId": CONVERSATION}
    assert refusal(state, **both, type="Custom", conversationProviderId=PROVIDER)[0] == 200
    assert ask(state, "GET", f"/conversations/{CONVERSATION}")[1]["contactId"] == CONTACT
    for strange in ("c1", CONTACT + "x", CONTACT[:-1], f"{CONTACT[:-1]}-", PROVIDER):
        assert refusal(state, contactId=strange)[0] == 400
        assert refusal(state, conversationId=strange)[0] == 400
    named = {"contactId": CONTACT, "type": "Custom"}
    assert refusal(state, **named, conversationProviderId="p1")[0] == 400


def test_a_number_that_is_not_known_cannot_be_wrong() -> None:
    """Of a contact that is known by its id alone a call's number says nothing."""
    state = SandboxState(SandboxConfig(trusting=True))
    call = {"type": "Call", "conversationProviderId": PROVIDER, "call": {"from": "+12125550131"}}
    assert refusal(state, contactId=CONTACT, **call)[0] == 200


def test_a_rehearsal_says_what_it_takes_as_known(tmp_path: Path) -> None:
    """And refuses the ids of another system, as a real import would be."""
    records = [
        sms(1, contactId=CONTACT),
        sms(2, contactId=CONTACT),
        sms(3, contactId=CONTACT[::-1]),
        {**sms(4), "contactId": None, "conversationId": CONVERSATION},
        {**sms(5), "contactId": None, "conversationId": "CN1"},
        sms(6, contactId="8812"),
        sms(7, contactId=CONTACT, type="Custom", conversationProviderId=PROVIDER),
        sms(8, contactId=CONTACT, type="Custom", conversationProviderId="other"),
    ]
    history = write_jsonl(tmp_path / "h.jsonl", records)
    outbox = tmp_path / "o.db"
    done = leadconnector("import", history, "--sandbox", "--outbox", outbox, "--json")
    assert done.exit_code == 3
    result = result_of(done.stdout)
    assert (result["sent"], result["failed"]) == (5, 3)
    assert (
        "2 contacts, 1 conversation and 1 provider that the records name are taken" in done.stderr
    )
    listed = leadconnector("failed", "--outbox", outbox).stdout.splitlines()
    assert [json.loads(line)["error"].split(": ", 1)[1].split(" [")[0] for line in listed] == [
        "400 Conversation not found",
        "400 Contact not found",
        "400 Incorrect conversationProviderId/type",
    ]


def test_a_rehearsal_says_it_of_one(tmp_path: Path) -> None:
    """In the singular."""
    history = write_jsonl(tmp_path / "h.jsonl", [sms(1, contactId=CONTACT)])
    done = leadconnector("import", history, "--sandbox", "--outbox", tmp_path / "o.db")
    assert "1 contact that the records name is taken as known: the sandbox cannot look it up" in (
        done.stderr
    )


def test_a_rehearsal_finds_and_makes_contacts_by_number(tmp_path: Path) -> None:
    """Nothing is taken as known then, and nothing is said of it."""
    record = sms(1, contact={"phone": "+12125550131"})
    del record["contactId"]
    history = write_jsonl(tmp_path / "h.jsonl", [record])
    done = leadconnector("import", history, "--sandbox", "--outbox", tmp_path / "o.db")
    assert done.exit_code == 0
    assert "taken as known" not in done.stderr


def test_files_are_refused_as_the_api_refuses_them(tmp_path: Path) -> None:
    """5 MB is the largest; whose conversation it is has to be known."""
    (tmp_path / "a.png").write_bytes(b"x")
    with SandboxThread() as sandbox:
        assert sandbox.config.upload_limit == 5 << 20
        sandbox.know(contacts=["c1"])
        history = write_jsonl(
            tmp_path / "h.jsonl",
            [sms(n, contactId=f"c{n}", attachments=["a.png"]) for n in (1, 2)],
        )
        done = leadconnector("import", history, *at(sandbox, tmp_path / "o.db"), "--json")
        assert (done.exit_code, result_of(done.stdout)["sent"]) == (3, 1)
        assert len(sandbox.uploads) == 1
