from __future__ import annotations

from typing import Any

import pytest

from leadconnector_async.errors import SourceError
from leadconnector_async.sources.fields import WrongValueError
from leadconnector_async.sources.mappings.chat_sides import ChatSides
from leadconnector_async.sources.mappings.coerce import as_given
from leadconnector_async.sources.mappings.columns import empty_values
from leadconnector_async.sources.mappings.mapped import RowMapper
from leadconnector_async.sources.mappings.mapping import Definition, FieldRule, RecordKind
from leadconnector_async.sources.mappings.rules import ColumnValues
from leadconnector_async.sources.values.contact_values import Contacts


def _value(rule: FieldRule, field: str = "message", **row: str) -> object:
    kind = RecordKind(fields={field: rule})
    values = RowMapper(kind, Definition(empty=["null"]), ChatSides(Contacts("US"))).values(row)
    value = values.get(field)
    return (value.wrong, value.given) if isinstance(value, WrongValueError) else value


def test_the_first_filled_column_counts() -> None:
    """Empty are those that hold nothing, or what the mapping calls empty."""
    rule = FieldRule(column=["a", "b", "c"])
    assert _value(rule, a="", b="null", c="x") == "x"
    assert _value(rule, a="1", c="x") == "1"
    assert _value(rule, b="null") is None


def test_constants_and_defaults() -> None:
    """A constant is always so, a default where there is nothing."""
    assert _value(FieldRule(constant="SMS"), "type") == "SMS"
    assert _value(FieldRule(column="a", default="SMS"), "type", a=" ") == "SMS"
    assert _value(FieldRule(column="a", default="SMS"), "type", a=" Call ") == "Call"


def test_space_counts_in_texts_alone() -> None:
    """As in CSV."""
    assert _value(FieldRule(column="a"), a=" x ") == " x "
    assert _value(FieldRule(column="a"), "id", a=" x ") == "x"


def test_words_are_translated_whatever_their_case() -> None:
    """An exact match goes first; another word is a problem, which does not show long texts."""
    rule = FieldRule(column="a", words={"IN": "inbound", "in": "outbound"})
    assert _value(rule, "direction", a="in") == "outbound"
    assert _value(rule, "direction", a="In") == "inbound"
    said, given = 'is "x", which the mapping does not know', "x"
    assert _value(rule, "direction", a="x") == (said, given)
    long: Any = _value(rule, "direction", a="what is this?")
    assert long[0].startswith("is text of 13 characters")


def test_prefixes_tell_kinds_apart() -> None:
    """The longest first; an empty one is all others."""
    rule = FieldRule(column="a", prefixes={"": "SMS", "w:": "WhatsApp", "w:x": "Custom"})
    assert [_value(rule, "type", a=text) for text in ("w:1", "w:x1", "1")] == [
        "WhatsApp",
        "Custom",
        "SMS",
    ]
    assert _value(FieldRule(column="a", prefixes={"w:": "WhatsApp"}), "type", a="1") == (
        "begins with nothing that the mapping knows",
        "1",
    )


def test_the_other_side_depends_on_the_direction() -> None:
    """Where there is none, so is the value."""
    fields = {
        "contact.phone": FieldRule(inbound="from", outbound="to", strip=["w:"]),
        "direction": FieldRule(column="way"),
    }
    reader = RowMapper(RecordKind(fields=fields), Definition(), ChatSides(Contacts(None)))
    row = {"from": "w:+1", "to": "+2"}
    assert reader.values(row | {"way": "inbound"})["contact.phone"] == "+1"
    assert reader.values(row | {"way": "outbound"})["contact.phone"] == "+2"
    assert "contact.phone" not in reader.values(row | {"way": "up"})
    assert "contact.phone" not in reader.values(row)


@pytest.mark.parametrize(
    ("formats", "zone", "text", "date"),
    [
        (["epoch"], None, "1706693400", "2024-01-31T09:30:00+00:00"),
        (["epoch-ms"], None, "1706693400500", "2024-01-31T09:30:00.500000+00:00"),
        (["%d/%m/%Y %H:%M"], None, "31/01/2024 09:30", "2024-01-31T09:30:00"),
        (["%d/%m/%Y", "iso"], "Asia/Tokyo", "2024-01-31T09:30", "2024-01-31T09:30:00+09:00"),
        ([], "UTC", "2024-01-31T09:30+02:00", "2024-01-31T09:30:00+02:00"),
        (["iso", "epoch-ms"], None, "1701122812000", "2023-11-27T22:06:52+00:00"),
        (["epoch-ms", "epoch"], None, "1706693400", "2024-01-31T09:30:00+00:00"),
    ],
)
def test_dates_are_read_by_their_formats(
    formats: list[str], zone: str | None, text: str, date: str
) -> None:
    """In order; the zone is for those that have no offset."""
    value = _value(FieldRule(column="a", formats=formats, zone=zone), "date", a=text)
    assert as_given({"date": value}) == {"date": date}


@pytest.mark.parametrize("text", ["soon", "1e999", "nan", "99999999999999999"])
def test_what_is_no_date_is_said_to_be_none(text: str) -> None:
    """Never a crash, never another date."""
    rule = FieldRule(column="a", formats=["epoch", "%Y"])
    assert _value(rule, "date", a=text) == ("is no date in a format of the mapping", text)


def test_an_expression_of_a_mapping_takes_whole_values() -> None:
    """Whatever their case; one that is none stops the reading."""
    values = ColumnValues(["/liked an? \\w+/", "seen*"], frozenset())
    texts = ("Liked a photo", "Liked a photo of it", "seen it")
    assert [values.match(text) for text in texts] == [True, False, True]
    with pytest.raises(SourceError, match="holds no expression"):
        ColumnValues("/(/", frozenset())


def test_what_means_nothing_may_be_an_expression() -> None:
    """Of whole values; a single slash is one itself."""
    nothing = empty_values(["null", "/proto:\\S+/"])
    texts = ("", "null", "Null", "Proto:CjoK", "see proto:CjoK", "/")
    assert [text in nothing for text in texts] == [True, True, False, True, False, False]
    assert "/" in empty_values(["/"])
    with pytest.raises(SourceError, match="holds no expression"):
        empty_values(["/(/"])


def test_a_zone_that_is_none_stops_the_reading() -> None:
    """It is wrong in the mapping."""
    with pytest.raises(SourceError, match="zone Europe/Nowhere is none"):
        _value(FieldRule(column="a", zone="Europe/Nowhere"), "date", a="2024-01-31")


def test_numbers_are_normalised_where_they_can_be() -> None:
    """Calls have ends that are none."""
    rule = FieldRule(column="a", phone=True)
    assert _value(rule, "call.to", a="(212) 555-0100") == "+12125550100"
    assert _value(rule, "call.to", a="client:kim") == "client:kim"


def test_lists_are_split() -> None:
    """By semicolons, or as the mapping says."""
    assert _value(FieldRule(column="a"), "emailCc", a="x; y;") == ["x", "y"]
    assert _value(FieldRule(column="a", separator="|"), "emailCc", a="x;y|z") == ["x;y", "z"]
