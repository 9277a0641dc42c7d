"""Pages of HTML: Google Voice as Takeout has it, and what imessage-exporter writes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING
from zipfile import ZipFile
from zoneinfo import ZoneInfo

import pytest

from leadconnector_async.errors import SourceError
from leadconnector_async.models import Contact
from leadconnector_async.sources import Parsed, SourceOptions, open_source
from leadconnector_async.sources.exports import open_sources

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("selectolax")

KIM, BOB, ME = "+13035550142", "+13035550143", "+13035550100"
HEAD = (
    '<?xml version="1.0" ?>\n<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "x.dtd">\n'
    '<html xmlns="http://www.w3.org/1999/xhtml"><head><title>t</title><style>'
    + "a.b{color:red}\n" * 500
    + "</style></head><body>\n"
)


def _page(body: str) -> str:
    return f"{HEAD}{body}</body></html>\n"


def _cite(number: str, name: str) -> str:
    fn = (
        f'<abbr class="fn" title="">{name}</abbr>'
        if name == "Me"
        else f'<span class="fn">{name}</span>'
    )
    return f'<cite class="sender vcard"><a class="tel" href="tel:{number}">{fn}</a></cite>'


def _message(number: str = KIM, name: str = "Kim", text: str = "hi", media: str = "") -> str:
    when = '<abbr class="dt" title="2024-03-29T08:06:41.270-07:00">Mar 29, 2024</abbr>:\n'
    files = f"<div>{media}</div>" if media else ""
    return f'<div class="message">{when}{_cite(number, name)}: <q>{text}</q>{files}</div> '


def _texts(*messages: str, people: str = "") -> str:
    return _page(f'<div class="hChatLog hfeed">{people}{"".join(messages)}</div>')


def _call(kind: str, inner: str = "", number: str = KIM) -> str:
    tag = f'<a rel="tag" href="http://www.google.com/voice#{kind}">x</a>'
    return _page(
        f'<div class="haudio"><span class="fn">A call</span><div class="contributor vcard">with '
        f'<a class="tel" href="tel:{number}"><span class="fn"></span></a></div>'
        f'<abbr class="published" title="2024-03-29T08:06:41.000-07:00">x</abbr>{inner}'
        f'<div class="tags">Labels: <a rel="tag" href="http://www.google.com/voice#inbox">Inbox</a>'
        f", {tag}</div></div>"
    )


def _read(path: Path, content: str = "", **options: object) -> list[Parsed]:
    if content:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, "utf-8")
    settings = SourceOptions(region="US", **options)  # type: ignore[arg-type]
    with open_source(str(path), settings) as source:
        return list(source)


def test_texts_of_google_voice(tmp_path: Path) -> None:
    """With direction, person, text, and the time in UTC; each in the line where it begins."""
    content = _texts(_message(text="a<br/>b"), "\n", _message(ME, "Me", "&lt;ok&gt;"))
    parsed = _read(tmp_path / "Kim - Text - 2024-03-29T15_06_41Z.html", content)
    rows = [one.row for one in parsed if one.row]
    assert [(row.direction, row.message) for row in rows] == [
        ("inbound", "a\nb"),
        ("outbound", "<ok>"),
    ]
    assert {row.contact for row in rows} == {Contact(phone=KIM, name="Kim")}
    assert {str(row.date) for row in rows} == {"2024-03-29 15:06:41.270000+00:00"}
    first = content[: content.index('<div class="message"')].count("\n") + 1
    assert [one.line for one in parsed] == [first, first + 2]


def test_a_page_with_ones_own_texts_alone_is_of_whom_its_file_names(tmp_path: Path) -> None:
    """A number is enough; a name finds nobody."""
    content = _texts(_message(ME, "Me"))
    (one,) = _read(tmp_path / f"{KIM} - Text - 2024-03-29T15_06_41Z.html", content)
    assert one.row is not None
    assert (one.row.direction, one.row.contact) == ("outbound", Contact(phone=KIM))
    (one,) = _read(tmp_path / "Kim - Text - 2024-03-29T15_06_41Z.html", content)
    assert [problem.field for problem in one.problems] == ["contact.name"]


@pytest.mark.parametrize(
    ("end", "left_out"),
    [
        (
            '<div class="deletedStatusContainer">User Deleted:\nTrue</div>',
            "spam and what was deleted",
        ),
        (
            '<div class="tags">Labels: <a rel="tag" href="http://x.example/voice#spam">Spam</a></div>',
            "spam and what was deleted",
        ),
        ('<div class="deletedStatusContainer">User Deleted:\nFalse</div>', None),
    ],
)
def test_what_was_deleted_in_google_voice_is_left_out(
    tmp_path: Path, end: str, left_out: str | None
) -> None:
    """The page says it at its end, of all that is on it; a text that says it is none."""
    said = "&lt;div class=deletedStatusContainer&gt; User Deleted: True"
    texts = _texts(_message(text=said), _message(ME, "Me")).replace("</body>", f"{end}</body>")
    call = _call("missed").replace("</body>", f"{end}</body>")
    parsed = [*_read(tmp_path / "a.html", texts), *_read(tmp_path / "b.html", call)]
    assert [one.left_out for one in parsed] == [left_out] * 3


def test_a_group_is_told_by_its_participants(tmp_path: Path) -> None:
    """Also where one alone of them wrote."""
    people = f'<div class="participants">with: {_cite(KIM, "Kim")}, {_cite(BOB, "Bob")}</div>'
    content = _texts(_message(), people=people)
    (one,) = _read(tmp_path / "Group Conversation - 2024-03-29T15_06_41Z.html", content)
    assert [problem.wrong for problem in one.problems] == ["names several people"]
    (one,) = _read(tmp_path / "a.html", content, leave_out=frozenset({"groups"}))
    assert one.left_out == "messages of a group"


@pytest.mark.parametrize(
    ("kind", "inner", "direction", "status"),
    [
        (
            "placed",
            '<abbr class="duration" title="PT1M">(00:01:00)</abbr>',
            "outbound",
            "completed",
        ),
        ("received", "", "inbound", "completed"),
        ("missed", "", "inbound", "no-answer"),
        ("voicemail", "", "inbound", "voicemail"),
        (
            "voicemail",
            '<span class="full-text">Unable to transcribe this message.</span>',
            "inbound",
            "voicemail",
        ),
    ],
)
def test_calls_of_google_voice(
    tmp_path: Path, kind: str, inner: str, direction: str, status: str
) -> None:
    """By their labels, which are the same in every language; a number is no name."""
    (one,) = _read(tmp_path / "a.html", _call(kind, inner))
    assert one.row is not None
    assert one.row.call is not None
    assert (one.row.type, one.row.direction, one.row.call.status) == ("Call", direction, status)
    assert (one.row.contact, str(one.row.date)[:19]) == (Contact(phone=KIM), "2024-03-29 15:06:41")
    other = one.row.call.to if direction == "outbound" else one.row.call.from_
    assert other == KIM
    assert one.row.message == ("Duration: 0:01:00" if "duration" in inner else None)


def test_calls_that_tell_no_direction_or_nobody_are_refused(tmp_path: Path) -> None:
    """A recorded call may be of either side."""
    (one,) = _read(tmp_path / "a.html", _call("recorded"))
    assert {problem.field for problem in one.problems} == {"direction", "call.status"}
    (one,) = _read(tmp_path / "a.html", _call("missed", number=""))
    assert [problem.field for problem in one.problems] == ["contact.phone"]


def _takeout(path: Path) -> dict[str, bytes]:
    """Lay out what Takeout writes: media without their endings in the pages."""
    stamp = "2024-03-29T15_06_41Z"
    image = f'<img src="Kim - Text - {stamp}-1-1" alt="Image MMS Attachment" />'
    card = f'<a class="vcard" href="Kim - Text - {stamp}-2-1">Contact card attachment</a>'
    audio = f'<audio controls="controls" src="Kim - Voicemail - {stamp}.mp3"><a>x</a></audio>'
    said = '<span class="description"><span class="full-text">Call me</span></span>'
    inner = "Takeout/Voice/Calls"
    files = {
        f"{inner}/Kim - Text - {stamp}.html": _texts(
            _message(media=image),
            _message(ME, "Me", "", card),
            _message(text="", media=image),
            _message(text="MMS Received", media=image),
            _message(text="MMS Received"),
        ).encode(),
        f"{inner}/Kim - Text - {stamp}-1-1.jpg": b"picture",
        f"{inner}/Kim - Text - {stamp}-2-1.vcf": b"BEGIN:VCARD",
        f"{inner}/Kim - Voicemail - {stamp}.html": _call("voicemail", said + audio).encode(),
        f"{inner}/Kim - Voicemail - {stamp}.mp3": b"sound",
        "Takeout/Voice/Spam/Bob - Text.html": _texts(_message(BOB, "Bob")).encode(),
        "Takeout/archive_browser.html": b"<html><body>Archive</body></html>",
    }
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    with ZipFile(path / "takeout.zip", "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return files


@pytest.mark.parametrize("name", ["Takeout", "takeout.zip"])
def test_a_takeout_is_read_whole(tmp_path: Path, name: str) -> None:
    """As a folder and as the archive: pictures, cards and voicemails are beside the pages."""
    _takeout(tmp_path)
    parsed: list[Parsed] = []
    for source in open_sources(str(tmp_path / name), SourceOptions(region="US")):
        with source:
            parsed += source
    rows = [one.row for one in parsed if one.row]
    assert [one.left_out for one in parsed if one.left_out] == [
        "messages without any content",
        "spam and what was deleted",
    ]
    pictures = [row for row in rows if not row.message and row.direction == "inbound"]
    assert [len(row.attachments or ()) for row in pictures] == [1, 1]
    files = {row.message or row.direction: row.attachments for row in rows if row not in pictures}
    ends = {key: [url.rpartition(".")[2] for url in urls or ()] for key, urls in files.items()}
    assert ends == {"hi": ["jpg"], "outbound": ["zip"], "Transcript: Call me": ["mp3"]}


@pytest.mark.slow
def test_a_long_page_is_read_record_by_record(tmp_path: Path) -> None:
    """Whatever pieces it comes in; a record that is too long is refused, and the next one read."""
    long = _message(text="x" * (5 << 20))
    content = _texts(*[_message(text=str(n)) for n in range(3000)], long, _message(text="last"))
    parsed = _read(tmp_path / "a.html", content)
    assert len(parsed) == 3002
    rows = [one.row for one in parsed if one.row]
    assert [row.message for row in rows] == [*map(str, range(3000)), "last"]
    assert "over the limit" in str(parsed[3000].problems[0])


def test_without_its_package_a_page_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is no XML with an unknown root."""
    monkeypatch.setitem(sys.modules, "selectolax.lexbor", None)
    with pytest.raises(SourceError, match=r"needs the package selectolax: .*\[html\]"):
        _read(tmp_path / "a.html", _texts(_message()))


def test_a_selector_that_is_none_is_named(tmp_path: Path) -> None:
    """Of a mapping of one's own: the parser's error came instead."""
    (tmp_path / "own.toml").write_text(
        "[elements.m]\nbegins = '<p>'\npicks.a = { select = 'q[' }\n[elements.m.fields]\n"
        "type = { constant = 'SMS' }\nmessage = 'a'\n"
    )
    with pytest.raises(SourceError, match=r"the mapping's 'q\['"):
        _read(tmp_path / "a.html", _page("<p>hi"), mapping_file=str(tmp_path / "own.toml"))


def test_pages_of_imessage_exporter(tmp_path: Path) -> None:
    """Files in its folder come along; the owner may have any name."""
    (tmp_path / "attachments" / "12").mkdir(parents=True)
    (tmp_path / "attachments" / "12" / "door.png").write_bytes(b"picture")

    def message(box: str, sender: str, part: str) -> str:
        stamp = '<span class="timestamp">Mar 29, 2024  9:06:41 AM (Read by you)</span>'
        head = f'<p>{stamp} <span class="sender">{sender}</span></p>'
        return (
            f'<div class="message"><div class="{box}">{head}<hr>'
            f'<div class="message_part">{part}</div></div></div>\n'
        )

    image = '<div class="attachment"><img src="attachments/12/door.png" loading="lazy"></div>'
    content = _page(
        message("received", "kim@example.org", '<span class="bubble">Hi</span>' + image)
        + message("sent iMessage", "The Shop", '<span class="bubble">Yes</span>')
        + message("received", "kim@example.org", image)
        + message("received", "kim@example.org", "")
    )
    (one, *_) = _read(tmp_path / "Kim.html", content)
    assert "has no offset" in str(one.problems[0])
    (one, other, alone, nothing) = _read(tmp_path / "Kim.html", timezone=ZoneInfo("America/Denver"))
    assert alone.row is not None
    assert (alone.row.message, alone.row.attachments) == (None, one.row and one.row.attachments)
    assert nothing.left_out == "messages without any content"
    assert one.row is not None
    assert other.row is not None
    assert {row.contact for row in (one.row, other.row)} == {Contact(email="kim@example.org")}
    assert (one.row.direction, str(one.row.date)[:19]) == ("inbound", "2024-03-29 15:06:41")
    assert [url.rpartition("/")[2] for url in one.row.attachments or ()] == ["door.png"]
    assert (other.row.direction, other.row.message) == ("outbound", "Yes")


IMESSAGE_TXT = """\
Mar 29, 2024  5:29:42 PM (Read by you after 1 hour, 49 seconds)
+13035550142
attachments/1/photo.jpg
Reactions:
Loved by Me

the caption below
This message responded to an earlier message.

Mar 29, 2024  5:30:42 PM
Me
Mar 29, 2024  5:30:42 PM Helo world
Edited 10 seconds later: Hello
Edited 1 minute, 2 seconds later: Hello world

Mar 29, 2024  5:31:42 PM
+13035550142
They deleted a message.

Mar 29, 2024  5:32:42 PM
+13035550142
This message was deleted from the conversation!
secret

Mar 29, 2024  5:33:42 PM
+13035550142
Happy birthday
Sent with Confetti

Mar 29, 2024  5:34:42 PM
+13035550142
Attachment missing!

Mar 29, 2024  5:34:43 PM
+13035550142
IMG_0123.HEIC

Mar 29, 2024  5:35:42 PM
+13035550142
Question
    Mar 29, 2024  5:36:42 PM
    Me
    first line
second line

Mar 29, 2024  5:36:42 PM
Me
first line
second line

Mar 29, 2024  5:37:42 PM You renamed the conversation to X

Mar 29, 2024  5:38:42 PM
+13035550142
v2 text
Edited 5 seconds later: v2 new text
Tapbacks:
    Loved by Me
    😂 by Me

Mar 29, 2024  5:39:42 PM
Me
Heart Sticker from Me: attachments/1/photo.jpg (App: Free People)

"""


def test_what_imessage_exporter_writes_itself_is_no_text(tmp_path: Path) -> None:
    """Edits give the last text, and what stands below a reaction is the message's own."""
    (tmp_path / "attachments" / "1").mkdir(parents=True)
    (tmp_path / "attachments" / "1" / "photo.jpg").write_bytes(b"picture")
    parsed = _read(tmp_path / "+13035550142.txt", IMESSAGE_TXT, timezone=ZoneInfo("America/Denver"))
    deleted, lacks = (
        "messages that were deleted",
        "messages of pictures or files alone, which the export does not hold",
    )
    assert [one.left_out for one in parsed] == [
        *(None, None, deleted, deleted, None, lacks, lacks, None, None),
        *("notices of a chat, such as who named it", None, None),
    ]
    rows = [one.row for one in parsed if one.row]
    assert [row.message for row in rows] == [
        *("the caption below", "Hello world", "Happy birthday", "Question"),
        *("first line\nsecond line", "v2 new text", None),
    ]
    assert [len(row.attachments or ()) for row in rows] == [1, 0, 0, 0, 0, 0, 1]
    reactions, edited = (
        "reactions, for which the API has no field",
        "earlier texts of messages that were edited",
    )
    assert [one.notices for one in parsed if one.row] == [
        *((reactions,), (edited,), ("effects with which messages were sent",)),
        ("lines below a reply under a message, which may be of either",),
        *((), (reactions, edited), ()),
    ]


def test_links_edits_and_subjects_in_pages_of_imessage_exporter(tmp_path: Path) -> None:
    """Are text, and a preview's picture is no attachment; deleted messages are left out."""

    def message(part: str, above: str = "") -> str:
        head = '<p><span class="timestamp">Mar 29, 2024  9:06:41 AM</span></p>' + above
        return (
            f'<div class="message">\n<div class="sent iMessage">\n{head}<hr>'
            f'<div class="message_part">{part}</div></div></div>\n'
        )

    edits = "".join(
        f"<{tag}><tr><td>at</td><td>{text}</td></tr></{tag}>"
        for tag, text in (("tbody", "Helo"), ("tfoot", "Hello"))
    )
    app = (
        '<div class="app"><a href="https://shop.example/x"><div class="app_header">'
        '<img src="https://shop.example/p.png"><div class="name">Shop</div></div>'
        '<div class="app_footer"><div class="caption">Sale</div></div></a></div>'
    )
    content = _page(
        message(
            f'<div class="edited"><table>{edits}</table></div>',
            '<p>Subject: <span class="subject">Hi</span></p>',
        )
        + message(app)
        + message('<span class="bubble">x</span>', '<span class="deleted">deleted</span>')
        + message('<span class="attachment_error">Unable to locate attachment: a.jpg</span>')
        + '<div class ="announcement"><p>You changed the group photo.</p></div>'
    )
    one, link, gone, lost, said = _read(
        tmp_path / "+13035550142.html", content, timezone=ZoneInfo("America/Denver")
    )
    assert one.row is not None
    assert link.row is not None
    assert one.row.message == "Hi\nHello"
    assert (link.row.message, link.row.attachments) == ("https://shop.example/x\nShop\nSale", None)
    assert [gone.left_out, lost.left_out, said.left_out] == [
        "messages that were deleted",
        "messages of pictures or files alone, which the export does not hold",
        "notices of a chat, such as who named it",
    ]


def test_a_page_that_was_cut_short_is_told(tmp_path: Path) -> None:
    """Once, at its end: what the cut goes through is not sent, what stands before it is."""
    content = _texts(_message(text="whole"), _message(text="cut here, or later"))
    cut = content[: content.index(", or later")]
    for rest in (cut, content.removesuffix("</body></html>\n")):
        *read, last = _read(tmp_path / "Kim - Text - 2024-03-29T15_06_41Z.html", rest)
        assert [one.row.message for one in read if one.row][:1] == ["whole"]
        assert "ends in the middle of its page" in str(last.problems[0])
        assert all(one.row for one in read)


@pytest.mark.parametrize(
    ("root", "said"),
    [
        ("html", "of Messenger, Instagram or Telegram export JSON"),
        ("emails", "archives of Outlook for Mac: convert those to mbox or .eml"),
    ],
)
def test_a_page_of_no_mapping_is_refused_with_what_to_do(
    tmp_path: Path, root: str, said: str
) -> None:
    """HTML is what Meta and Telegram give by default, and an .olm what Outlook for Mac exports."""
    with pytest.raises(SourceError, match=said):
        _read(tmp_path / "message_1.html", f"<{root}><title>Kim</title></{root}>")
