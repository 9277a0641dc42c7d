"""Who takes part beside a whole import: every client posts the same bodies, as many in flight.

``python -m benchmarks.peers NAME JOB`` is one turn, in a process of its own. Over TLS all trust the
authority that ``SSL_CERT_FILE`` names. What the bare loop's leanness consists of, each judged by
measurement (aiohttp 3.14, Python 3.11):

- workers share one iterator: no task and no queue per message;
- the body is bytes, the URL and the headers are made once;
- the headers that aiohttp would add are given, which costs less than ``skip_auto_headers``;
- no time-out, no redirect, no cookie jar, no decompression;
- no ``async with``, and a body that has arrived with its head is read without waiting.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson

from benchmarks.contest import Job, take_turn
from benchmarks.protocol import post as by_hand
from benchmarks.server_app import INBOUND, STORED

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

HEADERS: Final = {
    "Authorization": "Bearer benchmark",
    "Version": "2021-04-15",
    "Content-Type": "application/json",
}


async def at_once(job: Job, work: Callable[[Iterator[Any]], Awaitable[None]], all_: Any) -> None:  # noqa: ANN401 - bodies, or messages
    """Let so many workers share the bodies."""
    remaining = iter(all_)
    await asyncio.gather(*(work(remaining) for _ in range(job.in_flight)))


def authority() -> str | None:
    """The file of the authority to trust; None without TLS."""
    return os.environ.get("SSL_CERT_FILE")


async def sending(job: Job, bodies: Sequence[bytes]) -> None:
    """Post by our transport alone, with the time-outs of a real run, each answer classified."""
    from leadconnector_async import Timeouts  # noqa: PLC0415 - each turn imports its own client
    from leadconnector_async.api.endpoints import INBOUND_PATH, post_message  # noqa: PLC0415
    from leadconnector_async.api.responses import Accepted, classify  # noqa: PLC0415
    from leadconnector_async.transport.aiohttp_session import AiohttpTransport  # noqa: PLC0415

    transport = AiohttpTransport(job.base_url, timeouts=Timeouts(), connections=job.in_flight)

    async def work(bodies: Iterator[bytes]) -> None:
        for body in bodies:
            response = await transport.send(post_message(INBOUND_PATH, body), "benchmark")
            assert isinstance(classify(response.status, response.body), Accepted)

    try:
        await at_once(job, work, bodies)
    finally:
        await transport.close()


async def bare(job: Job, bodies: Sequence[bytes]) -> None:
    """Post in an aiohttp loop that does nothing else, as lean as the public API allows."""
    import aiohttp  # noqa: PLC0415
    from multidict import CIMultiDict  # noqa: PLC0415
    from yarl import URL  # noqa: PLC0415

    url = URL(job.base_url + INBOUND)
    headers = CIMultiDict(
        HEADERS
        | {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "bare"}
    )
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        auto_decompress=False,
    )

    async def work(bodies: Iterator[bytes]) -> None:
        request = session.request
        for body in bodies:
            response = await request("POST", url, data=body, headers=headers, allow_redirects=False)
            content = response.content
            answer = content.read_nowait() if content.is_eof() else await response.read()
            assert response.status in STORED
            assert answer

    async with session:
        await at_once(job, work, bodies)


async def plain(job: Job, messages: Sequence[Any]) -> None:
    """Post by aiohttp as people write it: a semaphore, a task per message, ``json=``."""
    import aiohttp  # noqa: PLC0415

    semaphore = asyncio.Semaphore(job.in_flight)
    headers = {"Authorization": "Bearer benchmark", "Version": "2021-04-15"}
    async with aiohttp.ClientSession(headers=headers) as session:

        async def send(message: Any) -> str:  # noqa: ANN401 - JSON
            async with semaphore, session.post(job.base_url + INBOUND, json=message) as response:
                response.raise_for_status()
                answer = await response.json()
                return str(answer["messageId"])

        ids = await asyncio.gather(*(send(message) for message in messages))
    assert len(ids) == len(messages)


async def pyreqwest(job: Job, bodies: Sequence[bytes]) -> None:
    """Post by pyreqwest, whose HTTP is Rust's."""
    from pyreqwest.client import ClientBuilder  # noqa: PLC0415

    builder = ClientBuilder().http1_only().max_connections(job.in_flight)
    builder = builder.default_headers(HEADERS)
    if (path := authority()) is not None:
        builder = builder.add_root_certificate_pem(Path(path).read_bytes())  # noqa: ASYNC240 - once
    url = job.base_url + INBOUND
    async with builder.build() as client:

        async def work(bodies: Iterator[bytes]) -> None:
            for body in bodies:
                response = await client.post(url).body_bytes(body).build().send()
                assert response.status in STORED
                assert await response.bytes()

        await at_once(job, work, bodies)


async def pycurl_multi(job: Job, bodies: Sequence[bytes]) -> None:
    """Post by libcurl's own loop, with no coroutine at all."""
    import pycurl  # noqa: PLC0415

    remaining, multi = iter(bodies), pycurl.CurlMulti()
    answers: list[bytes] = []
    handles = [_handle(pycurl, job) for _ in range(job.in_flight)]

    def begin(handle: Any) -> None:  # noqa: ANN401 - pycurl has no types
        body = next(remaining, None)
        if body is not None:
            handle.setopt(pycurl.POSTFIELDS, body)
            handle.setopt(pycurl.WRITEFUNCTION, answers.append)
            multi.add_handle(handle)

    for handle in handles:
        begin(handle)
    running = 1
    while running:
        _, running = multi.perform()
        queued, done, failed = multi.info_read()
        assert not queued
        assert not failed
        for handle in done:
            assert handle.getinfo(pycurl.RESPONSE_CODE) in STORED
            multi.remove_handle(handle)
            begin(handle)
            running = 1
        if not done:
            multi.select(1.0)
    assert len(answers) >= len(bodies)


def _handle(pycurl: Any, job: Job) -> Any:  # noqa: ANN401 - pycurl has no types
    handle = pycurl.Curl()
    handle.setopt(pycurl.URL, job.base_url + INBOUND)
    handle.setopt(pycurl.POST, 1)
    handle.setopt(pycurl.HTTPHEADER, [f"{name}: {value}" for name, value in HEADERS.items()])
    if (path := authority()) is not None:
        handle.setopt(pycurl.CAINFO, path)
    return handle


async def httpx(job: Job, bodies: Sequence[bytes]) -> None:
    """Post by httpx, with bytes bodies, and as many kept connections as requests in flight."""
    from httpx import AsyncClient, Limits  # noqa: PLC0415

    limits = Limits(max_keepalive_connections=job.in_flight)
    async with AsyncClient(base_url=job.base_url, headers=HEADERS, limits=limits) as client:

        async def work(bodies: Iterator[bytes]) -> None:
            for body in bodies:
                response = await client.post(INBOUND, content=body)
                assert response.status_code in STORED
                assert response.content

        await at_once(job, work, bodies)


async def official_sdk(job: Job, messages: Sequence[Any]) -> None:
    """Post by the official SDK's own call, several at once: it has no bulk import."""
    from highlevel import HighLevel  # noqa: PLC0415

    HighLevel.BASE_URL = job.base_url
    client = HighLevel(private_integration_token="benchmark")  # noqa: S106 - no secret

    async def work(messages: Iterator[Any]) -> None:
        for message in messages:
            answer = await client.conversations.add_an_inbound_message(message)
            assert answer["messageId"]

    try:
        await at_once(job, work, messages)
    finally:
        await client.close()


PEERS: Final[dict[str, tuple[Any, Callable[[bytes], Any]]]] = {
    "protocol": (by_hand, bytes),
    "pycurl": (pycurl_multi, bytes),
    "sending": (sending, bytes),
    "pyreqwest": (pyreqwest, bytes),
    "bare": (bare, bytes),
    "plain": (plain, orjson.loads),
    "httpx": (httpx, bytes),
    "sdk": (official_sdk, orjson.loads),
}
"""By name: what posts, and the form in which it takes a body."""

if __name__ == "__main__":
    take_turn(*PEERS[sys.argv[1]], sys.argv[2])
    sys.stdout.flush()
    os._exit(0)  # threads of a peer in Rust can abort a process that ends as usual
