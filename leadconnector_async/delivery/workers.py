"""The worker pool, as many as there is work at the same time."""

from __future__ import annotations

import asyncio
import math
import os
import time
from collections import deque
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from leadconnector_async.breaker import Breaker
    from leadconnector_async.delivery.scheduler import Scheduler

WORKERS: Final = 64
"""Requests in flight at most, with one location: more connections carry less."""

WORKERS_PER_LOCATION: Final = 4
"""And for each further one: its ten requests a second, with 300 ms of round trip, are three."""

MAX_WORKERS: Final = 1024

BUSY: Final = 0.7
"""The share of its time that the loop's thread computes, from which on more requests in flight than
`WORKERS` carry no more: they only open connections."""

MEASURED_S: Final = 0.1
"""Seconds over which that is measured."""

RECHECK: Final = 1.0
"""Seconds after which to ask again while a probe is out: it may be another's, who has the same
client, and who will not say how it ended."""


def loop_clock() -> Callable[[], float]:
    """The clock of what the loop's thread computes; on one core, of what keeps it from that too."""
    alone = hasattr(os, "sched_getaffinity") and len(os.sched_getaffinity(0)) == 1
    return time.process_time if alone else time.thread_time


def max_workers(locations: int) -> int:
    """How many there may be at most."""
    return min(WORKERS + WORKERS_PER_LOCATION * (locations - 1), MAX_WORKERS)


@dataclass(slots=True, eq=False, repr=False)
class WorkerPool:
    """Parks workers that have nothing to do, wakes one when something is due, and spawns more.

    ``work`` is what a worker does; ``most`` says how many there may be now; ``cpu`` is the clock of
    how long the loop was busy.
    """

    scheduler: Scheduler
    breaker: Breaker
    _: KW_ONLY
    work: Callable[[], Coroutine[None, None, None]]
    most: Callable[[], int]
    cpu: Callable[[], float] = field(default_factory=loop_clock)
    _measured: tuple[float, float] = 0.0, 0.0
    _has_time: bool = False
    _full_until: float = 0.0
    _is_waking: bool = False
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    _parked: deque[asyncio.Future[bool]] = field(default_factory=deque)
    _tasks: asyncio.TaskGroup | None = None
    _size: int = 0
    _woken: int = 0
    """Workers that were woken, and have not looked yet."""
    _timer: asyncio.Handle | None = None
    _rings_at: float = math.inf

    def begin(self, tasks: asyncio.TaskGroup) -> None:
        """Spawn the first worker."""
        self._tasks = tasks
        self._parked.clear()
        self._size = self._woken = 0
        self._measured, self._has_time = (self._loop.time(), self.cpu()), False
        self._full_until = 0.0
        self._spawn(tasks)

    def end(self) -> None:
        """Spawn no more."""
        self._tasks = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer, self._rings_at = None, math.inf

    def wake(self) -> None:
        """Wake a worker for each location that is due, or spawn one. Who takes a lane does so too.

        So there are as many workers, and connections, as there is work at the same time.
        """
        self._is_waking = False
        now = self._loop.time()
        if self.scheduler.due_at(now) > now:
            self._arm()
        elif self._parked:
            due = self.scheduler.due_count(now)
            while self._parked and self._woken < due:
                self._woken += 1
                _release(self._parked.popleft(), go_on=True)
        elif self._tasks is not None and self._has_room(now):
            self._spawn(self._tasks)

    def _has_room(self, now: float) -> bool:
        may_grow = self._size < WORKERS or now >= self._full_until
        return may_grow and self._size < self.most()

    def useful(self, locations: int) -> int:
        """How many workers there may be for so many locations, unless the user has said so."""
        most = max_workers(locations)
        if most <= WORKERS or self._size < WORKERS:
            return most
        now, (since, used) = self._loop.time(), self._measured
        if now - since >= MEASURED_S:
            self._measured = now, self.cpu()
            self._has_time = self._measured[1] - used < BUSY * (now - since)
        if self._has_time:
            return most
        self._full_until = self._measured[0] + MEASURED_S
        return WORKERS

    @property
    def rests(self) -> bool:
        """Whether the worker that asks is the last one that has not parked."""
        return len(self._parked) >= self._size - 1

    def wake_soon(self, now: float) -> None:
        """Do so once those that take a lane in this step have their slots, if anything is due."""
        if self._is_waking:  # which arms too, where nothing is due by then
            return
        if self.scheduler.next_at > now:
            self._arm()
        else:
            self._is_waking = True
            self._loop.call_soon(self.wake)

    async def park(self) -> bool:
        """Wait until there may be something to do. False: there is nothing more."""
        future: asyncio.Future[bool] = self._loop.create_future()
        self._parked.append(future)
        self._arm()
        goes_on = await future
        self._woken -= goes_on
        return goes_on

    def dismiss(self) -> None:
        """Let the workers that have parked go: there is nothing more to do."""
        while self._parked:
            _release(self._parked.popleft(), go_on=False)

    def _spawn(self, tasks: asyncio.TaskGroup) -> None:
        working = self.work()
        try:
            tasks.create_task(working).add_done_callback(self._ended)
        except RuntimeError:  # the group ends: none may be spawned any more
            working.close()
            self._tasks = None
        else:
            self._size += 1

    def _ended(self, _: asyncio.Task[None]) -> None:
        self._size -= 1

    def _arm(self) -> None:
        when = self.scheduler.next_at
        if self.breaker.is_open:
            when = max(when, min(self.breaker.open_until, self._loop.time() + RECHECK))
        if when >= self._rings_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._rings_at = self._loop.call_at(when, self._ring), when

    def _ring(self) -> None:
        self._timer, self._rings_at = None, math.inf
        self.wake()


def _release(future: asyncio.Future[bool], *, go_on: bool) -> None:
    if not future.done():
        future.set_result(go_on)
