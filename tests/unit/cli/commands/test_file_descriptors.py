"""Where the limit on open files is lower than the concurrency needs."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from cli_harness import OWN_FORM, at, result_of, sms, write_jsonl

from leadconnector_async.cli.commands.run_import import RESERVE
from leadconnector_async.sandbox import SandboxConfig, SandboxThread

if TYPE_CHECKING:
    from pathlib import Path

resource = pytest.importorskip("resource", reason="Windows has no limit on open files to set")

ROOM = (
    "from leadconnector_async.cli.commands.run_import import room_for; print(room_for(512, each=2))"
)


def limited(soft: int, hard: int, *words: object) -> subprocess.CompletedProcess[str]:
    """Run Python in a process with these limits."""
    code = (
        f"import os, resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}));"
        "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    )
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True, check=False
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("soft", "hard", "room"),
    [
        (64, RESERVE + 1024, 512),
        (64, RESERVE + 100, 50),
        (64, 64, (64 - RESERVE) // 2),
        (RESERVE - 8, RESERVE - 8, 1),
    ],
)
def test_the_soft_limit_is_raised_as_far_as_the_hard_one_allows(
    soft: int, hard: int, room: int
) -> None:
    """What still has no room is not tried, and one request always is."""
    done = limited(soft, hard, "-c", ROOM)
    assert done.stdout == f"{room}\n", done.stderr


@pytest.mark.slow
@pytest.mark.honest_sandbox
def test_an_import_stays_within_a_limit_that_cannot_be_raised(tmp_path: Path) -> None:
    """It says so in one line, sends everything, and its counts agree."""
    history = write_jsonl(
        tmp_path / "h.jsonl", [sms(n, contactId=f"{OWN_FORM[:17]}{n % 100:03}") for n in range(500)]
    )
    with SandboxThread(SandboxConfig(trusting=True)) as sandbox:
        done = limited(
            *(64, 64, "-m", "leadconnector_async.cli", "import", history),
            *(*at(sandbox, tmp_path / "o.db"), "--concurrency", "512", "--json"),
        )
    found = result_of(done.stdout)
    assert (found["sent"], found["pending"], found["sent_before"]) == (500, 0, 0), done.stderr
    assert "16 requests in flight at most, instead of 512" in done.stderr
    assert "circuit opened" not in done.stderr
