"""A conversation provider of which the API stores nothing: one reason, and not four for each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from cli_harness import sms, write_jsonl
from fault_harness import QUICK as PATIENT
from late_harness import CLOSED, asked, import_quickly, import_records
from msgspec.structs import replace

from leadconnector_async.sandbox import Fault, SandboxThread

if TYPE_CHECKING:
    from pathlib import Path

OPEN = replace(CLOSED, closed=False)
QUICK = ("--look-after", "0.05", "--attempts", "4", "--concurrency", "2")


def custom(number: int, provider: str) -> dict[str, object]:
    """A record of a provider; forty contacts."""
    return sms(number, type="Custom", conversationProviderId=provider, contactId=f"c{number}")


@pytest.mark.slow
def test_a_provider_that_fails_each_record_stops_its_location(tmp_path: Path) -> None:
    """After a few records, and the rest goes on once the provider is right."""
    records = [custom(number, "wrong") for number in range(40)]
    with SandboxThread(OPEN) as sandbox:
        sandbox.set_faults(Fault("500", endpoint="inbound"))
        result = import_records(sandbox, tmp_path, records, *QUICK, exits=1)
        assert "conversationProviderId wrong" in json.dumps(result)
        assert (result["failed"], result["unresolved"], result["sent"]) == (0, 0, 0)
        assert asked(sandbox, "inbound") < 60
        sandbox.set_faults()
        assert import_records(sandbox, tmp_path, records, *QUICK)["sent"] == 40
        assert len(sandbox.messages) == 40


@pytest.mark.slow
def test_a_server_that_has_trouble_is_no_failing_provider(tmp_path: Path) -> None:
    """What is stored, or found stored, tells that the provider works."""
    records = [custom(number, "right") for number in range(6)]
    with SandboxThread(OPEN) as sandbox:
        sandbox.set_faults(Fault("500", endpoint="inbound", probability=0.4))
        source, policy = write_jsonl(tmp_path / "h.jsonl", records), replace(PATIENT, attempts=20)
        assert import_quickly(sandbox, source, policy).sent == 6
