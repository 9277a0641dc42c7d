"""What a test may ask of the messages that the sandbox holds, and what a failure tells."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson
import pytest
from msgspec.structs import replace

from leadconnector_async.sandbox import (
    Fault,
    Sandbox,
    SandboxConfig,
    SandboxContact,
    StoredMessages,
)
from leadconnector_async.sandbox.app import respond
from leadconnector_async.sandbox.state import SandboxState

pytestmark = pytest.mark.honest_sandbox

TOKEN = "never-told"
OTHER = "other"
ANN = SandboxContact(
    id="ann", phone="+12125550100", email="ann@example.com", additional_emails=("ann@home.example",)
)
BOB = SandboxContact(id="bob", location_id="there")


def a_state(*faults: Fault) -> SandboxState:
    """A sandbox with two locations, and a contact in each."""
    tokens = {TOKEN: "here", OTHER: "there"}
    contacts = (ANN, BOB)
    return SandboxState(
        SandboxConfig(tokens=tokens, location_id="here", contacts=contacts, faults=faults)
    )


def send(
    state: SandboxState, text: str, *, to: str = "ann", token: str = TOKEN, **fields: object
) -> int:
    """Ask for one message to be stored; the status that is answered, 0 for no answer."""
    body = {"type": "SMS", "contactId": to, "direction": "inbound", "message": text, **fields}
    headers = {"Authorization": f"Bearer {token}", "Version": "2021-04-15"}
    where = "/conversations/messages/inbound"
    return respond(state, "POST", where, headers, orjson.dumps(body)).status


def messages(state: SandboxState) -> StoredMessages:
    """What `SandboxThread.messages` gives."""
    return StoredMessages(state.store.messages(), state.calls, state.contacts)


@pytest.mark.parametrize("named", [True, False])
def test_a_contact_without_a_location_is_of_the_sandboxs(
    named: bool,  # noqa: FBT001 - a case
) -> None:
    """Which is that of the first token, unless the settings name another token's."""
    config = SandboxConfig(tokens={TOKEN: "here", OTHER: "there"}, contacts=(ANN,))
    if named:
        config = replace(config, tokens={OTHER: "there", TOKEN: "here"}, location_id="here")
    assert send(SandboxState(config), "hi") == 200


@pytest.mark.parametrize(
    "contact", ["ann", "+12125550100", "ann@example.com", "ann@home.example", None]
)
def test_a_contact_is_asked_for_by_whatever_names_it(contact: str | None) -> None:
    """Its id, its number, its address, and each additional address."""
    state = a_state()
    send(state, "hi")
    messages(state).assert_stored(contact=contact, message="hi")


def test_fields_are_asked_for_in_pythons_names() -> None:
    """Times too, whatever their offset; the location of several is one of them."""
    state = a_state()
    send(state, "hi", altId="7", date="2024-03-01T10:00:00Z")
    send(state, "hi", to="bob", token=OTHER)
    stored = messages(state)
    when = datetime(2024, 3, 1, 10, tzinfo=UTC)
    stored.assert_stored(alt_id="7", date=when, direction="inbound", type="SMS", location="here")
    stored.assert_stored(contact="bob", location="there")
    stored.assert_stored(message="hi", times=2)
    stored.assert_stored(message="hi", times=None)
    stored.assert_stored(message="bye", times=0)


def test_a_message_too_many_is_told() -> None:
    """Once is the default: what is stored twice is what these tests are for."""
    state = a_state()
    send(state, "hi")
    send(state, "hi")
    with pytest.raises(AssertionError, match="expected 1, found 2 among 2 stored") as told:
        messages(state).assert_stored(message="hi")
    assert "message 2 (SMS, contact ann): is one" in str(told.value)


def test_a_failure_tells_what_came_near() -> None:
    """The nearest first, with what differs, and what was asked for and refused; never the token."""
    state = a_state(Fault("refused", text="hi", status=409), Fault("vanished", text="gone"))
    send(state, "hello", to="bob", token=OTHER)
    send(state, "hello")
    assert send(state, "hi") == 409
    with pytest.raises(AssertionError) as told:
        messages(state).assert_stored(contact="ann", message="hi", direction="inbound")
    first, *near, refused = str(told.value).splitlines()
    assert first == (
        "contact='ann', message='hi', direction='inbound': "
        "expected 1, found 0 among 2 stored messages"
    )
    assert near[0] == "  message 2 (SMS, contact ann): message is 'hello', not 'hi'"
    assert near[1].startswith("  message 1 (SMS, contact bob): contact is {'bob'}, not 'ann'; ")
    assert refused == "  a request for it was not stored: status 409"
    assert TOKEN not in str(told.value) + repr(messages(state).calls)


def test_order_is_that_of_arrival() -> None:
    """Others may come between; of one contact, if it is named."""
    state = a_state()
    for text in ("one", "two", "three"):
        send(state, text)
    stored = messages(state)
    stored.assert_in_order("one", "three", contact="ann", location="here")
    with pytest.raises(AssertionError, match="'one' is stored too early: expected the order"):
        stored.assert_in_order("two", "one")
    with pytest.raises(AssertionError, match="'four' is not stored"):
        stored.assert_in_order("one", "four")
    with pytest.raises(AssertionError, match="'one' is not stored"):
        stored.assert_in_order("one", contact="bob")


def test_calls_are_the_requests_with_their_answers() -> None:
    """Those that stored nothing, those whose answer was lost, and those without a good token."""
    state = a_state(
        Fault("429", alt_id="a", times=2),
        Fault("drop", "after", alt_id="b", times=1),
        Fault("vanished", alt_id="c"),
    )
    given = [send(state, "m", altId=name) for name in "aaabbc"]
    given += [send(state, "m", token="")]
    calls = messages(state).calls
    assert [call.status for call in calls] == given == [429, 429, 200, 0, 200, 201, 401]
    assert [call.stored is None for call in calls] == [True, True, *[False] * 3, True, True]
    assert [call.fields["altId"] for call in calls[:6]] == list("aaabbc")
    messages(state).assert_stored(alt_id="b", times=2)


def test_a_fault_meets_one_record_by_its_number() -> None:
    """The number of its contact or of its call, however it is written."""
    state = a_state(Fault("refused", number="+1 (212) 555-0100"))
    state.know("there", providers=["p"])
    call = {"type": "Call", "conversationProviderId": "p", "call": {"from": "+12125550100"}}
    state.know("here", conversations=["hers"])
    hers = state.store.open("here", "ann", 0.0)
    assert send(state, "hi") == send(state, "hi", to="", conversationId=hers.id) == 400
    assert send(state, "hi", to="", conversationId="hers") == 200
    assert send(state, "hi", to="bob", token=OTHER) == 200
    assert send(state, "hi", to="bob", token=OTHER, **call) == 400


def test_what_is_not_kept_is_not_recorded() -> None:
    """``keep_messages=False`` keeps the memory of a long run flat."""
    state = a_state()
    state.reconfigure(keep_messages=False)
    send(state, "hi")
    assert state.calls == []


def test_a_field_that_there_is_not_is_no_field_of_nothing() -> None:
    """With ``times=0``, a name that is misspelled would be absent whatever is stored."""
    with pytest.raises(TypeError, match="no field of a message is called mesage"):
        messages(a_state()).assert_stored(times=0, mesage="hi")


def test_ids_that_are_one_text_are_refused() -> None:
    """Else each of its letters is a contact, and the one that is meant is none."""
    with pytest.raises(TypeError, match="give a list"):
        Sandbox().know(contacts="bob")
