from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from cli_harness import at, leadconnector, sms, write_jsonl

from leadconnector_async.sandbox import SandboxThread

if TYPE_CHECKING:
    from pathlib import Path


def test_the_table_has_a_row_for_each_record(tmp_path: Path) -> None:
    """Sent ones with what the API gave them, failed ones with the reason; no text."""
    records = [sms(1, message="secret"), sms(2, direction=None), sms(3)]
    history, outbox = write_jsonl(tmp_path / "h.jsonl", records), tmp_path / "o.db"
    with SandboxThread() as sandbox:
        leadconnector("import", history, *at(sandbox, outbox))
        stored = {message.id for message in sandbox.messages}
    run = leadconnector("report", "--csv", tmp_path / "r.csv", "--outbox", outbox)
    assert run.exit_code == 0
    assert "3 rows" in run.stderr
    text = (tmp_path / "r.csv").read_text("utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    assert [row["line"] for row in rows] == ["1", "2", "3"]
    assert [row["state"] for row in rows] == ["sent", "failed", "sent"]
    assert {row["messageId"] for row in rows} - {""} == stored
    assert rows[1]["reason"].startswith("direction is missing")
    assert "secret" not in text


def test_no_cell_of_the_table_is_a_formula(tmp_path: Path) -> None:
    """A spreadsheet would run what strangers wrote into a key; numbers stay as they are."""
    keys = ["=1+1", "@SUM(1)", "+cmd|' /C x'!A0", "+12125550100", "-7", "m1"]
    history = write_jsonl(tmp_path / "h.jsonl", [sms(n, id=key) for n, key in enumerate(keys)])
    leadconnector("import", history, "--sandbox", "--stage-only", "--outbox", tmp_path / "o.db")
    table = leadconnector("report", "--csv", "-", "--outbox", tmp_path / "o.db").stdout
    found = [row["key"] for row in csv.DictReader(table.splitlines())]
    assert found == ["'=1+1", "'@SUM(1)", "'+cmd|' /C x'!A0", "+12125550100", "-7", "m1"]


def test_neither_page_nor_table_takes_the_place_of_an_outbox(tmp_path: Path) -> None:
    """Whichever option names it; and one of both has to be given."""
    outbox = tmp_path / "o.db"
    leadconnector(
        "import", write_jsonl(tmp_path / "h.jsonl", [sms(1)]), "--sandbox", "--outbox", outbox
    )
    run = leadconnector("report", "--csv", outbox, "--outbox", outbox)
    assert run.exit_code == 2
    assert "is an outbox: give another file, such as report.csv" in run.stderr
    run = leadconnector("report", "--outbox", outbox)
    assert run.exit_code == 2
    assert "give --html FILE or --csv FILE" in run.stderr
    for one in ("-", str(tmp_path / "report")):
        run = leadconnector("report", "--csv", one, "--html", one, "--outbox", outbox)
        assert run.exit_code == 2
        assert f"are both {one}: give one of them another file" in run.stderr
    run = leadconnector("report", "--csv", "./x", "--html", "x", "--outbox", outbox)
    assert "are both x" in run.stderr
