from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from leadconnector_async.errors import SourceError
from leadconnector_async.sources import Identity, SourceOptions, open_sources
from leadconnector_async.sources.mappings.columns import NamedColumns

if TYPE_CHECKING:
    from pathlib import Path


def _columns(*names: str, **mapping: str) -> NamedColumns:
    return NamedColumns("history.csv: line 1", names, mapping)


def test_cells_are_named_by_their_columns() -> None:
    """An empty cell is an absent field; space counts in texts alone."""
    columns = _columns("type", " contactId ", "message", "call.to", "note")
    assert columns.values([" SMS ", "c1 ", " hi ", "", "x"]) == {
        "type": "SMS",
        "contactId": "c1",
        "message": " hi ",
    }
    assert columns.values(["SMS", "  ", "  ", " ", ""]) == {"type": "SMS", "message": "  "}
    assert columns.unknown == ["note"]


def test_lists_are_separated_by_semicolons() -> None:
    """Space around an item and empty items are nothing."""
    columns = _columns("type", "emailCc", "attachments")
    values = columns.values(["Email", "a@x.com; b@x.com;", ";"])
    assert values == {"type": "Email", "emailCc": ["a@x.com", "b@x.com"]}


def test_a_mapped_column_feeds_its_fields() -> None:
    """One column can feed several fields, and a mapping beats a column of the field's own name."""
    columns = _columns("type", "sid", "date", "sent", id="sid", altId="sid", date="sent")
    assert columns.values(["SMS", "s1", "old", "new"]) == {
        "type": "SMS",
        "id": "s1",
        "altId": "s1",
        "date": "new",
    }
    assert columns.unknown == ["date"]
    assert _columns("type", "id", altId="id").values(["SMS", "7"]) == {"type": "SMS", "altId": "7"}


def test_columns_of_failed_lists_are_known() -> None:
    """The reason is passed over in silence, the key of the outbox is read."""
    columns = _columns("error", "outboxKey", "type", "importError")
    assert columns.values(["why", "k1", "SMS", ""]) == {"outboxKey": "k1", "type": "SMS"}
    assert columns.unknown == []


def test_a_refused_row_says_which_it_is() -> None:
    """A row of another length only where the key stands in front, as our own lists have it."""
    columns = _columns("error", "outboxKey", "id", "type")
    assert columns.identity(["e", "k", "7", "sms"]) == Identity("7", None, "k")
    assert columns.identity(["e", "k", "text"]) == Identity(None, None, "k")
    assert columns.identity(["e"]) is None
    assert _columns("id", "type", "outboxKey").identity(["7", "sms", "k", "x"]) is None
    assert _columns("type").identity([]) is None


def test_nameless_columns_are_allowed() -> None:
    """Spreadsheets leave delimiters behind the last column."""
    assert _columns("type", "", "").values(["SMS", "", ""]) == {"type": "SMS"}


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("type", "date", "date"), 'columns occur more than once: "date": rename or remove'),
        (("type", "message", "message "), '"message"'),
        (("type", "Contact ID"), 'column "Contact ID" is spelled differently from the field'),
        (("Type", "message"), '--map "type=Type"'),
        (("type", "date", "email"), '--map "contact.email=email"'),
        (("kind", "message"), 'no column is named "type"'),
        (
            ("Kind", "Text"),
            '; "leadconnector inspect history.csv" shows whether a mapping reads it',
        ),
        (
            ("Date", "type"),
            '; "leadconnector inspect history.csv" shows whether a mapping reads it',
        ),
        (("SMS", "c1", "hello"), "holds a record: put a header above it"),
    ],
)
def test_headers_that_would_lose_data_are_refused(names: tuple[str, ...], words: str) -> None:
    """Whatever is wrong with the header is wrong with every record."""
    with pytest.raises(SourceError) as caught:
        _columns(*names)
    assert "history.csv: line 1" in str(caught.value)
    assert words in str(caught.value)


def test_no_id_of_another_system_is_advised() -> None:
    """A header with its names has ids of its own: they would name somebody else."""
    with pytest.raises(SourceError, match="Contact Phone") as caught:
        _columns("Conversation UID", "Contact Phone", "Message Body", "Sent At")
    assert "conversationId=" not in str(caught.value)


def test_a_spelling_beside_the_field_itself_is_only_unknown() -> None:
    """Nothing is lost where the right column is there too, or the wrong one is mapped."""
    assert _columns("type", "date", "Date").unknown == ["Date"]
    assert _columns("type", "Date", date="Date").unknown == []
    assert _columns("type", "contactId", "phone").unknown == ["phone"]


def test_mappings_name_fields_and_columns_that_exist(tmp_path: Path) -> None:
    """A slip in an option must not drop a column."""
    path = tmp_path / "history.csv"
    path.write_text("type,from\n")
    with pytest.raises(SourceError, match=r'--map date=sent: .* write one of "type", "date"'):
        _columns("type", "date", date="sent")
    with pytest.raises(SourceError, match=r"--map contact=x: there is no such field: write one of"):
        open_sources(str(path), SourceOptions(mapping={"contact": "x"}))
    with pytest.raises(SourceError, match=r"write contactId$"):
        open_sources(str(path), SourceOptions(mapping={"contactid": "x"}))
    with pytest.raises(SourceError):
        open_sources(str(path), SourceOptions(mapping={"outboxKey": "x"}))
    open_sources(str(path), SourceOptions(mapping={"call.from": "from"}))
