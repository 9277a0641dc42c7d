# ruff: noqa: RUF001 - telephones write in all scripts
from __future__ import annotations

import re
from typing import TYPE_CHECKING
from zipfile import ZipFile
from zoneinfo import ZoneInfo

import pytest
from bad_inputs import parse

from leadconnector_async.errors import SourceError
from leadconnector_async.models import Contact
from leadconnector_async.sources import (
    Parsed,
    SourceOptions,
    open_source,
    open_sources,
    read_people,
)

if TYPE_CHECKING:
    from pathlib import Path

KIM = "+1 303 555-0142"
OWN_LINES = "lines that WhatsApp wrote itself, such as on encryption"
ALONE = "messages of pictures or files alone, which the export does not hold"
LOST = "messages had pictures or files that the export does not hold"
DELETED = "messages that were deleted"


def _read(
    path: Path, *lines: str, mine: tuple[str, ...] = ("Shop",), **options: object
) -> list[Parsed]:
    if lines:
        path.write_text("\n".join(lines) + "\n", "utf-8")
    zone = ZoneInfo("America/New_York")
    settings = SourceOptions(mine=mine, timezone=zone, region="US", **options)  # type: ignore[arg-type]
    with open_source(str(path), settings) as source:
        return list(source)


def _says(parsed: list[Parsed]) -> list[str]:
    return [str(problem) for one in parsed for problem in one.problems]


@pytest.mark.parametrize(
    ("begins", "utc"),
    [
        ("[31/03/2024, 9:34:09 PM] ", "2024-04-01 01:34:09"),
        ("[31.03.24, 21:34:09] ", "2024-04-01 01:34:09"),
        ("\u200e[2024-03-31, 9:34:09\u202fp.m.] ", "2024-04-01 01:34:09"),
        ("[31/3/24 21:34:09] ", "2024-04-01 01:34:09"),
        ("[2024/03/31 21:34:09] ", "2024-04-01 01:34:09"),
        ("[31. 3. 2024 21:34:09] ", "2024-04-01 01:34:09"),
        ("3/31/24, 9:34\u202fPM - ", "2024-04-01 01:34:00"),
        ("31/3/2024, 9:34\xa0p.\xa0m. - ", "2024-04-01 01:34:00"),
        ("31/3/24 9:34 a. m. - ", "2024-03-31 13:34:00"),
        ("31/03/2024, 12:34 am - ", "2024-03-31 04:34:00"),
        ("31.03.24, 21:34 - ", "2024-04-01 01:34:00"),
        ("31.3.2024 21.34 - ", "2024-04-01 01:34:00"),
        ("31/03/2024 \u00e0 21:34 - ", "2024-04-01 01:34:00"),
        ("31.3.2024 klo 21.34 - ", "2024-04-01 01:34:00"),
        ("2024-03-31, 21:34 - ", "2024-04-01 01:34:00"),
        ("[٢٠٢٤/٣/٣١، ٩:٣٤:٠٩ م] ", "2024-04-01 01:34:09"),
        ("\u200f[٣١\u200f/٣\u200f/٢٠٢٤, ٩:٣٤:٠٩\xa0ص] \u200f", "2024-03-31 13:34:09"),
        ("31\u200f/3\u200f/2024، 9:34 م - \u200f", "2024-04-01 01:34:00"),
        ("۲۰۲۴/۳/۳۱،\u200f ۲۱:۳۴ - ", "2024-04-01 01:34:00"),
        ("31.3.2024, 21:34 - ", "2024-04-01 01:34:00"),
        ("31.3.2024, 9:34 אחה״צ - ", "2024-04-01 01:34:00"),
        ("2024년 3월 31일 오후 9:34 - ", "2024-04-01 01:34:00"),
        ("2024. 3. 31. 오전 9:34 - ", "2024-03-31 13:34:00"),
        ("[24. 3. 1. 오후 9:34:09] ", "2024-03-02 02:34:09"),
        ("2024/3/31 午後9:34 - ", "2024-04-01 01:34:00"),
        ("[2024/03/31 午前0:34:09] ", "2024-03-31 04:34:09"),
        ("2024年3月31日 下午9:34 - ", "2024-04-01 01:34:00"),
        ("[2024/3/31 晚上9:34:09] ", "2024-04-01 01:34:09"),
        ("31/3/24, 9:34 अपराह्न - ", "2024-04-01 01:34:00"),
        ("31/3/24, ९:३४ म.उ. - ", "2024-04-01 01:34:00"),
        ("31.03.2024 ÖS 9:34 - ", "2024-04-01 01:34:00"),
        ("31.03.24 г., 21:34 ч. - ", "2024-04-01 01:34:00"),
        ("9:34 CH, 31/03/2024 - ", "2024-04-01 01:34:00"),
        ("[21:34, 31/3/2024] ", "2024-04-01 01:34:00"),
        ("2024-03-31 21\xa0h\xa034 - ", "2024-04-01 01:34:00"),
        ("[2024-03-31 21 h 34 min 09 s] ", "2024-04-01 01:34:09"),
    ],
)
def test_the_forms_of_a_line(tmp_path: Path, begins: str, utc: str) -> None:
    """Of iPhones and of Android, in the forms of countries; to the second where there is one."""
    lines = (
        f"{begins}{KIM}: Hello",
        f"{begins}\u202a{KIM}\u202c: and",
        "",
        "more",
        f"{begins}Shop: Hi",
    )
    parsed = _read(tmp_path / "_chat.txt", *lines)
    assert _says(parsed) == []
    rows = [one.row for one in parsed if one.row]
    assert [(row.type, row.direction, row.message) for row in rows] == [
        ("WhatsApp", "inbound", "Hello"),
        ("WhatsApp", "inbound", "and\n\nmore"),
        ("WhatsApp", "outbound", "Hi"),
    ]
    assert {str(row.date) for row in rows} == {f"{utc}+00:00"}
    assert {row.contact for row in rows} == {Contact(phone="+13035550142")}
    assert [one.line for one in parsed] == [1, 2, 5]


def test_calendars_and_words_that_are_not_certain(tmp_path: Path) -> None:
    """Thailand's years are read and told; Persia's calendar, and a half unknown, are refused."""
    path = tmp_path / "_chat.txt"
    (one, _) = _read(path, f"29/2/2567 21:34 - {KIM}: hi", "29/2/2567 21:34 - Shop: ho")
    assert one.row is not None
    assert str(one.row.date) == "2024-03-01 02:34:00+00:00"
    assert "year is of Thailand's calendar, 543 ahead: read as such" in one.notices
    line = f"۱۴۰۲/۱۲/۱۱،\u200f ۱۵:۱۵ - {KIM}: hi"
    (one, _) = _read(path, line, line.replace(KIM, "Shop"))
    assert one.row is None
    assert "is in the year 1402, of another calendar" in _says([one])[0]
    for half in ("晚上12:34", "中午11:34", "何9:34", "午後13:34"):
        (one, _) = _read(path, *(f"2024/3/31 {half} - {name}: hi" for name in (KIM, "Shop")))
        assert one.row is None
        assert "is no date of a known form" in _says([one])[0]


@pytest.mark.parametrize(
    ("written", "left_out"),
    [
        ("الرسائل والمكالمات مشفّرة تمامًا بين الطرفين.", OWN_LINES),
        ("메시지 및 전화는 종단간 암호화되어 안전합니다.", OWN_LINES),
        ("メッセージと通話はエンドツーエンド暗号化されています。", OWN_LINES),
        ("\u200eקוד האבטחה שלך עם Kim שונה.", OWN_LINES),
        ("تم حذف هذه الرسالة", DELETED),
        ("このメッセージは削除されました。", DELETED),
        ("\u200fהודעה זו נמחקה", DELETED),
        ("\u200fהתמונה הושמטה", ALONE),
        ("\u200e이미지 생략됨", ALONE),
        ("\u200e圖片已略去", ALONE),
        ("<미디어 파일을 생략한 대화내용>", ALONE),
        ("\u200eالموقع: https://maps.example/?q=1,2", None),
        ("\u200e투표:\nWhen?", None),
        ("תם", None),
    ],
)
def test_what_the_app_wrote_in_other_scripts(
    tmp_path: Path, written: str, left_out: str | None
) -> None:
    """Never a message of a person; places and polls are."""
    (one, _) = _read(
        tmp_path / "_chat.txt",
        f"[٢٠٢٤/٣/٣١، ٩:٣٤:٠٩ م] {KIM}: {written}",
        "[٢٠٢٤/٣/٣١، ٩:٣٤:٠٩ م] Shop: hi",
    )
    assert one.left_out == left_out
    assert (one.row is not None) is (left_out is None)


def test_what_was_copied_out_of_whatsapp_is_text_where_it_was_pasted(tmp_path: Path) -> None:
    """The browser copies in a form of its own: such lines became messages a second time."""
    pasted = f"[9:34 PM, 3/30/2024] {KIM}: until six?"
    parsed = _read(
        tmp_path / "_chat.txt",
        f"3/31/24, 9:35 PM - Shop: {pasted}",
        f"3/31/24, 9:36 PM - {KIM}: you said",
        pasted,
    )
    one, other = (one.row for one in parsed)
    assert one is not None
    assert other is not None
    assert (one.message, other.message) == (pasted, f"you said\n{pasted}")
    assert "which are taken for text that was pasted" in "".join(parsed[1].notices)
    said = f"3/31/24, 9:35 PM - {KIM}: hi"
    (longest,) = _read(tmp_path / "_chat.txt", said, *[pasted] * 100, "bye", mine=(KIM,))
    assert "has more than" not in _says([longest])[0]
    parsed = _read(tmp_path / "_chat.txt", said, *[pasted] * 101)
    assert "split the file where its form changes" in _says(parsed)[0]
    assert len(_read(tmp_path / "_chat.txt", pasted, pasted)) == len([pasted, pasted])


@pytest.mark.parametrize("name", ["*** Kim", "<Kim> Lee"])
def test_names_that_other_logs_have_so_are_names_here(tmp_path: Path, name: str) -> None:
    """What they wrote was taken for the end of the message above, which was sent so."""
    parsed = _read(
        tmp_path / "chat.txt", "3/31/24, 9:35 PM - Shop: hi", f"3/31/24, 9:36 PM - {name}: yes"
    )
    assert len(parsed) == len(["hi", "yes"])


def test_a_chat_without_a_message_is_one(tmp_path: Path) -> None:
    """Its lines are all the app's own."""
    line = "3/31/24, 9:35 PM - Messages and calls are end-to-end encrypted."
    assert [one.left_out for one in _read(tmp_path / "chat.txt", line)] == [OWN_LINES]
    lines = ["3/31/24, 9:35 PM - You added Kim"] * 12
    assert len(_read(tmp_path / "WhatsApp Chat.txt", *lines)) == len(lines)
    assert len(_read(tmp_path / "chat.txt", *lines, "3/31/24, 9:36 PM - Kim: hi")) == 13


@pytest.mark.parametrize(
    ("name", "line", "said"),
    [
        ("_chat.txt", "on a day at three, Kim: hi", "is named as a chat of WhatsApp"),
        ("WhatsApp Chat with Kim.txt", "Kim, at three: hi", "English, the United States"),
        ("chat.txt", "2024년 3월 1일 오후 3:15, Kim : hi", "begins as a chat of KakaoTalk"),
        ("chat.txt", "[LINE] Chat history with Kim", "begins as the log of a chat, as of LINE"),
        ("chat.txt", "[ Friday, March 1, 2024 ] [ 21:05 ] Kim: hi", "begins as the log of a chat"),
        ("Talk.txt", "Kim 님과 카카오톡 대화", "write one with [text]"),
        ("chat.txt", "[3/29/2024 9:06 AM] kim\nhello\n", "as of IRC, Discord or Signal"),
        ("chat.txt", "[2024-03-29 09:06] <kim> At home: come", "as of IRC, Discord or Signal"),
        ("chat.txt", "[2024-03-29 09:06] *** kim has joined", "as of IRC, Discord or Signal"),
        ("chat.txt", "[2024-03-29 09:06:01] server started\n" * 3, "as of IRC, Discord or Signal"),
        ("chat.txt", "[29/3, 9:06 AM] Kim: hi", "whose dates have no year"),
        ("chat.txt", "-" * 52 + "\n3/29/24 9:06 AM - Kim\nhi", "export the chat as CSV"),
        ("chat.txt", "Conversation: Kim\n\nFrom: Kim\nType: incoming", "as of IRC, Discord"),
    ],
)
def test_a_chat_of_no_known_form_is_named(tmp_path: Path, name: str, line: str, said: str) -> None:
    """With what to do, where a table's message would help nobody."""
    with pytest.raises(SourceError, match=re.escape(said)):
        _read(tmp_path / name, line, line)


def test_a_chat_of_no_known_form_counts_among_others(tmp_path: Path) -> None:
    """As one record that is refused; a text that somebody sent is none."""
    folder = tmp_path / "WhatsApp export"
    folder.mkdir()
    good = f"31/03/2024, 21:34 - {KIM}: notes.txt (file attached)"
    (folder / "WhatsApp Chat with Kim.txt").write_text(f"{good}\n31/03/2024, 21:34 - Shop: hi\n")
    (folder / "notes.txt").write_text("see you there\nat nine\n")
    for name in ("WhatsApp Chat with Ann.txt", "WhatsApp Chat with Bob.txt"):
        (folder / name).write_text("on a day at three, Kim: hi\n")
    settings = SourceOptions(mine=("Shop",), timezone=ZoneInfo("UTC"), region="US")
    parsed = []
    for source in open_sources(str(folder), settings):
        with source:
            parsed += list(source)
    assert [[problem.field for problem in one.problems] for one in parsed] == [
        *([], [], ["file"], ["file"]),
    ]
    assert parsed[-2].raw != parsed[-1].raw


def test_a_line_of_marks_and_spaces_costs_no_more_than_its_length(tmp_path: Path) -> None:
    """No expression goes through it once for each of its characters."""
    long = "\u200e " * 100_000
    (one,) = _read(
        tmp_path / f"WhatsApp Chat with {KIM}.txt", f"31/03/2024, 21:34 - {KIM}: hi{long}.", mine=()
    )
    assert one.row is not None


def test_the_whole_file_tells_day_from_month(tmp_path: Path) -> None:
    """One day beyond the twelfth is enough; without one nothing is guessed, and the way named."""
    path = tmp_path / "_chat.txt"
    first, second = f"3/1/24, 9:00 AM - {KIM}: a", f"{{}}, 9:00 AM - {KIM}: b"
    for day, month in (("1/13/24", 3), ("13/1/24", 1)):
        parsed = _read(path, first, second.format(day), "3/1/24, 9:01 AM - Shop: c")
        assert [one.row and one.row.date and one.row.date.month for one in parsed] == [
            month,
            1,
            month,
        ]
    parsed = _read(path, first, second.format("4/1/24"), "3/1/24, 9:01 AM - Shop: c")
    assert [one.row for one in parsed] == [None] * 3
    assert "give --date-format %d/%m/%y or %m/%d/%y" in _says(parsed)[0]
    (one, *_) = _read(path, date_format="%m/%d/%y")
    assert one.row is not None
    assert str(one.row.date) == "2024-03-01 14:00:00+00:00"


@pytest.mark.parametrize(
    "mark",
    [
        *("Diese Nachricht wurde bearbeitet.", "Se editó este mensaje.", "Dit bericht is bewerkt"),
        *("Сообщение изменено", "Pesan ini diedit", "Ta wiadomość została zmieniona"),
    ],
)
def test_the_mark_of_an_edited_message_is_no_part_of_it(tmp_path: Path, mark: str) -> None:
    """German and Spanish telephones write it with a point, and it was sent along."""
    lines = (f"31/03/2024, 09:08 - {KIM}: better <{mark}>", "31/03/2024, 09:09 - Shop: yes")
    parsed = _read(tmp_path / "_chat.txt", *lines)
    assert [one.row.message for one in parsed if one.row] == ["better", "yes"]


def test_what_the_app_wrote_is_left_out(tmp_path: Path) -> None:
    """Counted by what it is: its own lines, deleted messages, and pictures that are not there."""
    parsed = _read(
        tmp_path / "_chat.txt",
        "31/03/2024, 09:04 - Messages and calls are end-to-end encrypted. Tap to learn more.",
        f"31/03/2024, 09:05 - {KIM}: This message was deleted",
        f"31/03/2024, 09:06 - {KIM}: <Media omitted>",
        "31/03/2024, 09:06 - Shop: <Multimedia omitido>",
        "31/03/2024, 09:06 - Shop: <View once voice message omitted>",
        "31/03/2024, 09:06 - Shop: null",
        "31/03/2024, 09:06 - Shop: Missed voice call",
        f"31/03/2024, 09:07 - {KIM}: <Media omitted>",
        "with a text",
        "31/03/2024, 09:08 - Shop: it says: image omitted",
        f"31/03/2024, 09:08 - {KIM}: ",
        f"31/03/2024, 09:09 - {KIM}: better <This message was edited>",
    )
    assert [one.left_out for one in parsed] == [
        *(OWN_LINES, DELETED, ALONE, ALONE, ALONE),
        *("messages that the export has as null", OWN_LINES, None, None),
        *("messages without any content", None),
    ]
    assert [one.row.message for one in parsed if one.row] == [
        "with a text",
        "it says: image omitted",
        "better",
    ]
    assert LOST in parsed[7].notices
    parsed = _read(
        tmp_path / "_chat.txt",
        "[31/03/2024, 9:04:00 AM] Kim: \u200eMessages and calls are end-to-end encrypted.",
        "\u200e[31/03/2024, 9:05:00 AM] Kim: \u200eimage omitted",
        "[31/03/2024, 9:06:00 AM] Shop: \u200eBild weggelassen",
    )
    assert [one.left_out for one in parsed] == [OWN_LINES, ALONE, ALONE]
    for deleted in (
        *("Diese Nachricht wurde gelöscht.", "\u200eThis message was deleted."),
        *("Dit bericht is verwijderd", "U hebt dit bericht verwijderd."),
        *("Ta wiadomość została usunięta", "Denne meldingen ble slettet."),
        *("Tin nhắn này đã bị xóa", "Tin nhắn này đã bị xoá", "Pesan ini telah dihapus"),
    ):
        (one,) = _read(tmp_path / "_chat.txt", f"[31/03/2024, 9:04:00 AM] Kim: {deleted}")
        assert one.left_out == DELETED


def test_a_line_of_the_apps_own_with_a_colon_is_nobodys(tmp_path: Path) -> None:
    """What is before the colon was taken for a person, and the chat for a group."""
    parsed = _read(
        tmp_path / "_chat.txt",
        "31/03/2024, 09:04 - Messages and calls are end-to-end encrypted: no one can read them.",
        f"31/03/2024, 09:05 - {KIM}: hi",
        f"31/03/2024, 09:06 - {KIM}: Waiting for this message",
        "31/03/2024, 09:06 - Shop: <省略多媒體檔>",
        "31/03/2024, 09:07 - Shop: Waiting for this message to be read",
    )
    assert [one.left_out for one in parsed] == [OWN_LINES, None, OWN_LINES, ALONE, None]
    assert [one.row.direction for one in parsed if one.row] == ["inbound", "outbound"]


def test_files_beside_the_chat_are_its_attachments(tmp_path: Path) -> None:
    """By the line of iPhones and of Android, with captions; one that is not there is told."""
    photo, scan = "00000004-PHOTO-2024-03-31-21-08-00.jpg", "IMG-20240331-WA0001.jpg"
    for name in (photo, scan, "our prices.pdf"):
        (tmp_path / name).write_bytes(b"content")
    parsed = _read(
        tmp_path / "_chat.txt",
        f"\u200e[31/03/2024, 9:05:00 AM] {KIM}: See here \u200e<attached: {photo}>",
        f"[31/03/2024, 9:06:00 AM] Shop: \u200e<adjunto: {photo}>",
        f"31/03/2024, 09:07 - Shop: {scan} (file attached)",
        "the way here",
        "31/03/2024, 09:07 - Shop: our prices.pdf (Datei angehängt)",
        "31/03/2024, 09:08 - Shop: our prices.pdf (see above)",
        "31/03/2024, 09:08 - Shop: gone.pdf (file attached)",
    )
    rows = [one.row for one in parsed if one.row]
    assert [
        (row.message, [url.rpartition("/")[2] for url in row.attachments or ()]) for row in rows
    ] == [
        ("See here", [photo]),
        (None, [photo]),
        ("the way here", [scan]),
        (None, ["our%20prices.pdf"]),
        ("our prices.pdf (see above)", []),
    ]
    assert "is a file that is not there" in _says(parsed)[0]


def test_forms_of_files_that_others_wrote(tmp_path: Path) -> None:
    """Older apps, which leave endings out or put the name first, and WhatsApp-Chat-Exporter."""
    for name in ("AUD-20240331-WA0002.", "2015-08-04-PHOTO-00004762.jpg", "a b.jpg"):
        (tmp_path / name).write_bytes(b"content")
    parsed = _read(
        tmp_path / "_chat.txt",
        f"31/03/2024, 09:07 - {KIM}: \u200eAUD-20240331-WA0002. (file attached)",
        "31/03/2024, 09:08 - Shop: 2015-08-04-PHOTO-00004762.jpg <\u200eattached>",
        "[2024-03-31 09:09] Shop: <media file in a b.jpg>",
        "[2024-03-31 09:09] Shop: <The media is missing>",
    )
    rows = [one.row for one in parsed if one.row]
    assert [(row.message, len(row.attachments or ())) for row in rows] == [(None, 1)] * 3
    assert parsed[3].left_out == ALONE


def test_a_place_with_its_address_is_a_message(tmp_path: Path) -> None:
    """However long the address is: behind the mark of the app's own lines it was left out."""
    place = "The Library (96 Euston Road, London, Greater London NW1 2DB): https://maps.example/v/4"
    (one, _) = _read(
        tmp_path / "_chat.txt",
        *(f"[31/03/2024, 9:04:00 AM] {name}: \u200e{place}" for name in (KIM, "Shop")),
    )
    assert one.row is not None
    assert one.row.message == place


def test_the_owner_is_told_by_a_name_or_by_the_name_of_the_file(tmp_path: Path) -> None:
    """And asked for where neither tells: a direction is never guessed."""
    lines = (f"31/03/2024, 09:05 - {KIM}: hi", "31/03/2024, 09:06 - Shop: hello")
    directions = ["inbound", "outbound"]
    for mine in ("shop", "Shop ", "\u200eShop"):
        parsed = _read(tmp_path / "_chat.txt", *lines, mine=(mine, "me@example.com"))
        assert [one.row and one.row.direction for one in parsed] == directions
    for name in (f"WhatsApp Chat with {KIM}.txt", f"WhatsApp Chat with {KIM} (1).txt"):
        parsed = _read(tmp_path / name, *lines, mine=())
        assert [one.row and one.row.direction for one in parsed] == directions
    folder = tmp_path / f"WhatsApp Chat - {KIM}"
    folder.mkdir()
    parsed = _read(folder / "_chat.txt", *lines, mine=())
    assert [one.row and one.row.direction for one in parsed] == directions
    parsed = _read(tmp_path / "_chat.txt", *lines, mine=("Kim",))
    assert [one.row for one in parsed] == [None, None]
    said = 'direction cannot be told: give --mine with the name that is yours: the file has "+1 303'
    assert said in _says(parsed)[0]
    (one,) = _read(tmp_path / "_chat.txt", lines[0], mine=())  # it may be the owner's own
    assert one.row is None


def test_a_chat_with_ones_own_lines_alone_is_of_whom_its_file_names(tmp_path: Path) -> None:
    """Else it is refused."""
    line = "31/03/2024, 09:06 - Shop: hello"
    (one,) = _read(tmp_path / f"WhatsApp Chat with {KIM}.txt", line)
    assert one.row is not None
    assert (one.row.direction, one.row.contact) == ("outbound", Contact(phone="+13035550142"))
    (one,) = _read(tmp_path / "_chat.txt", line)
    assert "nobody else wrote" in str(one.problems[0])


def test_an_unknown_owner_of_a_chat_of_two_is_one_question(tmp_path: Path) -> None:
    """Such a chat is no group: only who the owner is has to be said."""
    lines = [f"31/03/2024, 09:05 - {name}: hi" for name in ("Ann", "Bob")]
    parsed = _read(tmp_path / "_chat.txt", *lines, mine=("Kim",))
    assert [[problem.field for problem in one.problems] for one in parsed] == [["direction"]] * 2


def test_a_group_is_refused_or_left_out(tmp_path: Path) -> None:
    """As groups of other tables are; a chat whose owner is not known is no group yet."""
    lines = [f"31/03/2024, 09:05 - {name}: hi" for name in ("Ann", "Bob", "Shop")]
    parsed = _read(tmp_path / "_chat.txt", *lines)
    assert [[problem.wrong for problem in one.problems] for one in parsed] == [
        ["names several people"]
    ] * 3
    left_out = frozenset({"groups"})
    parsed = _read(tmp_path / "_chat.txt", leave_out=left_out)
    assert {one.left_out for one in parsed} == {"messages of a group"}
    parsed = _read(tmp_path / "_chat.txt", *lines[:2], leave_out=left_out, mine=("Kim",))
    assert {one.left_out for one in parsed} == {None}


def test_a_group_stays_one_on_the_list_of_failed_records(tmp_path: Path) -> None:
    """Of a name and a number it was read as that person's, who got what all others wrote."""
    names = ("Ann", "+1 303-555-0142", "Shop")
    lines = [f"31/03/2024, 09:05 - {name}: hi" for name in names]
    for one in _read(tmp_path / "_chat.txt", *lines):
        (again,), _ = parse(one.raw, ".jsonl", SourceOptions(region="US"))
        wrong = {problem.field: problem.wrong for problem in again.problems}
        assert wrong["contact.phone"] == "names several people"


@pytest.mark.parametrize("packed", [False, True])
def test_an_export_with_its_files_and_people(tmp_path: Path, *, packed: bool) -> None:
    """As a folder or the archive that the app makes: a name is found among people."""
    folder = tmp_path / "WhatsApp Chat - Ann Lee"
    folder.mkdir()
    photo = "00000004-PHOTO-2024-03-31-21-08-00.jpg"
    lines = ("9:05:06 AM] Ann Lee: hi", f"9:06:06 AM] S: \u200e<attached: {photo}>")
    content = "".join(f"[31/03/2024, {line}\n" for line in lines)
    (folder / "_chat.txt").write_text(content, "utf-8")
    (folder / photo).write_bytes(b"picture")
    (tmp_path / "people.csv").write_text("name,phone\nAnn Lee,+13035550142\n")
    path = folder
    if packed:
        path = tmp_path / f"{folder.name}.zip"
        with ZipFile(path, "w") as archive:
            for file in folder.iterdir():
                archive.write(file, file.name)
    people = read_people([str(tmp_path / "people.csv")])
    parsed = _read(path, mine=(), people=people)
    assert _says(parsed) == []
    rows = [one.row for one in parsed if one.row]
    assert [(row.direction, row.contact and row.contact.phone) for row in rows] == [
        ("inbound", "+13035550142"),
        ("outbound", "+13035550142"),
    ]
    assert [url.rpartition("/")[2] for url in rows[1].attachments or ()] == [photo]


def test_a_name_behind_a_tilde_is_that_name(tmp_path: Path) -> None:
    """As people have it who are none of the owner's contacts."""
    lines = ("[31/03/2024, 9:34:09 PM] ~\u202fAnn Lee: hi", "[31/03/2024, 9:35:09 PM] Shop: ho")
    (tmp_path / "people.csv").write_text("name,phone\nAnn Lee,+13035550142\n")
    people = read_people([str(tmp_path / "people.csv")])
    parsed = _read(tmp_path / "_chat.txt", *lines, people=people)
    assert [one.row and one.row.direction for one in parsed] == ["inbound", "outbound"]
    assert {one.row and one.row.contact and one.row.contact.phone for one in parsed} == {
        "+13035550142"
    }


def test_a_name_alone_finds_nobody(tmp_path: Path) -> None:
    """And is given back, so that a number can be put beside it."""
    (one, _) = _read(
        tmp_path / "_chat.txt", "31/03/2024, 09:05 - Ann Lee: hi", "31/03/2024, 09:05 - Shop: ho"
    )
    assert [problem.field for problem in one.problems] == ["contact.name"]
    assert b'"contact.name": "Ann Lee"' in one.raw


def test_what_begins_a_file_tells_it_and_not_what_was_pasted(tmp_path: Path) -> None:
    """A line as another program writes them may be within a message."""
    lines = (
        f"31/03/2024, 21:34 - {KIM}: see the log",
        "[2024-03-31 21:30] ERROR: disk full",
        "31/03/2024, 21:35 - Shop: thanks",
    )
    for name in ("WhatsApp Chat with Kim.txt", "notes.md"):
        parsed = _read(tmp_path / name, *lines)
        assert parsed[0].line == 1
        assert {one.row.type for one in parsed if one.row} <= {"WhatsApp"}


def test_a_group_whose_owner_is_not_known_names_those_alone_who_wrote(tmp_path: Path) -> None:
    """What the app wrote of the group is nobody's name."""
    lines = '31/03/2024, 09:04 - You created group "Team"', f"31/03/2024, 09:05 - {KIM}: Hi"
    parsed = _read(tmp_path / "a.txt", *lines, "31/03/2024, 09:06 - Shop: Yes", mine=())
    fix = f'give --mine with the name that is yours: the file has "{KIM}", "Shop"'
    assert [one.problems[0].fix for one in parsed[1:]] == [fix, fix]
