"""Our sending alone: encoded bodies through the transport, each answer classified."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from benchmarks.contest import Job, take_turn
from leadconnector_async import Timeouts
from leadconnector_async.api.endpoints import inbound
from leadconnector_async.api.responses import Accepted, classify
from leadconnector_async.transport.aiohttp_session import AiohttpTransport

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
        response = await transport.send(inbound(body), "benchmark")
        assert isinstance(classify(response.status, response.body), Accepted)


if __name__ == "__main__":
    take_turn(post, bytes)
