from __future__ import annotations

import re
from pathlib import Path

import pytest
from cli_harness import leadconnector, sms, write_jsonl

from leadconnector_async.cli.commands.inspect import guess, table_of
from leadconnector_async.cli.commands.mapping import differences
from leadconnector_async.errors import SourceError
from leadconnector_async.sources import SourceOptions, open_source
from leadconnector_async.sources.mappings.mapping_files import load_mapping

EXPORTS = Path(__file__).parents[3] / "support" / "exports"
MAPPINGS_PAGE = Path(__file__).parents[4] / "docs" / "mappings.md"
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
        table = table_of(source)
    assert table is not None
    assert table.columns.names == ["type", "message", "colour"]
    assert table.columns.feeds == {"type": ["type"], "message": ["message"]}
    assert table.columns.unknown == ["colour"]
    with open_source(str(EXPORTS / "twilio-messages.csv"), guess_of("twilio-messages")) as source:
        table = table_of(source)
    assert table is not None
    assert table.columns.feeds["contact.phone"] == ["From", "To"]
    with open_source(str(EXPORTS / "sms-backup.xml"), guess_of("sms-backup-restore")) as source:
        assert table_of(source) is None


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


def test_an_export_is_shown_with_its_mapping() -> None:
    """Columns, fields, and three records as they would be sent, and how it is imported."""
    run = leadconnector("inspect", EXPORTS / "twilio-messages.csv", "--region", "US")
    assert run.exit_code == 0
    assert "Mapping: twilio-messages (Twilio's log of messages" in run.stdout
    assert "guessed: import reads it so by itself" in run.stdout
    assert "contact.phone           From, To" in run.stdout
    assert "Not sent: ApiVersion" in run.stdout
    assert '"message": "Hi, are you open?"' in run.stdout
    assert '"phone": "+12125550100"' in run.stdout
    assert "contactId" not in run.stdout
    assert '"id"' not in run.stdout
    assert run.stdout.count('"direction"') == 2
    assert "left out: messages that were never delivered" in run.stdout
    assert run.stderr == ""


def test_a_mapping_that_is_given_is_not_guessed() -> None:
    """It is shown all the same."""
    path = EXPORTS / "generic.csv"
    run = leadconnector("inspect", path, "--mapping", "generic", "--region", "US")
    assert run.exit_code == 0
    assert "Mapping: generic" in run.stdout
    assert "guessed" not in run.stdout


def test_what_is_wrong_with_a_record_stands_under_it(tmp_path: Path) -> None:
    """Both what cannot be read and what breaks a rule."""
    records = [sms(1, date="soon"), sms(2, direction=None), sms(3), sms(4)]
    run = leadconnector("inspect", write_jsonl(tmp_path / "h.jsonl", records))
    assert run.exit_code == 0
    assert "date is text of 4 characters that is no date of a known form" in run.stdout
    assert "direction is missing" in run.stdout
    assert "secret text 3" in run.stdout
    assert "secret text 4" not in run.stdout


def test_mails_are_shown_from_the_owners_side(tmp_path: Path) -> None:
    """Without the owner's address the error names the option."""
    path = tmp_path / "one.eml"
    path.write_bytes(
        b"From: kim@example.org\nTo: me@example.com\nDate: 31 Jan 2024 10:30:00 +0000\n\nhi\n"
    )
    run = leadconnector("inspect", path)
    assert run.exit_code == 1
    assert "--mine me@example.com" in run.stderr
    run = leadconnector("inspect", path, "--mine", "ME@example.com")
    assert '"email": "kim@example.org"' in run.stdout
    run = leadconnector("inspect", path, LEADCONNECTOR_MINE="x@example.com kim@example.org")
    assert '"direction": "outbound"' in run.stdout


def test_a_file_without_records_says_so(tmp_path: Path) -> None:
    """Its columns are shown."""
    path = tmp_path / "history.csv"
    path.write_bytes(b"type,message\n")
    run = leadconnector("inspect", path)
    assert run.exit_code == 0
    assert "Columns: type, message" in run.stdout
    assert "It holds no records." in run.stdout
