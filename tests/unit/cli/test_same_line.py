from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import pytest
from cli_harness import at, leadconnector, result_of

if TYPE_CHECKING:
    from pathlib import Path

    from leadconnector_async.sandbox import SandboxThread

HEAD = "type,contact.phone,direction,date,message,attachments\n"
BARE = "SMS,2125550100,inbound,2024-01-01T10:00:00,one,\n"
"""Refused without --region and --timezone."""


def counts(*words: object) -> tuple[int, int, int]:
    """Import; return how many records were new, sent, and stand as failed."""
    result = result_of(leadconnector("import", *words, "--json").stdout)
    return result["staged"], result["sent"], result["failed"]


def test_an_option_that_was_missing_mends_the_same_line(
    sandbox: SandboxThread, tmp_path: Path
) -> None:
    """The line leaves the list of failed ones; a list that was written before sends nothing."""
    history, mended = tmp_path / "h.csv", tmp_path / "failed.csv"
    history.write_text(HEAD + BARE)
    options = at(sandbox, tmp_path / "o.db")
    assert counts(history, *options) == (1, 0, 1)
    leadconnector("failed", "--outbox", tmp_path / "o.db", "-o", mended)
    options += ["--region", "US", "--timezone", "UTC"]
    assert counts(history, *options) == (1, 1, 0)
    assert counts(history, mended, *options) == (0, 0, 0)
    assert len(sandbox.messages) == 1


def test_a_mended_list_and_then_the_file_again_send_once(
    sandbox: SandboxThread, tmp_path: Path
) -> None:
    """The same the other way round, for lines that are equal too: each is one record."""
    history, mended = tmp_path / "h.csv", tmp_path / "failed.csv"
    history.write_text(HEAD + BARE * 3)
    options = at(sandbox, tmp_path / "o.db")
    assert counts(history, *options) == (3, 0, 3)
    leadconnector("failed", "--outbox", tmp_path / "o.db", "-o", mended)
    options += ["--region", "US", "--timezone", "UTC"]
    assert counts(mended, *options) == (3, 3, 0)
    assert counts(history, *options) == (0, 0, 0)
    assert len(sandbox.messages) == 3


def test_a_file_put_where_it_belongs_mends_its_line(sandbox: SandboxThread, tmp_path: Path) -> None:
    """As the reason says: put it there. Nothing has to be mended, and nothing stays failed."""
    history = tmp_path / "h.csv"
    history.write_text(HEAD + "SMS,+12125550100,inbound,2024-01-01T10:00:00Z,one,a.png\n")
    options = at(sandbox, tmp_path / "o.db")
    assert counts(history, *options) == (1, 0, 1)
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert counts(history, *options) == (1, 1, 0)
    assert len(sandbox.messages) == 1


@pytest.mark.parametrize("again", [(), ("list",), ("file",)])
def test_a_chat_whose_owner_is_named_later_leaves_nothing_failed(
    sandbox: SandboxThread, tmp_path: Path, again: tuple[str, ...]
) -> None:
    """As the reason says. All its lines say something else then; equal ones are two."""
    lines = ("Ann: hi", "Ann: hi", "Shop: yo", "Ann: bye", "Ann: <Media omitted>")
    paths = {"file": tmp_path / "_chat.txt", "list": tmp_path / "failed.jsonl"}
    paths["file"].write_text("".join(f"[2024-01-31, 10:00:00] {line}\n" for line in lines))
    (tmp_path / "people.csv").write_text("Ann,+12125550100\n")
    options = [*at(sandbox, tmp_path / "o.db"), "--timezone", "UTC"]
    options += ["--people", str(tmp_path / "people.csv")]
    assert counts(paths["file"], *options) == (5, 0, 4)
    leadconnector("failed", "--outbox", tmp_path / "o.db", "-o", paths["list"])
    for one in again:
        assert counts(paths[one], *options)[1:] == (0, 4)
    assert counts(paths["file"], *options, "--mine", "Shop") == (4, 4, 0)
    assert counts(paths["file"], *options, "--mine", "Shop") == (0, 0, 0)
    assert len(sandbox.messages) == 4
    status = leadconnector("status", "--outbox", tmp_path / "o.db").stdout
    assert "read 5 = 4 sent + 1 left out" in status


@pytest.mark.parametrize("listed", [False, True])
def test_a_location_that_is_given_later_takes_the_record_along(
    sandbox: SandboxThread, tmp_path: Path, *, listed: bool
) -> None:
    """By the file again or by the list, with an id or without: it is sent once, and failed no more.

    Lines that are equal are as many records as before.
    """
    history, mended = tmp_path / "h.csv", tmp_path / "failed.csv"
    line = "SMS,c1,inbound,2024-01-01T10:00:00Z,{},{},{}\n"
    history.write_text(
        "type,contactId,direction,date,message,id,locationId\n"
        + line.format("one", "", "") * 2
        + line.format("one", "own", "")
        + line.format("two", "", sandbox.location_id)
    )
    options = at(sandbox, tmp_path / "o.db")
    place = options.index("--location")
    assert counts(history, *options[:place], *options[place + 2 :]) == (4, 1, 3)
    leadconnector("failed", "--outbox", tmp_path / "o.db", "-o", mended)
    assert len(list(csv.DictReader(io.StringIO(mended.read_text())))) == 3
    first, second = (mended, history) if listed else (history, mended)
    assert counts(first, *options)[2] == 0
    assert counts(second, *options) == (0, 0, 0)
    status = leadconnector("status", "--outbox", tmp_path / "o.db").stdout
    assert "(none)" not in status
    assert len(sandbox.messages) == 4


CHAT = """3/14/24, 3:34 PM - Ann: Hello
3/14/24, 3:34 PM - Shop: Hello
3/14/24, 3:35 PM - Ann: a.jpg (file attached)
"""
META = """{"participants": [{"name": "Ann"}, {"name": "Shop"}], "messages": [
{"sender_name": "Ann", "timestamp_ms": 1711724801000, "content": "Hello"},
{"sender_name": "Shop", "timestamp_ms": 1711724801000, "content": "Hello"},
{"sender_name": "Ann", "timestamp_ms": 1711724801000, "photos": [{"uri": "a.jpg"}]}]}
"""
TABLE = """Chat Session,Message Date,Type,Sender ID,Sender Name,Text,Attachment
Ann,2024-03-14 15:34:00,Incoming,,Ann,Hello,
Ann,2024-03-14 15:34:00,Outgoing,,,Hello,
Ann,2024-03-14 15:35:00,Incoming,,Ann,,a.jpg
"""


@pytest.mark.parametrize(
    ("name", "text"), [("c.txt", CHAT), ("messenger.json", META), ("t.csv", TABLE)]
)
def test_a_line_of_a_chat_stays_the_same_whoever_is_said_to_write(
    sandbox: SandboxThread, tmp_path: Path, name: str, text: str
) -> None:
    """Where options tell the sides. What had failed was another record, and failed for ever."""
    chat, people, mended = tmp_path / name, tmp_path / "people.csv", tmp_path / "failed.jsonl"
    chat.write_text(text)
    people.write_text("Name,Phone\nAnn,+12125550101\n")
    options = [*at(sandbox, tmp_path / "o.db"), "--timezone", "UTC"]
    options += ["--mapping", "messenger"] if name == "messenger.json" else []
    assert counts(chat, *options) == (3, 0, 3)
    leadconnector("failed", "--outbox", tmp_path / "o.db", "-o", mended)
    assert "sourceLine" not in mended.read_text()
    assert counts(chat, *options, "--mine", "Shop")[1:] == (0, 3)
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\xff")
    assert counts(chat, *options, "--mine", "Shop", "--people", people) == (3, 3, 0)
    options = options[: options.index("--mapping")] if name == "messenger.json" else options
    assert counts(mended, *options) == (0, 0, 0)
    assert len(sandbox.messages) == 3


@pytest.mark.parametrize("name", ["WhatsApp Chat with {}.txt", "{}.txt"])
def test_what_was_written_to_all_is_a_message_of_each_chat(
    sandbox: SandboxThread, tmp_path: Path, name: str
) -> None:
    """In the same minute it stands alike in each: a second one was taken for a copy, and lost."""
    ann, bob = chats = [tmp_path / name.format(who) for who in ("Ann", "Bob")]
    for chat, who in zip(chats, ("Ann", "Bob"), strict=True):
        hello, hi = "3/14/24, 3:34 PM - Shop: Hello", f"3/14/24, 3:35 PM - {who}: I am {who}"
        chat.write_text(f"{hello}\n{hi}\n")
    people = tmp_path / "people.csv"
    people.write_text("Name,Phone\nAnn,+12125550101\nBob,+12125550102\n")
    options = [*at(sandbox, tmp_path / "o.db"), "--timezone", "UTC"]
    assert counts(ann, bob, *options) == (4, 0, 4)
    options += ["--mine", "Shop", "--people", str(people)]
    assert counts(bob, *options)[1:] == (2, 2)
    assert counts(ann, *options)[1:] == (2, 0)
    assert len(sandbox.messages) == 4


def test_a_mail_to_another_is_another_mail(sandbox: SandboxThread, tmp_path: Path) -> None:
    """Programs that write no Message-ID write to many within a second."""
    boxes = [tmp_path / "ann.mbox", tmp_path / "bob.mbox"]
    for box in boxes:
        head = f"From x Fri Jul  5 15:06:41 2024\nFrom: me@x.example\nTo: {box.stem}@x.example\n"
        box.write_text(f"{head}Date: Fri, 5 Jul 2024 15:06:41 BST\n\nhi\n\n")
    options = [*at(sandbox, tmp_path / "o.db"), "--mine", "me@x.example"]
    assert counts(*boxes, *options) == (2, 0, 2)
    options += ["--timezone", "Europe/London"]
    assert counts(boxes[1], *options)[1:] == (1, 1)
    assert counts(boxes[0], *options)[1:] == (1, 0)
    assert len(sandbox.messages) == 2


def test_a_mail_without_an_id_stays_the_same_by_any_option(
    sandbox: SandboxThread, tmp_path: Path
) -> None:
    """Its date and its contact are told by options, and were what it was known by."""
    box = tmp_path / "a.mbox"
    head = "From a@x.example Fri Jul  5 15:06:41 2024\nFrom: a@x.example\nTo: b@x.example\n"
    box.write_text(f"{head}Date: Fri, 5 Jul 2024 15:06:41 BST\n\nhi\n\n" * 2)
    options = at(sandbox, tmp_path / "o.db")
    assert counts(box, *options, "--mine", "@x.example") == (2, 0, 2)
    options += ["--timezone", "Europe/London"]
    assert counts(box, *options, "--mine", "@x.example")[1:] == (0, 2)
    assert counts(box, *options, "--mine", "b@x.example") == (2, 2, 0)
    assert len(sandbox.messages) == 2


def test_an_equal_record_of_another_file_is_not_sent_again(
    sandbox: SandboxThread, tmp_path: Path
) -> None:
    """A line that was refused, and turns out to say what is sent already, is that record."""
    whole, bare = tmp_path / "whole.csv", tmp_path / "bare.csv"
    whole.write_text(HEAD + "SMS,+12125550100,inbound,2024-01-01T10:00:00Z,one,\n")
    bare.write_text(HEAD + BARE)
    options = at(sandbox, tmp_path / "o.db")
    assert counts(whole, bare, *options) == (2, 1, 1)
    options += ["--region", "US", "--timezone", "UTC"]
    assert counts(whole, bare, *options) == (0, 0, 0)
    assert len(sandbox.messages) == 1


def test_rows_of_a_second_table_are_refused_from_the_list_too(
    sandbox: SandboxThread, tmp_path: Path
) -> None:
    """There nothing tells that another header stood above them: the columns would be swapped."""
    history, listed = tmp_path / "h.csv", tmp_path / "failed.csv"
    history.write_text(
        "type,contactId,direction,date,message,subject\n"
        "Email,c1,inbound,2024-01-01T10:00:00Z,one,first\n"
        "type,contactId,direction,date,subject,message\n"
        'Email,c1,inbound,2024-01-02T10:00:00Z,"second, and last",two\n'
    )
    options = at(sandbox, tmp_path / "o.db")
    assert counts(history, *options) == (3, 1, 2)
    leadconnector("failed", "--outbox", tmp_path / "o.db", "-o", listed)
    assert counts(listed, *options)[1:] == (0, 2)
    assert counts(history, *options)[1:] == (0, 2)
    assert len(sandbox.messages) == 1
    assert '"Email,c1,inbound,2024-01-02T10:00:00Z,""second, and last"",two"' in listed.read_text()


@pytest.mark.parametrize("order", [(64, 0, 32), (0, 64, 32), (0, 32, 64), (64, 0), (0, 64)])
def test_what_is_left_out_is_no_earlier_form_of_what_equals_it(
    sandbox: SandboxThread, tmp_path: Path, order: tuple[int, ...]
) -> None:
    """What the list would have of them does not tell them apart; read again, nothing is sent."""
    backup = tmp_path / "sms.xml"
    sms = '<sms address="+12125550100" date="1706713445000" type="2" body="hi" status="%d"/>'
    backup.write_text(f"<smses>{''.join(sms % status for status in order)}</smses>")
    options = at(sandbox, tmp_path / "o.db")
    assert counts(backup, *options) == (len(order), len(order) - 1, 0)
    for _ in range(2):
        result = result_of(leadconnector("import", backup, *options, "--json").stdout)
        assert (result["staged"], result["sent"], result["left_out"]) == (0, 0, 1)
        assert result["account"]["read"] == len(order)
    assert len(sandbox.messages) == len(order) - 1
