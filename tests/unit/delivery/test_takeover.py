"""What an earlier owner of a location left in doubt, and when it is looked for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from leadconnector_async import FateUnknownError, InboundMessage, Policy
from leadconnector_async.auth.provider import StaticToken
from leadconnector_async.delivery.dispatcher import Dispatcher
from leadconnector_async.outbox.memory import MemoryOutbox
from leadconnector_async.outbox.source_pass import SourcePass
from leadconnector_async.records.draft import draft
from leadconnector_async.session import ApiSession

if TYPE_CHECKING:
    from leadconnector_async.transport.base import MaySend, Request, Response


class Shared(MemoryOutbox):
    """One that several processes could send from."""

    is_shared = True


class Silent:
    """A way to the API that answers nothing, and notes when it is used."""

    version: str | None = None

    def __init__(self) -> None:
        self.used = asyncio.Event()

    async def send(self, request: Request, token: str, may_send: MaySend | None = None) -> Response:
        """Lose the answer."""
        del request, token, may_send
        self.used.set()
        raise FateUnknownError("lost")

    def abort(self) -> None:
        """Nothing is open."""

    async def close(self) -> None:
        """The same."""


async def first_use(outbox: MemoryOutbox, *, amid: bool) -> float:
    """After how many seconds a new owner asks for a record that was in flight before.

    ``amid``: it opens the location while it sends for others.
    """
    message = InboundMessage(type="SMS", direction="inbound", message="hi", contact_id="c1")
    await outbox.stage([draft(message, location="here", now_ms=0)], SourcePass())
    lease = (await outbox.acquire("here")).lease
    assert len((await outbox.claim([(lease, 1)]))[0]) == 1
    transport = Silent()
    session = ApiSession(
        transport,
        StaticToken("t"),
        policy=Policy(look_after=(2.0, 8.0)),
        limit=None,
        request_limit_s=30.0,
    )
    owner = Dispatcher(
        session, outbox, concurrency=1, deliver=lambda _: None, closed=lambda *_: None
    )
    now = asyncio.get_running_loop().time
    began = now()
    if amid:
        work = asyncio.create_task(owner.work(forever=True))
        await asyncio.sleep(0)
        await owner.open("here")
    else:
        await owner.open("here")
        work = asyncio.create_task(owner.work(forever=True))
    await transport.used.wait()
    waited = now() - began
    work.cancel()
    await asyncio.wait([work])
    return waited


@pytest.mark.parametrize("amid", [False, True])
@pytest.mark.virtual_time
async def test_a_takeover_waits_for_the_longest_request_of_the_earlier_owner(*, amid: bool) -> None:
    """In a store with several owners, whoever sends; a file's one owner is gone with its own."""
    assert await first_use(Shared(), amid=amid) == pytest.approx(32.0, abs=0.5)
    assert await first_use(MemoryOutbox(), amid=amid) == pytest.approx(2.0, abs=0.5)
