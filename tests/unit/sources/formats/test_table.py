from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from leadconnector_async.errors import SourceError
from leadconnector_async.sources import FailedRow, Parsed, SourceOptions, open_source, write_failed

EXPORTS = Path(__file__).parents[3] / "support" / "exports"
GENERIC = (EXPORTS / "generic.csv").read_bytes()
SMS_BACKUP = (EXPORTS / "sms-backup.xml").read_bytes()
TWILIO_MESSAGES = (EXPORTS / "twilio-messages.csv").read_bytes()
OPTIONS = SourceOptions(undated="now", mapping_file="twilio-messages", region="US")


def _read(content: bytes, path: Path, options: SourceOptions) -> tuple[list[Parsed], bytes]:
    path.write_bytes(content)
    with open_source(str(path), options) as source:
        return list(source), source.form


def _list(parsed: list[Parsed], form: bytes, *others: bytes) -> bytes:
    rows = [
        FailedRow(f"key {one.line}", "it failed", "loc", form, one.raw, None, "log", one.line)
        for one in parsed
        if one.left_out is None
    ]
    out = io.BytesIO()
    write_failed(rows, out, forms={form, *others})
    return out.getvalue()


def test_a_list_of_failed_rows_is_read_by_the_same_mapping(tmp_path: Path) -> None:
    """With all its columns, so that what was wrong can be mended where it stands."""
    parsed, form = _read(TWILIO_MESSAGES, tmp_path / "log.csv", OPTIONS)
    content = _list(parsed, form)
    assert content.splitlines()[0].startswith(b"error,outboxKey,locationId,From,To,Body,Status")
    again, _ = _read(content.replace(b"sideways", b"inbound"), tmp_path / "failed.csv", OPTIONS)
    assert [one.row is None for one in again] == [False, False, False, True, False]
    assert again[-1].row is not None
    assert (again[-1].row.outbox_key, again[-1].row.location_id) == ("key 8", "loc")
    assert again[-2].identity is not None
    assert again[-2].identity.outbox_key == "key 7"


def test_a_list_that_mixes_sources_has_the_apis_names(tmp_path: Path) -> None:
    """What could not be made stands there as it was; other columns are kept."""
    parsed, form = _read(TWILIO_MESSAGES, tmp_path / "log.csv", OPTIONS)
    content = _list(parsed, form, b'{"format":"jsonl"}')
    first, *_, last = [json.loads(line) for line in content.splitlines()]
    assert first["contact.phone"] == "+12125550100"
    assert (first["direction"], first["type"], first["Price"]) == ("inbound", "SMS", "-0.0079")
    assert last["direction"] == "sideways"
    again, _ = _read(content, tmp_path / "failed.jsonl", SourceOptions(undated="now"))
    assert [one.row is None for one in again] == [False, False, False, True, True]


def test_a_list_of_xml_has_the_apis_names(tmp_path: Path) -> None:
    """No list can hold elements."""
    spool = tmp_path / "o.db.files"
    options = SourceOptions(
        undated="now", mapping_file="sms-backup-restore", region="US", spool=spool
    )
    parsed, form = _read(SMS_BACKUP, tmp_path / "sms.xml", options)
    content = _list([one for one in parsed if not one.left_out], form)
    bad = json.loads(content.splitlines()[2])
    assert bad["contact.phone"] == "31279"
    content = content.replace(b'"31279"', b'"+12125550102"')
    (tmp_path / "failed.jsonl").write_bytes(content)
    with open_source(str(tmp_path / "failed.jsonl"), options) as source:
        assert all(one.row for one in source)
        assert "--mapping is for XML: it is read by the API's names" in source.warnings


def test_columns_that_are_required_are_missed(tmp_path: Path) -> None:
    """By name."""
    with pytest.raises(SourceError, match=r'has no column "Sid or .*", which the mapping'):
        _read(b"From,To,Body,Direction\n", tmp_path / "log.csv", OPTIONS)


def test_a_single_column_of_a_rule_has_to_be_there(tmp_path: Path) -> None:
    """A list of them says that none need be."""
    (tmp_path / "own.toml").write_text(
        '[fields]\ntype = { constant = "SMS" }\nmessage = "Text"\nsubject = ["Title"]\n'
    )
    options = SourceOptions(undated="now", mapping_file=str(tmp_path / "own.toml"))
    (one,), _ = _read(b"text\nhi\n", tmp_path / "log.csv", options)
    assert one.row is not None
    assert one.row.message == "hi"
    with pytest.raises(SourceError, match=r'has no column "Text", of which .* makes message'):
        _read(b"body\nhi\n", tmp_path / "log.csv", options)


def test_a_column_that_the_user_maps_goes_before_the_mapping(tmp_path: Path) -> None:
    """As it stands."""
    options = SourceOptions(
        undated="now", mapping_file="generic", region="US", mapping={"message": "Agent"}
    )
    parsed, _ = _read(GENERIC, tmp_path / "list.csv", options)
    assert [one.row.message for one in parsed if one.row] == ["Jo", "Jo"]


def test_what_is_wrong_with_the_table_itself_is_told_as_ever(tmp_path: Path) -> None:
    """Ragged rows, doubled columns, a --map to nothing, a mapping of XML, blank rows."""
    content = b"type,message\nSMS\n\n,\n , \nSMS,hi\n"
    options = SourceOptions(undated="now", mapping_file="generic")
    parsed, _ = _read(content, tmp_path / "list.csv", options)
    assert [(one.line, one.row is None) for one in parsed] == [(2, True), (6, False)]
    with pytest.raises(SourceError, match="more than once"):
        _read(b"type,type\n", tmp_path / "list.csv", options)
    with pytest.raises(SourceError, match="there is no such column"):
        _read(
            content,
            tmp_path / "l.csv",
            SourceOptions(undated="now", mapping={"id": "x"}, mapping_file="generic"),
        )
    with pytest.raises(SourceError, match="--mapping is for XML: choose another"):
        _read(b"a,b\n", tmp_path / "l.csv", SourceOptions(mapping_file="sms-backup-restore"))


@pytest.mark.parametrize(
    ("zone", "hour"),
    [("CET", 15), ("CEST", 14), ("MEZ", 15), ("MESZ", 14), ("EST", 21), ("PDT", 23), ("UTC", 16)],
)
@pytest.mark.parametrize(
    "text", ["29 Mar 2024 16:06:41 {}", "2024-03-29 16:06:41 {}", "29.03.2024 16:06:41 {}"]
)
def test_a_zones_name_says_the_same_in_a_table_as_in_a_mail(
    tmp_path: Path, zone: str, hour: int, text: str
) -> None:
    """Where it has one meaning, whatever the owner's own zone."""
    path = tmp_path / "table.csv"
    rows = f'Phone,Direction,Date,Text\n+13035550142,in,"{text.format(zone)}",hi\n'
    path.write_text(rows, "utf-8")
    options = SourceOptions(mapping_file="generic", timezone=ZoneInfo("Asia/Tokyo"))
    with open_source(str(path), options) as source:
        (parsed,) = source
    assert parsed.row is not None
    assert parsed.row.date == datetime(2024, 3, 29, hour, 6, 41, tzinfo=UTC)
