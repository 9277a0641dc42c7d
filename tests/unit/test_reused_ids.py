"""What a program gets that gives one id to two messages: never another message's outcome."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from fault_harness import QUICK, records
from msgspec.structs import replace

from leadconnector_async import Ingestor, LeadConnector, Record, Rejected, Sent
from leadconnector_async.sandbox import Sandbox

if TYPE_CHECKING:
    from pathlib import Path

    from leadconnector_async import Outcome

REUSED = "id is that of another record with other content"


def pair() -> tuple[Record, Record]:
    """Two records of one id that say different things."""
    (one,) = records(1)
    one = replace(one, id="same")
    return one, replace(one, message=replace(one.message, message="quite another"))


@pytest.mark.parametrize("durable", [True, False])
@pytest.mark.parametrize("streamed", [True, False])
def test_the_second_message_of_an_id_is_rejected(
    tmp_path: Path, *, durable: bool, streamed: bool
) -> None:
    """In one run, or of callers that wait at the same moment, of whom either may be the first."""
    one, other = pair()

    async def scenario() -> list[Outcome]:
        async with Sandbox() as sandbox:
            api = LeadConnector(
                sandbox.token,
                location_id=sandbox.location_id,
                base_url=sandbox.url,
                policy=QUICK,
            )
            outbox = tmp_path / "o.db" if durable else None
            async with api, Ingestor(api, outbox=outbox) as ingestor:
                if streamed:
                    outcomes = [outcome async for outcome in ingestor.run([one, other])]
                else:
                    calls = ingestor.submit(one), ingestor.submit(other)
                    outcomes = list(await asyncio.gather(*calls))
                assert ingestor.in_hand == 0
            (message,) = sandbox.messages
            texts = {one.message.message, other.message.message}
            assert message.fields["message"] in ({one.message.message} if streamed else texts)
            return outcomes

    outcomes = asyncio.run(scenario())
    assert Counter(map(type, outcomes)) == {Sent: 1, Rejected: 1}
    (rejected,) = (outcome for outcome in outcomes if isinstance(outcome, Rejected))
    assert rejected.reason.startswith(REUSED)


async def test_a_message_that_is_submitted_again_has_its_outcome(tmp_path: Path) -> None:
    """The same content is the same message; another one is rejected each time."""
    one, other = pair()
    async with Sandbox() as sandbox:
        api = LeadConnector(sandbox.token, location_id=sandbox.location_id, base_url=sandbox.url)
        for _ in range(2):
            async with api, Ingestor(api, outbox=tmp_path / "o.db") as ingestor:
                assert isinstance(await ingestor.submit(one), Sent)
                assert isinstance(await ingestor.submit(other), Rejected)
                assert isinstance(await ingestor.submit(one), Sent)
            api = LeadConnector(
                sandbox.token, location_id=sandbox.location_id, base_url=sandbox.url
            )
        assert len(sandbox.messages) == 1
