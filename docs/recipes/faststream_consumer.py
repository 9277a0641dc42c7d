"""A consumer that writes messages into their contacts' conversations: FastStream, NATS JetStream.

Run::

    pip install 'leadconnector-async[contacts]' 'faststream[nats,cli]'
    faststream run faststream_consumer:app

Environment:
    NATS_URL: the server (``nats://localhost:4222``).
    LEADCONNECTOR_TOKEN, LEADCONNECTOR_LOCATION: where messages go.
    LEADCONNECTOR_OUTBOX: path of a file; for several consumers ``postgresql://USER@HOST/DATABASE``.
    LEADCONNECTOR_BASE_URL: another API, such as ``leadconnector sandbox`` prints it.

Guarantees:
    A message is acknowledged once its outcome is durable, and never before.
    What is no outcome, such as a token that is refused, a day's quota that is spent, or an API out
    of reach, ends the consumer, for whoever supervises it to start it again after a while. The
    broker delivers then what was not acknowledged; so it does when the process is killed. The id
    is the key: however often a message is delivered, it is stored once.
    One that cannot be stored for good is acknowledged too, and stands in ``leadconnector failed``.
"""

from __future__ import annotations

import logging
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Final

from faststream import AckPolicy, Context, ContextRepo, FastStream
from faststream.nats import JStream, NatsBroker, PullSub
from pydantic import AwareDatetime, BaseModel

from leadconnector_async import (
    Contact,
    InboundMessage,
    Ingestor,
    LeadConnector,
    LeadConnectorError,
    Record,
    Sent,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

API: Final = os.environ.get("LEADCONNECTOR_BASE_URL", "https://services.leadconnectorhq.com")
IN_HAND: Final = 100
"""Messages taken from the broker at a time."""

log: Final = logging.getLogger(__name__)


@asynccontextmanager
async def lifespan(context: ContextRepo) -> AsyncIterator[None]:
    """Open the outbox before the first message, and settle what is in flight after the last."""
    async with (
        LeadConnector(
            os.environ["LEADCONNECTOR_TOKEN"],
            location_id=os.environ["LEADCONNECTOR_LOCATION"],
            base_url=API,
        ) as api,
        Ingestor(api, outbox=os.environ["LEADCONNECTOR_OUTBOX"]) as ingestor,
    ):
        context.set_global("ingestor", ingestor)
        yield


broker = NatsBroker(os.environ.get("NATS_URL", "nats://localhost:4222"))
app = FastStream(broker, lifespan=lifespan)


class TextMessage(BaseModel):
    """What the broker delivers. ``sender`` is a number in E.164."""

    id: str
    sender: str
    text: str
    received_at: AwareDatetime


@broker.subscriber(
    "texts.received",
    stream=JStream("texts", subjects=["texts.*"]),
    durable="leadconnector",
    pull_sub=PullSub(batch_size=IN_HAND),
    max_workers=IN_HAND,
    ack_policy=AckPolicy.NACK_ON_ERROR,
)
async def consume(text: TextMessage, ingestor: Annotated[Ingestor, Context()]) -> None:
    """Store one message; it is acknowledged when this returns."""
    message = InboundMessage(
        type="SMS", direction="inbound", date=text.received_at, message=text.text
    )
    record = Record(id=text.id, contact=Contact(phone=text.sender), message=message)
    try:
        outcome = await ingestor.submit(record)
    except LeadConnectorError:
        app.exit()
        raise
    if not isinstance(outcome, Sent):
        log.warning("%s: %s", outcome.key, outcome.reason)
