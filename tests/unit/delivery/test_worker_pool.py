"""How many workers there are: no more than carry more."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from math import inf
from typing import TYPE_CHECKING, cast

import pytest
from virtual_time import in_virtual_time

from leadconnector_async.breaker import Breaker
from leadconnector_async.delivery.workers import (
    BUSY,
    MEASURED_S,
    WORKERS,
    WorkerPool,
    loop_clock,
    max_workers,
)

if TYPE_CHECKING:
    from leadconnector_async.delivery.scheduler import Scheduler


class Due:
    """A scheduler that always has something to do, or at a time."""

    def __init__(self, next_at: float = 0.0) -> None:
        self.next_at = next_at

    def due_at(self, now: float) -> float:
        """At once."""
        return now

    def due_count(self, now: float) -> int:
        """Several locations."""
        return 3 if self.next_at <= now else 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("share", "most"), [(0.0, max_workers(300)), (BUSY / 2, max_workers(300)), (1.0, WORKERS)]
)
def test_a_loop_that_computes_all_the_time_gets_no_more_workers(share: float, most: int) -> None:
    """More of them open connections, and send nothing sooner; where it waits they do."""

    async def scenario() -> None:
        now = asyncio.get_running_loop().time
        began, begun = now(), 0
        end = asyncio.Event()

        async def work() -> None:
            nonlocal begun
            begun += 1
            await end.wait()

        pool = WorkerPool(
            cast("Scheduler", Due()),
            Breaker(),
            work=work,
            most=lambda: pool.useful(300),
            cpu=lambda: (now() - began) * share,
        )
        async with asyncio.TaskGroup() as tasks:
            pool.begin(tasks)
            for _ in range(max_workers(300)):
                pool.wake()
            await asyncio.sleep(0)
            assert begun == WORKERS
            for _ in range(max_workers(300)):
                await asyncio.sleep(MEASURED_S)
                pool.wake()
            await asyncio.sleep(0)
            assert begun == most
            pool.end()
            end.set()

    in_virtual_time(scenario())


@pytest.mark.parametrize("due", [0.0, 9.0, inf])
@pytest.mark.virtual_time
async def test_a_turn_of_the_loop_is_asked_for_only_where_something_is_due(due: float) -> None:
    """One contact's messages, one after the other, wake nobody; what is due later has a timer."""

    async def work() -> None:
        """Nothing is begun."""

    pool = WorkerPool(cast("Scheduler", Due(due)), Breaker(), work=work, most=lambda: 1)
    pool.wake_soon(1.0)
    assert pool._is_waking is (due < 1)
    assert pool._rings_at == (due if due > 1 else inf)
    pool.end()


@pytest.mark.skipif(sys.platform != "linux", reason="others do not tell how many cores there are")
def test_on_one_core_the_other_threads_count_as_well() -> None:
    """What the store's thread computes keeps the loop from its work there, and nowhere else."""
    cores = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(cores)})
        assert loop_clock() is time.process_time
    finally:
        os.sched_setaffinity(0, cores)
    assert (loop_clock() is time.thread_time) is (len(cores) > 1)


@pytest.mark.virtual_time
async def test_a_pool_that_is_cancelled_takes_nobody_on() -> None:
    """Something may become due in the step in which all are told to end."""
    told: list[dict[str, object]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: told.append(context))

    async def work() -> None:
        await asyncio.Event().wait()

    pool = WorkerPool(cast("Scheduler", Due()), Breaker(), work=work, most=lambda: 9)

    async def run() -> None:
        async with asyncio.TaskGroup() as tasks:
            pool.begin(tasks)

    running = asyncio.create_task(run())
    await asyncio.sleep(1)
    running.cancel()
    loop.call_soon(pool.wake)
    await asyncio.wait([running])
    assert running.cancelled()
    assert told == []


@pytest.mark.virtual_time
async def test_locations_that_are_due_together_are_served_in_one_turn_of_the_loop() -> None:
    """Each has a worker woken for it, and one alone, however often the pool is told meanwhile."""
    served = 0

    async def work() -> None:
        nonlocal served
        while await pool.park():
            served += 1

    pool = WorkerPool(cast("Scheduler", Due(inf)), Breaker(), work=work, most=lambda: 5)
    async with asyncio.TaskGroup() as tasks:
        pool.begin(tasks)
        for _ in range(4):
            pool.wake()
        await asyncio.sleep(0)
        pool.scheduler = cast("Scheduler", Due())
        pool.wake()
        pool.wake()
        await asyncio.sleep(0)
        assert served == 3
        pool.wake()
        await asyncio.sleep(0)
        assert served == 6
        pool.dismiss()
        pool.end()
