"""Four workers over forty locations, whatever becomes of them: nothing lost, nothing twice."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from chaos_kit import LOCATIONS, ChaosRun
from postgres_server import RestartableServer, binaries_found
from worker_harness import how_often, out_of_order, takeovers

from leadconnector_async.sandbox import Latency, SandboxConfig, SandboxThread

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FAULTS = int(os.environ.get("LEADCONNECTOR_TEST_FAULTS", "20"))

SLOW = SandboxConfig(latency=Latency(up=0.05, down=0.05), trusting=True)


@pytest.fixture
def server() -> Iterator[RestartableServer]:
    """A server of the test's own, which it may restart."""
    server = RestartableServer(next(binaries_found()))
    yield server
    server.stop()


@pytest.mark.full
def test_whatever_becomes_of_workers_each_record_is_sent_once_and_in_order(
    server: RestartableServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Killed, paused past every deadline, starved, cut off, left and joined by others.

    And with connections that end one by one and all at once, a database that restarts, clocks that
    jump, and another version of the program, which may work beside this one but upgrade nothing.
    """
    url = f"{server.url}&schema=chaos"
    with SandboxThread(SLOW) as sandbox:
        run = ChaosRun(sandbox, server, url, tmp_path, FAULTS)
        try:
            run.feed()
            asyncio.run(run.let_a_newer_version_in())
            run.suffer(FAULTS)
            run.finish()
        finally:
            run.end()
        stored = how_often(sandbox)
        assert len(stored) == LOCATIONS * run.staged
        assert max(stored.values()) == 1
        assert out_of_order(sandbox) == []
    found = asyncio.run(takeovers(url))
    with capsys.disabled():
        sys.stdout.write(f"\n{found} takeovers, {len(stored)} records, {Counter(run.happened)}\n")
    assert found > LOCATIONS
    for log in run.logs:
        assert "Traceback" not in log.read_text(errors="replace")
