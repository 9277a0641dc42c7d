"""Files that go away between the look at them and their upload."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from fault_harness import QUICK
from msgspec.structs import replace
from multidict import CIMultiDict
from outbox_kit import draft

from leadconnector_async.auth.provider import StaticToken
from leadconnector_async.delivery.dispatcher import Dispatcher
from leadconnector_async.outbox.base import State
from leadconnector_async.outbox.memory import MemoryOutbox
from leadconnector_async.outbox.source_pass import SourcePass
from leadconnector_async.records.deferred import Deferred, LocalFile, current_digest
from leadconnector_async.session import ApiSession
from leadconnector_async.transport.aiohttp_session import multipart_body
from leadconnector_async.transport.base import Response

if TYPE_CHECKING:
    from pathlib import Path

    from leadconnector_async.outbox.base import Settlement
    from leadconnector_async.transport.base import Request

BODY = b'{"type":"SMS","contactId":"c1","conversationId":"v1","message":"hi"}'


class Thief:
    """A `Transport` under whose hands the file of each upload cannot be opened."""

    version: str | None = None

    def __init__(self) -> None:
        self.uploads = 0

    async def send(self, request: Request, token: str, may_send: object = None) -> Response:  # noqa: ARG002 - nobody asks
        """Store a message; open a file, but take it away first, and put it back afterwards."""
        del token
        await asyncio.sleep(0)
        upload = request.upload
        if upload is not None:
            self.uploads += 1
            away = upload.path.rename(upload.path.with_suffix(".away"))
            try:
                with multipart_body(upload):
                    raise AssertionError
            finally:
                away.rename(upload.path)
        return Response(200, CIMultiDict(), b'{"messageId":"m1","conversationId":"v1"}')

    def abort(self) -> None:
        """Nothing is in flight."""

    async def close(self) -> None:
        """Nothing is open."""


async def test_a_file_that_cannot_be_opened_fails_its_record_alone(tmp_path: Path) -> None:
    """After as many attempts as any. It is no outage: the others do not wait, nor does the run."""
    path = tmp_path / "a.png"
    path.write_bytes(b"picture")
    deferred = Deferred(attachments=[LocalFile(str(path), current_digest(str(path)))]).encoded()
    ended: list[Settlement] = []
    outbox, transport = MemoryOutbox(), Thief()
    session = ApiSession(transport, StaticToken("t"), policy=QUICK, limit=None)
    dispatcher = Dispatcher(
        session, outbox, concurrency=8, deliver=ended.extend, closed=lambda *_: None
    )
    drafts = [
        replace(
            draft(f"i{n}", location="L", lane=n % 2, date=n, payload=BODY),
            deferred=None if n % 2 else deferred,
        )
        for n in range(6)
    ]
    await outbox.stage(drafts, SourcePass())
    await dispatcher.open("L")
    async with asyncio.timeout(60):
        await dispatcher.work()
    assert [fate.state for fate in ended].count(State.SENT) == 3
    reasons = {fate.reason for fate in ended if fate.state is State.REJECTED}
    assert reasons == {"the file cannot be read (No such file or directory) (in 6 attempts)"}
    assert transport.uploads == 3 * QUICK.attempts
    assert not session.breaker.outage(asyncio.get_running_loop().time())
    assert " 0 in flight" in repr(session.quota("L"))
