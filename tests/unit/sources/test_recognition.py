from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from leadconnector_async.cli.commands.inspect import guess
from leadconnector_async.errors import SourceError
from leadconnector_async.sources import SourceOptions, open_source
from leadconnector_async.sources.fields import WrongValueError
from leadconnector_async.sources.mappings.chat_sides import ChatSides
from leadconnector_async.sources.mappings.mapped import RowMapper
from leadconnector_async.sources.mappings.mapping import Definition, FieldRule, RecordKind
from leadconnector_async.sources.values.contact_values import Contacts

EXPORTS = Path(__file__).parents[2] / "support" / "exports"
SMS = b'<sms address="+12125550100" date="1706693400000" type="1" body="hello" contact_name="Kim"/>'
MAIL = (
    b"From kim@example.com Wed Jan 31 09:30:00 2024\nFrom: kim@example.com\nTo: me@shop.example\n"
)
WHEN = "2024-01-31T09:30:00Z"
FOREIGN = {"Phone": "+12125550100", "Direction": "in", "Text": "hello", "Date": "2024-01-31T09:30Z"}


def _warnings(path: Path, mapping: str | None) -> list[str]:
    with open_source(str(path), SourceOptions(mapping_file=mapping, region="US")) as source:
        assert [parsed for parsed in source if parsed.row]
        return source.warnings


@pytest.mark.parametrize(
    "prolog", [b"", b"<?xml version='1.0'?>\n<!-- by <calls> -->\n", b"\xef\xbb\xbf"]
)
def test_xml_is_known_by_its_root(tmp_path: Path, prolog: bytes) -> None:
    """As tables are by their columns; and a mapping of tables beside it does not break it."""
    path = tmp_path / "sms.xml"
    path.write_bytes(prolog + b"<smses count='1'>" + SMS + b"</smses>")
    said = "its root <smses> is that of --mapping sms-backup-restore: read by it"
    assert _warnings(path, None)[0] == said
    said = "--mapping generic reads tables and JSON: it is read by --mapping sms-backup-restore"
    assert _warnings(path, "generic")[0] == said
    assert guess(str(path), SourceOptions()).mapping_file == "sms-backup-restore"


def test_a_mapping_that_does_not_fit_is_told_by_file(tmp_path: Path) -> None:
    """What is recognised, or has the API's names, is read so; what is not, is an error."""
    table = EXPORTS / "twilio-messages.csv"
    assert _warnings(table, "sms-backup-restore")[0] == (
        "--mapping is for XML: it is read by --mapping twilio-messages"
    )
    assert (
        "which the mapping requires: it is read by --mapping twilio-messages"
        in (_warnings(table, "twilio-calls")[0])
    )
    ours = tmp_path / "ours.jsonl"
    ours.write_text(json.dumps({"type": "SMS", "contactId": "c", "message": "hi", "date": WHEN}))
    assert "requires: it is read by the API's names" in _warnings(ours, "twilio-calls")[0]
    (tmp_path / "a.mbox").write_bytes(MAIL + b"Date: Wed, 31 Jan 2024 09:30:00 +0000\n\nhi\n")
    mine = SourceOptions(mapping_file="generic", mine=("me@shop.example",))
    with open_source(str(tmp_path / "a.mbox"), mine) as source:
        assert list(source)
    assert "holds mails, which are read without --mapping" in source.warnings
    (tmp_path / "odd.json").write_text('[{"a": 1}]')
    with pytest.raises(SourceError, match=r'odd.json: has no column "From".* requires'):
        open_source(str(tmp_path / "odd.json"), SourceOptions(mapping_file="twilio-calls"))


def test_a_list_of_failed_records_is_known_by_keys_within_its_records(tmp_path: Path) -> None:
    """As the file was that they came from: read by the API's names, all of it failed again."""
    call = {"hs_timestamp": WHEN, "hs_call_direction": "INBOUND", "hs_call_status": "COMPLETED"}
    ends = {"hs_call_from_number": "+12125550100", "hs_call_to_number": None}
    listed = {"error": "c.json:1: x", "outboxKey": "6", "id": "6", "properties": call | ends}
    bare = listed | {"outboxKey": "5", "properties": call}
    (tmp_path / "failed.jsonl").write_text(f"{json.dumps(bare)}\n{json.dumps(listed)}\n")
    with open_source(str(tmp_path / "failed.jsonl"), SourceOptions()) as source:
        first, second = source
    assert [problem.field for problem in first.problems] == ["contact.phone"]
    assert second.row is not None
    assert second.row.outbox_key == "6"


def test_json_that_generic_reads_is_guessed_and_not_read_so_by_itself(tmp_path: Path) -> None:
    """As with tables: `inspect` and `import` agree in what needs --mapping."""
    path = tmp_path / "a.json"
    path.write_text(json.dumps([FOREIGN], indent=1))
    assert guess(str(path), SourceOptions()).mapping_file == "generic"
    with open_source(str(path)) as source:
        assert [parsed.row for parsed in source] == [None]
    assert any("inspect shows whether a mapping" in warning for warning in source.warnings)
    with open_source(str(path), SourceOptions(mapping_file="generic")) as source:
        (parsed,) = source
    assert parsed.row is not None
    assert parsed.row.message == "hello"


def _reader(kind: RecordKind) -> RowMapper:
    return RowMapper(kind, Definition(), ChatSides(Contacts("US")))


def test_texts_stand_before_others_and_lists_are_made_of_all_columns() -> None:
    """A subject above its text, or alone; each column of files, each file once."""
    kind = RecordKind(
        fields={
            "message": FieldRule(column="text", before=["sub"]),
            "attachments": FieldRule(column=["a", "b"]),
        }
    )
    values = _reader(kind).values({"text": "hi", "sub": "Hello", "a": "x;y", "b": "y;z"})
    assert values == {"message": "Hello\nhi", "attachments": ["x", "y", "z"]}
    assert _reader(kind).values({"text": "", "sub": "Hello"}) == {"message": "Hello"}


def test_rules_on_columns_that_are_not_there_are_no_rules(tmp_path: Path) -> None:
    """Of a table: nobody can tell what they would hold. Names are compared as ever."""
    (tmp_path / "own.toml").write_text(
        'leave_out = [{ where = { "Kind Of" = "a", gone = "" }, as = "never" },\n'
        '  { where = { "Kind Of" = "B*" }, as = "bees" }]\n'
        '[fields]\nmessage = "Text"\ntype = { constant = "SMS", cases = [\n'
        '  { where = { "kind of" = "c", TEXT = "x" }, value = "Email" }] }\n'
    )
    (tmp_path / "a.csv").write_text("kind_of,text\na,x\nbee,x\nc,x\n")
    options = SourceOptions(mapping_file=str(tmp_path / "own.toml"), undated="now")
    with open_source(str(tmp_path / "a.csv"), options) as source:
        first, second, third = source
    assert first.row is not None
    assert second.left_out == "bees"
    assert third.row is not None
    assert (first.row.type, third.row.type) == ("SMS", "Email")


def test_a_column_that_one_case_takes_is_not_told_as_lost(tmp_path: Path) -> None:
    """It was, though it was sent."""
    (tmp_path / "own.toml").write_text(
        '[fields]\ndate = "Date"\nmessage = { column = "Text", cases = [\n'
        '  { where = { Kind = "b" }, column = "Raw" }] }\n'
        'type = { constant = "SMS" }\ndirection = { constant = "inbound" }\n'
    )
    (tmp_path / "a.csv").write_text("Kind,Text,Raw,More,Date\na,x,,m,\nb,,y,m,\n")
    options = SourceOptions(mapping_file=str(tmp_path / "own.toml"), undated="now")
    with open_source(str(tmp_path / "a.csv"), options) as source:
        assert [one.row and one.row.message for one in source] == ["x", "y"]
        assert source.warnings == ['column "More" is not sent']


@pytest.mark.parametrize("text", ["2024-01-31 10:30:00 UTC", "2024-01-31 10:30:00 GMT"])
def test_a_named_zone_is_utc_or_none(text: str) -> None:
    """Others would be the machine's own, or be passed over."""
    rule = FieldRule(column="d", formats=["%Y-%m-%d %H:%M:%S %Z"], zone="Asia/Tokyo")
    reader = _reader(RecordKind(fields={"date": rule}))
    assert reader.values({"d": text})["date"] == datetime(2024, 1, 31, 10, 30, tzinfo=UTC)
    refused = reader.values({"d": text.replace(text[-3:], "CET")})["date"]
    assert isinstance(refused, WrongValueError)
