from __future__ import annotations

import base64
import json
from datetime import timedelta
from importlib.resources import files
from typing import TYPE_CHECKING

import pytest

from leadconnector_async.errors import SourceError
from leadconnector_async.leave_out import LEAVE_OUT
from leadconnector_async.models import Contact
from leadconnector_async.sources import Parsed, SourceOptions, SourceRow, open_source
from leadconnector_async.sources.formats.xml_element import EACH, FIRST

if TYPE_CHECKING:
    from pathlib import Path

ANN, BOB, CY, ME = "+12125550125", "+12125550126", "+12125550127", "+12125550100"
WHEN = "1704100020000"
SUBJECTS = "subjects of messages, which stand above their text"


def _read(
    content: str, tmp_path: Path, root: str = "smses", **options: object
) -> tuple[list[Parsed], list[str]]:
    path = tmp_path / "backup.xml"
    path.write_text(f"<{root}>{content}</{root}>", "utf-8")
    settings = SourceOptions(region="US", spool=tmp_path / "spool", **options)  # type: ignore[arg-type]
    with open_source(str(path), settings) as source:
        return list(source), source.warnings


def _rows(parsed: list[Parsed]) -> list[SourceRow]:
    assert [str(problem) for one in parsed for problem in one.problems] == []
    return [one.row for one in parsed if one.row is not None]


def _sms(**given: str) -> str:
    attributes = {"address": ANN, "date": WHEN, "type": "1", "body": "hi"} | given
    return "<sms " + " ".join(f'{name}="{text}"' for name, text in attributes.items()) + "/>"


def _mms(parts: str = "", addrs: str = "", **given: str) -> str:
    attributes = {"date": WHEN, "msg_box": "1", "m_type": "132"} | given
    told = " ".join(f'{name}="{text}"' for name, text in attributes.items())
    return f"<mms {told}><parts>{parts}</parts><addrs>{addrs}</addrs></mms>"


def _text(text: str) -> str:
    return f'<part seq="0" ct="text/plain" text="{text}"/>'


def _addr(role: int, *addresses: str) -> str:
    return "".join(f'<addr address="{address}" type="{role}"/>' for address in addresses)


def _call(**given: str) -> str:
    attributes = {"number": ANN, "date": WHEN, "type": "1", "duration": "0"} | given
    return "<call " + " ".join(f'{name}="{text}"' for name, text in attributes.items()) + "/>"


def test_a_backup_is_recognised_without_a_mapping(tmp_path: Path) -> None:
    """By its outermost element, of messages and of calls; also beside files of another mapping."""
    for root, content in (("smses", _sms()), ("calls", _call())):
        for mapping in (None, "sms-backup-restore", "generic"):
            parsed, _ = _read(content, tmp_path, root, mapping_file=mapping)
            assert [row.contact for row in _rows(parsed)] == [Contact(phone=ANN)]


@pytest.mark.parametrize("date", ["null", "0", ""])
def test_a_message_without_a_date_says_so(date: str, tmp_path: Path) -> None:
    """It is neither of now nor of 1970."""
    for content, root in ((_sms(date=date), "smses"), (_call(date=date), "calls")):
        (one,), _ = _read(content, tmp_path, root)
        assert [str(problem).split(":")[0] for problem in one.problems] == ["date is missing"]
    (one,), _ = _read(_mms(_text("hi"), address=ANN, date=date), tmp_path)
    assert [problem.field for problem in one.problems] == ["date"]


def test_dates_of_another_unit_are_read_and_told(tmp_path: Path) -> None:
    """Seconds, which some programs write, are not of 1970; what fits no unit is refused."""
    told = "date is a number, read as Unix time"
    dates = ("1711724801", "1711724801000", "1711724801000000", "12345", "31536000000")
    parsed, _ = _read("".join(_sms(date=date) for date in dates), tmp_path)
    assert [one.notices for one in parsed[:3]] == [(told,), (), (f"{told} in µs",)]
    assert {one.row and str(one.row.date) for one in parsed[:3]} == {"2024-03-29 15:06:41+00:00"}
    assert [one.row for one in parsed[3:]] == [None, None]
    assert [[problem.field for problem in one.problems] for one in parsed[3:]] == [["date"]] * 2
    parsed, _ = _read(_sms(date=dates[0]) + _sms(date=dates[1]), tmp_path, date_format="epoch")
    assert [one.notices for one in parsed] == [(), ()]
    assert {one.row and str(one.row.date) for one in parsed} == {"2024-03-29 15:06:41+00:00"}


def test_a_text_that_says_null_is_a_text(tmp_path: Path) -> None:
    """Of an SMS; in parts of an MMS the word stands for nothing."""
    parsed, _ = _read(_sms(body="null") + _mms(_text("null") + _text("hi"), address=ANN), tmp_path)
    assert [row.message for row in _rows(parsed)] == ["null", "hi"]


def test_a_text_in_the_content_of_a_part_is_a_text(tmp_path: Path) -> None:
    """And no attachment beside it; what is no text stays a file."""
    data = base64.b64encode("grün".encode()).decode()
    parts = (
        f'<part ct="text/plain" cl="text_0.txt" text="null" data="{data}"/>'
        '<part ct="text/plain" cl="odd.txt" text="null" data="//79"/>'
    )
    parsed, _ = _read(_mms(parts, address=ANN), tmp_path)
    (row,) = _rows(parsed)
    assert row.message == "grün"
    assert [one.rpartition("/")[2] for one in row.attachments or ()] == ["odd.txt"]


@pytest.mark.parametrize(
    ("subject", "text", "message", "told"),
    [
        ("Photo", "look", "Photo\nlook", True),
        ("Photo", "", "Photo", True),
        ("null", "look", "look", False),
        ("look", "look", "look", True),
    ],
)
def test_a_subject_stands_above_the_text(
    subject: str,
    text: str,
    message: str,
    told: bool,  # noqa: FBT001 - a case
    tmp_path: Path,
) -> None:
    """Once, if it is the text itself."""
    parsed, _ = _read(_mms(_text(text), address=ANN, sub=subject), tmp_path)
    assert [row.message for row in _rows(parsed)] == [message]
    assert (SUBJECTS in parsed[0].notices) == told


def test_a_received_message_of_a_group_is_its_senders(tmp_path: Path) -> None:
    """Whoever else is in the group, and whatever the names of all of them are."""
    addrs = _addr(137, BOB) + _addr(151, ANN, ME)
    for address in (f"{ANN}~{BOB}~{CY}", f"{ANN};2125550126", "null", "x@rcs.google.com"):
        parsed, _ = _read(
            _mms(_text("hi"), addrs, address=address, contact_name="Ann, Bob"), tmp_path
        )
        (row,) = _rows(parsed)
        assert (row.direction, row.contact) == ("inbound", Contact(phone=BOB))


def test_a_received_message_of_one_person_keeps_the_name(tmp_path: Path) -> None:
    """Its addresses are the sender's and the owner's."""
    addrs = _addr(137, ANN) + _addr(151, ME)
    parsed, _ = _read(_mms(_text("hi"), addrs, address=ANN, contact_name="Ann Lee"), tmp_path)
    assert [row.contact for row in _rows(parsed)] == [Contact(phone=ANN, name="Ann Lee")]


def test_a_message_sent_to_a_group_is_with_each_member(tmp_path: Path) -> None:
    """Each a record of its own, of the same line; nobody's is lost, and the owner is none."""
    addrs = _addr(137, ME) + _addr(151, ANN, "(212) 555-0126") + _addr(130, CY, ME)
    content = _mms(_text("hi"), addrs, msg_box="2", m_type="128", address=f"{ANN}~{BOB}")
    parsed, _ = _read(content, tmp_path)
    assert [row.contact for row in _rows(parsed)] == [
        Contact(phone=number) for number in (ANN, BOB, CY)
    ]
    assert {row.message for row in _rows(parsed)} == {"hi"}
    assert {(one.line, one.notices) for one in parsed} == {(1, (EACH,))}
    assert len({one.raw for one in parsed}) == 3
    first, _ = _read(content, tmp_path, groups="first")
    assert [row.contact for row in _rows(first)] == [Contact(phone=ANN)]
    assert first[0].notices == (FIRST,)


@pytest.mark.parametrize("separator", ["~", ";", ","])
def test_a_group_is_known_by_its_address_alone(separator: str, tmp_path: Path) -> None:
    """Where nothing says who wrote a received one, it is refused, with all its members."""
    address = f"{ANN}{separator}12125550126{separator}{ME}"
    parsed, _ = _read(
        _sms(type="2", address=address) + _sms(address=address), tmp_path, mine=(ME, "a@b.example")
    )
    assert [one.row.contact for one in parsed if one.row] == [
        Contact(phone=ANN),
        Contact(phone=BOB),
    ]
    assert "does not tell who wrote it" in str(parsed[2].problems[0])
    assert json.loads(parsed[2].raw)["members"] == [ANN, "12125550126"]


def test_a_member_in_two_spellings_is_one(tmp_path: Path) -> None:
    """Also where no region tells the country of the one without its code."""
    path = tmp_path / "backup.xml"
    sent = _mms(_text("a"), _addr(151, ANN, BOB), msg_box="2", address=f"{ANN[1:]}~{BOB[1:]}")
    path.write_text(f"<smses>{sent}</smses>")
    with open_source(str(path), SourceOptions()) as source:
        rows = _rows(list(source))
    assert [row.contact for row in rows] == [Contact(phone=ANN), Contact(phone=BOB)]


def test_the_owner_is_known_from_earlier_messages(tmp_path: Path) -> None:
    """A group whose list holds the owner is one with the others only."""
    sent = _mms(_text("a"), _addr(137, ME) + _addr(151, ANN), msg_box="2", address=ANN)
    parsed, _ = _read(sent + _sms(type="2", address=f"{ME}~{BOB}"), tmp_path)
    assert [row.contact for row in _rows(parsed)] == [Contact(phone=ANN), Contact(phone=BOB)]


def test_everybody_a_sender_is_nobody_the_owner(tmp_path: Path) -> None:
    """As a program writes it that turns Signal's messages into such a backup."""
    content = (
        _mms(_text("a"), _addr(137, ANN), msg_box="2", address=ANN)
        + _mms(_text("b"), _addr(137, ANN, BOB), msg_box="2", address=f"{ANN}~{BOB}")
        + _sms(type="1", address=ANN)
    )
    parsed, _ = _read(content, tmp_path)
    people = [ANN, ANN, BOB, ANN]
    assert [row.contact for row in _rows(parsed)] == [Contact(phone=phone) for phone in people]


def test_a_message_without_an_address_is_with_those_within(tmp_path: Path) -> None:
    """A sent one with its recipient, a received one with its sender."""
    token = _addr(137, "insert-address-token") + _addr(151, ANN)
    parsed, _ = _read(
        _mms(_text("a"), token, msg_box="2")
        + _mms(_text("b"), _addr(137, BOB) + _addr(151, ME), address="fnug@rcs.google.com")
        + _mms(_text("c"), _addr(137, "fnug@rcs.google.com") + _addr(151, ME), address=CY),
        tmp_path,
    )
    assert [(row.message, row.contact) for row in _rows(parsed)] == [
        ("a", Contact(phone=ANN)),
        ("b", Contact(phone=BOB)),
        ("c", Contact(phone=CY)),
    ]


def test_groups_are_left_out_where_their_owner_says_so(tmp_path: Path) -> None:
    """Sent and received; a message of two people is none of a group."""
    two = _addr(137, ANN) + _addr(151, ME)
    three = _addr(137, ANN) + _addr(151, ME, BOB)
    parsed, _ = _read(
        _mms(_text("a"), two, address=ANN)
        + _mms(_text("b"), three, address=f"{ANN}~{BOB}")
        + _sms(type="2", address=f"{ANN}~{BOB}"),
        tmp_path,
        leave_out=frozenset(["groups"]),
    )
    assert [one.left_out for one in parsed] == [None, LEAVE_OUT["groups"], LEAVE_OUT["groups"]]


def test_what_was_never_sent_or_holds_nothing_is_left_out(tmp_path: Path) -> None:
    """Each as what it is; a notification that has become a message is one."""
    picture = '<part ct="image/jpeg" cl="a.jpg" data="/9j/4AAQ"/>'
    parsed, _ = _read(
        "".join(_sms(type=kind) for kind in "3456")
        + "".join(_mms(_text("a"), address=ANN, msg_box=box) for box in "345")
        + _mms(address="insert-address-token", m_type="130")
        + _mms('<part ct="image/jpeg" text="null" data=""/>', address=ANN)
        + _sms(body="")
        + _mms(picture, address=ANN, m_type="130"),
        tmp_path,
    )
    unsent = ["drafts", *["messages that were never sent"] * 3]
    assert [one.left_out for one in parsed] == [
        *unsent,
        *unsent[:3],
        "notifications of pictures that were never downloaded",
        "messages without any content",
        "messages without any content",
        None,
    ]
    assert parsed[-1].row is not None
    assert len(parsed[-1].row.attachments or ()) == 1


def test_a_picture_that_the_backup_lacks_is_told(tmp_path: Path) -> None:
    """The text goes without it."""
    layout = '<part ct="application/smil" text="null"/>'
    parsed, _ = _read(
        _mms(_text("look") + layout + '<part ct="image/png" text="null"/>', address=ANN)
        + _mms(_text("look") + layout, address=ANN),
        tmp_path,
    )
    assert [row.message for row in _rows(parsed)] == ["look", "look"]
    lost = "pictures and other files that the backup does not hold"
    assert [one.notices for one in parsed] == [(lost,), ()]


@pytest.mark.parametrize(
    ("kind", "duration", "direction", "status"),
    [
        ("1", "43", "inbound", "completed"),
        ("2", "60", "outbound", "completed"),
        ("2", "0", "outbound", "no-answer"),
        ("3", "0", "inbound", "no-answer"),
        ("4", "12", "inbound", "voicemail"),
        ("5", "0", "inbound", "busy"),
        ("6", "0", "inbound", "no-answer"),
        ("7", "30", "inbound", "completed"),
    ],
)
def test_a_call_has_the_status_that_it_ended_with(
    kind: str, duration: str, direction: str, status: str, tmp_path: Path
) -> None:
    """One that was dialled and never answered is not completed. Durations are its text."""
    parsed, _ = _read(_call(type=kind, duration=duration), tmp_path, "calls")
    (row,) = _rows(parsed)
    assert row.call is not None
    assert (row.direction, row.call.status) == (direction, status)
    length = f"Duration: {timedelta(seconds=int(duration))}"
    assert row.message == (None if duration == "0" else length)
    assert parsed[0].notices == ()


def test_calls_of_nobody_say_what_they_are(tmp_path: Path) -> None:
    """Withheld callers and services, to be left out by kind; an unknown type is neither."""
    content = "".join(
        _call(number=number, presentation="2", type="3") for number in ("", "null", "-1", "-2")
    ) + "".join(_call(number=number, type="2") for number in ("*86", "911"))
    kinds = frozenset(["withheld", "service-numbers"])
    parsed, _ = _read(content, tmp_path, "calls")
    assert [len(one.problems) for one in parsed] == [1] * 6
    parsed, _ = _read(content, tmp_path, "calls", leave_out=kinds)
    assert [one.left_out for one in parsed] == [
        *[LEAVE_OUT["withheld"]] * 4,
        *[LEAVE_OUT["service-numbers"]] * 2,
    ]
    # Nor is it a number of the call's own, which would stay wrong when the contact's is put there.
    assert all(b"call.from" not in one.raw for one in _read(content, tmp_path, "calls")[0][:4])
    (odd,), _ = _read(_call(type="42"), tmp_path, "calls", leave_out=kinds)
    assert {problem.field for problem in odd.problems} == {"direction", "call.status"}


def test_xml_without_records_is_an_error(tmp_path: Path) -> None:
    """It says what it is instead, whether a mapping is given or not."""
    with pytest.raises(
        SourceError, match="holds no sms, mms or call: its first element is <smses>"
    ):
        _read("", tmp_path)
    for root, what in (("threads", "Titanium Backup"), ("rss", "WordPress"), ("till", "<till>")):
        for mapping in (None, "sms-backup-restore"):
            with pytest.raises(SourceError, match=f"its first element is .*{what}"):
                _read(_sms(), tmp_path, root, mapping_file=mapping)


def test_what_a_file_says_that_it_holds_is_compared(tmp_path: Path) -> None:
    """And what is not read of it is told."""
    path = tmp_path / "backup.xml"
    for count, said in (("2", 0), ("3", 1), ("", 0)):
        path.write_text(f'<smses count="{count}">{_sms() * 2}</smses>')
        with open_source(str(path), SourceOptions(region="US")) as source:
            assert len(_rows(list(source))) == 2
        warnings = [one for one in source.warnings if "says that it holds 3 records" in one]
        assert len(warnings) == said
    path.write_text(f"<smses>{_sms()}<rcs/><rcs/></smses>")
    with open_source(str(path), SourceOptions(region="US")) as source:
        list(source)
    assert 'holds 2 elements "rcs", which are not read' in source.warnings


def test_a_file_that_is_cut_gives_what_came_before(tmp_path: Path) -> None:
    """The cut is the file's problem, and no record's."""
    path = tmp_path / "backup.xml"
    path.write_text(f'<smses count="3">\n{_sms()}\n')
    with open_source(str(path), SourceOptions(region="US")) as source:
        good, cut = source
    assert good.row is not None
    assert [problem.field for problem in cut.problems] == ["file"]
    assert "it is cut short" in cut.problems[0].wrong
    assert not any("says that it holds" in warning for warning in source.warnings)


def test_texts_of_other_types_are_texts(tmp_path: Path) -> None:
    """Mails to a telephone come as HTML, and some phones name the charset: both were lost."""
    parts = [
        _text("hi").replace("text/plain", "text/plain; charset=utf-8"),
        '<part ct="text/html" text="&lt;b&gt;hi&lt;/b&gt;"/>',
        _text("hi") + '<part ct="text/html" text="&lt;b&gt;hi&lt;/b&gt;"/>',
    ]
    parsed, _ = _read("".join(_mms(part, address=ANN, sub="NoSubject") for part in parts), tmp_path)
    assert [row.message for row in _rows(parsed)] == ["hi", "<b>hi</b>", "hi"]
    assert [one.notices for one in parsed] == [()] * 3


def test_a_mapping_may_tell_a_text_by_any_attribute(tmp_path: Path) -> None:
    """Which counts as it stands: what is said of a charset goes for types of content."""
    shipped = files("leadconnector_async.sources").joinpath("mappings/sms-backup-restore.toml")
    own = shipped.read_text("utf-8").replace('{ ct = "text/plain" }', '{ name = "Body; 1" }')
    (tmp_path / "own.toml").write_text(own, "utf-8")
    part = '<part ct="text/plain" name="Body; 1" text="hi"/>'
    parsed, _ = _read(_mms(part, address=ANN), tmp_path, mapping_file=str(tmp_path / "own.toml"))
    assert [row.message for row in _rows(parsed)] == ["hi"]


@pytest.mark.parametrize("number", [{"number": ""}, {"number": None}, {}])
def test_calls_of_withheld_numbers_in_json_are_left_out_by_their_kind(
    number: dict[str, object], tmp_path: Path
) -> None:
    """As those in XML are. They were refused for want of a contact, whatever --leave-out said."""
    call = {"presentation": "2", "date": "1711724801000", "duration": "0", "type": "3", "new": "1"}
    (tmp_path / "calls.json").write_text(
        json.dumps([call | {"number": "+12125550111"}, call | number])
    )
    for kinds, told in ([], None), (["withheld"], LEAVE_OUT["withheld"]):
        options = SourceOptions(mapping_file="sms-ie-calls", leave_out=frozenset(kinds))
        with open_source(str(tmp_path / "calls.json"), options) as source:
            _, withheld = source
        assert (withheld.row, withheld.left_out) == (None, told)
        assert told or withheld.problems[0].wrong == "is withheld, or not known"
