from __future__ import annotations

import csv
import io
import json
import os
import shlex
import stat
from typing import TYPE_CHECKING

import pytest
from cli_harness import at, leadconnector, result_of, sms, write_jsonl

from leadconnector_async.sandbox import Fault, SandboxThread

if TYPE_CHECKING:
    from pathlib import Path


def test_failed_records_are_mended_and_imported_again(
    sandbox: SandboxThread, tmp_path: Path
) -> None:
    """All columns are kept; the mended list replaces what failed, and nothing else is sent."""
    history = tmp_path / "h.csv"
    history.write_text(
        "type,contactId,direction,date,message,colour\n"
        "SMS,c1,inbound,2024-01-01T10:00:00Z,one,red\n"
        "SMS,c1,sideways,2024-01-01T11:00:00Z,two,green\n"
        "SMS,,inbound,2024-01-01T12:00:00Z,three,blue\n"
    )
    options = at(sandbox, tmp_path / "o.db")
    assert leadconnector("import", history, *options).exit_code == 3
    mended = tmp_path / "failed.csv"
    run = leadconnector("failed", "--outbox", tmp_path / "o.db", "-o", mended)
    assert run.exit_code == 0
    assert "2 records written" in run.stderr
    rows = list(csv.DictReader(io.StringIO(mended.read_text())))
    assert [row["colour"] for row in rows] == ["green", "blue"]
    assert rows[0]["error"].startswith(f"{history}:3: direction is")
    mended.write_text(
        mended.read_text().replace("sideways", "outbound").replace("SMS,,", "SMS,c2,")
    )
    again = leadconnector("import", mended, *options, "--json")
    assert again.exit_code == 0, again.output
    result = result_of(again.stdout)
    assert (result["staged"], result["sent"], result["failed"]) == (2, 2, 0)
    assert len(sandbox.messages) == 3
    once_more = result_of(leadconnector("import", history, mended, *options, "--json").stdout)
    assert (once_more["staged"], once_more["sent"]) == (0, 0)


def test_the_list_takes_the_place_of_no_outbox(sandbox: SandboxThread, tmp_path: Path) -> None:
    """What was sent would be known to nobody any more, and be sent again."""
    outbox = tmp_path / "o.db"
    history = write_jsonl(tmp_path / "h.jsonl", [sms(1), sms(2, direction="sideways")])
    assert leadconnector("import", history, *at(sandbox, outbox)).exit_code == 3
    run = leadconnector("failed", "--outbox", outbox, "-o", outbox)
    assert run.exit_code == 2
    assert "is an outbox: give another file, such as failed.csv" in run.stderr
    assert "o.db is an outbox" in leadconnector("failed", "--outbox", "x.db", "-o", outbox).stderr
    assert leadconnector("status", "--outbox", outbox).exit_code == 0


def test_the_list_takes_the_place_of_a_list_alone(sandbox: SandboxThread, tmp_path: Path) -> None:
    """Written over what was imported, it would leave nothing of it but what failed."""
    outbox, lists = tmp_path / "o.db", ("failed", "--outbox", tmp_path / "o.db", "-o")
    history = write_jsonl(tmp_path / "h.jsonl", [sms(1), sms(2, direction="sideways")])
    assert leadconnector("import", history, *at(sandbox, outbox)).exit_code == 3
    before = history.read_bytes()
    run = leadconnector(*lists, history)
    assert run.exit_code == 2
    assert "is no list of failed ones: give another file, such as failed.csv" in run.stderr
    assert history.read_bytes() == before
    (tmp_path / "empty").touch()
    for name in ("empty", "new", "new"):
        assert leadconnector(*lists, tmp_path / name).exit_code == 0
    leadconnector("failed", "--outbox", outbox, "--dismiss", "direction")
    assert leadconnector(*lists, history).exit_code == 0  # nothing is written
    assert history.read_bytes() == before


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes by name")
def test_the_list_is_written_into_a_pipe(sandbox: SandboxThread, tmp_path: Path) -> None:
    """As for `-o >(gzip)`: looking whether it is an outbox waited for ever."""
    outbox, pipe = tmp_path / "o.db", tmp_path / "pipe"
    history = write_jsonl(tmp_path / "h.jsonl", [sms(1, direction="sideways")])
    assert leadconnector("import", history, *at(sandbox, outbox)).exit_code == 3
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert leadconnector("failed", "--outbox", outbox, "-o", pipe).exit_code == 0
        assert b"sideways" in os.read(reader, 1 << 16)
    finally:
        os.close(reader)


def test_the_list_goes_to_standard_output_by_default(
    sandbox: SandboxThread, tmp_path: Path
) -> None:
    """With the API's own reason, and the trace id that its support asks for."""
    sandbox.set_faults(Fault("no_id", nth=(1,)))
    history = write_jsonl(tmp_path / "h.jsonl", [sms(1)])
    leadconnector("import", history, *at(sandbox, tmp_path / "o.db"))
    run = leadconnector("failed", "--outbox", tmp_path / "o.db")
    (record,) = map(json.loads, run.stdout.splitlines())
    assert "answered without a messageId" in record["error"]
    assert record["outboxKey"] == "m1"
    assert record["locationId"] == sandbox.location_id


def test_the_list_is_readable_by_its_owner_alone(sandbox: SandboxThread, tmp_path: Path) -> None:
    """It holds the messages. It appears whole, or not at all."""
    history = write_jsonl(tmp_path / "h.jsonl", [sms(1, direction=None)])
    leadconnector("import", history, *at(sandbox, tmp_path / "o.db"))
    out = tmp_path / "failed.jsonl"
    leadconnector("failed", "--outbox", tmp_path / "o.db", "-o", out)
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert not (tmp_path / "failed.jsonl.part").exists()
    run = leadconnector("failed", "--outbox", tmp_path / "o.db", "-o", tmp_path / "no" / "f.csv")
    assert run.exit_code == 1
    assert "cannot be written" in run.stderr


def test_nothing_failed_is_no_list(sandbox: SandboxThread, tmp_path: Path) -> None:
    """And no file."""
    history = write_jsonl(tmp_path / "h.jsonl", [sms(1)])
    leadconnector("import", history, *at(sandbox, tmp_path / "o.db"))
    out = tmp_path / "failed.jsonl"
    run = leadconnector("failed", "--outbox", tmp_path / "o.db", "-o", out)
    assert run.exit_code == 0
    assert "Nothing has failed." in run.stderr
    assert not out.exists()


@pytest.mark.slow
def test_the_command_that_the_report_gives_reads_the_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the mapping and the options that its source was read with: advice can be followed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "h.csv").write_text(
        "Phone,Direction,When it was,Text\n"
        "2125550142,inbound,01/02/2024 10:00,one\n"
        "72975,inbound,01/02/2024 11:00,two\n"
        "12,inbound,01/02/2024 12:00,three\n"
    )
    options = ["--mapping", "generic", "--map", "date=When it was", "--region", "US"]
    options += ["--timezone", "America/New_York", "--date-format", "%d/%m/%Y %H:%M"]
    options += ["--leave-out", "short-codes", "--sandbox", "--outbox", "o.db"]
    run = leadconnector("import", "h.csv", *options)
    assert run.exit_code == 3, run.output
    advice = [line.strip() for line in run.stdout.splitlines()]
    (listing,) = (
        line for line in advice if line.startswith("leadconnector failed --outbox o.db -o")
    )
    (again,) = (line for line in advice if line.startswith("leadconnector import failed.csv"))
    assert leadconnector(*shlex.split(listing)[1:]).exit_code == 0
    mended = (tmp_path / "failed.csv").read_text().replace(",12,", ",2125550143,")
    (tmp_path / "failed.csv").write_text(mended)
    result = result_of(leadconnector(*shlex.split(again)[1:], "--json").stdout)
    assert (result["sent"], result["failed"], result["account"]["left_out"]) == (1, 0, 1)


def test_the_command_that_the_report_gives_knows_the_owner_and_makes_no_contact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sandbox: SandboxThread
) -> None:
    """What the import was not to do, the import of what failed in it does not do either."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "h.csv").write_text(
        "From,To,Date,Text\n"
        "+13035550142,+13035550100,2024-01-31T10:00:00Z,one\n"
        "+13035550100,+13035550142,,cafÃ©\n"
    )
    options = [*at(sandbox, "o.db"), "--mapping", "generic", "--mine", "+13035550100"]
    options += ["--contacts", "find", "--repair-text"]
    run = leadconnector("import", "h.csv", *options)
    leadconnector("failed", "--outbox", "o.db", "-o", "failed.csv")
    mended = (tmp_path / "failed.csv").read_text().replace("0142,,", "0142,2024-01-31T10:00:00Z,")
    (tmp_path / "failed.csv").write_text(mended)
    (again,) = (line for line in run.stdout.splitlines() if "import failed.csv" in line)
    words = [*shlex.split(again)[1:], "--token", sandbox.token]
    assert result_of(leadconnector(*words, "--json").stdout)["failed"] == 2
    assert (sandbox.messages, sandbox.contacts) == ([], [])
    leadconnector("retry", "--outbox", "o.db")
    words[words.index("--contacts") + 1] = "create"
    assert result_of(leadconnector(*words, "--json").stdout)["sent"] == 2
    kept = {(one.direction, one.fields["message"]) for one in sandbox.messages}
    assert kept == {("inbound", "one"), ("outbound", "café")}


@pytest.mark.parametrize("place", ["file", pytest.param("database", marks=pytest.mark.slow)])
def test_what_was_staged_for_a_wrong_location_is_given_up(
    sandbox: SandboxThread, tmp_path: Path, place: str, request: pytest.FixtureRequest
) -> None:
    """It is on the list, from which it is sent elsewhere once it names another location.

    What is for others stays pending, and `retry` puts back what was given up.
    """
    outbox = str(tmp_path / "o.db")
    if place == "database":
        outbox = request.getfixturevalue("postgres_place")
        leadconnector("outbox", "init", outbox)
    listed, options = tmp_path / "failed.jsonl", at(sandbox, outbox)
    wrong = write_jsonl(tmp_path / "w.jsonl", [sms(n, locationId="Wrong00001") for n in range(60)])
    right = write_jsonl(tmp_path / "r.jsonl", [sms(n, id=f"o{n}") for n in range(7)])
    leadconnector("import", wrong, right, *options, "--stage-only")
    given_up = ("failed", "--outbox", outbox, "--give-up", "Wrong00001")
    for _ in range(2):
        assert "60 records failed" in leadconnector(*given_up).stdout
        assert leadconnector(*given_up).exit_code == 2
        assert leadconnector("outbox", "check", "--outbox", outbox).exit_code == 0
        leadconnector("failed", "--outbox", outbox, "-o", listed)
        leadconnector("retry", "--outbox", outbox)
    assert leadconnector(*given_up, "--dismiss", "given up").exit_code == 2
    leadconnector(*given_up)
    leadconnector("failed", "--outbox", outbox, "--dismiss", "given up")
    listed.write_text(listed.read_text().replace("Wrong00001", sandbox.location_id))
    leadconnector("import", listed, *options)
    account = result_of(leadconnector("import", *options, "--json").stdout)["account"]
    assert (account["sent"], account["dismissed"], account["pending"]) == (67, 60, 0)
    assert len(sandbox.messages) == 67


CHATS = {
    "whatsapp": "[2024-01-31, 10:00:00] Ann: hi\n[2024-01-31, 10:01:00] Shop: yo\n",
    "messenger": (
        '{"participants": [{"name": "Ann"}, {"name": "Shop"}], "messages": ['
        '{"sender_name": "Ann", "timestamp_ms": 1704103200000, "content": "hi"},'
        '{"sender_name": "Shop", "timestamp_ms": 1704103201000, "content": "yo"}]}'
    ),
}


@pytest.mark.parametrize("mapping", CHATS)
def test_the_list_of_a_source_that_only_a_whole_file_tells_is_imported_as_it_is_told(
    mapping: str, sandbox: SandboxThread, tmp_path: Path
) -> None:
    """It has the API's names; the command that the report gives names the mapping all the same."""
    outbox, listed = tmp_path / "o.db", tmp_path / "failed.jsonl"
    chat = tmp_path / "chat"
    chat.write_text(CHATS[mapping])
    options = [*at(sandbox, outbox), "--mapping", mapping, "--timezone", "UTC", "--json"]
    failed = result_of(leadconnector("import", chat, *options).stdout)["failed"]
    assert failed
    leadconnector("failed", "--outbox", outbox, "-o", listed)
    records = [json.loads(line) for line in listed.read_text().splitlines()]
    mended = [{**one, "direction": "inbound", "contact.phone": "+12125550100"} for one in records]
    listed.write_text("".join(json.dumps(one) + "\n" for one in mended))
    found = result_of(leadconnector("import", listed, *options).stdout)
    assert (found["sent"], found["failed"], found["account"]["sent"]) == (failed, 0, failed)
