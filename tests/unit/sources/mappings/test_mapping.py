from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from leadconnector_async.errors import SourceError
from leadconnector_async.models import Call, Contact
from leadconnector_async.records.validation import RULES
from leadconnector_async.sources import Parsed, SourceOptions, open_source
from leadconnector_async.sources.mappings import mapping
from leadconnector_async.sources.mappings.mapping_files import (
    NAMES,
    load_mapping,
    read_mapping,
    recognised,
)

if TYPE_CHECKING:
    from leadconnector_async.sources import SourceRow

EXPORTS = Path(__file__).parents[3] / "support" / "exports"
CALL_BACKUP = (EXPORTS / "call-backup.xml").read_bytes()
GENERIC = (EXPORTS / "generic.csv").read_bytes()
SMS_BACKUP = (EXPORTS / "sms-backup.xml").read_bytes()
TWILIO_CALLS = (EXPORTS / "twilio-calls.csv").read_bytes()
TWILIO_MESSAGES = (EXPORTS / "twilio-messages.csv").read_bytes()
KIM = Contact(phone="+12125550100")
KIM_LEE = Contact(phone="+12125550100", name="Kim Lee")


def _read(
    content: bytes,
    path: Path,
    name: str,
    **options: Any,  # noqa: ANN401 - those of SourceOptions
) -> tuple[list[Parsed], list[str]]:
    path.write_bytes(content)
    given = SourceOptions(mapping_file=name, region="US", **options)
    with open_source(str(path), given) as source:
        return list(source), source.warnings


def _rows(parsed: list[Parsed]) -> list[SourceRow]:
    return [one.row for one in parsed if one.row is not None]


def test_the_names_are_the_files() -> None:
    """Each is a mapping that can be read."""
    folder = Path(mapping.__file__).parent
    assert sorted(path.stem for path in folder.glob("*.toml")) == sorted(NAMES)
    for name in NAMES:
        definition = load_mapping(name)
        assert definition.about
        kinds = [definition.table, *definition.elements.values()]
        words = [
            rule.words for kind in kinds for name, rule in kind.fields.items() if name == "type"
        ]
        assert {word for one in words for word in one.values()} <= {*RULES, ""}


def test_twilio_messages(tmp_path: Path) -> None:
    """The other side by direction, WhatsApp by its prefix; what never arrived is left out."""
    parsed, warnings = _read(TWILIO_MESSAGES, tmp_path / "log.csv", "twilio-messages")
    rows = _rows(parsed)
    assert [(row.id, row.type, row.direction) for row in rows] == [
        ("SM01", "SMS", "inbound"),
        ("SM02", "SMS", "outbound"),
        ("SM04", "WhatsApp", "inbound"),
    ]
    assert {row.contact for row in rows} == {KIM}
    assert [row.message for row in rows] == ["Hi, are you open?", "Until 6.\nSee you!", "hola"]
    assert [str(row.date)[:19] for row in rows] == [
        "2024-01-31 15:04:05",
        "2024-01-31 15:05:05",
        "2024-01-31 15:06:05",
    ]
    assert {one.line: one.problems[0].field for one in parsed if one.problems} == {
        7: "contact.phone",
        8: "direction",
    }
    assert {one.line: one.left_out for one in parsed if one.left_out} == {
        5: "messages that were never delivered"
    }
    assert warnings == [
        'columns "ApiVersion", "NumSegments", "AccountSid", "Price", "PriceUnit" are not sent'
    ]


def test_twilio_calls(tmp_path: Path) -> None:
    """With spaces in the names of columns, as some exports have them."""
    parsed, warnings = _read(TWILIO_CALLS, tmp_path / "calls.csv", "twilio-calls")
    rows = _rows(parsed)
    assert [(row.id, row.type, row.direction, str(row.date)[11:19]) for row in rows] == [
        ("CA01", "Call", "inbound", "15:04:06"),
        ("CA02", "Call", "outbound", "15:09:05"),
    ]
    assert {row.contact for row in rows} == {KIM}
    assert [row.call for row in rows] == [
        Call(from_="+12125550100", to="+14155550199", status="completed"),
        Call(from_="+14155550199", to="+12125550100", status="no-answer"),
    ]
    assert [str(one.problems[0])[:23] for one in parsed if one.problems] == [
        "contact.phone is a name"
    ]
    assert [one.left_out for one in parsed if one.left_out] == [
        "legs of other calls",
        'rows whose "Direction" is "trunking-terminating"',
    ]
    assert [one.notices for one in parsed if one.row] == [(), ()]
    assert warnings == ['columns "End Time", "Price", "CallerName" are not sent']


def test_sms_backup(tmp_path: Path) -> None:
    """Emoji in two halves, drafts left out, and the parts of an MMS."""
    parsed, _ = _read(
        SMS_BACKUP, tmp_path / "sms.xml", "sms-backup-restore", spool=tmp_path / "spool"
    )
    rows = _rows(parsed)
    assert [(row.direction, row.message) for row in rows] == [
        ("inbound", "Hi \U0001f60a\nline two"),
        ("outbound", "Hello!"),
        ("inbound", "look at this"),
    ]
    assert [row.contact for row in rows] == [KIM, KIM_LEE, KIM_LEE]
    assert [str(row.date) for row in rows[:1]] == ["2024-01-31 15:04:05+00:00"]
    assert {row.type for row in rows} == {"SMS"}
    (picture,) = (tmp_path / "spool").rglob("IMG_1.jpg")
    assert rows[2].attachments == [picture.resolve().as_uri()]
    assert [(one.line, one.problems[0].field) for one in parsed if one.problems] == [
        (7, "contact.phone")
    ]
    assert [(one.line, one.left_out) for one in parsed if one.left_out] == [(8, "drafts")]


def test_call_backup(tmp_path: Path) -> None:
    """Only the other side is known; a call without a number is a withheld one."""
    parsed, _ = _read(CALL_BACKUP, tmp_path / "calls.xml", "sms-backup-restore")
    assert [row.call for row in _rows(parsed)[:3]] == [
        Call(from_="+12125550100", status="completed"),
        Call(to="+12125550100", status="completed"),
        Call(from_="+12125550100", status="no-answer"),
    ]
    assert [row.contact for row in _rows(parsed)] == [KIM_LEE, KIM_LEE, KIM_LEE]
    assert [str(one.problems[0])[:24] for one in parsed if one.problems] == [
        "contact.phone is withheld"[:24]
    ]


def test_generic(tmp_path: Path) -> None:
    """The usual names in the usual spellings."""
    parsed, warnings = _read(GENERIC, tmp_path / "list.csv", "generic")
    rows = _rows(parsed)
    assert [(row.type, row.direction, row.message) for row in rows] == [
        ("SMS", "inbound", "Hi"),
        ("SMS", "outbound", "Hello!"),
    ]
    assert {row.contact for row in rows} == {KIM_LEE}
    assert warnings == ['column "Agent" is not sent']


OWN = """
about = "The till of the shop"
requires = ["kind"]
empty = ["-"]

[skip]
kind = ["test"]

[fields]
type = { constant = "SMS" }
direction = { column = "kind", words = { IN = "inbound", OUT = "outbound" } }
contact.phone = "who"
date = { column = "when", formats = ["%d.%m.%Y %H:%M"], zone = "Europe/Berlin" }
message = ["text", "note"]
attachments = { column = ["files"], separator = " " }
"""


def test_a_mapping_of_ones_own(tmp_path: Path) -> None:
    """From a file; the zone that it names goes before --timezone."""
    (tmp_path / "till.toml").write_text(OWN)
    table = (
        b"who,kind,when,text,note,files\n"
        b"+12125550100,in,31.01.2024 10:30,-,second,https://a.example/1.jpg https://a.example/2.jpg\n"
        b"+12125550100,test,31.01.2024 10:30,x,,\n"
        b"+12125550100,OUT,2024-01-31,first,second,\n"
    )
    name = str(tmp_path / "till.toml")
    parsed, warnings = _read(table, tmp_path / "t.csv", name, timezone=ZoneInfo("UTC"))
    row = parsed[0].row
    assert row is not None
    assert (row.direction, row.message, str(row.date)) == (
        "inbound",
        "second",
        "2024-01-31 09:30:00+00:00",
    )
    assert row.attachments == ["https://a.example/1.jpg", "https://a.example/2.jpg"]
    assert parsed[1].left_out == 'rows whose "kind" is "test"'
    assert str(parsed[2].problems[0]) == (
        "date is no date in a format of the mapping: write it as one of %d.%m.%Y %H:%M"
    )
    assert warnings == []


_BUT = {"where": {"a": "b"}, "as": "c", "but": ["a"]}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({}, "describes no record"),
        ({"fields": {"type": "a"}, "elements": {"x": {"fields": {"type": "a"}}}}, "no record"),
        ({"fields": {"message": "a"}}, "makes no type"),
        ({"fields": {"type": "a", "massage": "b"}}, "massage is no field: write message"),
        ({"fields": {"type": "a", "outboxKey": "b"}}, "outboxKey is no field"),
        ({"fields": {"type": "a", "contact": "b"}}, "contact is no field"),
        ({"fields": {"type": {"colum": "a"}}}, "unknown field `colum`"),
        ({"fields": {"type": 5}}, "Expected `object`"),
        ({"fields": 5}, "Expected `object`"),
        ({"elements": {"x": {"fields": {"message": "a"}}}}, "makes no type"),
        ({"elements": 5}, "Expected `object`"),
        ({"felds": {}}, "unknown field `felds`"),
        ({"fields": {"type": "a"}, "text": {"begins": ["("]}}, "is no expression: missing"),
        ({"fields": {"type": "a"}, "text": {"begins": ["a"], "within": ["*"]}}, "is no expression"),
        ({"elements": {"x": {"begins": "<(", "fields": {"type": "a"}}}}, "is no expression"),
        ({"fields": {"type": "a"}, "chat": {"author": [], "titles": ["."]}}, "no group .*other"),
        ({"fields": {"type": "a"}, "leave_out": [_BUT], "but": {"b": {"x": "*"}}}, "`object`"),
        ({"fields": {"type": "a"}, "leave_out": [_BUT], "but": {"a": 5}}, "`object`"),
    ],
)
def test_a_wrong_mapping_is_said_to_be_so(data: dict[str, Any], said: str) -> None:
    """Before anything is read."""
    with pytest.raises(SourceError, match=said) as caught:
        read_mapping("own.toml", data)
    assert "own.toml" in str(caught.value)


def test_a_mapping_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    """Editors of Windows write one."""
    (tmp_path / "own.toml").write_text("\ufeff" + OWN)
    assert load_mapping(str(tmp_path / "own.toml")).about


def test_a_mapping_that_is_none_is_an_error(tmp_path: Path) -> None:
    """No file, no text, no TOML."""
    with pytest.raises(SourceError, match="the ones by name are generic, ghl-export"):
        load_mapping("twillio")
    (tmp_path / "bad.toml").write_bytes(b"a = ")
    with pytest.raises(SourceError, match="is no TOML"):
        load_mapping(str(tmp_path / "bad.toml"))
    (tmp_path / "bad.toml").write_bytes(b"\xff")
    with pytest.raises(SourceError, match="is no TOML"):
        load_mapping(str(tmp_path / "bad.toml"))
    with pytest.raises(SourceError, match="cannot be read"):
        load_mapping(str(tmp_path))


def test_exports_are_recognised_by_their_columns(tmp_path: Path) -> None:
    """One who does not know of mappings has them read all the same, and is told."""
    assert recognised(["date_sent", "FROM", "To", "direction", "sid"]) == "twilio-messages"
    assert recognised(["type", "message"]) is None
    for content, name in ((TWILIO_MESSAGES, "twilio-messages"), (TWILIO_CALLS, "twilio-calls")):
        (tmp_path / "log.csv").write_bytes(content)
        told = SourceOptions(mapping_file=name)
        path = str(tmp_path / "log.csv")
        with open_source(path) as source, open_source(path, told) as same:
            assert list(source) == list(same)
        assert source.warnings[0] == f"its columns are those of --mapping {name}: read by it"


def test_a_mapping_survives_in_the_form_of_a_source() -> None:
    """The list of failed records is made from it alone."""
    for name in NAMES:
        definition = load_mapping(name)
        again = msgspec.json.decode(msgspec.json.encode(definition), type=type(definition))
        assert again == definition
