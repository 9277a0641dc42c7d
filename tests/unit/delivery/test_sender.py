"""What a record is charged for, when it is looked for, and when its failing is its provider's."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from oauth_kit import Direct

from leadconnector_async import AccessError, FateUnknownError, InboundMessage, Policy
from leadconnector_async.auth.provider import StaticToken
from leadconnector_async.delivery.dispatcher import Dispatcher
from leadconnector_async.outbox.memory import MemoryOutbox
from leadconnector_async.outbox.source_pass import SourcePass
from leadconnector_async.records.draft import draft
from leadconnector_async.sandbox import SandboxConfig
from leadconnector_async.sandbox.state import SandboxState
from leadconnector_async.session import ApiSession
from leadconnector_async.transport.base import Response

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leadconnector_async.policy import OnUnknown
    from leadconnector_async.transport.base import Request

pytestmark = pytest.mark.virtual_time


LAG_S = 5.0


class Failing(Direct):
    """A way to an API that stores no message "bad", and whose answer to each "lost" one is lost.

    What is stored is read some seconds after the last loss.
    """

    def __init__(self, status: int | None) -> None:
        super().__init__(SandboxState(SandboxConfig(trusting=True)))
        self._earlier = Direct(SandboxState(SandboxConfig(trusting=True)))
        self._readable_at = 0.0
        self._status = status
        self.failed = 0

    async def send(self, request: Request, token: str, may_send: object = None) -> Response:
        """Answer the request of a bad one with the status, or not at all."""
        body, now = request.body or b"", asyncio.get_running_loop().time()
        if request.method == "GET" and now < self._readable_at:
            return await self._earlier.send(request, token, may_send)
        if b'"message":"lost' in body:
            await super().send(request, token, may_send)
            self._readable_at = now + LAG_S
            raise FateUnknownError("lost")
        if b'"message":"bad' not in body:
            return await super().send(request, token, may_send)
        self.failed += 1
        if self.failed > 99:
            raise RuntimeError("it is sent without an end")
        if self._status is None:
            raise FateUnknownError("lost")
        return Response(self._status, {}, b"{}")


async def dispatched(texts: Sequence[str], transport: Failing, policy: Policy) -> Dispatcher:
    """Send messages of one provider, one contact each, and give what sent them."""
    outbox = MemoryOutbox()
    drafts = [
        draft(
            InboundMessage(
                type="SMS",
                direction="inbound",
                message=text,
                contact_id=f"c{number}",
                date=datetime(2024, 3, 1, tzinfo=UTC),
                conversation_provider_id="provider",
            ),
            location="here",
            now_ms=0,
        )
        for number, text in enumerate(texts)
    ]
    await outbox.stage(drafts, SourcePass())
    session = ApiSession(transport, StaticToken("token"), policy=policy, limit=None)
    dispatcher = Dispatcher(
        session, outbox, concurrency=1, deliver=lambda _: None, closed=lambda *_: None
    )
    await dispatcher.open("here")
    await dispatcher.work()
    return dispatcher


@pytest.mark.parametrize("status", [None, 503])
@pytest.mark.parametrize("on_unknown", ["look", "send"])
async def test_a_record_in_doubt_is_sent_as_often_as_the_policy_says(
    on_unknown: OnUnknown, status: int | None
) -> None:
    """Whether there was an answer or none: else it would be sent without an end."""
    transport = Failing(status)
    policy = Policy(on_unknown=on_unknown, attempts=3)
    dispatcher = await dispatched(["bad", "good"], transport, policy)
    assert transport.failed == 3
    assert dispatcher.stats.sent == 1
    ended = dispatcher.stats.rejected, dispatcher.stats.unresolved
    assert ended == ((1, 0) if on_unknown == "look" else (0, 1))


async def test_the_last_look_waits_for_what_is_read_late() -> None:
    """An earlier one finds nothing yet: sent again then, the message would be there twice."""
    transport = Failing(None)
    dispatcher = await dispatched(["lost"], transport, Policy(look_after=(2.0, 8.0)))
    assert (dispatcher.stats.found, dispatcher.stats.searches > 1) == (1, True)
    assert len(transport.state.store.messages()) == 1


@pytest.mark.parametrize(
    ("texts", "status", "stops"),
    [
        (["bad"] * 3, 500, True),
        (["bad"] * 2, 500, False),
        (["good", *["bad"] * 3], 500, False),
        (["lost", *["bad"] * 3], 500, False),
        (["bad"] * 3, 503, False),
    ],
)
async def test_a_location_stops_where_all_of_a_provider_fail(
    texts: list[str], status: int, *, stops: bool
) -> None:
    """With 500, as for a wrong id: three records, each twice, and none that was ever stored.

    Else those that fail are rejected alone.
    """
    transport = Failing(status)
    dispatcher = await dispatched(texts, transport, Policy())
    assert isinstance(dispatcher.locations["here"].error, AccessError) is stops
    assert dispatcher.stats.rejected == (0 if stops else texts.count("bad"))
    if stops:
        assert transport.failed == 2 * len(texts)
