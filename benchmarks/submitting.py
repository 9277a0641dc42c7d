"""How long does one wait who submits a message, with others, and how much does that cost?

So many callers each submit one after the other: by the client alone, and by an ingestor over
memory and over a file, where a message is on disk before it leaves and its end before it is told.
The server answers at once, so that what is seen is ours. Each has a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import msgspec
from msgspec import Struct

from benchmarks import machine
from benchmarks.contest import WARM_UP, loop_factory, report
from benchmarks.records import Shape, bodies, location_id
from benchmarks.server import Conditions, running, usual
from leadconnector_async import InboundMessage, Ingestor, LeadConnector, Receipt, Sent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator

Way = Literal["client", "memory", "file"]
AT_ONCE: Final = (64, 500)


class Submitting(Struct, frozen=True):
    """What is to be submitted, and how."""

    way: Way
    base_url: str
    callers: int
    messages: int


class Waited(Struct, frozen=True):
    """Milliseconds that callers waited, and what it came to."""

    p50_ms: float
    p99_ms: float
    messages_per_s: float
    cpu_us_per_message: float


async def submit_all(work: Submitting, folder: str) -> Waited:
    """Submit everything, and time each call."""
    shape = Shape(count=work.messages + WARM_UP)
    messages = [msgspec.json.decode(body, type=InboundMessage) for body in bodies(shape)]
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(
            LeadConnector(
                "benchmark",
                location_id=location_id(0),
                base_url=work.base_url,
                limit=None,
                connections=work.callers,
            )
        )
        submit: Callable[[InboundMessage], Awaitable[Any]] = api.add_inbound_message
        if work.way != "client":
            path = Path(folder, "outbox.db") if work.way == "file" else None
            ingestor = Ingestor(api, outbox=path, concurrency=work.callers)
            submit = (await stack.enter_async_context(ingestor)).submit
        await _timed(submit, messages[:WARM_UP], work.callers)
        began, began_cpu = time.perf_counter(), time.process_time()
        waits = await _timed(submit, messages[WARM_UP:], work.callers)
        elapsed, cpu = time.perf_counter() - began, time.process_time() - began_cpu
    cuts = quantiles(waits, n=100)
    return Waited(
        cuts[49] * 1000, cuts[98] * 1000, work.messages / elapsed, cpu / work.messages * 1e6
    )


async def _timed(
    submit: Callable[[InboundMessage], Awaitable[Any]],
    messages: Iterable[InboundMessage],
    callers: int,
) -> list[float]:
    waits: list[float] = []

    async def work(messages: Iterator[InboundMessage]) -> None:
        for message in messages:
            began = time.perf_counter()
            assert isinstance(await submit(message), Receipt | Sent)
            waits.append(time.perf_counter() - began)

    remaining = iter(messages)
    await asyncio.gather(*(work(remaining) for _ in range(callers)))
    return waits


def submit_here(given: str) -> None:
    """Submit what is given as JSON, and print what was waited."""
    work = msgspec.json.decode(given, type=Submitting)
    with (
        TemporaryDirectory() as folder,
        asyncio.Runner(loop_factory=loop_factory(uvloop=True)) as runner,
    ):
        sys.stdout.buffer.write(msgspec.json.encode(runner.run(submit_all(work, folder))))


def _medians(laps: list[Waited]) -> dict[str, float]:
    rows = [msgspec.structs.asdict(lap) for lap in laps]
    return {name: round(median(row[name] for row in rows), 2) for name in rows[0]}


def main() -> None:
    """Measure, and print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.submitting")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        submit_here(given.work)
        return
    machine.pin(machine.CLIENT_CORE)
    laps: dict[str, dict[str, list[Waited]]] = {}
    with running(Conditions(server=usual())) as server:
        for _ in range(given.runs):
            for callers in AT_ONCE:
                for way in get_args(Way):
                    work = Submitting(way, server.base_url, callers, given.messages)
                    of_way = laps.setdefault(f"{callers} callers", {}).setdefault(way, [])
                    of_way.append(_in_its_process(work))
    report(
        "submitting",
        server=usual(),
        runs=given.runs,
        messages=given.messages,
        callers={
            callers: {way: _medians(its) for way, its in ways.items()}
            for callers, ways in laps.items()
        },
    )


def _in_its_process(work: Submitting) -> Waited:
    command = [sys.executable, "-m", "benchmarks.submitting", "--work"]
    command.append(msgspec.json.encode(work).decode())
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)  # noqa: S603 - our own module
    return msgspec.json.decode(done.stdout, type=Waited)


if __name__ == "__main__":
    main()
