from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from bad_inputs import jsonl, parse, record
from hypothesis import given, strategies as st

from leadconnector_async.models import Call
from leadconnector_async.sources import SourceOptions
from leadconnector_async.sources.files.byte_stream import ByteStream
from leadconnector_async.sources.files.encoding import Utf8Text
from leadconnector_async.sources.formats.json_layout import JsonLayout, layout_of_json
from leadconnector_async.sources.formats.jsonl import JsonSource
from leadconnector_async.sources.mappings import mapping_files

if TYPE_CHECKING:
    from leadconnector_async.sources import SourceRow

TEXTS = st.text(max_size=5) | st.sampled_from(["", "\0", "c1", "\\u0000", '"call"'])
LISTS = st.lists(TEXTS, max_size=2)
DATES = st.sampled_from(
    [
        "2024-01-31T09:30:00Z",
        "2024-01-31 09:30:00.5+02:00",
        "2024-01-31T09:30:00",
        "2024-01-31T09:30:00.1234567Z",
        "2024-01-31",
        "0001-01-01T00:00:00+01:00",
        "soon",
    ]
)
CALLS = st.fixed_dictionaries(
    {},
    optional={
        "to": TEXTS | st.none(),
        "from": TEXTS,
        "status": st.sampled_from(["busy", "Busy"]),
        "duration": st.integers(),
    },
)
CONTACTS = st.fixed_dictionaries(
    {},
    optional={
        "phone": st.sampled_from(["+1 212 555 0100", "+12125550100", "2125550100"]) | st.none(),
        "email": st.sampled_from(["Me@example.com", "me"]) | st.integers(),
        "name": TEXTS,
        "city": TEXTS,
    },
)
RECORDS = st.fixed_dictionaries(
    {"type": st.sampled_from(["SMS", "Email", "Call", "sms"])},
    optional={
        "contactId": TEXTS | st.none() | st.integers(),
        "direction": st.sampled_from(["inbound", "outbound", "in"]),
        "date": DATES | st.none() | st.integers(),
        "message": TEXTS,
        "emailCc": LISTS,
        "emailBcc": LISTS | st.none(),
        "attachments": LISTS | st.text(max_size=2),
        "call": CALLS | st.none(),
        "contact": CONTACTS | st.none(),
        "inReplyTo": LISTS,
        "id": TEXTS | st.integers(),
        "outboxKey": TEXTS,
        "note": st.integers(),
    },
)
BERLIN = SourceOptions(undated="now", timezone=ZoneInfo("Europe/Berlin"))


def _reader(options: SourceOptions) -> JsonSource:
    stream = ByteStream(io.BytesIO(), "history.jsonl")
    return JsonSource(Utf8Text(stream, None), options, JsonLayout())


@given(RECORDS, st.sampled_from([SourceOptions(undated="now"), BERLIN]), st.booleans())
def test_both_ways_come_to_the_same_row(
    fields: dict[str, Any],
    options: SourceOptions,
    ascii_only: bool,  # noqa: FBT001 - drawn
) -> None:
    """Which way a line is read depends on its neighbours; what is read must not."""
    line = json.dumps(fields, ensure_ascii=ascii_only).encode()
    reader = _reader(options)
    fast, slow = reader._fast(line), reader._slow(1, line)
    assert slow is not None
    if fast is not None:
        assert fast == slow.row


def _rows(content: bytes, options: SourceOptions | None = None) -> list[SourceRow]:
    records, _ = parse(content, ".jsonl", options)
    assert [parsed.problems for parsed in records if parsed.row is None] == []
    return [parsed.row for parsed in records if parsed.row is not None]


def test_plain_lines_take_the_fast_way() -> None:
    """Offsets, calls and lists of well-formed records need no second look."""
    call = {"to": "+1", "from": "+2", "status": "busy"}
    lines = (
        record(),
        record(date="2024-01-31T09:30:00-05:00", attachments=["https://a/b"]),
        record(type="Call", call=call),
    )
    reader = _reader(SourceOptions(undated="now"))
    rows = [reader._fast(json.dumps(line).encode()) for line in lines]
    assert None not in rows
    assert rows[2] is not None
    assert rows[2].call == Call(to="+1", from_="+2", status="busy")


def test_the_api_s_names_need_no_mapping(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading one is a twelfth of what the command takes to start."""
    monkeypatch.setattr(mapping_files, "_kept", lambda *_: pytest.fail("a mapping was read"))
    line = json.dumps({"type": "SMS", "contactId": "c", "message": "hi", "call": {"to": "x"}})
    head = f"{line}\n{line}\n".encode()
    assert layout_of_json("history.jsonl", head, SourceOptions()).records is None


def test_lines_are_numbered_as_an_editor_does() -> None:
    """Blank lines, carriage returns and byte order marks are nothing, but lines count."""
    line = json.dumps(record()).encode()
    content = b"\xef\xbb\xbf" + line + b"\r\n\n  \r\n" + line + b"\n\xef\xbb\xbf" + line
    records, _ = parse(content, ".jsonl")
    assert [parsed.line for parsed in records] == [1, 4, 5]
    assert all(parsed.row is not None for parsed in records)


def test_unknown_fields_are_warned_of_once_and_cost_nothing_else() -> None:
    """However many lines have them, and whichever lines do not."""
    lines = [record(id=str(n), **({"note": n} if n % 3 else {})) for n in range(500)]
    records, warnings = parse(jsonl(*lines, record(call={"duration": 3})), ".jsonl")
    assert [parsed.row.id for parsed in records[:-1] if parsed.row] == [str(n) for n in range(500)]
    assert warnings == ['field "note" is not sent', 'field "call.duration" is not sent']


def test_the_fast_way_is_taken_again() -> None:
    """A stretch of odd lines does not slow the rest of a file down for long."""
    reader = _reader(SourceOptions(undated="now"))
    odd, plain = jsonl(record(note=1)).strip(), jsonl(record()).strip()
    tried: list[bytes] = []

    class Counting(JsonSource):
        def _fast(self, line: bytes) -> SourceRow | None:
            tried.append(line)
            return super()._fast(line)

    content = b"\n".join([odd] * 1600 + [plain] * 1000)
    stream = ByteStream(io.BytesIO(content), "history.jsonl")
    reader = Counting(Utf8Text(stream, None), SourceOptions(undated="now"), JsonLayout())
    assert len(list(reader)) == 2600
    assert tried.count(odd) < 40
    assert tried.count(plain) > 900


def test_own_ids_may_be_numbers() -> None:
    """Integers of a database are keys like others."""
    assert [row.id for row in _rows(jsonl(record(id=7), record(id="7")))] == ["7", "7"]


@pytest.mark.parametrize("name", ["attachments", "emailCc", "emailBcc"])
def test_an_empty_list_is_none(name: str) -> None:
    """The API answers 422 to an empty list, so the key is left out."""
    row = _rows(b'{"type":"Email","%s":[ ]}\n' % name.encode())[0]
    assert (row.attachments, row.email_cc, row.email_bcc) == (None, None, None)


def test_a_key_with_two_values_is_refused() -> None:
    """Parsers take the last one, unsaid. Equal values are one, and a text may look like a key."""
    plain = json.dumps(record(message='he said "x":"y"')).encode()
    twice = plain.replace(b"}", b', "direction": "inbound"}')
    odd = plain.replace(b"}", b', "direction": "outbound"}')
    within = plain.replace(b"}", b', "call": {"to": "+1", "to": "+2"}}')
    records, _ = parse(b"\n".join([plain, odd, twice, within]), ".jsonl")
    assert [[str(one) for one in parsed.problems] for parsed in records] == [
        [],
        ['line has one key with two values ("direction"): take one of them away'],
        [],
        ['line has one key with two values ("to"): take one of them away'],
    ]


def test_a_field_has_one_value_however_it_is_spelled() -> None:
    """In its object or by its dotted name: one of two was dropped, unsaid."""
    contact = {"phone": "+12125550100"}
    lines = [record(contact=contact, **{"contact.phone": f"+1212555010{n}"}) for n in (0, 1)]
    (same, other), _ = parse(jsonl(*lines), ".jsonl")
    assert same.row is not None
    assert [str(one) for one in other.problems] == ["contact.phone has two values: write one"]


def test_keys_with_two_values_are_found_in_all_of_a_long_file_that_has_many() -> None:
    """Each line is looked at in the beginning, and then one of many until one has it."""
    plain = jsonl(record()).strip()
    odd = plain.replace(b"}", b', "direction": "outbound"}')
    records, _ = parse(b"\n".join([plain] * 1100 + [odd] * 1000), ".jsonl")
    refused = [parsed.line for parsed in records if parsed.problems]
    assert refused == [*range(1280, 2101)]


def test_dotted_names_of_a_call_are_read() -> None:
    """Flat records, such as a table gives, need no nesting."""
    row = _rows(jsonl(record(type="Call", **{"call.to": "+1", "call.status": "busy"})))[0]
    assert row.call == Call(to="+1", status="busy")


def test_a_mapping_renames_keys() -> None:
    """``--map`` works for JSON as it does for columns."""
    options = SourceOptions(undated="now", mapping={"message": "body", "id": "sid"})
    row = _rows(b'{"type":"SMS","body":"hi","sid":4}', options)[0]
    assert (row.message, row.id) == ("hi", "4")


def test_local_dates_take_the_zone() -> None:
    """In every line, whichever way it is read."""
    dates = ["2024-01-31T10:30:00", "2024-01-31 10:30", "2024-01-31T09:30:00Z"]
    rows = _rows(jsonl(*(record(date=date) for date in dates)), BERLIN)
    assert len({row.date for row in rows}) == 1


def test_utf_16_is_read() -> None:
    """Windows tools write it."""
    content = '{"type":"SMS","message":"Grüße 😀"}\n'.encode("utf-16")
    assert _rows(content)[0].message == "Grüße 😀"


def test_a_raw_text_that_was_mended_is_read() -> None:
    """The stand-in of a failed list takes the record in its text, or gives way to it."""
    raw = json.dumps(record(id="1"))
    stand_in = {"error": "e", "outboxKey": "k", "line": 3, "locationId": "l", "raw": raw}
    row = _rows(jsonl(stand_in))[0]
    assert (row.id, row.outbox_key, row.location_id) == ("1", "k", "l")


def test_a_stand_in_that_was_not_mended_keeps_its_key() -> None:
    """So it stays the same failed record, however often it is read."""
    stand_in = {"error": "e", "outboxKey": "k", "line": 3, "raw": '{"type'}
    parsed = parse(jsonl(stand_in), ".jsonl")[0][0]
    assert parsed.identity is not None
    assert parsed.identity.outbox_key == "k"


@pytest.mark.parametrize("line", [b'["SMS"]', b"[1, 2]", b"[null]"])
def test_a_list_that_is_no_file_of_records_costs_one_line(line: bytes) -> None:
    """Only an array of objects is taken for a whole file."""
    records, _ = parse(line + b"\n" + jsonl(record()), ".jsonl")
    assert [parsed.row is None for parsed in records] == [True, False]
