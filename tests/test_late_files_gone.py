"""Files that go away between the look at them and their upload."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from fault_harness import QUICK
from multidict import CIMultiDict
from outbox_kit import draft

from leadconnector_async._aiohttp.multipart import form_of
from leadconnector_async._api.late import Late, LocalFile
from leadconnector_async._api.requests import CONVERSATIONS_VERSION
from leadconnector_async._engine.engine import Engine
from leadconnector_async._files import current_digest
from leadconnector_async._gateway import Gateway
from leadconnector_async._outbox.interface import Reading, State
from leadconnector_async._outbox.memory import MemoryOutbox
from leadconnector_async._tokens import StaticToken
from leadconnector_async._transport import Answer

if TYPE_CHECKING:
    from pathlib import Path

    from leadconnector_async._outbox.interface import Settlement
    from leadconnector_async._transport import Request

BODY = b'{"type":"SMS","contactId":"c1","conversationId":"v1","message":"hi"}'


class Thief:
    """A `Transport` under whose hands the file of each upload cannot be opened."""

    def __init__(self) -> None:
        self.uploads = 0

    async def send(self, request: Request, token: str) -> Answer:
        """Store a message; open a file, but take it away first, and put it back afterwards."""
        del token
        await asyncio.sleep(0)
        upload = request.upload
        if upload is not None:
            self.uploads += 1
            away = upload.path.rename(upload.path.with_suffix(".away"))
            try:
                with form_of(upload):
                    raise AssertionError
            finally:
                away.rename(upload.path)
        return Answer(200, CIMultiDict(), b'{"messageId":"m1","conversationId":"v1"}')

    async def close(self) -> None:
        """Nothing is open."""


def test_a_file_that_cannot_be_opened_fails_its_record_alone(tmp_path: Path) -> None:
    """After as many attempts as any. It is no outage: the others do not wait, nor does the run."""
    path = tmp_path / "a.png"
    path.write_bytes(b"picture")
    late = Late(attachments=[LocalFile(str(path), current_digest(str(path)))]).encoded()

    async def scenario() -> None:
        ended: list[Settlement] = []
        outbox, transport = MemoryOutbox(), Thief()
        gateway = Gateway(
            transport, StaticToken("t"), policy=QUICK, limit=None, version=CONVERSATIONS_VERSION
        )
        engine = Engine(
            gateway, outbox, concurrency=8, deliver=ended.extend, closed=lambda *_: None
        )
        drafts = [
            draft(f"i{n}", location="L", lane=n % 2, date=n, payload=BODY)._replace(
                late=None if n % 2 else late
            )
            for n in range(6)
        ]
        await outbox.stage(drafts, Reading())
        await engine.open("L")
        async with asyncio.timeout(10):
            await engine.work()
        assert [fate.state for fate in ended].count(State.SENT) == 3
        reasons = {fate.reason for fate in ended if fate.state is State.REJECTED}
        assert reasons == {"the file cannot be read (No such file or directory) (in 6 attempts)"}
        assert transport.uploads == 3 * QUICK.attempts
        assert not gateway.breaker.outage(asyncio.get_running_loop().time())
        assert " 0 in flight" in repr(gateway.quota("L"))

    asyncio.run(scenario())
