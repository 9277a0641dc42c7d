"""Calls that were made from here: their endpoint, its fields, and its conversation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from cli_harness import write_jsonl
from late_harness import CLOSED, KIM, QUICK, asked, import_quickly, import_records, named, reasons
from msgspec.structs import replace
from samples import sampled

from leadconnector_async.sandbox import Fault, Reads, SandboxThread

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ALLOWED = {
    *("type", "attachments", "conversationId", "conversationProviderId", "altId", "date", "call"),
    "contactId",
}
"""The properties of ``ProcessOutboundMessageBodyDto`` in the OpenAPI file, and the contact."""

FIRST = replace(CLOSED, conversation_first=True)
"""As the API was before calls and uploads could name a contact."""


def call(number: int, direction: str = "outbound", **fields: Any) -> dict[str, object]:  # noqa: ANN401
    """A call with a contact."""
    ends = ("+12125550000", KIM) if direction == "outbound" else (KIM, "+12125550000")
    return named(
        number,
        type="Call",
        direction=direction,
        conversationProviderId="p1",
        call={"from": ends[0], "to": ends[1], "status": "completed"},
        **fields,
    )


@pytest.fixture
def sandbox() -> Iterator[SandboxThread]:
    """A closed sandbox."""
    with SandboxThread(CLOSED) as sandbox:
        yield sandbox


def test_calls_go_to_the_endpoint_of_their_direction(
    sandbox: SandboxThread, tmp_path: Path
) -> None:
    """With the fields that it knows, and no other."""
    import_records(sandbox, tmp_path, [call(1), call(2, "inbound"), call(3)])
    assert (asked(sandbox, "outbound"), asked(sandbox, "inbound")) == (2, 1)
    assert asked(sandbox, "open_conversation") == 0
    for stored in sandbox.messages:
        assert stored.contact_id == "kim"
        if stored.direction == "outbound":
            assert stored.fields.keys() - {"direction"} <= ALLOWED
            assert stored.alt_id in {"m1", "m3"}


def test_calls_that_are_refused_without_a_conversation_get_one(tmp_path: Path) -> None:
    """Each once, and the location's later ones at once; nothing is charged to a record."""
    with SandboxThread(FIRST) as sandbox:
        assert import_records(sandbox, tmp_path, [call(1), call(2)], *QUICK)["sent"] == 2
        assert sandbox.requests["outbound", 400] == 1
        assert asked(sandbox, "open_conversation") == 1
        result = import_records(sandbox, tmp_path, [call(3)], "--attempts", "1")
        assert result["sent"] == 1
        assert sandbox.requests["outbound", 400] == 1


@pytest.mark.slow
def test_a_conversation_that_exists_is_found_though_the_search_lags(tmp_path: Path) -> None:
    """It is waited for as long as reads may lag, however short the other waits are."""
    config = replace(FIRST, reads=Reads(search_lag=0.6))
    with SandboxThread(config) as sandbox:
        inbound, outbound = call(1, "inbound"), call(2)
        options = ("--look-after", "0.4", "--attempts", "4")
        assert import_records(sandbox, tmp_path, [inbound, outbound], *options)["sent"] == 2
        assert sandbox.requests["open_conversation", 400] >= 2
        assert len(sandbox.conversations) == 1


def test_a_call_in_a_known_conversation_needs_no_enrichment(
    sandbox: SandboxThread, tmp_path: Path
) -> None:
    """Nothing is looked up for it."""
    import_records(sandbox, tmp_path, [call(1)])
    (stored,) = sandbox.messages
    record = call(2, conversationId=stored.conversation_id)
    del record["contact"]
    before = sum(sandbox.requests.values())
    assert import_records(sandbox, tmp_path, [record])["sent"] == 1
    assert sum(sandbox.requests.values()) == before + 1


def test_a_call_whose_number_no_contact_has_is_refused(
    sandbox: SandboxThread, tmp_path: Path
) -> None:
    """In the API's own words."""
    wrong = call(1) | {"call": {"to": "+12125559999", "status": "completed"}}
    assert import_records(sandbox, tmp_path, [wrong], exits=3)["failed"] == 1
    assert "No contact found for call.to" in reasons(tmp_path)[0]


@pytest.mark.slow
@sampled("kind, when", ["drop", "reset", "502", "garbage"], ["before", "after"])
def test_lost_answers_store_each_call_once(kind: str, when: str, tmp_path: Path) -> None:
    """Of the calls, and of opening their conversation."""
    faults = [
        Fault(kind, when=when, endpoint="outbound", probability=0.3),  # type: ignore[arg-type]
        Fault(kind, when=when, endpoint="open_conversation", nth=(1, 2)),  # type: ignore[arg-type]
    ]
    with SandboxThread(FIRST) as sandbox:
        sandbox.set_faults(*faults)
        source = write_jsonl(tmp_path / "h.jsonl", [call(n) for n in range(12)])
        assert import_quickly(sandbox, source).sent == 12
        assert sorted(str(s.alt_id) for s in sandbox.messages) == sorted(f"m{n}" for n in range(12))
        assert len(sandbox.conversations) == 1
