from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from leadconnector_async.sources.fields import (
    FIELDS,
    api_names,
    folded,
    listed,
    near_field,
    nearest,
    shown,
)


def test_fields_are_those_of_the_api_and_of_the_importer() -> None:
    """Names are the wire's, and a call's are dotted."""
    assert FIELDS["conversationProviderId"] == "conversation_provider_id"
    assert FIELDS["call.from"] == "call.from_"
    assert {"id", "locationId", "outboxKey"} < FIELDS.keys()
    assert "call" not in FIELDS


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("contactId", "contactId"),
        ("Contact ID", "contactId"),
        ("contact_id", "contactId"),
        ("DATE", "date"),
        ("callFrom", "call.from"),
        ("attachment", "attachments"),
        ("mesage", "message"),
        ("massage", "message"),
        ("message_id", None),
        ("conversation", None),
        ("date2", None),
        ("ids", None),
        ("notes", None),
        ("", None),
        ("名前", None),
        ("contactId" * 9, None),
    ],
)
def test_near_names_are_spellings_and_slips_and_nothing_more(name: str, field: str | None) -> None:
    """A column that is refused for its spelling must hardly be able to mean anything else."""
    assert near_field(name) == field


@given(st.sampled_from([name for name in FIELDS if len(folded(name)) > 6]), st.data())
def test_one_slip_is_always_near(name: str, data: st.DataObject) -> None:
    """A letter added, left out or changed anywhere in a longer name is noticed."""
    at = data.draw(st.integers(0, len(name)))
    middle = data.draw(st.sampled_from(["", "x"]))
    drop = data.draw(st.integers(0, 1))
    slipped = name[:at] + middle + name[at + drop :]
    assert near_field(slipped) is not None


def test_wrong_words_find_the_right_one() -> None:
    """Suggestions ignore case and separators, and give up on what is far."""
    assert nearest("live chat", ["SMS", "Live_Chat"]) == "Live_Chat"
    assert nearest("cancelled", ["canceled", "failed"]) == "canceled"
    assert nearest("fax", ["SMS", "Email"]) is None


def test_names_are_quoted_short_and_in_one_line() -> None:
    """What stands where a name should be can be anything."""
    assert shown("a\nb") == '"a\ufffdb"'
    assert shown("x" * 50) == '"' + "x" * 40 + '…"'
    assert listed(["a", "b", "c"], most=2) == '"a", "b" and 1 more'


def test_a_mapped_key_feeds_what_it_is_mapped_to_and_nothing_else() -> None:
    """``--map altId=id`` takes the column away from ``id``; ``--map id=id`` gives it back."""
    record = {"id": 7, "text": "hi", "message": "old", "error": "x"}
    assert api_names(record, {}) == {"id": 7, "text": "hi", "message": "old"}
    mapping = {"altId": "id", "message": "text", "html": "nowhere"}
    assert api_names(record, mapping) == {"altId": 7, "message": "hi"}
    assert api_names({"id": 7}, {"altId": "id", "id": "id"}) == {"altId": 7, "id": 7}


def test_a_mapping_can_name_the_column_of_the_reason() -> None:
    """Reasons are passed over, unless the user says that theirs holds data."""
    assert api_names({"error": "x"}, {"message": "error"}) == {"message": "x"}
