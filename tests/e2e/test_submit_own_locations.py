"""What a program sends for in a shared outbox, and what it is told of locations of others."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from leadconnector_async import (
    DailyQuotaSpentError,
    InboundMessage,
    Ingestor,
    LeadConnector,
    Record,
    Refusal,
    Sent,
)
from leadconnector_async.outbox.postgres.outbox import PostgresOutbox
from leadconnector_async.records.draft import draft
from leadconnector_async.sandbox import Sandbox


def message(number: int) -> InboundMessage:
    """A message of one of five contacts."""
    when = datetime(2024, 3, 1, 10, number, tzinfo=UTC)
    return InboundMessage(
        type="SMS", contact_id=f"c{number % 5}", direction="inbound", date=when, message="hi"
    )


def record(number: int, location: str) -> Record:
    """Such a message with an id."""
    return Record(id=f"r{number}", message=message(number), location_id=location)


@pytest.mark.slow
async def test_a_location_that_stopped_elsewhere_fails_what_waits_for_it(
    postgres_place: str,
) -> None:
    """With the error that its owner has; the record stays."""
    async with (
        LeadConnector("token", base_url="http://127.0.0.1:1") as api,
        Ingestor(api, outbox=postgres_place, role="submit") as ingestor,
        await PostgresOutbox.open(postgres_place) as owner,
    ):
        lease = (await owner.acquire("here")).lease
        refusal = Refusal(status=429, message="the day is spent")
        await owner.stop(lease, DailyQuotaSpentError(refusal))
        with pytest.raises(DailyQuotaSpentError, match="the day is spent"):
            await ingestor.submit(record(0, "here"))
        assert await owner.unsent() == {"here": 1}


@pytest.mark.slow
async def test_a_client_with_one_token_sends_for_its_own_location_alone(
    postgres_place: str,
) -> None:
    """And for those that it submits to: another's would be stored in its own."""
    async with Sandbox() as sandbox, await PostgresOutbox.open(postgres_place) as other:
        await other.submit(draft(message(7), location="another", id="a", now_ms=0))
        async with (
            LeadConnector(sandbox.token, location_id="home", base_url=sandbox.url) as api,
            Ingestor(api, outbox=postgres_place) as ingestor,
        ):
            assert isinstance(await ingestor.submit(record(0, "here")), Sent)
            assert isinstance(await ingestor.submit(record(1, "home")), Sent)
            assert await other.unsent() == {"another": 1}
