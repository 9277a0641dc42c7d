from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from bad_inputs import BAD_INPUTS, HEADER, BadInput, jsonl, parse, record
from hypothesis import given, strategies as st
from msgspec.structs import asdict

from leadconnector_async.sources import (
    FailedRow,
    Parsed,
    SourceOptions,
    failed_suffix,
    open_source,
    write_failed,
)
from leadconnector_async.sources.formats.stream_source import SourceFormat

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

KNOWN = ["type", "message", "html", "contactId", "emailCc", "id", "call.to"]
OTHER = ["note", "", "line", "raw", "column", "Grüße", "a,b", 'q"', "new\nline", "error"]
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6) | st.text(
    '",;\r\n a', max_size=6
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=4,
)


def _rows(parsed: Sequence[Parsed], form: bytes, location: str = "") -> list[FailedRow]:
    return [
        FailedRow(
            key=f"key {number}",
            reason="it failed",
            location=location,
            form=form,
            raw=one.raw,
            source="history",
            line=one.line,
        )
        for number, one in enumerate(parsed)
    ]


def _written(rows: Sequence[FailedRow], *forms: bytes) -> tuple[bytes, str]:
    out = io.BytesIO()
    all_forms: set[bytes | None] = {*forms} or {row.form for row in rows}
    write_failed(rows, out, forms=all_forms)
    return out.getvalue(), failed_suffix(all_forms)


def _form(content: bytes, suffix: str, folder: Path, options: SourceOptions) -> bytes:
    path = folder / f"history{suffix}"
    path.write_bytes(content)
    with open_source(str(path), options) as source:
        return source.form


def _key(parsed: Parsed) -> str | None:
    given = parsed.row or parsed.identity
    return given.outbox_key if given else None


def _told(parsed: Parsed) -> object:
    """Give what a record says: its fields, without what the list added."""
    if parsed.row is None:
        return [problem.field for problem in parsed.problems]
    fields = asdict(parsed.row)
    return {k: v for k, v in fields.items() if k not in {"outbox_key", "location_id"}}


@given(
    st.lists(st.sampled_from(KNOWN[1:] + OTHER), unique=True).flatmap(
        lambda names: st.tuples(
            st.just(["type", *names]), st.lists(st.tuples(*(TEXTS for _ in names)), max_size=5)
        )
    ),
    st.sampled_from([",", ";", "\t"]),
)
def test_a_list_of_csv_reads_as_its_source(
    table: tuple[list[str], list[tuple[str, ...]]], delimiter: str
) -> None:
    """The same rows, good or bad, with all their columns, each under its key."""
    names, rows = table
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\r\n")
    writer.writerows([names, *(("SMS", *row) for row in rows)])
    options = SourceOptions(undated="now", delimiter=delimiter)
    first, warnings = parse(text.getvalue().encode(), ".csv", options)
    names = [name.strip() for name in names]
    form = SourceFormat(format="csv", columns=names, delimiter=delimiter).encoded()
    content, _ = _written(_rows(first, form, "loc"), form)
    again, warnings_again = parse(content, ".csv", options)
    assert [_told(one) for one in again] == [_told(one) for one in first]
    for number, (one, before) in enumerate(zip(again, first, strict=True)):
        assert json.loads(one.raw)[-len(names) :] == json.loads(before.raw)
        if one.row is not None:
            assert (one.row.outbox_key, one.row.location_id) == (f"key {number}", "loc")
    assert warnings_again == warnings


@pytest.mark.slow
@given(
    st.lists(st.dictionaries(st.sampled_from([*KNOWN, *OTHER, "date", "call"]), VALUES), max_size=5)
)
def test_a_list_of_json_lines_reads_as_its_source(records: list[dict[str, Any]]) -> None:
    """Every key that the record had, with its value, and the same problems."""
    first, _ = parse(jsonl(record(), *records), ".jsonl")
    content, _ = _written(_rows(first, b'{"format":"jsonl"}'))
    again, _ = parse(content, ".jsonl")
    assert [_told(one) for one in again] == [_told(one) for one in first]
    for line, before in zip(content.splitlines(), [record(), *records], strict=True):
        kept = json.loads(line)
        for name, value in before.items():
            assert kept[name] == value or name in {"error", "importError", "outboxKey"}


@pytest.mark.parametrize("bad", [bad for bad in BAD_INPUTS if bad.line], ids=lambda bad: bad.name)
def test_an_unmended_list_fails_as_its_source_did(bad: BadInput, tmp_path: Path) -> None:
    """What could not be read is refused again, and what could be stays as it was."""
    first, _ = parse(bad.content, bad.suffix, bad.options)
    form = _form(bad.content, bad.suffix, tmp_path, bad.options)
    content, suffix = _written(_rows(first, form))
    again, _ = parse(content, suffix, bad.options)
    assert [one.row is None for one in again] == [one.row is None for one in first]
    assert [_told(one) for one in again if one.row] == [_told(one) for one in first if one.row]
    assert [_key(one) for one in again] == [f"key {number}" for number in range(len(first))]


def _list(content: bytes, suffix: str, tmp_path: Path, options: SourceOptions) -> list[FailedRow]:
    form = _form(content, suffix, tmp_path, options)
    return _rows(parse(content, suffix, options)[0], form, "loc")


def test_a_row_has_its_reason_its_key_and_its_columns(tmp_path: Path) -> None:
    """What a person sees who opens the list in a spreadsheet."""
    source = b"type,message,note\nsms,hi,x\n"
    content, suffix = _written(_list(source, ".csv", tmp_path, SourceOptions(undated="now")))
    assert suffix == ".csv"
    assert content == (
        b"error,outboxKey,locationId,type,message,note\r\n"
        b"history:2: it failed,key 0,loc,sms,hi,x\r\n"
    )


def test_a_list_of_a_list_has_no_more_columns(tmp_path: Path) -> None:
    """Reason and key are replaced, the location is kept."""
    source = b"error,outboxKey,locationId,type\nold,k9,loc,sms\nold,k8,,sms\n"
    content, _ = _written(_list(source, ".csv", tmp_path, SourceOptions(undated="now")))
    assert content.splitlines() == [
        b"error,outboxKey,locationId,type",
        b"history:2: it failed,key 0,loc,sms",
        b"history:3: it failed,key 1,loc,sms",
    ]


def test_an_error_column_of_the_source_stays(tmp_path: Path) -> None:
    """Data of that name is not taken for a reason, in CSV or JSON, however often it fails."""
    for source, suffix in (
        (b"type,error\nsms,30003\n", ".csv"),
        (b'{"type":"sms","error":"30003"}\n', ".jsonl"),
    ):
        once, _ = _written(_list(source, suffix, tmp_path, SourceOptions(undated="now")))
        twice, _ = _written(_list(once, suffix, tmp_path, SourceOptions(undated="now")))
        for content in (once, twice):
            assert content.count(b"importError") == content.count(b"30003") == 1


def test_a_mapped_error_column_is_read_again(tmp_path: Path) -> None:
    """The mapping of the source works on its list."""
    options = SourceOptions(undated="now", mapping={"message": "error"})
    content, _ = _written(_list(b"type,error\nSMS,hi\n", ".csv", tmp_path, options))
    row = parse(content, ".csv", options)[0][0].row
    assert row is not None
    assert row.message == "hi"


def test_sources_of_equal_form_share_a_list_and_others_meet_in_json(tmp_path: Path) -> None:
    """Lists, dates with their zone, and mapped columns come out with the API's names."""
    berlin = SourceOptions(
        undated="now", timezone=ZoneInfo("Europe/Berlin"), mapping={"message": "body"}
    )
    table = (
        b"type,body,date,attachments,call.to,note,call,message,contactId,Contact ID\n"
        b"Call,hi,2024-01-31T10:30:00,https://a;https://b,+1,x,y,z,,7\nSMS,,soon,,,,,,,\n"
    )
    other = jsonl({"type": "SMS", "body": "ho", "date": "2024-01-31T09:30:00Z"})
    rows = _list(table, ".csv", tmp_path, berlin)
    rows += _list(
        other, ".jsonl", tmp_path, SourceOptions(undated="now", mapping={"message": "body"})
    )
    content, suffix = _written(rows)
    assert suffix == ".jsonl"
    first, second, third = (json.loads(line) for line in content.splitlines())
    assert first == {
        "error": "history:2: it failed",
        "outboxKey": "key 0",
        "locationId": "loc",
        "type": "Call",
        "message": "hi",
        "date": "2024-01-31T09:30:00+00:00",
        "attachments": ["https://a", "https://b"],
        "call.to": "+1",
        "note": "x",
        "column call": "y",
        "column message": "z",
        "column Contact ID": "7",
    }
    assert second["date"] == "soon"
    assert third["message"] == "ho"


@pytest.mark.slow
def test_every_bad_record_can_meet_in_json(tmp_path: Path) -> None:
    """A mixed list refuses again what its sources refused, and reads what they read."""
    rows: list[FailedRow] = []
    before: list[Parsed] = []
    for bad in BAD_INPUTS:
        if bad.line:
            first, _ = parse(bad.content, bad.suffix, bad.options)
            form = _form(bad.content, bad.suffix, tmp_path, bad.options)
            rows += _rows(first, form)
            before += first
    content, suffix = _written([*rows, FailedRow(key="k", reason="r", location="l")])
    assert suffix == ".jsonl"
    again = parse(content, suffix)[0]
    assert [one.row is None for one in again] == [*(one.row is None for one in before), True]
    good = [one for one in again if one.row]
    assert [_told(one) for one in good] == [_told(one) for one in before if one.row]


def test_records_without_a_source_are_written_from_what_was_sent() -> None:
    """Messages that a program handed in have no form of their own."""
    payload = b'{"type":"SMS","contactId":"c1","message":"hi"}'
    row = FailedRow(key="k", reason="refused", location="loc", payload=payload)
    content, suffix = _written([row])
    assert suffix == ".jsonl"
    assert json.loads(content) == {
        "error": "refused",
        "outboxKey": "k",
        "locationId": "loc",
        "type": "SMS",
        "contactId": "c1",
        "message": "hi",
    }


def test_bytes_that_were_no_text_go_out_as_they_came(tmp_path: Path) -> None:
    """So the fix that the problem names, ``--encoding``, works on the list as well."""
    cp1252 = SourceOptions(undated="now", encoding="cp1252")
    for source, suffix in (
        (HEADER + "SMS,c1,inbound,,café\n".encode("cp1252"), ".csv"),
        ('{"type":"SMS","message":"café"}\n'.encode("cp1252"), ".jsonl"),
    ):
        content, _ = _written(_list(source, suffix, tmp_path, SourceOptions(undated="now")))
        row = parse(content, suffix, cp1252)[0][0].row
        assert row is not None
        assert row.message == "café"


def test_a_list_of_another_encoding_is_marked(tmp_path: Path) -> None:
    """It is UTF-8, which the same ``--encoding`` would misread without its mark."""
    cp1252 = SourceOptions(undated="now", encoding="cp1252")
    source = "type,message\nSMS,café €\n".encode("cp1252")
    content, _ = _written(_list(source, ".csv", tmp_path, cp1252))
    row = parse(content, ".csv", cp1252)[0][0].row
    assert row is not None
    assert row.message == "café €"


def test_lines_of_one_source_can_meet_those_of_another(tmp_path: Path) -> None:
    """Stand-ins, data named ``error``, and texts that are no JSON cross over as they are."""
    options = SourceOptions(undated="now", mapping={"message": "body"})
    deep = b'{"type":"SMS","note":' + b"[" * 100_000
    source = jsonl(
        {"type": "SMS", "error": "30003"},
        {"error": "old", "outboxKey": "k", "line": 3, "raw": '{"type'},
        deep,
    )
    rows = _list(source, ".jsonl", tmp_path, options)
    rows += _list(b"type\nSMS\n", ".csv", tmp_path, SourceOptions(undated="now"))
    written = [json.loads(line) for line in _written(rows)[0].splitlines()]
    assert (written[0]["error"], written[0]["importError"]) == ("30003", "history:1: it failed")
    assert (written[1]["raw"], written[1]["outboxKey"]) == ('{"type', "key 1")
    assert written[2]["raw"] == deep.decode()
    assert written[3]["type"] == "SMS"


def test_big_numbers_and_half_characters_stay() -> None:
    """Nothing that the source had is rounded or dropped on its way."""
    raw = b'{"type":"SMS","number":123456789012345678901234567890,"half":"\\ud800"}'
    row = FailedRow(key="k", reason="r", location="", form=b'{"format":"jsonl"}', raw=raw)
    content, _ = _written([row])
    assert b"123456789012345678901234567890" in content
    assert b'"\\ud800"' in content


class _FullDisk(io.BytesIO):
    def write(self, data: object) -> int:
        raise OSError(28, f"No space left for {type(data).__name__}")


def test_a_full_disk_is_told_and_the_file_stays_its_owners() -> None:
    """The error goes to whoever opened the file; nobody else closes it."""
    out = _FullDisk()
    with pytest.raises(OSError, match="No space left"):
        write_failed([], out, forms=[SourceFormat(format="csv", columns=["type"]).encoded()])
    assert not out.closed


def test_a_list_shows_no_text_in_its_repr() -> None:
    """Rows of the list pass through logs of errors."""
    row = FailedRow(key="k", reason="r", location="l", raw=b'{"message":"private"}')
    assert "private" not in repr(row)


def test_files_are_found_from_the_lists_folder(tmp_path: Path) -> None:
    """Paths are relative to the source, and the list may lie elsewhere."""
    (tmp_path / "a.jpg").write_bytes(b"x")
    url = (tmp_path / "a.jpg").resolve().as_uri()
    line = jsonl(record(attachments=["a.jpg", "https://a.example/b.jpg", "gone.jpg"]))
    table = b"type,attachments\nSMS,a.jpg;gone.jpg\n"
    for content, suffix in ((line, ".jsonl"), (table, ".csv")):
        form = _form(content, suffix, tmp_path, SourceOptions(undated="now"))
        parsed, _ = parse(content, suffix)
        rows = [
            row._replace(source=str(tmp_path / f"history{suffix}")) for row in _rows(parsed, form)
        ]
        written, _ = _written(rows)
        assert url.encode() in written
        assert b"gone.jpg" in written
        assert b"a.jpg;" not in written.replace(url.encode(), b"")


def test_numbers_keep_their_country_in_a_list_that_mixes_sources(tmp_path: Path) -> None:
    """The other source may be of another region, so each number is written with its code."""
    table = b"type,contact.phone\nSMS,(212) 555-0100\nSMS,12\n"
    options = SourceOptions(undated="now", region="US")
    rows = _list(table, ".csv", tmp_path, options)
    rows += _list(jsonl(record(contact={"phone": "020 7946 0000"})), ".jsonl", tmp_path, options)
    written, _ = _written(rows, b'{"format":"jsonl"}', *(row.form or b"" for row in rows))
    phones = [json.loads(line)["contact.phone"] for line in written.splitlines()]
    assert phones == ["+12125550100", "12", "020 7946 0000"]


@pytest.mark.parametrize("others", [[], [FailedRow("k", "no", "loc", payload=b"{}")]])
def test_a_list_that_fails_again_keeps_the_place_in_its_source(
    others: list[FailedRow], tmp_path: Path
) -> None:
    """It tells of which file a date is: those of two files may differ in day and month."""
    record = {"error": "us.csv:2: old", "outboxKey": "k9", "type": "sms", "date": "03/04/2024"}
    table = f"{','.join(record)}\n{','.join(record.values())}\n".encode()
    for content, suffix in ((table, ".csv"), (jsonl(record), ".jsonl")):
        again, _ = _written([*_list(content, suffix, tmp_path, SourceOptions()), *others])
        assert b"us.csv:2: it failed" in again
