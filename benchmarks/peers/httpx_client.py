"""httpx's AsyncClient with bytes bodies, and as many kept connections as requests in flight."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx

from benchmarks.contest import Job, take_turn
from benchmarks.server_app import INBOUND

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


async def post(job: Job, bodies: Sequence[bytes]) -> None:
    """Post every body."""
    remaining = iter(bodies)
    headers = {
        "Authorization": "Bearer benchmark",
        "Version": "2021-04-15",
        "Content-Type": "application/json",
    }
    limits = httpx.Limits(max_keepalive_connections=job.in_flight)
    async with (
        httpx.AsyncClient(base_url=job.base_url, headers=headers, limits=limits) as client,
        asyncio.TaskGroup() as workers,
    ):
        for _ in range(job.in_flight):
            workers.create_task(_work(client, remaining))


async def _work(client: httpx.AsyncClient, bodies: Iterator[bytes]) -> None:
    for body in bodies:
        response = await client.post(INBOUND, content=body)
        assert response.status_code == 200
        assert response.content


if __name__ == "__main__":
    take_turn(post, bytes)
