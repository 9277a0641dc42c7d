"""Tables through the command: what was read how, and where it goes, is told before it is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cli_harness import at, leadconnector, result_of, sms, write_jsonl

from leadconnector_async.sandbox import SandboxThread

if TYPE_CHECKING:
    from pathlib import Path

OPTIONS = ("--mapping", "generic", "--region", "US", "--timezone", "America/New_York")


@pytest.mark.parametrize("dry", [True, False])
def test_a_location_in_the_file_is_told_where_it_differs(tmp_path: Path, dry: bool) -> None:  # noqa: FBT001
    """It goes before --location, and not in silence; --map locationId= lets --location count."""
    records = [sms(n, locationId="OldLocation000000001") for n in range(3)] + [sms(4)]
    history = write_jsonl(tmp_path / "h.jsonl", records)
    with SandboxThread() as sandbox:
        options = [*at(sandbox, tmp_path / "o.db"), *(["--dry-run"] if dry else [])]
        run = leadconnector("import", history, *options)
        off = leadconnector(
            *("import", history, *at(sandbox, tmp_path / "p.db"), "--dry-run"),
            *("--map", "locationId="),
        )
    said = "3: goes to OldLocation000000001, which its locationId names, not to --location"
    assert said in " ".join(run.stderr.split())
    assert "goes to" not in off.stderr


def test_a_table_of_another_system_reaches_its_people(tmp_path: Path) -> None:
    """By their numbers, with their times, and with no id of that system."""
    table = tmp_path / "calls.csv"
    table.write_text(
        "Report\n\nid,conversationId,from,to,Type,Date,Time,body\n"
        "1,CN1,(212) 555-0111,2125550100,Received,3/4/2024,9:05 AM,hi\n"
        "2,CN1,(212) 555-0100,2125550111,Sent,3/29/2024,9:05 AM,yo\n"
        "3,CN1,(212) 555-0111,2125550100,Received,,,undated\n"
    )
    with SandboxThread() as sandbox:
        run = leadconnector("import", table, *at(sandbox, tmp_path / "o.db"), *OPTIONS, "--json")
        kept = sandbox.messages
    result = result_of(run.stdout)
    assert (result["sent"], result["failed"]) == (2, 1)
    assert [(one.direction, one.fields["date"][:19], one.fields["message"]) for one in kept] == [
        ("inbound", "2024-03-04T14:05:00", "hi"),
        ("outbound", "2024-03-29T13:05:00", "yo"),
    ]
    assert len({one.contact_id for one in kept}) == 1
    assert "lines 1 to 2 are above the header: not read" in run.stderr
    assert "2: date is read with its month first" in run.stderr


def test_the_zone_of_a_time_is_asked_or_taken_from_the_table(tmp_path: Path) -> None:
    """What nobody knows for sure fails with its line and the way out; nothing becomes midnight."""
    table = tmp_path / "log.csv"
    table.write_text(
        "Phone,Direction,Text,Date,Time (EST),Time Zone\n"
        "2125550111,in,hi,2024-07-01,10:00,America/Denver\n"
        "2125550111,out,yes,2024-07-01,10:05,\n"
    )
    generic = OPTIONS[:4]
    with SandboxThread() as sandbox:
        asked = leadconnector("import", table, *at(sandbox, tmp_path / "o.db"), *generic)
        run = leadconnector("import", table, *at(sandbox, tmp_path / "o.db"), *OPTIONS)
        dates = [one.fields["date"][:16] for one in sandbox.messages]
    said = " ".join(asked.stdout.split())
    assert 'date has no offset, and its column "Time (EST)" does not tell it: give' in said
    assert "log.csv:3" in said
    assert (asked.exit_code, run.exit_code) == (3, 0)
    assert dates == ["2024-07-01T16:00", "2024-07-01T14:05"]
