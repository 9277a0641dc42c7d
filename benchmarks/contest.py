"""A contest: contestants post the same bodies to the same server, each in a fresh process.

A contestant is one of `benchmarks.peers`. The harness starts it with a `Job`, on the client's core,
and reads its `Lap` back.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec
from msgspec import Struct

from benchmarks import machine
from benchmarks.records import Shape, bodies

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

WARM_UP: Final = 500
"""Messages sent before the clock starts, so that caches and the interpreter are warm."""
Item = TypeVar("Item")


class Job(Struct, frozen=True):
    """What a contestant has to do."""

    base_url: str
    messages: int
    in_flight: int
    uvloop: bool = True


class Lap(Struct, frozen=True):
    """What it took, without the start of the process and without the warm-up."""

    messages: int
    elapsed_s: float
    cpu_s: float

    @property
    def rate(self) -> float:
        """Messages per second."""
        return self.messages / self.elapsed_s

    @property
    def cpu_us(self) -> float:
        """Microseconds of CPU per message."""
        return self.cpu_s / self.messages * 1e6


def run(name: str, job: Job) -> Lap:
    """Let a contestant take its turn in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.peers", name, msgspec.json.encode(job).decode()]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)  # noqa: S603 - our own module
    return msgspec.json.decode(done.stdout, type=Lap)


def take_turn(
    post: Callable[[Job, Sequence[Item]], Coroutine[None, None, None]],
    prepare: Callable[[bytes], Item],
    given: str,
) -> None:
    """Post the bodies in the form that ``prepare`` gives them, and print the lap.

    Making and preparing them is not timed.
    """
    job = msgspec.json.decode(given, type=Job)
    items = [prepare(body) for body in bodies(Shape(count=job.messages + WARM_UP))]
    with asyncio.Runner(loop_factory=loop_factory(uvloop=job.uvloop)) as runner:
        lap = runner.run(_timed(post, job, items))
    sys.stdout.buffer.write(msgspec.json.encode(lap))


async def _timed(
    post: Callable[[Job, Sequence[Item]], Awaitable[None]], job: Job, items: Sequence[Item]
) -> Lap:
    await post(job, items[:WARM_UP])
    measured = items[WARM_UP:]
    began, began_cpu = time.perf_counter(), time.process_time()
    await post(job, measured)
    elapsed, cpu = time.perf_counter() - began, time.process_time() - began_cpu
    return Lap(len(measured), elapsed, cpu)


def loop_factory(*, uvloop: bool) -> Callable[[], asyncio.AbstractEventLoop]:
    """The event loop of a run: the same for every contestant."""
    if not uvloop:
        return asyncio.new_event_loop
    import uvloop as faster  # noqa: PLC0415 - optional

    return faster.new_event_loop


def report(benchmark: str, **figures: object) -> None:
    """Print the one JSON object of a benchmark."""
    result = {"benchmark": benchmark, **figures, "machine": machine.describe()}
    sys.stdout.write(msgspec.json.encode(result).decode() + "\n")
