"""The bound: an aiohttp loop that does nothing but post bytes, as lean as the public API allows.

What the leanness consists of, each judged by measurement (aiohttp 3.14, Python 3.11):

- workers share one iterator: no task and no queue per message;
- the body is bytes, the URL and the headers are made once;
- the headers that aiohttp would add are given, which costs less than ``skip_auto_headers``;
- no time-out, no redirect, no cookie jar, no decompression;
- no ``async with``, and a body that has arrived with its head is read without waiting.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from benchmarks.contest import Job, take_turn
from benchmarks.server_app import INBOUND

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


async def post(job: Job, bodies: Sequence[bytes]) -> None:
    """Post every body."""
    remaining = iter(bodies)
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        auto_decompress=False,
    ) as session:
        url = URL(job.base_url + INBOUND)
        async with asyncio.TaskGroup() as workers:
            for _ in range(job.in_flight):
                workers.create_task(_work(session, url, remaining))


async def _work(session: aiohttp.ClientSession, url: URL, bodies: Iterator[bytes]) -> None:
    headers = CIMultiDict(
        {
            "Authorization": "Bearer benchmark",
            "Version": "2021-04-15",
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": "bare",
        }
    )
    request = session.request
    for body in bodies:
        response = await request("POST", url, data=body, headers=headers, allow_redirects=False)
        content = response.content
        answer = content.read_nowait() if content.is_eof() else await response.read()
        assert response.status == 200
        assert answer


if __name__ == "__main__":
    take_turn(post, bytes)
