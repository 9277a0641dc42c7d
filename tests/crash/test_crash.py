"""``kill -9`` at any moment: the next run goes on, and nothing is stored twice.

``LEADCONNECTOR_TEST_KILLS`` sets how often the import is killed: 20 by default, 200 in a longer
run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING

import pytest

from leadconnector_async.sandbox import Latency, Reads, SandboxConfig, SandboxThread

if TYPE_CHECKING:
    from pathlib import Path

KILLS = int(os.environ.get("LEADCONNECTOR_TEST_KILLS", "20"))
START = datetime(2024, 1, 1, tzinfo=UTC)
PER_LIFE = 120
"""Requests that an import is allowed at most before it is killed."""


def write_history(path: Path, count: int) -> set[str]:
    """A history of ``count`` records without ids, some of them equal; the texts tell them apart."""
    lines = []
    for number in range(count):
        moment = START + timedelta(minutes=number // 100)
        lines.append(
            json.dumps(
                {
                    "type": "SMS",
                    "contactId": f"contact{number % 50}",
                    "direction": "inbound",
                    "date": moment.isoformat(),
                    "message": f"text {number // 50 % 2}",
                    "altId": f"r{number}" if number % 2 else None,
                }
            )
        )
    path.write_text("\n".join(lines))
    return {f"r{number}" for number in range(1, count, 2)}


def start_import(sandbox: SandboxThread, history: Path, outbox: Path) -> subprocess.Popen[str]:
    """A real import in a process of its own."""
    command = [sys.executable, "-m", "leadconnector_async.cli", "import", str(history)]
    options = {
        "TOKEN": sandbox.token,
        "LOCATION": sandbox.location_id,
        "BASE_URL": sandbox.url,
        "OUTBOX": str(outbox),
        "LOOK_AFTER": "0.15",
        "QUOTA": "off",
    }
    environment = os.environ | {f"LEADCONNECTOR_{name}": value for name, value in options.items()}
    return subprocess.Popen(
        [*command, "--quiet", "--json"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def kill_at_random(
    process: subprocess.Popen[str],
    sandbox: SandboxThread,
    random: Random,
    *,
    per_life: int = PER_LIFE,
) -> bool:
    """Kill after some requests, or at a random moment of the start; False if it ended before."""
    seen = sum(sandbox.requests.values())
    allowed = random.randrange(per_life)
    deadline = time.monotonic() + (random.uniform(0.1, 0.6) if random.random() < 0.2 else 30)
    while process.poll() is None and time.monotonic() < deadline:
        if sum(sandbox.requests.values()) - seen >= allowed:
            break
        time.sleep(0.001)
    ended = process.poll() is not None
    process.kill()
    process.communicate()
    return not ended


@pytest.mark.slow
@pytest.mark.parametrize("times", [1, pytest.param(KILLS, marks=pytest.mark.full)])
def test_killed_imports_lose_and_double_nothing(times: int, tmp_path: Path) -> None:
    """Every record is stored exactly once, however often the import was killed on the way."""
    history, outbox = tmp_path / "history.jsonl", tmp_path / "outbox.db"
    count = (times + 3) * PER_LIFE // 2
    marked = write_history(history, count)
    random = Random(20)
    config = SandboxConfig(latency=Latency(up=0.002, down=0.002, jitter=0.01), reads=Reads(lag=0.1))
    with SandboxThread(config) as sandbox:
        kills = 0
        while kills < times:
            if not kill_at_random(start_import(sandbox, history, outbox), sandbox, random):
                break
            kills += 1
        assert kills == times, f"the import was done after {kills} kills: make the history longer"
        last = start_import(sandbox, history, outbox)
        output, errors = last.communicate(timeout=120)
        assert last.returncode == 0, errors
        assert json.loads(output)["pending"] == 0
        stored = Counter(str(message.alt_id) for message in sandbox.messages)
        assert len(sandbox.messages) == count
        assert {key for key in stored if key in marked} == marked
        assert set(stored.values()) == {1}
