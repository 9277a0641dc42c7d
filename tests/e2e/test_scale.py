"""Ten thousand records through the command: all stored once, in order, in flat memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING

import pytest
from fault_harness import assert_lanes_in_order

from leadconnector_async.sandbox import SandboxThread

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.full
START = datetime(2022, 1, 1, tzinfo=UTC)
ALLOWED_GROWTH = 24
"""MiB that ten thousand records may take more than one thousand: buffers that are not full yet."""

MEASURE = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
"""A small process between: the peak of one that begins another counts as that one's own too."""


def write_history(path: Path, count: int) -> None:
    """Records in no order, of contacts of which a few have most."""
    random = Random(5)
    lines = [
        json.dumps(
            {
                "id": f"r{number}",
                "type": "SMS",
                "contactId": f"contact{int(random.paretovariate(0.6)) % 500}",
                "direction": "outbound" if number % 2 else "inbound",
                "date": (START + timedelta(minutes=number)).isoformat(),
                "message": f"message number {number} " + "of many words " * (number % 20),
            }
        )
        for number in range(count)
    ]
    random.shuffle(lines)
    path.write_text("\n".join(lines))


def import_and_measure(folder: Path, count: int) -> float:
    """Import ``count`` records; check what is stored; return the peak of the process in MiB."""
    history = folder / f"{count}.jsonl"
    write_history(history, count)
    with SandboxThread() as sandbox:
        environment = os.environ | {
            "LEADCONNECTOR_TOKEN": sandbox.token,
            "LEADCONNECTOR_LOCATION": sandbox.location_id,
            "LEADCONNECTOR_BASE_URL": sandbox.url,
            "LEADCONNECTOR_OUTBOX": str(folder / f"{count}.db"),
        }
        command = [sys.executable, "-m", "leadconnector_async.cli", "import", str(history)]
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, *command, "--json", "--quiet"],
            env=environment,
            stdout=subprocess.PIPE,
            check=True,
        )
        *_, told, peak = done.stdout.splitlines()
        report = json.loads(told)
        assert (report["staged"], report["sent"], report["pending"]) == (count, count, 0)
        stored = Counter(message.alt_id for message in sandbox.messages)
        assert stored == Counter(f"r{number}" for number in range(count))
        assert_lanes_in_order(sandbox)
    return int(peak) / 1024


def test_ten_thousand_records_are_stored_once_in_order_and_in_flat_memory(tmp_path: Path) -> None:
    """The same command as anyone's, against a sandbox without limits."""
    small = import_and_measure(tmp_path, 1_000)
    large = import_and_measure(tmp_path, 10_000)
    assert large < small + ALLOWED_GROWTH, f"{small:.0f} MiB for 1,000, {large:.0f} for 10,000"
