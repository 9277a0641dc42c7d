from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING
from zipfile import ZipFile
from zoneinfo import ZoneInfo

import pytest

from leadconnector_async.models import Contact
from leadconnector_async.sources import Parsed, SourceOptions, open_source
from leadconnector_async.sources.formats.failed_list import as_api_names

if TYPE_CHECKING:
    from pathlib import Path

NARROW = (
    "Chat Session,Message Date,Service,Type,Sender ID,Sender Name,Status,Replying to,Subject,Text,"
    "Reactions,Attachment,Attachment type"
)
KIM = Contact(phone="+13035550142", name="Kim")


def _read(
    path: Path, content: str = "", **options: object
) -> tuple[list[Parsed], list[str], bytes]:
    if content:
        path.write_text(content, "utf-8")
    zone = ZoneInfo("America/Denver")
    settings = SourceOptions(timezone=zone, region="US", **options)  # type: ignore[arg-type]
    with open_source(str(path), settings) as source:
        return list(source), source.warnings, source.form


def _imazing(*rows: str) -> str:
    return "\n".join([NARROW, *rows]) + "\n"


def _row(session: str, type_: str, sender: str = "", name: str = "", text: str = "hi") -> str:
    return f"{session},2024-03-29 09:06:41,iMessage,{type_},{sender},{name},Read,,,{text},,,"


def test_a_sent_row_is_with_whom_the_others_of_its_chat_are(tmp_path: Path) -> None:
    """Also where it comes first; rows of other chats say nothing of it."""
    content = _imazing(
        _row("Kim", "Outgoing"),
        _row("Bob", "Incoming", "+13035550143", "Bob"),
        _row("Kim", "Incoming", "+13035550142", "Kim"),
        _row("Kim", "Incoming", "kim@example.org", "Kim"),
        _row("Kim", "Outgoing"),
    )
    parsed, _, _ = _read(tmp_path / "a.csv", content)
    contacts = [one.row and one.row.contact for one in parsed]
    assert contacts[0] == contacts[2] == contacts[4] == KIM
    assert contacts[1] == Contact(phone="+13035550143", name="Bob")
    assert contacts[3] == Contact(email="kim@example.org", name="Kim")


def test_a_row_in_place_of_a_reaction_is_left_out(tmp_path: Path) -> None:
    """As a telephone wrote it; a text that only begins so stays."""
    reactions = (
        "Liked “See you”",
        "Loved an image",
        "Reacted 😂 to “See, you”",
        "Removed a like from “x”",
    )
    texts = ("Liked the image", "Loved “it”, thanks")
    rows = [
        _row("Kim", "Incoming", "+13035550142", "Kim", f'"{text}"') for text in reactions + texts
    ]
    parsed, _, _ = _read(tmp_path / "a.csv", _imazing(*rows))
    said = "reactions, for which the API has no field"
    assert [one.left_out for one in parsed] == [said] * len(reactions) + [None] * len(texts)
    assert all(one.row for one in parsed[len(reactions) :])


def test_files_of_imazing_are_named_after_date_and_chat(tmp_path: Path) -> None:
    """The table has their own names alone. Where it can be two, or none, that is told."""
    row = _row("Kim", "Incoming", "+13035550142", "Kim")[:-3]
    names = ["a.jpg", "b - c.jpg", "d.jpg", "e.jpg", "f.jpg"]
    content = _imazing(*(f"{row},,{name},Image" for name in names))
    (folder := tmp_path / "files").mkdir()
    (folder / "2024-03-29 09 06 41 - Kim - b - c.jpg").write_bytes(b"x")
    files = [f"2024-03-29 09 06 41 - {chat} - d.jpg" for chat in ("Kim", "Bob")]
    own = "2024-03-29 09 06 41 - Kim _ - a.jpg"
    for name in (own, *files, "e.jpg", "2024-03-29 09 06 42 - Kim - f.jpg"):
        (tmp_path / name).write_bytes(b"x")
    parsed, _, _ = _read(tmp_path / "a.csv", content, files=(folder,))
    urls = [one.row and (one.row.attachments or [""])[0].rpartition("/")[2] for one in parsed]
    start = "2024-03-29%2009%2006%2041%20-%20Kim%20"
    assert urls == [f"{start}_%20-%20a.jpg", f"{start}-%20b%20-%20c.jpg", None, "e.jpg", None]
    assert "a file that is not there" in str(parsed[2].problems[0])
    parsed, _, _ = _read(tmp_path / "a.csv", content.replace("Message Date", "MESSAGE DATE"))
    assert parsed[0].row, "names of columns count whatever their case"
    with ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("chat/a.csv", content)
        archive.writestr(f"chat/{own}", b"x")
    parsed, _, _ = _read(tmp_path / "a.zip")
    assert [bool(one.row) for one in parsed] == [True, *[False] * 4]
    assert own.encode() in parsed[0].raw


def test_a_deleted_message_is_left_out(tmp_path: Path) -> None:
    """Which the widest table holds until the telephone forgets it."""
    head = NARROW.replace("Message Date,", "Message Date,Delivered Date,Deleted Date,")
    row = "Kim,2024-03-29 09:06:41,,{},iMessage,Incoming,+13035550142,Kim,Read,,,hi,,,\n"
    content = f"{head}\n{row.format('2024-03-30 09:06:41')}{row.format('')}"
    parsed, _, _ = _read(tmp_path / "a.csv", content)
    assert [one.left_out for one in parsed] == ["messages that were deleted", None]


def test_a_chat_in_which_nobody_answered_is_with_whom_it_is_named_after(tmp_path: Path) -> None:
    """A number is enough; a name finds nobody."""
    content = _imazing(_row("+1 (303) 555-0142", "Outgoing"), _row("Kim", "Outgoing"))
    (one, other), _, _ = _read(tmp_path / "a.csv", content)
    assert one.row is not None
    assert one.row.contact == Contact(phone="+13035550142")
    assert [problem.field for problem in other.problems] == ["contact.name"]


def test_what_was_sent_to_a_group_is_refused(tmp_path: Path) -> None:
    """What was received is its sender's; --leave-out groups counts the others."""
    content = _imazing(
        _row("Kim & Bob", "Incoming", "+13035550142", "Kim"),
        _row("Kim & Bob", "Incoming", "+13035550143", "Bob"),
        _row("Kim & Bob", "Outgoing"),
    )
    parsed, _, _ = _read(tmp_path / "a.csv", content)
    assert [one.row and one.row.contact and one.row.contact.name for one in parsed] == [
        *("Kim", "Bob", None)
    ]
    assert [problem.wrong for problem in parsed[2].problems] == ["names several people"]
    parsed, _, _ = _read(tmp_path / "a.csv", leave_out=frozenset({"groups"}))
    assert parsed[2].left_out == "messages of a group"


@pytest.mark.parametrize("title", ["Kim & Bob", "Kim, Bob", "Bob, Kim & Ann"])
def test_a_group_in_which_one_alone_answered_is_one(tmp_path: Path, title: str) -> None:
    """Its title names the others: what was sent to all is not with that one alone."""
    rows = (_row(f'"{title}"', "Incoming", "+13035550142", "Kim"), _row(f'"{title}"', "Outgoing"))
    parsed, _, _ = _read(tmp_path / "a.csv", _imazing(*rows))
    assert parsed[0].row is not None
    assert "names several people" in str(parsed[1].problems[0])


def test_one_whose_name_is_that_of_several_is_one(tmp_path: Path) -> None:
    """Such as a firm."""
    rows = (
        _row("Kim & Sons", "Outgoing"),
        _row("Kim & Sons", "Incoming", str(KIM.phone), "Kim & Sons"),
    )
    parsed, _, _ = _read(tmp_path / "a.csv", _imazing(*rows))
    assert [one.row and one.row.contact and one.row.contact.phone for one in parsed] == [
        KIM.phone
    ] * 2


def test_a_file_named_after_several_numbers_is_of_a_group(tmp_path: Path) -> None:
    """As imessage-exporter names it, though one of them alone wrote."""
    when = "Mar 29, 2024  9:06:41 AM"
    content = f"{when}\n{KIM.phone}\nhi\n\n{when}\nMe\nyes\n\n"
    parsed, _, _ = _read(tmp_path / f"{KIM.phone}, +13035550143 - 12.txt", content)
    assert {"names several people" in str(one.problems[0]) for one in parsed} == {True}
    parsed, _, _ = _read(tmp_path / f"{KIM.phone} - 12.txt", content)
    assert {one.row is None for one in parsed} == {False}


def test_a_list_of_failed_rows_knows_whom_they_were_with(tmp_path: Path) -> None:
    """It has the API's names: alone, such a row could not be read again."""
    content = _imazing(
        _row("Kim", "Incoming", "+13035550142", "Kim"), _row("Kim", "Outgoing", text="x\0y")
    )
    (_, bad), _, form = _read(tmp_path / "a.csv", content)
    assert bad.row is None
    given = as_api_names(form, bad.raw)
    assert isinstance(given, dict)
    assert (given["contact.phone"], given["direction"]) == ("+13035550142", "outbound")


@pytest.mark.parametrize(
    ("author", "type_", "contact"),
    [
        ("whatsapp:+13035550142", "WhatsApp", Contact(phone="+13035550142")),
        ("+13035550142", "SMS", Contact(phone="+13035550142")),
    ],
)
def test_conversations_of_twilio(tmp_path: Path, author: str, type_: str, contact: Contact) -> None:
    """The other side's number tells the type of both; the owner is an identity, or a number."""
    messages = [
        {"sid": f"IM{at}", "conversation_sid": "CH1", "index": at, "author": who, "body": "hi"}
        | {"media": None, "date_created": "2024-03-29T15:06:41Z"}
        for at, who in enumerate(("shop", author, "system", "shop"))
    ]
    content = json.dumps({"messages": messages, "meta": {"key": "messages"}})
    parsed, _, _ = _read(tmp_path / "a.json", content, mine=("shop",))
    assert [one.left_out for one in parsed] == [None, None, "notes of Twilio itself", None]
    rows = [one.row for one in parsed if one.row]
    assert [row.direction for row in rows] == ["outbound", "inbound", "outbound"]
    assert {(row.type, str(row.date)[:19]) for row in rows} == {(type_, "2024-03-29 15:06:41")}
    assert {row.contact for row in rows} == {contact}
    parsed, _, _ = _read(tmp_path / "a.json")
    said = [str(problem) for problem in parsed[0].problems]
    assert any("direction cannot be told: give --mine" in one for one in said)


def test_bulk_exports_of_twilio_are_read_packed(tmp_path: Path) -> None:
    """An object a line, as gzip; recognised by its keys."""
    record = {
        "sid": "SM1",
        "from": "+13035550142",
        "to": "+13035550100",
        "direction": "inbound",
        "status": "received",
        "body": "hi",
        "date_sent": "2024-03-29T15:06:41Z",
    }
    path = tmp_path / "2024-03-29.json.gz"
    path.write_bytes(gzip.compress(json.dumps(record).encode() + b"\n"))
    (one,), _, _ = _read(path)
    assert one.row is not None
    assert (one.row.id, one.row.direction, str(one.row.date)[:19]) == (
        *("SM1", "inbound", "2024-03-29 15:06:41"),
    )
