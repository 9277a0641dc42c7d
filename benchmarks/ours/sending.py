"""Our sending alone: encoded bodies through the transport, each answer classified."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from benchmarks.contest import Job, take_turn
from leadconnector_async import Timeouts
from leadconnector_async._aiohttp import AiohttpTransport
from leadconnector_async._api.answers import Stored, judge
from leadconnector_async._api.requests import inbound

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


async def post(job: Job, bodies: Sequence[bytes]) -> None:
    """Post every body, with the time-outs of a real run."""
    remaining = iter(bodies)
    transport = AiohttpTransport(job.base_url, timeouts=Timeouts(), connections=job.in_flight)
    try:
        async with asyncio.TaskGroup() as workers:
            for _ in range(job.in_flight):
                workers.create_task(_work(transport, remaining))
    finally:
        await transport.close()


async def _work(transport: AiohttpTransport, bodies: Iterator[bytes]) -> None:
    for body in bodies:
        answer = await transport.send(inbound(body), "benchmark")
        assert isinstance(judge(answer.status, answer.body), Stored)


if __name__ == "__main__":
    take_turn(post, bytes)
