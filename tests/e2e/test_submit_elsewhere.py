"""Several programs submit to one outbox in a database; whoever owns a location sends for all."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from leadconnector_async import InboundMessage, Ingestor, LeadConnector, Record, Sent
from leadconnector_async.sandbox import Sandbox


def record(number: int) -> Record:
    """A message of one of five contacts."""
    when = datetime(2024, 3, 1, 10, number % 60, tzinfo=UTC)
    message = InboundMessage(
        type="SMS", contact_id=f"c{number % 5}", direction="inbound", date=when, message="hi"
    )
    return Record(id=f"r{number}", message=message, location_id="here")


def test_two_programs_submit_to_one_location(postgres_place: str) -> None:
    """Each call gets its outcome, one that both submit gets the same, and nothing is sent twice."""

    async def scenario() -> None:
        async with (
            Sandbox() as sandbox,
            LeadConnector(sandbox.token, base_url=sandbox.url) as api,
            LeadConnector(sandbox.token, base_url=sandbox.url) as other,
            Ingestor(api, outbox=postgres_place) as first,
            Ingestor(other, outbox=postgres_place) as second,
        ):
            assert isinstance(await first.submit(record(0)), Sent)
            mine = [first.submit(record(number)) for number in range(1, 40)]
            theirs = [second.submit(record(number)) for number in range(30, 70)]
            outcomes = await asyncio.gather(*mine, *theirs)
            assert all(isinstance(outcome, Sent) for outcome in outcomes)
            assert len({outcome.key for outcome in outcomes}) == 69
            assert len(sandbox.messages) == 70
            assert second.stats.sent == 0
            assert (first.in_hand, second.in_hand) == (0, 0)

    asyncio.run(scenario())


def test_who_is_left_takes_over(postgres_place: str) -> None:
    """A message that waits for another program is sent when that one is gone."""

    async def scenario() -> None:
        async with (
            Sandbox() as sandbox,
            LeadConnector(sandbox.token, base_url=sandbox.url) as api,
            Ingestor(api, outbox=postgres_place) as second,
        ):
            async with Ingestor(api, outbox=postgres_place) as first:
                await first.submit(record(0))
                first.stop()
                waiting = asyncio.create_task(second.submit(record(1)))
                await asyncio.wait([waiting], timeout=0.1)
                assert not waiting.done()
            assert isinstance(await waiting, Sent)
            assert second.stats.sent == 1
            assert len(sandbox.messages) == 2

    asyncio.run(scenario())
