"""Exports of chats as JSON: whole files of one chat or of many, and the files beside them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile
from zoneinfo import ZoneInfo

import pytest

from leadconnector_async.errors import SourceError
from leadconnector_async.models import Contact
from leadconnector_async.sources import Parsed, SourceOptions, open_source

if TYPE_CHECKING:
    from pathlib import Path

KIM = Contact(phone="+13035550142")
NUMBER = "+1 303 555 0142"
WHEN = 1711724801
REACTIONS = "reactions, for which the API has no field"


def _read(path: Path, content: object = None, **options: object) -> tuple[list[Parsed], list[str]]:
    if content is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=1), "utf-8")
    settings = SourceOptions(region="US", **options)  # type: ignore[arg-type]
    with open_source(str(path), settings) as source:
        return list(source), source.warnings


def _said(**fields: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever JSON holds
    return {"id": 2, "type": "message", "date_unixtime": str(WHEN), "from_id": "user71"} | fields


def _chat(*messages: dict[str, Any], **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - as above
    head = {"name": NUMBER, "type": "personal_chat", "id": 71} | fields
    return head | {"messages": [*messages]}


def test_telegram_tells_sides_by_the_id_of_the_chat(tmp_path: Path) -> None:
    """Also where both have one name; the text is put together of its pieces."""
    pieces = ["see ", {"type": "bold", "text": "here"}, "."]
    content = _chat(_said(text=pieces), _said(id=3, from_id="user5", text="hi"))
    (one, other), warnings = _read(tmp_path / "result.json", content)
    assert one.row is not None
    assert other.row is not None
    assert (one.row.direction, other.row.direction) == ("inbound", "outbound")
    assert (one.row.type, one.row.message, one.row.contact) == ("Custom", "see here.", KIM)
    assert str(one.row.date) == "2024-03-29 15:06:41+00:00"
    assert warnings[0] == "its keys are those of --mapping telegram: read by it"


@pytest.mark.parametrize("system", ["facebook", "instagram"])
@pytest.mark.parametrize(
    ("folder", "left_out"),
    [
        ("filtered_threads", "chats that Meta has filtered as spam, in filtered_threads"),
        ("message_requests", None),
        ("archived_threads", None),
    ],
)
def test_what_meta_took_for_spam_is_left_out(
    tmp_path: Path, system: str, folder: str, left_out: str | None
) -> None:
    """Its folder alone tells; requests and archived chats are messages like others."""
    said = {"sender_name": NUMBER, "timestamp_ms": WHEN * 1000, "content": "hi"}
    people = [{"name": NUMBER}, {"name": "The shop"}]
    path = tmp_path / system / "messages" / folder / "kim_71" / "message_1.json"
    content = {"participants": people, "messages": [said]}
    (one,), _ = _read(path, content, mine=("The shop",))
    assert (one.left_out, one.problems) == (left_out, ())


@pytest.mark.parametrize("author", ["+13035550143", "The old shop"])
def test_who_is_no_more_in_a_chat_of_meta_is_not_the_one_who_is(
    tmp_path: Path, author: str
) -> None:
    """Such as one who has left the group, or a page by its earlier name."""
    said = {"sender_name": author, "timestamp_ms": WHEN * 1000, "content": "hi"}
    people = [{"name": NUMBER}, {"name": "The shop"}]
    content = {"participants": people, "messages": [said, said | {"sender_name": NUMBER}]}
    path = tmp_path / "facebook" / "messages" / "inbox" / "kim_71" / "message_1.json"
    (one, other), _ = _read(path, content, mine=("The shop",))
    assert [problem.wrong for problem in one.problems] == ["names several people"]
    assert f'if the name "{author}" is yours too, give it as --mine' in one.problems[0].fix
    assert other.row is not None
    assert other.row.contact is not None
    assert other.row.contact.phone == NUMBER.replace(" ", "")


@pytest.mark.parametrize("ticked", [{"personal_information": {"bio": "x" * 300_000}}, {}])
def test_the_whole_export_of_telegram(tmp_path: Path, ticked: dict[str, object]) -> None:
    """Each chat has a head of its own; groups are left out, and the other lists told.

    What the owner did not tick, such as what is known of himself, is not in it.
    """
    chats = [_chat(_said(text="one")), _chat(_said(text="two"), type="private_group")]
    content = {
        "about": "Here is the data",
        **ticked,
        "contacts": {"list": [{"first_name": "Kim", "phone_number": "001"}]},
        "chats": {"about": "All", "list": [*chats, _chat(_said(text="three"), name="Ann")]},
    }
    (one, two, three), warnings = _read(tmp_path / "result.json", content)
    assert one.row is not None
    assert one.row.contact == KIM
    assert two.left_out == "messages of groups, channels and bots, which are with no one person"
    assert [problem.field for problem in three.problems] == ["contact.name"]
    assert b'"contact.name": "Ann"' in three.raw
    assert any("contacts.list[*] (1)" in one for one in warnings)


def test_files_of_telegram_lie_beside_it(tmp_path: Path) -> None:
    """Those that were not exported are counted, alone or with a text."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").write_bytes(b"picture")
    gone = "(File not included. Change data exporting settings to download.)"
    content = _chat(
        _said(photo="photos/one.jpg", text=""),
        _said(photo=gone, text=[{"type": "plain", "text": "look"}]),
        _said(file=gone, text=""),
    )
    (one, two, three), _ = _read(tmp_path / "result.json", content)
    assert one.row is not None
    assert two.row is not None
    assert [url.rpartition("/")[2] for url in one.row.attachments or ()] == ["one.jpg"]
    assert two.notices == ("messages had pictures or files that the export does not hold",)
    assert three.left_out == ("messages of pictures or files alone, which the export does not hold")


META = {
    "participants": [{"name": NUMBER}, {"name": "Caf\u00c3\u00a9"}],
    "messages": [
        {
            "sender_name": "Caf\u00c3\u00a9",
            "timestamp_ms": WHEN * 1000 + 500,
            "content": "h\u00c3\u00a9",
        },
        {"sender_name": NUMBER, "timestamp_ms": WHEN * 1000, "photos": [{"uri": "media/a.jpg"}]},
    ],
}


@pytest.mark.parametrize(
    ("folder", "type_"), [("facebook-shop", "FB"), ("instagram-shop/messages", "IG")]
)
def test_downloads_of_meta_are_mended(tmp_path: Path, folder: str, type_: str) -> None:
    """Texts and names; the path tells the system, and files start at the folder."""
    path = tmp_path / folder / "message_1.json"
    path.parent.mkdir(parents=True)
    (path.parent / "media").mkdir()
    (path.parent / "media" / "a.jpg").write_bytes(b"picture")
    (one, other), _ = _read(path, META, mine=("Café",))
    assert one.row is not None
    assert other.row is not None
    assert {(row.type, row.contact) for row in (one.row, other.row)} == {(type_, KIM)}
    assert (one.row.direction, one.row.message, str(one.row.date)[:19]) == (
        *("outbound", "hé", "2024-03-29 15:06:41"),
    )
    assert (other.row.direction, len(other.row.attachments or ())) == ("inbound", 1)


def test_a_download_of_meta_whose_path_tells_nothing_is_asked(tmp_path: Path) -> None:
    """A mapping says which it is; and --mine, which side is the owner's."""
    path = tmp_path / "message_1.json"
    with pytest.raises(SourceError, match="give --mapping instagram or messenger"):
        _read(path, META)
    (one, other), _ = _read(path, mapping_file="instagram")
    assert one.row is None
    assert "direction cannot be told: give --mine" in str(one.problems[0])
    assert other.row is None


@pytest.mark.parametrize(
    ("content", "is_reaction"),
    [
        ("Liked a message", True),
        ("Reacted \u00e2\u009d\u00a4 to your message ", True),
        ("Reaccion\u00c3\u00b3 con \u00f0\u009f\u0098\u0082 a tu mensaje", True),
        ("Reagiu com \u00e2\u009d\u00a4 \u00c3\u00a0 sua mensagem", True),
        ("Hat mit \u00e2\u009d\u00a4 auf deine Nachricht reagiert", True),
        ("Reacted badly to your message", False),
        ("Liked a message, but not the other", False),
    ],
)
@pytest.mark.parametrize("system", ["facebook", "instagram"])
def test_lines_in_place_of_reactions_are_left_out(
    tmp_path: Path, system: str, content: str, *, is_reaction: bool
) -> None:
    """As Meta writes them among messages; a text that is like one stays. So are notes of calls."""
    said = {"sender_name": NUMBER, "timestamp_ms": WHEN * 1000, "content": content}
    call = {**said, "content": "You missed a call", "call_duration": 0}
    chat = META | {"messages": [said, call]}
    (one, other), _ = _read(tmp_path / system / "message_1.json", chat, mine=("Café",))
    assert (one.left_out == REACTIONS) is is_reaction
    assert (one.row is None) is is_reaction
    assert other.left_out == "notes of calls"


@pytest.mark.parametrize("system", ["facebook", "instagram"])
@pytest.mark.parametrize("content", ["You sent an attachment.", "Hans hat einen Anhang gesendet."])
def test_what_meta_writes_in_place_of_what_was_shared_is_no_text(
    tmp_path: Path, system: str, content: str
) -> None:
    """The text of what was shared is; where it is not there, the record is left out."""
    said = {"sender_name": NUMBER, "timestamp_ms": WHEN * 1000, "content": content}
    share = {"link": "https://spoke.example/p", "share_text": "Look"}
    media = said | {"media": [{"uri": "https://spoke.example/1.png"}]}
    text = said | {"content": "I sent it."}
    chat = META | {"messages": [said | {"share": share}, said, text, media]}
    parsed, _ = _read(tmp_path / system / "message_1.json", chat, mine=("Café",))
    assert [one.row and one.row.message for one in parsed] == [
        *("https://spoke.example/p\nLook", None, "I sent it.", None),
    ]
    assert parsed[3].row is not None
    assert parsed[3].row.attachments == ["https://spoke.example/1.png"]
    assert parsed[1].left_out == (
        "messages of pictures or files alone, which the export does not hold"
    )


@pytest.mark.parametrize(
    ("content", "left_out"),
    [
        ("Kim Lee started a video chat", "notes of calls"),
        ("You missed a video chat with Kim.", "notes of calls"),
        ("Audio call ended", "notes of calls"),
        ("Kim set your nickname to Boss.", "notes of Meta itself, such as on nicknames"),
        ("Kim unsent a message", "messages that were taken back"),
        ("I missed a video chat", None),
        ("We changed the theme to blue", None),
        ("He sent an attachment.", None),
    ],
)
def test_notes_of_meta_that_their_words_alone_tell(
    tmp_path: Path, content: str, left_out: str | None
) -> None:
    """Are no messages; what a person says of himself is one."""
    said = {"sender_name": NUMBER, "timestamp_ms": WHEN * 1000, "content": content}
    (one,), _ = _read(
        tmp_path / "instagram" / "message_1.json", META | {"messages": [said]}, mine=("Café",)
    )
    assert one.left_out == left_out


def test_contacts_and_places_of_telegram_are_text(tmp_path: Path) -> None:
    """They stand beside an empty text; what the program could not export is counted."""
    person = {"first_name": "Bob", "last_name": "", "phone_number": "0013035550143"}
    place = {"latitude": 1.5, "longitude": 2.5}
    said = [
        _said(text="", contact_information=person),
        _said(id=3, text="", location_information=place),
        _said(id=4, text="", poll={"question": "When?"}),
        {"id": 5, "type": "unsupported", "date_unixtime": str(WHEN)},
    ]
    parsed, _ = _read(tmp_path / "result.json", _chat(*said))
    assert [one.row and one.row.message for one in parsed] == [
        *("Bob\n0013035550143", "1.5\n2.5", "When?", None),
    ]
    assert parsed[3].left_out == "messages that Telegram could not export"


def test_reactions_beside_a_message_are_counted(tmp_path: Path) -> None:
    """Of Telegram and of Google Chat, whose message is sent."""
    liked = [{"type": "emoji", "count": 1, "emoji": "👍"}]
    (one,), _ = _read(tmp_path / "result.json", _chat(_said(text="hi", reactions=liked)))
    assert (one.row is not None, one.notices) == (True, (REACTIONS,))
    liked = [{"emoji": {"unicode": "👍"}, "reactor_emails": ["kim@example.org"]}]
    said = _google("kim@example.org", text="hi", reactions=liked)
    content = {"messages": [said, _google("me@shop.example", text="ho")]}
    (one, _), _ = _read(tmp_path / "messages.json", content, mine=("me@shop.example",))
    assert (one.row is not None, one.notices) == (True, (REACTIONS,))


def test_who_wrote_in_google_chat_keeps_the_name(tmp_path: Path) -> None:
    """Where a list beside the chat has its members by their addresses alone."""
    people = [{"email": "kim@example.org"}, {"email": "me@shop.example"}]
    (tmp_path / "group_info.json").write_text(json.dumps({"members": people}))
    said = _google("kim@example.org", text="hi")
    said["creator"] = {"name": "Kim Lee", "email": "kim@example.org"}
    content = {"messages": [said, _google("me@shop.example", text="ho")]}
    (one, other), _ = _read(tmp_path / "messages.json", content, mine=("me@shop.example",))
    assert one.row is not None
    assert other.row is not None
    assert one.row.contact == Contact(email="kim@example.org", name="Kim Lee")
    assert other.row.contact == Contact(email="kim@example.org")


def test_chats_of_meta_that_were_encrypted(tmp_path: Path) -> None:
    """Their form has other names, and needs no mending."""
    content = {
        "participants": [NUMBER, "Shop"],
        "threadName": "Kim_12",
        "messages": [
            {"senderName": NUMBER, "text": "hé", "timestamp": WHEN * 1000, "isUnsent": False},
            {"senderName": "Shop", "text": "", "timestamp": WHEN * 1000, "isUnsent": True},
        ],
    }
    (one, other), _ = _read(tmp_path / "facebook" / "Kim_12.json", content, mine=("Shop",))
    assert one.row is not None
    assert (one.row.direction, one.row.message, one.row.contact) == ("inbound", "hé", KIM)
    assert other.left_out == "messages that were taken back"


def _google(email: str, **fields: object) -> dict[str, object]:
    creator = {"name": email.partition("@")[0], "email": email, "user_type": "Human"}
    when = "Friday, March 29, 2024 at 3:06:41\u202fPM UTC"
    return {"creator": creator, "created_date": when, "topic_id": "T", "message_id": "M"} | fields


def test_google_chat_has_its_members_beside_it(tmp_path: Path) -> None:
    """So that a chat of the owner's messages alone is with the other one; three are a group."""
    folder = tmp_path / "DM 1"
    people = [
        {"name": "Kim", "email": "kim@example.org"},
        {"name": "S", "email": "me@shop.example"},
    ]
    content = {"messages": [_google("me@shop.example", text="hi")]}
    (one,), _ = _read(folder / "messages.json", content, mine=("@shop.example",))
    assert "nobody else wrote" in str(one.problems[0])
    (folder / "group_info.json").write_text(json.dumps({"members": people}))
    (one,), _ = _read(folder / "messages.json", content, mine=("@shop.example",))
    assert one.row is not None
    assert (one.row.type, one.row.direction, one.row.contact, str(one.row.date)[:19]) == (
        *("Custom", "outbound", Contact(email="kim@example.org"), "2024-03-29 15:06:41"),
    )
    people.append({"name": "Bob", "email": "bob@example.org"})
    (folder / "group_info.json").write_text(json.dumps({"members": people}))
    (one,), _ = _read(folder / "messages.json", content, mine=("@shop.example",))
    assert [problem.wrong for problem in one.problems] == ["names several people"]


def test_a_takeout_is_read_as_the_archive_that_it_is(tmp_path: Path) -> None:
    """The members and files of each chat are those in its own folder."""
    content = {
        "messages": [
            _google("kim@example.org", attached_files=[{"export_name": "File-a.jpg"}]),
            _google("me@shop.example", text="hi"),
        ]
    }
    people = [{"email": "kim@example.org"}, {"email": "me@shop.example"}]
    with ZipFile(tmp_path / "takeout.zip", "w") as archive:
        inner = "Takeout/Google Chat/Groups/DM 1"
        archive.writestr(f"{inner}/messages.json", json.dumps(content))
        archive.writestr(f"{inner}/group_info.json", json.dumps({"members": people}))
        archive.writestr(f"{inner}/File-a.jpg", b"picture")
    parsed, _ = _read(tmp_path / "takeout.zip", mine=("me@shop.example",))
    assert [one.row and one.row.direction for one in parsed] == ["inbound", "outbound"]
    assert parsed[0].row is not None
    assert [url.rpartition("/")[2] for url in parsed[0].row.attachments or ()] == ["File-a.jpg"]


def test_files_of_one_name_in_google_chat_are_numbered_in_turn(tmp_path: Path) -> None:
    """All pasted pictures have one: each message had the first. One that lacks is told.

    Signs that names cannot have on every system, and the end of long ones, are not on the disk.
    """
    long = "File-" + "x" * 60 + ".png"
    given = ["File-image.png", "File-a?b.png", "File-image.png", "File-image.png", long]
    given += ["File-one.png", "File-one.png"]
    files = ["File-image.png", "File-image(1).png", "File-a_b.png", long[:47] + ".png"]
    for name in [*files, "File-one.png"]:
        (tmp_path / name).write_bytes(b"picture")
    said = [_google("kim@example.org", attached_files=[{"export_name": name}]) for name in given]
    content = {"messages": [*said, _google("me@shop.example", text="hi")]}
    parsed, _ = _read(tmp_path / "messages.json", content, mine=("me@shop.example",))
    urls = [one.row and (one.row.attachments or [""])[0].rpartition("/")[2] for one in parsed]
    one = "File-one.png"
    assert urls == [files[0], files[2], "File-image%281%29.png", None, files[3], one, one, ""]
    assert "a file that is not there" in str(parsed[3].problems[0])


@pytest.mark.parametrize("name", ["_chat.txt", "result.json"])
def test_two_that_are_left_out_are_no_copies(tmp_path: Path, name: str) -> None:
    """A record is known again, in other files too, by what it holds: each of them is counted."""
    called = {"type": "service", "date_unixtime": "1711724801", "from": "Kim", "from_id": "user1"}
    chat = {"name": "Kim", "type": "personal_chat", "id": 1}
    path, raws = tmp_path / name, set()
    for number in (1, 2):
        document = json.dumps(chat | {"messages": [called | {"id": number, "text": ""}]})
        line = f"31/03/2024, 09:0{number} - Kim created this group"
        path.write_text(document if name == "result.json" else line)
        with open_source(str(path), SourceOptions()) as source:
            (one,) = source
        assert one.left_out
        raws.add(one.raw)
    assert len(raws) == number


def test_all_files_of_a_message_of_signal_are_attachments(tmp_path: Path) -> None:
    """They stand in one line, whatever is in their names: all but the first one stayed text."""
    names = ["map_(1).png", "b[2].jpg", "hours.pdf"]
    (tmp_path / "Kim" / "media").mkdir(parents=True)
    for name in names:
        (tmp_path / "Kim" / "media" / name).write_bytes(name.encode())
    files = "  ".join(f"![{name}](./media/{name})" for name in names)
    path = tmp_path / "Kim" / "chat.md"
    path.write_text(f"[2024-03-29 15:06:41] {NUMBER}: Here  {files}  \n\n")
    with open_source(str(path), SourceOptions(region="US", timezone=ZoneInfo("UTC"))) as source:
        (parsed,) = source
    assert parsed.row is not None
    assert (parsed.row.type, parsed.row.message) == ("Custom", "Here")
    assert parsed.row.date == datetime(2024, 3, 29, 15, 6, 41, tzinfo=UTC)
    assert parsed.row.attachments == [
        (tmp_path / "Kim" / "media" / name).resolve().as_uri() for name in names
    ]
