"""Workers that are killed, paused, cut off and replaced: nothing is lost, and nothing twice."""

from __future__ import annotations

import asyncio
import signal

import pytest
from worker_harness import drained, how_often, left, stage, start, wait_for

from leadconnector_async.sandbox import Latency, SandboxConfig, SandboxThread

TRIES = 5

SLOW = SandboxConfig(latency=Latency(up=0.02, down=0.02), trusting=True)


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


@pytest.mark.full
def test_a_worker_that_was_paused_sends_nothing_under_its_old_lease(postgres_place: str) -> None:
    """It sees before each request that its time is over, though nobody has told it."""
    assert taken_over(postgres_place, checked=True) == 0


@pytest.mark.full
def test_without_the_check_before_each_request_there_are_duplicates(postgres_place: str) -> None:
    """The control: else the test above would prove nothing. It takes luck, and a few tries."""
    places = (f"{postgres_place}_{n}" for n in range(TRIES))
    assert any(taken_over(place, checked=False) for place in places)


@pytest.mark.full
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
