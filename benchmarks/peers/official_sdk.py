"""The official Python SDK (gohighlevel-api-client), with its own call for inbound messages."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import orjson
from highlevel import HighLevel

from benchmarks.contest import Job, take_turn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


async def post(job: Job, messages: Sequence[Any]) -> None:
    """Post every message, with several calls at once: the SDK itself has no bulk import."""
    remaining = iter(messages)
    HighLevel.BASE_URL = job.base_url
    client = HighLevel(private_integration_token="benchmark")  # noqa: S106 - no secret
    try:
        async with asyncio.TaskGroup() as workers:
            for _ in range(job.in_flight):
                workers.create_task(_work(client, remaining))
    finally:
        await client.close()


async def _work(client: HighLevel, messages: Iterator[Any]) -> None:
    for message in messages:
        answer = await client.conversations.add_an_inbound_message(message)
        assert answer["messageId"]


if __name__ == "__main__":
    take_turn(post, orjson.loads)
