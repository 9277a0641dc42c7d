from __future__ import annotations

import json
from typing import TYPE_CHECKING
from zipfile import ZipFile

import pytest
from cli_harness import at, leadconnector, result_of, sms, write_jsonl

from leadconnector_async.sandbox import Limits, SandboxConfig, SandboxThread

if TYPE_CHECKING:
    from pathlib import Path


def test_a_dry_run_writes_and_sends_nothing(tmp_path: Path) -> None:
    """It needs no token and no outbox, and estimates the time by the quota."""
    history = write_jsonl(tmp_path / "h.jsonl", [sms(n) for n in range(450)])
    words = ("import", history, "--dry-run", "--location", "x", "--outbox", tmp_path / "o.db")
    run = leadconnector(*words, "--json")
    assert run.exit_code == 0, run.output
    result = result_of(run.stdout)
    assert (result["staged"], result["pending"], result["requests"]) == (450, 450, 0)
    assert result["estimate_s"] == 45.0
    assert [path.name for path in tmp_path.iterdir()] == ["h.jsonl"]
    text = leadconnector(*words).stdout
    assert "Sending takes 45 s at least, by the quota of 100 per 10 s and 200,000 a day." in text
    assert "automations" in text


def test_a_dry_run_says_of_files_what_the_import_says(tmp_path: Path) -> None:
    """Nobody can put a file into the folder of a source that is an archive."""
    lost = "".join(
        json.dumps(sms(n, attachments=[path])) + "\n" for n, path in enumerate(("a.png", "/a.png"))
    )
    with ZipFile(tmp_path / "h.zip", "w") as archive:
        archive.writestr("h.jsonl", lost)
    with SandboxThread() as sandbox:
        words = ("import", tmp_path / "h.zip", *at(sandbox, tmp_path / "o.db"), "--json")
        planned, done = (
            result_of(leadconnector(*words, *more).stdout) for more in (["--dry-run"], [])
        )
    assert planned["by_reason"] == done["by_reason"]
    assert ["not in the archive" in one["reason"] for one in done["by_reason"]] == [True]


def test_an_empty_file_is_as_good_as_none(tmp_path: Path) -> None:
    """As for the import, which makes it an outbox; it stays as it was."""
    history, outbox = write_jsonl(tmp_path / "h.jsonl", [sms(1)]), tmp_path / "o.db"
    outbox.touch()
    run = leadconnector("import", history, "--dry-run", "--sandbox", "--outbox", outbox, "--json")
    assert (run.exit_code, result_of(run.stdout)["staged"]) == (0, 1), run.output
    assert outbox.stat().st_size == 0
    examined = leadconnector("doctor", history, "--sandbox", "--outbox", outbox)
    assert examined.exit_code == 0, examined.output


def test_all_requests_are_planned_by_location(tmp_path: Path) -> None:
    """Those that find contacts, upload files and open conversations are counted too."""
    (tmp_path / "a.png").write_bytes(b"picture")
    who = {"contactId": None, "contact": {"phone": "+12125550100"}}
    history = write_jsonl(
        tmp_path / "h.jsonl",
        [
            sms(1, **who, attachments=["a.png"], locationId="here"),
            sms(2, **who, attachments=["a.png"], locationId="here"),
            sms(3, locationId="there"),
        ],
    )
    run = leadconnector("import", history, "--dry-run", "--json", "--quota", "1/1")
    here, there = result_of(run.stdout)["plan"]
    assert here == {
        "location": "here",
        "records": 2,
        "contacts": 1,
        "files": 1,
        "conversations": 1,
        "requests_least": 4,
        "requests_most": 7,
        "estimate_s": 4.0,
        "estimate_most_s": 7.0,
    }
    assert (there["requests_least"], there["requests_most"]) == (1, 1)
    text = leadconnector("import", history, "--dry-run", "--quota", "1/1").stdout
    assert "requests                5  at least, 8 at most, if none fails" in text
    assert "Sending takes 4.0 s to 7.0 s at least" in text
    (line,) = [line for line in text.splitlines() if line.startswith("  here ")]
    assert " ".join(line.split()) == "here 2 1 1 1 4 to 7 4.0 s to 7.0 s"


@pytest.mark.parametrize(
    ("options", "seconds"),
    [
        (("--quota", "25/10"), 180.0),
        (("--daily", "100"), 4 * 86_400 + 5.0),
        (("--quota", "off"), 0.0),
        (("--sandbox",), 0.0),
    ],
)
def test_the_estimate_knows_the_quota_that_is_given(
    options: tuple[str, ...], seconds: float, tmp_path: Path
) -> None:
    """Days count too."""
    history = write_jsonl(tmp_path / "h.jsonl", [sms(n) for n in range(450)])
    run = leadconnector("import", history, "--dry-run", "--location", "x", "--json", *options)
    assert result_of(run.stdout)["estimate_s"] == seconds


def test_a_dry_run_knows_what_an_earlier_import_did(tmp_path: Path) -> None:
    """What is known, what is pending, and what was used of the day; the outbox stays as it was."""
    history = write_jsonl(tmp_path / "h.jsonl", [sms(n) for n in range(60)])
    outbox = tmp_path / "o.db"
    with SandboxThread(SandboxConfig(limits=Limits(max=1000, interval=1.0, daily=20))) as sandbox:
        options = at(sandbox, outbox)
        assert leadconnector("import", history, *options).exit_code == 4
        sent = len(sandbox.messages)
        before = outbox.read_bytes()
        more = write_jsonl(tmp_path / "more.jsonl", [sms(n) for n in range(100)])
        run = leadconnector("import", more, *options, "--dry-run", "--json", "--daily", "200")
        result = result_of(run.stdout)
    assert (result["staged"], result["skipped"]) == (40, 60)
    assert result["pending"] == 100 - sent
    assert outbox.read_bytes() == before


def test_records_that_would_be_refused_are_exit_3(tmp_path: Path) -> None:
    """With their reasons, as an import tells them."""
    history = write_jsonl(tmp_path / "h.jsonl", [sms(1), sms(2, direction=None)])
    run = leadconnector("import", history, "--dry-run", "--location", "x")
    assert run.exit_code == 3
    assert "direction is missing" in run.stdout


def test_an_outbox_for_another_destination_is_refused(tmp_path: Path) -> None:
    """By the name that the user gave it."""
    history = write_jsonl(tmp_path / "h.jsonl", [sms(1)])
    outbox = tmp_path / "o.db"
    leadconnector("import", history, "--sandbox", "--outbox", outbox)
    run = leadconnector("import", history, "--dry-run", "--location", "x", "--outbox", outbox)
    assert run.exit_code == 1
    assert f"{outbox} belongs to an import into the sandbox" in run.stderr
