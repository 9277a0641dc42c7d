from __future__ import annotations

from typing import TYPE_CHECKING

from cli_harness import leadconnector, result_of, sms, write_jsonl

if TYPE_CHECKING:
    from pathlib import Path


def test_each_problem_is_a_line_that_names_its_place(tmp_path: Path) -> None:
    """``file:line: field wrong: fix``, then the counts by reason; exit 3."""
    records = [sms(1), sms(2, direction=None), sms(3, direction=None, contactId=None)]
    history = write_jsonl(tmp_path / "h.jsonl", records)
    run = leadconnector("validate", history)
    assert run.exit_code == 3
    lines = run.stdout.splitlines()
    fix = "direction is missing: say inbound or outbound; the API would assume outbound"
    assert lines[0] == f"{history}:2: {fix}"
    assert lines[1].startswith(f"{history}:3: contactId is missing")
    assert "2 of 3 records are wrong:" in lines
    assert any(line.split() == ["2", *fix.split()] for line in lines)
    assert f"{history}:2, 3" in run.stdout
    assert "secret" not in run.output


def test_good_files_are_exit_0(tmp_path: Path) -> None:
    """What was passed over, and what import needs beside the files, is noted."""
    history = write_jsonl(tmp_path / "h.jsonl", [sms(1, colour="red"), sms(2)])
    run = leadconnector("validate", history)
    assert run.exit_code == 0
    assert "Nothing is wrong with 2 records." in run.stdout
    assert "colour" in run.stdout
    assert "2 records name no location" in run.stdout


def test_calls_are_good_with_the_provider_that_import_is_given(tmp_path: Path) -> None:
    """Exports of other systems know none: all calls were called wrong that an import takes."""
    call = {"to": "+13035550142", "from": "+13035550100", "status": "completed"}
    source = write_jsonl(tmp_path / "h.jsonl", [sms(1, type="Call", message=None, call=call)])
    assert leadconnector("validate", source).exit_code == 3
    assert leadconnector("validate", source, "--provider", "prov1").exit_code == 0


def test_quiet_prints_counts_alone(tmp_path: Path) -> None:
    """For files with a million problems."""
    history = write_jsonl(tmp_path / "h.jsonl", [sms(n, direction=None) for n in range(9)])
    run = leadconnector("validate", history, "--quiet")
    assert run.stdout.startswith("9 of 9 records are wrong:")


def test_json_is_one_object(tmp_path: Path) -> None:
    """With the reasons and their first places."""
    history = write_jsonl(tmp_path / "h.jsonl", [sms(1), sms(2, direction=None)])
    run = leadconnector("validate", history, "--json")
    assert run.exit_code == 3
    result = result_of(run.stdout)
    assert run.stdout.count("\n") == 1
    assert (result["records"], result["wrong"], result["without_location"]) == (2, 1, 2)
    assert result["by_reason"][0]["count"] == 1
    assert result["by_reason"][0]["lines"] == [f"{history}:2"]


def test_a_file_that_cannot_be_read_is_exit_1(tmp_path: Path) -> None:
    """One line, no traceback."""
    run = leadconnector("validate", tmp_path / "gone.csv")
    assert run.exit_code == 1
    assert run.stderr.startswith(f"leadconnector: {tmp_path / 'gone.csv'}: there is no such file")


def test_contacts_by_number_and_files_are_good(tmp_path: Path) -> None:
    """As they are for import, which finds the ones and uploads the others."""
    (tmp_path / "a.png").write_bytes(b"picture")
    who = {"contactId": None, "contact": {"phone": "+12125550100"}}
    history = write_jsonl(tmp_path / "h.jsonl", [sms(1, **who, attachments=["a.png"])])
    run = leadconnector("validate", history)
    assert (run.exit_code, run.stdout.splitlines()[0]) == (0, "Nothing is wrong with 1 record.")
    assert "contactId" not in leadconnector("inspect", history).stdout
