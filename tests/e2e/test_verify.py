"""Comparing what the outbox believes with what the API exports."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from cli_harness import leadconnector, result_of, sms, write_jsonl
from fault_harness import QUICK, import_into, records
from outbox_kit import one_page

from leadconnector_async import AccessError, InboundMessage, LeadConnector, Sent, TransportError
from leadconnector_async.sandbox import (
    READ_SCOPES,
    Fault,
    Reads,
    Sandbox,
    SandboxConfig,
    SandboxThread,
)
from leadconnector_async.verify import verify

if TYPE_CHECKING:
    from pathlib import Path

    from leadconnector_async.verify import Verification


def compare(config: SandboxConfig, *, again: int = 0, lost: int = 0) -> Verification:
    """Import, store ``again`` messages twice, believe in ``lost`` that never were, and verify."""

    async def scenario() -> Verification:
        async with Sandbox(config) as sandbox:
            outcomes = await import_into(sandbox, records(60), None)
            sent = [(o.key, o.receipt.message_id) for o in outcomes if isinstance(o, Sent)]
            async with LeadConnector(
                sandbox.token,
                location_id=sandbox.location_id,
                base_url=sandbox.url,
                policy=QUICK,
            ) as api:
                for stored in sandbox.messages[:again]:
                    copy = InboundMessage(
                        type="SMS",
                        contact_id=stored.contact_id,
                        direction=stored.fields["direction"],
                        date=datetime.fromtimestamp(stored.date / 1000, UTC),
                        message=stored.fields["message"],
                        alt_id=stored.alt_id,
                    )
                    await api.add_inbound_message(copy)
                sent += [(f"lost{n}", f"lostmessage{n}") for n in range(lost)]
                return await verify(api, sandbox.location_id, one_page(sent))

    return asyncio.run(scenario())


def test_a_complete_import_agrees() -> None:
    """Each record is there, once."""
    result = compare(SandboxConfig())
    assert result.agrees
    assert (result.checked, result.exported) == (60, 60)


def test_what_is_missing_is_listed() -> None:
    """A message that the outbox believes in and the API does not show."""
    result = compare(SandboxConfig(), lost=2)
    assert [difference.key for difference in result.missing] == ["lost0", "lost1"]
    assert result.missing_count == 2
    assert not result.agrees


def test_what_is_double_is_listed() -> None:
    """Two messages that carry the same ``altId``."""
    result = compare(SandboxConfig(), again=3)
    assert result.double_count == 3
    assert {difference.copies for difference in result.doubles} == {2}
    assert not result.missing


def test_pages_and_passing_faults_are_gone_through() -> None:
    """An answer of 500 is asked for again."""
    result = compare(SandboxConfig(faults=(Fault("500", endpoint="export", nth=(1, 3)),)))
    assert result.agrees


def test_the_last_answer_is_named() -> None:
    """Where each of the attempts was answered 500, the error says so."""
    with pytest.raises(TransportError, match="attempts: answered 500 Internal server error"):
        compare(SandboxConfig(faults=(Fault("500", endpoint="export"),)))


def test_without_permission_to_read_there_is_a_clear_error() -> None:
    """The export is refused, which is no difference."""
    with pytest.raises(AccessError, match="not authorized"):
        compare(SandboxConfig(denied_scopes=READ_SCOPES))


def run_verify(sandbox: SandboxThread, *arguments: object) -> tuple[int, dict[str, Any]]:
    """The command, told of its account by the environment: its exit code and its JSON."""
    done = leadconnector(
        *arguments,
        LEADCONNECTOR_TOKEN=sandbox.token,
        LEADCONNECTOR_BASE_URL=sandbox.url,
        LEADCONNECTOR_LOCATION=sandbox.location_id,
    )
    return done.exit_code, result_of(done.stdout)


def test_the_command_reports_and_exits_by_what_it_found(tmp_path: Path) -> None:
    """0 where all agrees, 3 where a message was deleted behind the importer's back."""
    outbox = tmp_path / "o.db"
    kinds = ("Email", "SMS")
    records = [sms(n, type=kinds[n % 2], contactId=f"c{n % 3}", message="hello") for n in range(30)]
    for record in records:
        del record["id"]
    history = write_jsonl(tmp_path / "h.jsonl", records)
    with SandboxThread(SandboxConfig(reads=Reads(alt_id=False))) as sandbox:
        code, report = run_verify(sandbox, "import", history, "--outbox", outbox, "--json")
        assert (code, report["sent"]) == (0, 30)
        code, report = run_verify(sandbox, "verify", "--outbox", outbox, "--json")
        assert (code, report["agrees"]) == (0, True)
    with SandboxThread(SandboxConfig(location_id=sandbox.location_id)) as emptied:
        code, report = run_verify(emptied, "verify", "--outbox", outbox, "--json")
        assert (code, report["agrees"]) == (3, False)
        assert report["locations"][sandbox.location_id]["missing_count"] == 30
