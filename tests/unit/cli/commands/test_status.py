from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cli_harness import at, leadconnector, result_of, sms, write_jsonl

from leadconnector_async.sandbox import Limits, SandboxConfig, SandboxThread

if TYPE_CHECKING:
    from pathlib import Path


def test_status_says_what_stands(tmp_path: Path) -> None:
    """Counts, reasons, and how long the rest takes by the quota, the day's as it was announced."""
    records = [sms(n) for n in range(60)] + [sms(99, direction=None)]
    history = write_jsonl(tmp_path / "h.jsonl", records)
    outbox = tmp_path / "o.db"
    with SandboxThread(SandboxConfig(limits=Limits(max=1000, interval=1.0, daily=20))) as sandbox:
        assert leadconnector("import", history, *at(sandbox, outbox)).exit_code == 4
        sent = len(sandbox.messages)
    status = result_of(leadconnector("status", "--outbox", outbox, "--json").stdout)
    assert (status["sent"], status["failed"], status["pending"]) == (sent, 1, 60 - sent)
    assert sent == 20
    assert status["estimate_s"] == pytest.approx(2 * 86_400 + 20 / 10, abs=60)
    assert status["rate"] > 0
    text = leadconnector("status", "--outbox", outbox).stdout
    assert ["pending", str(60 - sent)] in [line.split() for line in text.splitlines()]
    assert "takes 2 d at least" in text
    assert f"{history}:61" in text


def test_several_locations_are_a_table(tmp_path: Path) -> None:
    """One location is the total, and needs none."""
    one = write_jsonl(tmp_path / "1.jsonl", [sms(1, locationId="a")])
    leadconnector("import", one, "--sandbox", "--outbox", tmp_path / "o.db")
    assert "location" not in leadconnector("status", "--outbox", tmp_path / "o.db").stdout
    two = write_jsonl(tmp_path / "2.jsonl", [sms(2, locationId="b"), sms(3, locationId="b")])
    leadconnector("import", two, "--sandbox", "--outbox", tmp_path / "o.db")
    text = leadconnector("status", "--outbox", tmp_path / "o.db").stdout
    assert "Everything is sent." in text
    assert ["b", "2", "0", "0", "0"] in [line.split() for line in text.splitlines()]


def test_an_outbox_in_which_nothing_is_says_no_more(tmp_path: Path) -> None:
    """Nothing was read: not all of it is sent."""
    empty = write_jsonl(tmp_path / "h.jsonl", [{**sms(1), "locationId": None}])
    words = ("--token", "t", "--outbox", tmp_path / "o.db")
    assert leadconnector("import", empty, *words).exit_code == 1
    text = leadconnector("status", "--outbox", tmp_path / "o.db").stdout
    assert text.rstrip().endswith("All runs together: read 0 = 0 sent.")


def test_an_outbox_that_is_not_there_is_exit_1(tmp_path: Path) -> None:
    """None is made by asking."""
    for command in ("status", "failed", "retry"):
        run = leadconnector(command, "--outbox", tmp_path / "gone.db")
        assert run.exit_code == 1
        assert "does not exist" in run.stderr
    assert not list(tmp_path.iterdir())
