from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from bad_inputs import parse
from cli_harness import OWN_FORM, at, leadconnector, result_of

from leadconnector_async.sandbox import SandboxThread
from leadconnector_async.sources import SourceOptions, open_source
from leadconnector_async.sources.fields import NotedText

if TYPE_CHECKING:
    from pathlib import Path

    from leadconnector_async.sources import Parsed

TABLE = b"""Type,Direction,Phone,Date,Text,Duration,Transcript
Call,inbound,+12125550142,2024-03-01T10:00Z,asked for Kim,72,"Hello,
is Kim there?"
Call,outbound,+12125550142,2024-03-01T11:00Z,,0,
Call,inbound,+12125550142,2024-03-01T12:00Z,,3601.4,
SMS,inbound,+12125550142,2024-03-01T13:00Z,hi,,
"""
TOLD = ("durations, for which the API has no field", "transcripts, for which the API has no field")


def _read(tmp_path: Path, **given: object) -> list[Parsed]:
    path = tmp_path / "calls.csv"
    path.write_bytes(TABLE)
    options = SourceOptions(mapping_file="generic", **given)  # type: ignore[arg-type]
    with open_source(str(path), options) as source:
        return list(source)


def test_durations_and_transcripts_are_the_text_of_a_call(tmp_path: Path) -> None:
    """Beneath its own, and of calls alone; a duration of nothing is none."""
    rows = [one.row for one in _read(tmp_path) if one.row]
    assert [row.message for row in rows] == [
        "asked for Kim\nDuration: 0:01:12\nTranscript: Hello,\nis Kim there?",
        None,
        "Duration: 1:00:01",
        "hi",
    ]
    assert isinstance(rows[0].message, NotedText)
    assert rows[0].message.own == "asked for Kim"


def test_a_duration_whose_unit_nobody_can_tell_stands_as_it_is() -> None:
    """Such as minutes, or Excel's part of a day without its format: that became no time at all."""
    given = {"1.2": "1.2", "0.000752314814814815": "0.000752314814814815", "75": "0:01:15"}
    header = "Type,Direction,Phone,Date,Duration"
    for duration, told in given.items():
        table = f"{header}\nCall,inbound,+12125550142,2024-03-01T10:00Z,{duration}\n"
        (one,), _ = parse(table.encode(), ".csv", SourceOptions(mapping_file="generic"))
        assert one.row is not None
        assert one.row.message == f"Duration: {told}"


def test_they_can_be_left_out(tmp_path: Path) -> None:
    """What is left out is told."""
    parsed = _read(tmp_path, call_notes="off")
    assert [one.row.message for one in parsed if one.row] == ["asked for Kim", None, None, "hi"]
    assert [one.notices for one in parsed] == [TOLD, (), TOLD[:1], ()]


@pytest.mark.slow
@pytest.mark.parametrize("ids", [True, False], ids=["ids", "no ids"])
def test_notes_are_no_part_of_what_a_record_is(ids: bool, tmp_path: Path) -> None:  # noqa: FBT001
    """The same call with notes and without is sent once, whether it has an id or not."""
    path = tmp_path / "calls.csv"
    path.write_text(
        f"{'Id' * ids},Type,Direction,Phone,Date,Duration\n"
        f"{'c1' * ids},Call,inbound,+12125550142,2024-03-01T10:00Z,72\n"
    )
    with SandboxThread() as sandbox:
        run = ["import", path, "--mapping", "generic", "--json", "--provider", OWN_FORM]
        run += at(sandbox, tmp_path / "a.db")
        first = leadconnector(*run, "--call-notes", "off")
        assert result_of(first.stdout)["sent"] == 1
        second = leadconnector(*run)
        assert second.exit_code == 0
        assert result_of(second.stdout)["sent"] == 0
        assert [stored.fields.get("message") for stored in sandbox.messages] == [None]
        third = leadconnector(*run, "--outbox", tmp_path / "b.db")
        assert third.exit_code == 0
        assert sandbox.messages[-1].fields["message"] == "Duration: 0:01:12"


def test_the_side_that_is_the_owners_tells_the_direction(tmp_path: Path) -> None:
    """Where no column does. Where neither side is, or both are, nobody can tell."""
    path = tmp_path / "texts.csv"
    path.write_text(
        "From,To,Body,Date\n"
        "+12125550100,+16465550101,1,2024-03-01T10:00Z\n"
        "6465550101,(212) 555-0100,2,2024-03-01T10:00Z\n"
        "6465550101,2125550109,3,2024-03-01T10:00Z\n"
        "+12125550100,2125550100,4,2024-03-01T10:00Z\n"
    )
    options = SourceOptions(mapping_file="generic", region="US", mine=("(212) 555-0100",))
    with open_source(str(path), options) as source:
        rows = [parsed.row for parsed in source if parsed.row]
    assert [(row.direction, row.contact and row.contact.phone) for row in rows] == [
        ("outbound", "+16465550101"),
        ("inbound", "+16465550101"),
        (None, None),
        (None, None),
    ]


def test_a_column_of_states_is_of_calls_and_of_messages() -> None:
    """A call that failed is a part of the history, also where only its columns tell what it is."""
    options = SourceOptions(mapping_file="generic", region="US")
    at = "+12125550111,out,2024-01-31T15:04:05Z"
    table = f"Phone,Direction,Call Date,Status\n{at},Failed\n{at},Canceled\n{at},Completed\n"
    parsed, _ = parse(table.encode(), ".csv", options)
    calls = [one.row.call for one in parsed if one.row]
    assert [call and call.status for call in calls] == ["failed", "canceled", "completed"]
    table = f"Phone,Direction,Date,Type,Status,Text\n{at},SMS,Completed,hi\n{at},Call,No answer,\n"
    parsed, _ = parse(table.encode(), ".csv", options)
    calls = [one.row.call for one in parsed if one.row]
    assert [call and call.status for call in calls] == [None, "no-answer"]


def test_what_the_api_does_not_take_of_outbound_calls_is_told(tmp_path: Path) -> None:
    """It has no field for their text. It was lost without a word, of tables and of JSON alike."""
    ends = '"call": {"to": "+12125550142", "status": "completed"}'
    (tmp_path / "calls.jsonl").write_text(
        f'{{"type": "Call", "direction": "outbound", "date": "2024-03-01T10:00:00Z", "message":'
        f' "hi", "contact": {{"phone": "+12125550142"}}, {ends}}}\n'
    )
    table = TABLE.replace(b"T11:00Z,,0", b"T11:00Z,,9")
    (tmp_path / "calls.csv").write_bytes(table)
    told = "texts of outbound calls, such as durations"
    for name, mapping in {"calls.jsonl": [], "calls.csv": ["--mapping", "generic"]}.items():
        words, provider = [tmp_path / name, *mapping], ["--provider", OWN_FORM]
        with SandboxThread() as sandbox:
            made = leadconnector("import", *words, *provider, *at(sandbox, tmp_path / f"{name}.db"))
        assert made.exit_code == 0
        assert f"Note: 1: {told}" in made.stderr
        assert told in leadconnector("inspect", *words).stdout
        assert told in leadconnector("validate", *words, *provider).output
