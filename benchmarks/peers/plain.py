"""A script with aiohttp as people write it: a semaphore, a task per message, ``json=``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiohttp
import orjson

from benchmarks.contest import Job, take_turn
from benchmarks.server_app import INBOUND

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.records import Fields


async def post(job: Job, messages: Sequence[Fields]) -> None:
    """Post every message."""
    semaphore = asyncio.Semaphore(job.in_flight)
    headers = {"Authorization": "Bearer benchmark", "Version": "2021-04-15"}
    async with aiohttp.ClientSession(headers=headers) as session:

        async def send(message: Fields) -> str:
            async with semaphore, session.post(job.base_url + INBOUND, json=message) as response:
                response.raise_for_status()
                answer = await response.json()
                return str(answer["messageId"])

        ids = await asyncio.gather(*(send(message) for message in messages))
    assert len(ids) == len(messages)


if __name__ == "__main__":
    take_turn(post, orjson.loads)
