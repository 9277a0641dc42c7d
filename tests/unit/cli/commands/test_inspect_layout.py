from __future__ import annotations

import re
from pathlib import Path

import pytest

from leadconnector_async.cli.commands.inspect import Feed, guess, layout_of
from leadconnector_async.cli.commands.mapping import differences
from leadconnector_async.errors import SourceError
from leadconnector_async.sources import SourceOptions, open_source
from leadconnector_async.sources.mapping_files import load_mapping

ROOT = Path(__file__).parents[4]
EXPORTS = ROOT / "tests" / "support" / "exports"
MAPPINGS_PAGE = ROOT / "docs" / "mappings.md"
OPTIONS = SourceOptions(region="US")


@pytest.mark.parametrize(
    ("name", "mapping"),
    [
        ("twilio-messages.csv", "twilio-messages"),
        ("twilio-calls.csv", "twilio-calls"),
        ("sms-backup.xml", "sms-backup-restore"),
        ("call-backup.xml", "sms-backup-restore"),
        ("generic.csv", "generic"),
    ],
)
def test_exports_find_their_mapping(name: str, mapping: str) -> None:
    """By their columns or elements."""
    assert guess(str(EXPORTS / name), OPTIONS).mapping_file == mapping
    assert load_mapping(mapping).about


def test_what_can_be_read_is_read_as_it_is(tmp_path: Path) -> None:
    """And what nothing reads has the error of the options as given."""
    path = tmp_path / "history.csv"
    path.write_bytes(b"type,message\nSMS,hi\n")
    assert guess(str(path), OPTIONS) is OPTIONS
    path.write_bytes(b"a,b\n1,2\n")
    with pytest.raises(SourceError, match='no column is named "type"'):
        guess(str(path), OPTIONS)
    with pytest.raises(SourceError, match="there is no such file"):
        guess(str(tmp_path / "gone.csv"), OPTIONS)
    with pytest.raises(SourceError, match="mapping requires"):
        guess(str(path), SourceOptions(mapping_file="twilio-calls"))


def test_a_layout_says_which_column_feeds_what(tmp_path: Path) -> None:
    """Those that feed nothing too; files that are no tables have none."""
    path = tmp_path / "history.csv"
    path.write_bytes(b"type,message,colour\nSMS,hi,red\n")
    with open_source(str(path)) as source:
        layout = layout_of(source)
    assert layout is not None
    assert layout.columns == ["type", "message", "colour"]
    assert layout.feeds == [Feed("type", ["type"]), Feed("message", ["message"])]
    assert layout.unused == ["colour"]
    with open_source(str(EXPORTS / "twilio-messages.csv"), guess_of("twilio-messages")) as source:
        layout = layout_of(source)
    assert layout is not None
    assert Feed("contact.phone", ["From", "To"]) in layout.feeds
    with open_source(str(EXPORTS / "sms-backup.xml"), guess_of("sms-backup-restore")) as source:
        assert layout_of(source) is None


def guess_of(mapping: str) -> SourceOptions:
    """Options with a mapping."""
    return SourceOptions(mapping_file=mapping)


def test_the_example_of_the_docs_is_a_mapping(tmp_path: Path) -> None:
    """As it stands there."""
    blocks = re.findall(r"```toml\n(.*?)```", MAPPINGS_PAGE.read_text(), re.DOTALL)
    (tmp_path / "till.toml").write_text("\n".join(blocks))
    assert differences(str(tmp_path / "till.toml")) == (1, [])
    assert load_mapping(str(tmp_path / "till.toml")).about == "The till of the shop"
    path = tmp_path / "till.csv"
    path.write_text(
        "No;Kind;When;Customer;Their number;Text;Pictures\n"
        "1;In;31.01.2024 10:30;Kim;030 901820;Hallo;https://a.example/1.jpg,https://a.example/2.jpg\n"
    )
    options = SourceOptions(mapping_file=str(tmp_path / "till.toml"), region="DE")
    with open_source(str(path), options) as source:
        (parsed,) = source
    row = parsed.row
    assert row is not None
    assert row.contact is not None
    assert (row.contact.phone, row.direction) == ("+4930901820", "inbound")
    assert str(row.date) == "2024-01-31 09:30:00+00:00"
    assert row.attachments == ["https://a.example/1.jpg", "https://a.example/2.jpg"]
