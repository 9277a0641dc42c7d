from __future__ import annotations

import gzip
import json
import re
from typing import TYPE_CHECKING

import pytest
from cli_harness import at, leadconnector, result_of, sms, write_jsonl

from leadconnector_async.sandbox import Fault, Limits, SandboxConfig, SandboxThread

if TYPE_CHECKING:
    from pathlib import Path

    from leadconnector_async.sandbox.faults import FaultKind

AT_LEAST = {
    *("staged", "skipped", "sent", "failed", "unresolved", "pending"),
    *("requests", "throttled", "elapsed_s"),
}


def test_everything_sent_is_exit_0(sandbox: SandboxThread, tmp_path: Path) -> None:
    """Each record is stored once, and --json has at least the documented keys."""
    history = write_jsonl(tmp_path / "history.jsonl", [sms(n) for n in range(50)])
    run = leadconnector("import", history, *at(sandbox, tmp_path / "o.db"), "--json")
    assert run.exit_code == 0, run.stderr
    result = result_of(run.stdout)
    assert result.keys() >= AT_LEAST
    assert (result["staged"], result["skipped"], result["sent"], result["pending"]) == (
        50,
        0,
        50,
        0,
    )
    assert sorted(message.alt_id or "" for message in sandbox.messages) == sorted(
        f"m{n}" for n in range(50)
    )


def test_the_same_command_again_sends_nothing(sandbox: SandboxThread, tmp_path: Path) -> None:
    """What is known is skipped; what a grown file adds is sent."""
    history = write_jsonl(tmp_path / "history.jsonl", [sms(n) for n in range(20)])
    words = ["import", history, *at(sandbox, tmp_path / "o.db"), "--json"]
    leadconnector(*words)
    again = result_of(leadconnector(*words).stdout)
    assert (again["staged"], again["skipped"], again["sent"]) == (0, 20, 0)
    write_jsonl(history, [sms(n) for n in range(25)])
    grown = result_of(leadconnector(*words).stdout)
    assert (grown["staged"], grown["skipped"], grown["sent"]) == (5, 20, 5)
    assert len(sandbox.messages) == 25


def test_records_that_failed_are_exit_3(sandbox: SandboxThread, tmp_path: Path) -> None:
    """The good ones beside them are sent; an import that finds them again ends the same way."""
    records = [sms(1), sms(2, direction="sideways"), sms(3, contactId=None), sms(4)]
    history = write_jsonl(tmp_path / "history.jsonl", records)
    words = ["import", history, *at(sandbox, tmp_path / "o.db"), "--json"]
    for sent in (2, 0):
        run = leadconnector(*words)
        assert run.exit_code == 3
        result = result_of(run.stdout)
        assert (result["sent"], result["failed"]) == (sent, 2)
        assert [reason["lines"] for reason in result["by_reason"]] == [
            [f"{history}:2"],
            [f"{history}:3"],
        ]


def test_the_report_says_what_to_do_next(sandbox: SandboxThread, tmp_path: Path) -> None:
    """Counts, reasons with their first lines, and commands that can be copied; 100 columns."""
    bad = [sms(n, direction=None) for n in range(7)]
    history = write_jsonl(tmp_path / "my history.jsonl", [*bad, sms(8)])
    outbox = tmp_path / "o.db"
    run = leadconnector("import", history, *at(sandbox, outbox))
    assert "direction is missing" in run.stdout
    assert f"{history}:1, 2, 3, 4, 5, …" in run.stdout
    assert f"leadconnector failed --outbox {outbox} -o failed.jsonl" in run.stdout
    again = f"leadconnector import failed.jsonl --outbox {outbox} --base-url {sandbox.url}"
    assert again in run.stdout
    assert "secret text" not in run.output
    assert sandbox.token not in run.output
    long = [line for line in run.stdout.splitlines() if len(line) > 100 and "/" not in line]
    assert not long


def test_standard_input_and_gzip_are_sources(sandbox: SandboxThread, tmp_path: Path) -> None:
    """``-`` is standard input; a compressed file is read as it is."""
    lines = "".join(json.dumps(sms(n)) + "\n" for n in range(9)).encode()
    run = leadconnector("import", "-", *at(sandbox, tmp_path / "o.db"), stdin=lines)
    assert run.exit_code == 0
    assert len(sandbox.messages) == 9
    packed = tmp_path / "more.jsonl.gz"
    packed.write_bytes(gzip.compress(lines + json.dumps(sms(10)).encode()))
    run = leadconnector("import", packed, *at(sandbox, tmp_path / "o.db"))
    assert run.exit_code == 0
    assert len(sandbox.messages) == 10


def test_csv_with_names_of_its_own(sandbox: SandboxThread, tmp_path: Path) -> None:
    """--map names columns, --timezone places dates; what is not sent is said once."""
    history = tmp_path / "history.csv"
    history.write_text(
        "type;Contact;direction;date;message;colour\n"
        "SMS;c1;inbound;2024-01-01 12:00;hi;red\n"
        "SMS;c1;inbound;2024-01-01 12:01;ho;blue\n"
    )
    options = ("--map", "contactId=Contact", "--timezone", "America/New_York")
    run = leadconnector("import", history, *options, *at(sandbox, tmp_path / "o.db"))
    assert run.exit_code == 0, run.output
    assert run.stderr.count("colour") == 1
    assert [message.date for message in sandbox.messages] == [
        1704128400000,
        1704128460000,
    ]


def test_options_come_from_the_environment_too(sandbox: SandboxThread, tmp_path: Path) -> None:
    """Each option is LEADCONNECTOR_ and its name."""
    history = tmp_path / "history.csv"
    history.write_text("kind,who,direction,date,message\nSMS,c1,inbound,2024-01-31T09:30:00Z,hi\n")
    run = leadconnector(
        "import",
        history,
        LEADCONNECTOR_TOKEN=sandbox.token,
        LEADCONNECTOR_LOCATION=sandbox.location_id,
        LEADCONNECTOR_BASE_URL=sandbox.url,
        LEADCONNECTOR_OUTBOX=str(tmp_path / "o.db"),
        LEADCONNECTOR_MAP="type=kind;contactId=who",
        LEADCONNECTOR_JSON="1",
    )
    assert run.exit_code == 0, run.output
    assert result_of(run.stdout)["sent"] == 1


def test_a_real_import_warns_of_automations(sandbox: SandboxThread, tmp_path: Path) -> None:
    """Once, on standard error, before anything is sent; not where nothing real happens."""
    history = write_jsonl(tmp_path / "history.jsonl", [sms(1)])
    run = leadconnector("import", history, *at(sandbox, tmp_path / "o.db"))
    assert run.stderr.count("automations") == 1
    demo = leadconnector("import", history, "--sandbox", "--outbox", tmp_path / "demo.db")
    assert "automations" not in demo.output


def test_the_sandbox_needs_no_account(tmp_path: Path) -> None:
    """--sandbox alone is enough, and its outbox is for nothing else."""
    history = write_jsonl(tmp_path / "history.jsonl", [sms(n) for n in range(5)])
    outbox = tmp_path / "demo.db"
    run = leadconnector("import", history, "--sandbox", "--outbox", outbox, "--json")
    assert run.exit_code == 0, run.output
    assert result_of(run.stdout)["sent"] == 5
    again = leadconnector("import", history, "--sandbox", "--outbox", outbox, "--json")
    assert result_of(again.stdout)["skipped"] == 5
    real = leadconnector("import", history, "--outbox", outbox, "--token", "t", "--location", "x")
    assert real.exit_code == 1
    assert "belongs to an import into the sandbox" in real.stderr


def test_the_sandbox_has_the_quota_that_is_asked_for(tmp_path: Path) -> None:
    """So that an import can be rehearsed as it will be."""
    history = write_jsonl(tmp_path / "history.jsonl", [sms(n) for n in range(20)])
    words = ["import", history, "--sandbox", "--outbox", tmp_path / "demo.db", "--json"]
    run = leadconnector(*words, "--quota", "100/1", "--daily", "10")
    assert run.exit_code == 4, run.output
    assert 0 < result_of(run.stdout)["sent"] <= 10


def test_a_spent_day_is_exit_4(tmp_path: Path) -> None:
    """The rest stays pending, and the report says to come back."""
    config = SandboxConfig(limits=Limits(max=1000, interval=1.0, daily=30))
    history = write_jsonl(tmp_path / "history.jsonl", [sms(n) for n in range(50)])
    with SandboxThread(config) as sandbox:
        run = leadconnector("import", history, *at(sandbox, tmp_path / "o.db"))
        assert run.exit_code == 4, run.output
        assert "The day's quota is spent." in run.stdout
        assert 20 <= len(sandbox.messages) <= 30
        assert "goes on" in run.stdout


def test_a_refused_token_is_exit_1(tmp_path: Path) -> None:
    """Its location stops alone: the records stay pending, the others' are sent."""
    config = SandboxConfig(tokens={"good-token": "good"})
    records = [sms(n, locationId=where) for n in range(5) for where in ("good", "bad")]
    history = write_jsonl(tmp_path / "history.jsonl", records)
    with SandboxThread(config) as sandbox:
        words = ["import", history, "--base-url", sandbox.url, "--outbox", tmp_path / "o.db"]
        run = leadconnector(*words, "--json", "--token", "bad-token", "--location", "bad")
        assert run.exit_code == 1
        assert "401" in run.stderr
        assert "bad-token" not in run.output
        assert re.search("leadconnector: location (good|bad): 401 ", run.stderr)
        result = result_of(run.stdout)
        assert result["pending"] == 10
        assert result["error"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("drop", "ServerDisconnected"),
        ("html", "a page or other bytes come in its place"),
        ("garbage", "a page or other bytes come in its place"),
    ],
)
def test_an_api_out_of_reach_is_exit_1(kind: FaultKind, why: str, tmp_path: Path) -> None:
    """After --patience seconds the import stops, with one line that says why, and no traceback."""
    history = write_jsonl(tmp_path / "history.jsonl", [sms(n) for n in range(20)])
    with SandboxThread(SandboxConfig(faults=(Fault(kind, endpoint="*"),))) as sandbox:
        words = ["import", history, *at(sandbox, tmp_path / "o.db"), "--json"]
        run = leadconnector(*words, "--patience", "0.2", "--look-after", "0.1")
        assert run.exit_code == 1, run.output
        assert "out of reach" in run.stderr
        assert why in run.stderr
        result = result_of(run.stdout)
        assert result["pending"] + result["unresolved"] == 20


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["history.jsonl", "--token", "t"], "needs --outbox FILE"),
        (["history.jsonl", "--outbox", "o.db"], "LEADCONNECTOR_TOKEN"),
        (["--outbox", "o.db", "--token", "t"], "name at least one SOURCE"),
        (["-", "-", "--sandbox"], "can be read once only"),
        (["x.csv", "--sandbox", "--map", "contactId"], "is not FIELD=COLUMN"),
        (["x.csv", "--sandbox", "--timezone", "Mars/Base"], "is no time zone"),
        (["x.csv", "--sandbox", "--delimiter", "ab"], "is not one character"),
        (["x.csv", "--sandbox", "--quota", "100"], "is not REQUESTS/SECONDS"),
        (["x.csv", "--sandbox", "--timeout", "inf"], "'inf' is no time"),
        (["x.csv", "--sandbox", "--location", "Spoke & Chain"], "is no location's id: give one"),
        (["x.csv", "--sandbox", "--location", "'id'"], "is no location's id: give one"),
        (["x.csv", "--sandbox", "--provider", "My calls"], "is no provider's id: give one"),
        (["x.csv", "--outbox", "o.db", "--token", "a b"], "characters that no token has"),
        (["x.csv", "--outbox", "o.db", "--token", '"ab"'], "characters that no token has"),
        (["x.csv", "--outbox", "o.db", "--token", "t", "--base-url", "http://x.example"], "https"),
    ],
)
def test_wrong_usage_is_exit_2(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says what to do."""
    monkeypatch.chdir(tmp_path)
    run = leadconnector("import", *words)
    assert run.exit_code == 2, run.output
    assert said in run.stderr


def test_spaces_around_a_location_are_none_of_it(tmp_path: Path) -> None:
    """As a variable has them that was read from a file."""
    history = write_jsonl(tmp_path / "h.jsonl", [sms(1)])
    words = ("import", history, "--sandbox", "--outbox", tmp_path / "o.db", "--json")
    run = leadconnector(*words, LEADCONNECTOR_LOCATION="place\n")
    assert [of["location"] for of in result_of(run.stdout)["locations"]] == ["place"]


@pytest.mark.parametrize("command", ["import", "validate", "inspect"])
def test_an_empty_name_is_not_this_folder(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a script gives it whose variable is not set."""
    write_jsonl(tmp_path / "private.jsonl", [sms(1)])
    monkeypatch.chdir(tmp_path)
    run = leadconnector(command, "", *["--sandbox"] * (command == "import"))
    assert run.exit_code == 1
    assert run.stderr.endswith("the name of a source is empty: name a file, or . for this folder\n")


def test_a_missing_file_stops_before_anything_is_sent(
    sandbox: SandboxThread, tmp_path: Path
) -> None:
    """Every file is tried first: the last one's fault shows before the first one is read."""
    history = write_jsonl(tmp_path / "history.jsonl", [sms(1)])
    gone = tmp_path / "gone.csv"
    run = leadconnector("import", history, gone, *at(sandbox, tmp_path / "o.db"))
    assert run.exit_code == 1
    assert run.stderr.splitlines()[-1].startswith(f"leadconnector: {gone}: there is no such file")
    assert not sandbox.messages


def test_a_forgotten_location_is_one_error(sandbox: SandboxThread, tmp_path: Path) -> None:
    """A file whose records all lack a location is refused as a whole, and nothing is staged."""
    history = write_jsonl(tmp_path / "history.jsonl", [sms(n) for n in range(3)])
    run = leadconnector(
        *("import", history, "--base-url", sandbox.url, "--token", "t"),
        *("--outbox", tmp_path / "o.db"),
    )
    assert run.exit_code == 1
    assert "give --location" in run.stderr
    assert (
        result_of(leadconnector("status", "--outbox", tmp_path / "o.db", "--json").stdout)["failed"]
        == 0
    )


def test_without_a_source_what_is_pending_is_sent(sandbox: SandboxThread, tmp_path: Path) -> None:
    """So that an import from a pipe, or a retry, can be finished."""
    sandbox.set_faults(Fault("no_id", probability=1.0))
    history = write_jsonl(tmp_path / "history.jsonl", [sms(1), sms(2)])
    options = at(sandbox, tmp_path / "o.db")
    assert leadconnector("import", history, *options).exit_code == 3
    sandbox.set_faults()
    assert leadconnector("retry", "--outbox", tmp_path / "o.db").exit_code == 0
    history.unlink()
    run = leadconnector("import", *options, "--json")
    assert run.exit_code == 0, run.output
    assert result_of(run.stdout)["sent"] == 2
