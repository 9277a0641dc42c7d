"""The event loop of an import: when what is written leaves."""

from __future__ import annotations

import asyncio
import select
from typing import TYPE_CHECKING, Any

import pytest
from http_peer import POST, TOKEN, answer_all, serving, transport_to

from leadconnector_async.cli.commands.run_import import loop_factory

if TYPE_CHECKING:
    from http_peer import Peer


async def leaves_at_once() -> bool:
    """Whether a request has arrived when its task gives way, which asked whether it may leave."""
    peers: list[Peer] = []

    async def answer(peer: Peer) -> None:
        peers.append(peer)
        await answer_all(peer)

    async def arrived() -> bool:
        reading, _, _ = select.select([peers[0].writer.get_extra_info("socket")], [], [], 1)
        return bool(reading)

    async with serving(answer) as server, transport_to(server.url) as transport:
        await transport.send(POST, TOKEN)  # the connection is there
        sending = asyncio.create_task(transport.send(POST, TOKEN, lambda: True))
        looking = asyncio.create_task(arrived())
        await sending
        return await looking


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, loop_factory()])
def test_nothing_comes_between_the_check_of_the_lease_and_the_request(loop: Any) -> None:  # noqa: ANN401 - uvloop has no type for it
    """Else a process that is stopped there sends it under its old lease when it goes on."""
    with asyncio.Runner(loop_factory=loop) as runner:
        assert runner.run(leaves_at_once())
