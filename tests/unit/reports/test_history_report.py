"""Every record of a file is accounted for, and the numbers add up for a person and a program."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from cli_harness import at, leadconnector, result_of

if TYPE_CHECKING:
    from pathlib import Path

    from leadconnector_async.sandbox import SandboxThread

HEAD = "id,type,contact.phone,direction,date,message\n"
ONE = "1,SMS,+12125550100,inbound,2024-01-01T10:00:00Z,one\n"
OTHER = "1,SMS,+12125550143,inbound,2024-03-30T15:06:41Z,other\n"
BAD = "2,SMS,+12125550100,sideways,2024-01-01T10:00:00Z,bad\n"
MAIL = (
    "From a Mon Jan  1 10:00:00 2024\nMessage-ID: <{}@x.example>\nFrom: Kim <kim@x.example>\n"
    "To: me@shop.example\nDate: Mon, 1 Jan 2024 10:00:00 +0000\nSubject: {}\n\n{}\n\n"
)
REUSED = "id is that of another record"


def imported(*words: object) -> dict[str, Any]:
    """Import; the account always adds up."""
    run = leadconnector("import", *words, "--json")
    found = result_of(run.stdout)
    whole = dict(found["account"])
    assert whole.pop("read") == sum(whole.values())
    assert found["read"] == found["staged"] + found["skipped"]
    assert whole["sent"] == found["sent"] + found["sent_before"]
    failed = found["failed"] or found["unresolved"]
    assert run.exit_code == (3 if failed else 0), run.stderr
    return found


def failed(outbox: Path) -> list[dict[str, str]]:
    """The rows of the list of failed ones, a table."""
    listed = leadconnector("failed", "--outbox", outbox, "-o", "-")
    return list(csv.DictReader(io.StringIO(listed.stdout)))


def texts(sandbox: SandboxThread) -> list[str]:
    """The texts that the sandbox holds."""
    return sorted(str(message.fields.get("message")) for message in sandbox.messages)


def test_a_reused_id_is_refused_with_both_lines(sandbox: SandboxThread, tmp_path: Path) -> None:
    """It is on the list, exit 3; an equal row is a copy, told with its line; again is the same."""
    history = tmp_path / "h.csv"
    history.write_text(HEAD + ONE + OTHER + ONE)
    options = at(sandbox, tmp_path / "o.db")
    first, again = imported(history, *options), imported(history, *options)
    assert (first["sent"], first["failed"], first["copies"]) == (1, 1, 1)
    assert first["copies_lines"] == [f"{history}:4"]
    assert (again["staged"], again["sent"], again["sent_before"]) == (0, 0, 1)
    nothing = dict.fromkeys(("unresolved", "pending", "left_out", "dismissed"), 0)
    assert first["account"] == nothing | {"read": 3, "sent": 1, "failed": 1, "copies": 1}
    assert again["account"] == first["account"]
    (row,) = failed(tmp_path / "o.db")
    assert row["message"] == "other"
    assert row["error"].startswith(f'{history}:3: {REUSED} ("{history}:2") with other content')
    assert texts(sandbox) == ["one"]


def test_files_that_both_count_from_one_lose_nothing(
    sandbox: SandboxThread, tmp_path: Path
) -> None:
    """Neither in one run nor in two, sound or refused, whichever comes first."""
    one, two = tmp_path / "a.csv", tmp_path / "b.csv"
    one.write_text(HEAD + ONE + BAD)
    two.write_text(HEAD + OTHER + BAD.replace("sideways", "inbound").replace(",bad", ",sound"))
    for name, runs in (("one.db", [[one, two]]), ("two.db", [[one], [two], [one, two]])):
        options = at(sandbox, tmp_path / name)
        for sources in runs:
            found = imported(*sources, *options)
        assert found["account"]["read"] == 4
        listed = {row["message"] for row in failed(tmp_path / name)}
        assert listed == {"bad", "other", "sound"}
    assert texts(sandbox) == ["one", "one"]


def test_files_of_one_name_lose_nothing(sandbox: SandboxThread, tmp_path: Path) -> None:
    """A record that failed is mended by its file, also moved elsewhere, and by no other export."""
    first, moved, other = (tmp_path / name / "export.csv" for name in ("a", "b", "c"))
    for file in (first, moved, other):
        file.parent.mkdir()
    first.write_text(HEAD + BAD)
    moved.write_text(HEAD + BAD.replace("sideways", "inbound"))
    other.write_text(HEAD + BAD.partition(",")[0] + "," + OTHER.partition(",")[2])
    options = at(sandbox, tmp_path / "o.db")
    imported(first, *options)
    assert imported(other, *options)["failed"] == 2
    assert {row["message"] for row in failed(tmp_path / "o.db")} == {"bad", "other"}
    assert imported(moved, *options)["account"]["failed"] == 1
    assert texts(sandbox) == ["bad"]


def test_a_changed_text_of_a_sent_row_is_refused(sandbox: SandboxThread, tmp_path: Path) -> None:
    """What was sent is not what the file says now: that is nobody's copy."""
    history = tmp_path / "h.csv"
    history.write_text(HEAD + ONE)
    options = at(sandbox, tmp_path / "o.db")
    imported(history, *options)
    history.write_text(HEAD + ONE.replace(",one", ",uno"))
    assert imported(history, *options)["failed"] == 1
    assert [row["message"] for row in failed(tmp_path / "o.db")] == ["uno"]


@pytest.mark.slow
@pytest.mark.parametrize("change", [{"id": "9"}, {"message": "mended"}])
def test_a_reused_id_is_mended_by_its_list(
    sandbox: SandboxThread, tmp_path: Path, change: dict[str, str]
) -> None:
    """Unmended it stays refused; mended it is sent once, whatever is read again afterwards."""
    history, listed = tmp_path / "h.csv", tmp_path / "failed.csv"
    history.write_text(HEAD + ONE + OTHER)
    options = at(sandbox, tmp_path / "o.db")
    imported(history, *options)
    leadconnector("failed", "--outbox", tmp_path / "o.db", "-o", listed)
    assert imported(listed, *options)["failed"] == 1
    (row,) = csv.DictReader(io.StringIO(listed.read_text()))
    with listed.open("w") as file:
        writer = csv.DictWriter(file, row)
        writer.writeheader()
        writer.writerow(row | change)
    found = imported(listed, *options)
    assert (found["sent"], found["failed"], found["account"]["read"]) == (1, 0, 2)
    for sources in ([history], [listed], [history, listed]):
        again = imported(*sources, *options)
        assert (again["sent"], again["failed"], again["account"]["read"]) == (0, 0, 2)
    assert texts(sandbox) == sorted(["one", change.get("message", "other")])


def test_mails_of_one_message_id_are_told_apart_by_what_they_say(
    sandbox: SandboxThread, tmp_path: Path
) -> None:
    """Another mail is a record of its own; the copies in two folders stay one."""
    inbox, sent = tmp_path / "Inbox.mbox", tmp_path / "Sent.mbox"
    inbox.write_text(MAIL.format("a", "One", "first") + MAIL.format("a", "Two", "second"))
    sent.write_text(MAIL.format("b", "Three", "third") + MAIL.format("a", "Two", "second"))
    options = [*at(sandbox, tmp_path / "o.db"), "--mine", "me@shop.example"]
    first, again = imported(inbox, sent, *options), imported(inbox, sent, *options)
    assert (first["sent"], first["copies"], first["failed"]) == (3, 1, 0)
    assert (again["sent"], again["account"]) == (0, first["account"])
    assert imported(sent, *options)["account"] == first["account"]
    assert len(sandbox.messages) == 3


def test_mails_that_were_left_out_are_sent_once_their_label_is_named(
    sandbox: SandboxThread, tmp_path: Path
) -> None:
    """Each of several files is counted by itself; what is sent now is not left out any more."""
    boxes = [tmp_path / "a.mbox", tmp_path / "b.mbox"]
    for box in boxes:
        mail = MAIL.format(box.name, "Win", "a prize")
        box.write_text(mail.replace("Subject", "X-Gmail-Labels: Spam\nSubject"))
    options = [*at(sandbox, tmp_path / "o.db"), "--mine", "me@shop.example"]
    for _ in range(2):
        found = imported(*boxes, *options)
        assert (found["account"]["read"], found["left_out"], found["copies"]) == (2, 2, 0)
    found = imported(*boxes, *options, "--labels", "spam")
    assert (found["sent"], found["left_out"], found["account"]["read"]) == (2, 0, 2)


def test_mails_of_one_file_of_a_folder_are_left_out_each_by_itself(
    sandbox: SandboxThread, tmp_path: Path
) -> None:
    """Also where one has the Message-ID of another mail, and one has none."""
    (tmp_path / "mails").mkdir()
    spam = MAIL.format("a", "Win", "a prize").replace("Subject", "X-Gmail-Labels: Spam\nSubject")
    anonymous = spam.replace("Message-ID", "X-Id")
    box = MAIL.format("a", "One", "first") + spam + anonymous + anonymous
    (tmp_path / "mails" / "in.mbox").write_text(box)
    options = [*at(sandbox, tmp_path / "o.db"), "--mine", "me@shop.example"]
    for _ in range(2):
        found = imported(tmp_path / "mails", *options)
        account = found["account"]
        assert (account["read"], account["sent"], account["left_out"]) == (4, 1, 3)


def test_a_mail_that_was_read_otherwise_before_is_not_sent_again(
    sandbox: SandboxThread, tmp_path: Path
) -> None:
    """Where it stands in its file tells which one it is, whatever this version makes of it."""
    box, outbox = tmp_path / "in.mbox", tmp_path / "o.db"
    box.write_text(MAIL.format("a", "One", "first"))
    options = [*at(sandbox, outbox), "--mine", "me@shop.example"]
    imported(box, *options)
    with closing(sqlite3.connect(outbox)) as connection, connection:
        connection.execute(
            "UPDATE record SET payload = CAST(replace(payload, 'first', 'old') AS BLOB)"
        )
        connection.execute("UPDATE origin SET raw = x'7b7d'")
    again = imported(box, *options)
    assert (again["sent"], again["failed"], again["account"]["read"]) == (0, 0, 1)


def test_what_is_left_out_is_kept_and_counted(sandbox: SandboxThread, tmp_path: Path) -> None:
    """Once, however often it is read, with reason and lines; the report shows the sum."""
    history = tmp_path / "h.csv"
    head = "From,To,Body,Status,SentDate,Direction,Sid\n"
    row = "+12125550100,+12125550199,{},{},2024-01-01T10:00:00Z,inbound,{}\n"
    history.write_text(
        head + row.format("a", "received", "SM1") + row.format("b", "undelivered", "SM2")
    )
    options = [*at(sandbox, tmp_path / "o.db"), "--mapping", "twilio-messages"]
    for _ in range(2):
        found = imported(history, *options)
        assert (found["account"]["read"], found["account"]["left_out"]) == (2, 1)
        (reason,) = found["left_out_by_reason"]
        assert (reason["count"], reason["lines"]) == (1, [f"{history}:3"])
    report = leadconnector("import", history, *options).stdout
    assert "read 2 = 1 sent + 1 left out" in report
    status = leadconnector("status", "--outbox", tmp_path / "o.db")
    assert "read 2 = 1 sent + 1 left out" in status.stdout
    verified = leadconnector("verify", *options[:4], "--outbox", tmp_path / "o.db")
    assert "Each record that was sent is there, once. Not sent: 1 left out." in verified.stdout


def test_failed_records_are_dismissed_by_reason(sandbox: SandboxThread, tmp_path: Path) -> None:
    """A part of it is enough. Nothing brings them back, and everything is green afterwards."""
    history, outbox = tmp_path / "h.csv", tmp_path / "o.db"
    history.write_text(HEAD + ONE + OTHER + BAD + BAD.replace("2,", "3,"))
    options = at(sandbox, outbox)
    imported(history, *options)
    for part in ("id", "no such reason", ""):
        run = leadconnector("failed", "--outbox", outbox, "--dismiss", part)
        assert run.exit_code == 2
        assert REUSED in run.stderr
        assert "direction" in run.stderr
    run = leadconnector("failed", "--outbox", outbox, "--dismiss", "Direction")
    assert run.exit_code == 0
    assert "2 records dismissed" in run.stdout
    leadconnector("failed", "--outbox", outbox, "--dismiss", REUSED)
    assert "Nothing has failed" in leadconnector("failed", "--outbox", outbox).stderr
    assert "Nothing has failed" in leadconnector("retry", "--outbox", outbox).stdout
    found = imported(history, *options)
    assert (found["failed"], found["dismissed"], found["account"]["read"]) == (0, 3, 4)
    assert sum(reason["count"] for reason in found["dismissed_by_reason"]) == 3
    assert texts(sandbox) == ["one"]


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_failed_records_are_dismissed_by_their_list(
    sandbox: SandboxThread, tmp_path: Path, ending: str
) -> None:
    """Those on it alone; one that is mended by its key afterwards comes back."""
    history, outbox, listed = tmp_path / f"h.{ending}", tmp_path / "o.db", tmp_path / f"f.{ending}"
    rows = list(csv.DictReader(io.StringIO(HEAD + ONE + BAD + BAD.replace("2,", "3,"))))
    lines = [json.dumps(row) + "\n" for row in rows]
    history.write_text("".join(lines) if ending == "jsonl" else HEAD + ONE + BAD + BAD[1:])
    options = at(sandbox, outbox)
    before = imported(history, *options)["failed"]
    leadconnector("failed", "--outbox", outbox, "-o", listed)
    kept = listed.read_text().splitlines(keepends=True)
    listed.write_text("".join(kept[: 1 if ending == "jsonl" else 2]))
    run = leadconnector("failed", "--outbox", outbox, "--dismiss", listed)
    assert "1 record of the 1" in run.stdout
    found = imported(history, *options)
    assert (found["failed"], found["dismissed"]) == (before - 1, 1)
    listed.write_text(listed.read_text().replace("sideways", "inbound"))
    back = imported(listed, *options)
    assert (back["sent"], back["dismissed"]) == (1, 0)


def test_a_list_that_is_none_dismisses_nothing(tmp_path: Path, sandbox: SandboxThread) -> None:
    """It is told what is missing, and an outbox that is not there is not made."""
    history, outbox = tmp_path / "h.csv", tmp_path / "o.db"
    history.write_text(HEAD + BAD)
    assert leadconnector("failed", "--outbox", outbox, "--dismiss", "x").exit_code == 1
    assert not outbox.exists()
    imported(history, *at(sandbox, outbox))
    run = leadconnector("failed", "--outbox", outbox, "--dismiss", history)
    assert run.exit_code == 2
    assert "outboxKey" in run.stderr


WHOLE = {
    "xml": (
        "<smses>"
        '<sms address="+12125550100" date="1704103200000" type="1" body="one" />'
        '<sms address="+12125550100" date="1704103260000" type="1" body="two" />'
        "</smses>"
    ),
    "csv": (
        "type,contactId,direction,date,message\n"
        "SMS,c1,inbound,2024-01-01T10:00:00Z,one\n"
        'SMS,c1,inbound,2024-01-01T10:01:00Z,"two, which is long enough to be cut in the middle"\n'
    ),
    "jsonl": "".join(
        '{"type":"SMS","contactId":"c1","direction":"inbound","message":"one",'
        f'"date":"2024-01-01T10:0{minute}:00Z"}}\n'
        for minute in range(2)
    ),
}


@pytest.mark.parametrize("ending", WHOLE)
def test_the_fault_of_a_file_is_over_when_it_is_read_whole(
    ending: str, sandbox: SandboxThread, tmp_path: Path
) -> None:
    """A file that was cut is on the list until then, at whichever place it was cut last."""
    history, whole = tmp_path / f"h.{ending}", WHOLE[ending]
    options = at(sandbox, tmp_path / "o.db")
    for cut in (-60, -30):
        history.write_text(whole[:cut])
        found = imported(history, *options)
        assert (found["sent"] + found["sent_before"], found["failed"]) == (1, 1)
        assert "file " in found["by_reason"][0]["reason"]
    history.write_text(whole)
    found = imported(history, *options)
    assert (found["failed"], found["account"]["read"], found["account"]["sent"]) == (0, 2, 2)


@pytest.mark.slow
def test_all_four_give_one_classification(sandbox: SandboxThread, tmp_path: Path) -> None:
    """``inspect``, ``validate``, ``--dry-run`` and ``import``, for every record of a mixed file."""
    options = at(sandbox, tmp_path / "o.db")
    blank = ONE.replace("1,", "5,").replace(",one", ",")
    for name, rows, wrong in (
        ("reused", [ONE, OTHER, ONE], [3]),
        ("bad", [BAD, ONE, BAD.replace(",bad", ",worse")], [2, 4]),
        ("bad first", [BAD, BAD.replace("sideways", "inbound"), ONE], [2, 3]),
        ("blank", [blank, ONE], [2]),
    ):
        history = tmp_path / f"{name}.csv"
        history.write_text(HEAD + "".join(rows))
        own = [*options[:-4], "--outbox", str(tmp_path / f"{name}.db"), *options[-2:]]
        checked = leadconnector("validate", history)
        planned = leadconnector("import", history, *own, "--dry-run", "--json")
        done = leadconnector("import", history, *own, "--json")
        shown = leadconnector("inspect", history).stdout
        expected = sorted(f"{history}:{line}" for line in wrong)
        for run in (planned, done):
            reasons = result_of(run.stdout)["by_reason"]
            assert sorted(line for of in reasons for line in of["lines"]) == expected
        lines = {line.split(": ")[0] for line in checked.stdout.split("\n\n")[0].splitlines()}
        assert sorted(lines) == expected
        assert (checked.exit_code, planned.exit_code, done.exit_code) == (3, 3, 3)
        for of in result_of(done.stdout)["by_reason"]:
            assert of["reason"].split(" (")[0] in shown


def test_a_relative_path_stays_relative_on_the_list(sandbox: SandboxThread, tmp_path: Path) -> None:
    """From where the list lies it leads to the file: beside the source, and above it."""
    folder = tmp_path / "export"
    (folder / "files").mkdir(parents=True)
    (folder / "files" / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    history, outbox = folder / "h.csv", tmp_path / "o.db"
    history.write_text(HEAD[:-1] + ",attachments\n" + BAD[:-1] + ",files/a.png\n")
    imported(history, *at(sandbox, outbox))
    for where, path in ((folder, "files/a.png"), (tmp_path, "export/files/a.png")):
        leadconnector("failed", "--outbox", outbox, "-o", where / "failed.csv")
        (row,) = csv.DictReader(io.StringIO((where / "failed.csv").read_text()))
        assert row["attachments"] == path
