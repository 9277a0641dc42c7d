"""Workers that are killed, paused, cut off and replaced: nothing is lost, and nothing twice."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from random import Random
from typing import TYPE_CHECKING

import pytest
from postgres_kit import cut_off
from worker_harness import (
    LEASE_S,
    drained,
    end_all,
    faults,
    how_often,
    left,
    out_of_order,
    pause,
    processors,
    stage,
    start,
    takeovers,
    wait_for,
)

from leadconnector_async.sandbox import Latency, SandboxConfig, SandboxThread

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

SLOW = SandboxConfig(latency=Latency(up=0.02, down=0.02), trusting=True)
LOCATIONS, EACH = 40, 120
FAULTS = int(os.environ.get("LEADCONNECTOR_TEST_FAULTS", "20"))


@pytest.fixture(autouse=True)
def _no_worker_is_left() -> Iterator[None]:
    yield
    end_all()


@pytest.mark.slow
def test_whatever_becomes_of_workers_each_record_is_sent_once_and_in_order(
    postgres_place: str, record_property: Callable[[str, object], None]
) -> None:
    """Killed with -9, paused for longer than the lease, cut off, stopped, joined by others."""
    random = Random(FAULTS)
    asyncio.run(stage(postgres_place, LOCATIONS, EACH))
    happened: list[str] = []
    with SandboxThread(SLOW) as sandbox:
        workers = [start(sandbox, postgres_place) for _ in range(processors())]
        wait_for(sandbox, 50)
        for fault in faults(random, FAULTS):
            if len(sandbox.messages) >= LOCATIONS * EACH:
                break
            disturb(fault, random, workers, postgres_place)
            if fault in ("kill", "stop", "join"):
                workers.append(start(sandbox, postgres_place))
            happened.append(fault)
            time.sleep(random.uniform(0.2, 1.0))
        drained(workers)
        assert left(postgres_place) == {}
        stored = how_often(sandbox)
        assert len(stored) == LOCATIONS * EACH
        assert max(stored.values()) == 1
        assert out_of_order(sandbox) == []
    assert {"kill", "pause", "cut"} <= set(happened)
    record_property("takeovers", found := asyncio.run(takeovers(postgres_place)))
    assert found > LOCATIONS


def disturb(fault: str, random: Random, workers: list[subprocess.Popen[bytes]], url: str) -> None:
    """Let one thing happen, to one of the workers or to the database's connections."""
    worker = random.choice(workers)
    if fault == "pause":
        pause(worker, LEASE_S + 1.5)
    elif fault == "cut":
        asyncio.run(cut_off(url))
    elif fault in ("kill", "stop"):
        worker.send_signal(signal.SIGKILL if fault == "kill" else signal.SIGTERM)
        worker.wait(10)
        workers.remove(worker)


def taken_over(url: str, *, checked: bool) -> int:
    """Pause one of two workers past its lease; return how many records were stored twice."""
    asyncio.run(stage(url, 12, 60))
    with SandboxThread(SLOW) as sandbox:
        first = start(sandbox, url, checked=checked)
        wait_for(sandbox, 40)
        second = start(sandbox, url)
        first.send_signal(signal.SIGSTOP)
        # The second one has all that the first one had, and has sent some of it.
        wait_for(sandbox, len(sandbox.messages) + 200)
        first.send_signal(signal.SIGCONT)
        drained([first, second])
        assert left(url) == {}
        stored = how_often(sandbox)
        assert len(stored) == 12 * 60
        return sum(stored.values()) - len(stored)


@pytest.mark.slow
def test_a_worker_that_was_paused_sends_nothing_under_its_old_lease(postgres_place: str) -> None:
    """It sees before each request that its time is over, though nobody has told it."""
    assert taken_over(postgres_place, checked=True) == 0


@pytest.mark.slow
def test_without_the_check_before_each_request_there_are_duplicates(postgres_place: str) -> None:
    """The control: else the test above would prove nothing."""
    assert taken_over(postgres_place, checked=False) > 0


@pytest.mark.slow
def test_a_worker_that_is_killed_is_replaced_within_a_second(postgres_place: str) -> None:
    """Its locks go with its connection, and the other one looks for free ones all the time."""
    asyncio.run(stage(postgres_place, 12, 200))
    with SandboxThread(SLOW) as sandbox:
        workers = [start(sandbox, postgres_place) for _ in range(2)]
        wait_for(sandbox, 200)
        workers[0].kill()
        workers[0].wait()
        wait_for(sandbox, 12 * 200)
        drained(workers[1:])
        assert set(how_often(sandbox).values()) == {1}
