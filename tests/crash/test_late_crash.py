"""``kill -9`` while deferred parts are completed: nothing is asked for, made or stored twice.

``LEADCONNECTOR_TEST_KILLS`` sets how often the import is killed: 8 by default.
"""

from __future__ import annotations

import json
import os
from random import Random
from typing import TYPE_CHECKING

import pytest
from cli_harness import write_jsonl
from late_harness import CLOSED, ME, asked, mail, mailbox, names, threads
from msgspec.structs import replace
from test_crash import kill_at_random, start_import
from test_late_faults import assert_all_is_well, history

from leadconnector_async.sandbox import Latency, Reads, SandboxThread

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.full

KILLS = int(os.environ.get("LEADCONNECTOR_TEST_KILLS", "8"))
SLOW = replace(
    CLOSED, latency=Latency(up=0.005, down=0.005, jitter=0.02), reads=Reads(lag=0.1, search_lag=0.1)
)


def kill_and_finish(sandbox: SandboxThread, source: Path, outbox: Path, seed: int) -> None:
    """Kill the import again and again, and then let it end."""
    random = Random(seed)
    kills = 0
    while kills < KILLS and kill_at_random(
        start_import(sandbox, source, outbox), sandbox, random, per_life=30
    ):
        kills += 1
    last = start_import(sandbox, source, outbox)
    output, errors = last.communicate(timeout=120)
    assert last.returncode == 0, errors + output
    assert json.loads(output)["pending"] == 0
    assert kills >= min(KILLS, 5), f"the import was done after {kills} kills"


def test_killed_imports_make_no_contact_and_store_no_record_twice(tmp_path: Path) -> None:
    """With contacts to make, files to upload, and conversations to open."""
    records = history(tmp_path, KILLS * 20 + 20)
    source = write_jsonl(tmp_path / "h.jsonl", records)
    with SandboxThread(SLOW) as sandbox:
        kill_and_finish(sandbox, source, tmp_path / "o.db", 21)
        assert_all_is_well(sandbox, records)
        # What was asked and not yet written down may be asked for once more in the next life.
        assert asked(sandbox, "find_contact") <= 4 + 4 * KILLS
        assert asked(sandbox, "upload") <= 3 + 3 * KILLS


def test_killed_imports_keep_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each mail is once in the thread of its first."""
    mails, of_thread = [], {}
    for number in range(KILLS * 16):
        thread = f"q{number % 8}"
        name = f"a{number}" if number >= 8 else thread
        answers = [thread] if number >= 8 else []
        sender = ("kim@example.org", "lee@example.org")[number % 2]
        mails.append(mail(name, number, *answers, sender=sender))
        of_thread[name] = thread
    monkeypatch.setenv("LEADCONNECTOR_MINE", ME)
    with SandboxThread(SLOW) as sandbox:
        source = mailbox(tmp_path, *mails)
        kill_and_finish(sandbox, source, tmp_path / "o.db", 22)
        assert sorted(names(sandbox)) == sorted(of_thread)
        assert threads(sandbox) == of_thread
