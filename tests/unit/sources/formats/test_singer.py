"""What a Singer tap writes, read by a mapping."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from cli_harness import leadconnector, result_of

from leadconnector_async import SourceError
from leadconnector_async.sources import Parsed, SourceOptions, open_source

if TYPE_CHECKING:
    from pathlib import Path

MAPPING = """
requires = ["chat", "who"]
records = ["chats"]
[fields]
id = "uid"
type = { constant = "SMS" }
direction = { column = "dir", words = { in = "inbound", out = "outbound" } }
date = "at"
contact.phone = "who.number"
message = "text"
"""


def schema(stream: str, *names: str) -> dict[str, Any]:
    """Announce a stream."""
    properties = {name: {"type": ["null", "string"]} for name in names}
    return {"type": "SCHEMA", "stream": stream, "schema": {"properties": properties}}


def record(stream: str, **fields: object) -> dict[str, Any]:
    """A record of a stream."""
    return {"type": "RECORD", "stream": stream, "record": fields, "version": 1}


def twilio(number: int, **fields: object) -> dict[str, Any]:
    """A message as a tap of Twilio gives it."""
    given = {"sid": f"SM{number}", "from": "+13035550142", "to": "+13035550100", "body": "hi"}
    more = {"direction": "inbound", "date_sent": "2024-03-29T15:06:41.000000Z"}
    return record("messages", **given, **more, status="received", **fields)


def written(folder: Path, *messages: object) -> Path:
    """Write down what a tap says; texts as they are."""
    lines = (one if isinstance(one, str) else json.dumps(one) for one in messages)
    path = folder / "tap.out"
    path.write_text("\n".join(lines) + "\n")
    return path


def read(path: Path, **options: Any) -> tuple[list[Parsed], list[str]]:  # noqa: ANN401 - as they are
    """All records, and what is told of the source."""
    with open_source(str(path), SourceOptions(**options)) as source:
        return list(source), source.warnings


def test_records_of_a_tap_are_read(tmp_path: Path) -> None:
    """Recognised by its first line and by the stream's keys; states and versions are passed over.

    Streams that no mapping reads are counted and named.
    """
    path = written(
        tmp_path,
        schema("users", "id", "name"),
        record("users", id=1, name="Kim"),
        schema("messages", "sid", "from", "to", "direction", "date_sent", "body", "status"),
        {"type": "ACTIVATE_VERSION", "stream": "messages", "version": 1},
        twilio(1),
        {"type": "STATE", "value": {"bookmarks": {}}},
        record("users", id=2, name="Lou"),
        twilio(2, _sdc_deleted_at="2024-04-01T00:00:00Z"),
        twilio(3),
    )
    for options in ({}, {"format": "singer"}, {"mapping_file": "twilio-messages"}):
        found, warnings = read(path, **options)
        assert [(one.line, one.row and one.row.id) for one in found] == [
            (5, "SM1"),
            (8, None),
            (9, "SM3"),
        ]
        assert found[1].left_out == "records that were deleted in their source"
        assert "streams that no mapping reads: users (2): not sent" in "".join(warnings)
        assert found[0].raw == json.dumps(twilio(1)["record"], separators=(",", ":")).encode()


def test_a_mapping_of_your_own_names_the_streams(tmp_path: Path) -> None:
    """In ``records``; its paths reach into the record."""
    mapping = tmp_path / "chats.toml"
    mapping.write_text(MAPPING)
    chat = {"chat": "c", "who": {"number": "+13035550142"}, "dir": "out", "text": "Yes"}
    at = "2024-03-29T15:06:41Z"
    path = written(
        tmp_path,
        record("chats", uid="1", at=at, **chat),
        record("archived", uid="2", at=at, **chat),
    )
    (found,), warnings = read(path, mapping_file=str(mapping))
    assert found.row is not None
    assert (found.row.id, found.row.direction, found.row.message) == ("1", "outbound", "Yes")
    assert "archived (1)" in "".join(warnings)


def test_what_is_no_message_is_told_with_its_line(tmp_path: Path) -> None:
    """A log among the lines, a batch, a cut-off line, a record that is none.

    The rest is read all the same.
    """
    path = written(
        tmp_path,
        twilio(1),
        "INFO tap started",
        {"type": "BATCH", "stream": "messages", "manifest": []},
        {"type": "RECORD", "stream": "messages", "record": [1]},
        "",
        twilio(2),
        '{"type": "RECORD", "stream": "mess',
    )
    found, _ = read(path)
    assert [(one.line, bool(one.problems)) for one in found] == [
        *((1, False), (2, True), (3, True), (4, True), (6, False), (7, True))
    ]
    assert "switch BATCH messages off" in str(found[2].problems[0])
    assert all("SM" not in str(problem) for one in found for problem in one.problems)


@pytest.mark.parametrize("content", ["", "{}", '{"type": "STATE", "value": {}}', "no JSON"])
def test_output_that_no_mapping_reads_is_refused(tmp_path: Path, content: str) -> None:
    """With the streams that it has, and what to do."""
    path = written(tmp_path, content)
    with pytest.raises(SourceError, match=r"no mapping reads its streams|is empty"):
        read(path, format="singer")
    path = written(tmp_path, record("users", id=1))
    with pytest.raises(SourceError, match=r'"users".*records ='):
        read(path)


@pytest.mark.slow
def test_a_tap_is_imported_from_a_pipe(tmp_path: Path) -> None:
    """``-`` is standard input. What failed is listed as the mapping reads it again."""
    bad = twilio(2) | {"record": twilio(2)["record"] | {"from": "client:kim"}}
    stdin = written(tmp_path, twilio(1), bad, record("users", id=1)).read_bytes()
    words = ["--sandbox", "--outbox", tmp_path / "o.db", "--location", "x"]
    done = leadconnector("import", "-", *words, "--json", stdin=stdin)
    result = result_of(done.stdout)
    assert (done.exit_code, result["sent"], result["failed"]) == (3, 1, 1)
    assert "users (1)" in done.stderr
    failed = tmp_path / "failed.jsonl"
    leadconnector("failed", "--outbox", tmp_path / "o.db", "-o", failed)
    failed.write_text(failed.read_text().replace("client:kim", "+13035550163"))
    result = result_of(leadconnector("import", failed, *words, "--json").stdout)
    assert (result["sent"], result["failed"]) == (1, 0)
