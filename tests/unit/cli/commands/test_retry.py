from __future__ import annotations

from typing import TYPE_CHECKING

from cli_harness import at, leadconnector, result_of, sms, write_jsonl

from leadconnector_async.sandbox import READ_SCOPES, Fault, SandboxConfig, SandboxThread

if TYPE_CHECKING:
    from pathlib import Path


def test_refused_records_are_sent_again_and_wrong_ones_stay(tmp_path: Path) -> None:
    """``retry`` puts them back; the same import sends them."""
    history = write_jsonl(tmp_path / "h.jsonl", [sms(1), sms(2), sms(3, direction=None)])
    with SandboxThread(SandboxConfig(faults=(Fault("no_id"),))) as sandbox:
        options = [*at(sandbox, tmp_path / "o.db"), "--json"]
        assert leadconnector("import", history, *options).exit_code == 3
        sandbox.set_faults()
        run = leadconnector("retry", "--outbox", tmp_path / "o.db")
        assert run.exit_code == 0
        assert "2 records will be sent again." in run.stdout
        assert "1 record is wrong itself, and stays failed" in run.stdout
        result = result_of(leadconnector("import", history, *options).stdout)
        assert (result["sent"], result["failed"], result["pending"]) == (2, 1, 0)


def test_unresolved_records_are_looked_for(tmp_path: Path) -> None:
    """What is found is not sent again."""
    history = write_jsonl(tmp_path / "h.jsonl", [sms(1), sms(2)])
    config = SandboxConfig(
        faults=(Fault("drop", when="after", nth=(1, 2)),), denied_scopes=READ_SCOPES
    )
    with SandboxThread(config) as sandbox:
        options = [*at(sandbox, tmp_path / "o.db"), "--json", "--look-after", "0.1"]
        first = leadconnector("import", history, *options)
        assert first.exit_code == 3
        assert result_of(first.stdout)["unresolved"] == 2
        sandbox.reconfigure(denied_scopes=frozenset())
        retried = result_of(leadconnector("retry", "--outbox", tmp_path / "o.db", "--json").stdout)
        assert retried["unknown"] == 2
        result = result_of(leadconnector("import", history, *options).stdout)
        assert (result["sent"], result["found"], result["unresolved"]) == (2, 2, 0)
        assert len(sandbox.messages) == 2


def test_nothing_failed_is_said(tmp_path: Path) -> None:
    """Exit 0."""
    history = write_jsonl(tmp_path / "h.jsonl", [sms(1)])
    leadconnector("import", history, "--sandbox", "--outbox", tmp_path / "o.db")
    run = leadconnector("retry", "--outbox", tmp_path / "o.db")
    assert (run.exit_code, run.stdout) == (0, "Nothing has failed.\n")
