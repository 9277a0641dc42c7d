"""Tasks that write messages into their contacts' conversations: TaskIQ.

Run::

    pip install 'leadconnector-async[contacts]' taskiq
    taskiq worker --workers 1 --ack-type when_executed taskiq_tasks:broker

with a broker that acknowledges, such as ``taskiq_aio_pika.AioPikaBroker(url)``, in place of the one
in memory. For several workers, the outbox is the URL of a database (extra ``postgres``).

Environment:
    LEADCONNECTOR_TOKEN, LEADCONNECTOR_LOCATION: where messages go.
    LEADCONNECTOR_OUTBOX: path of a file, or ``postgresql://USER@HOST/DATABASE``.
    LEADCONNECTOR_BASE_URL: another API, such as ``leadconnector sandbox`` prints it.

Guarantees:
    A task has a result, and is acknowledged, once the outcome of its message is durable.
    One that is delivered again, or queued twice, stores nothing twice: the id is the key, and the
    result is the same.
    What is no outcome, such as a token that is refused, a day's quota that is spent, or an API out
    of reach, is the task's error. Its message is in the outbox then, and is sent when a worker is
    started again, over a database also before; the same task again tells what became of it.
"""

from __future__ import annotations

import os
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Annotated, Final, cast

from taskiq import AsyncBroker, Context, InMemoryBroker, TaskiqDepends, TaskiqEvents, TaskiqState

from leadconnector_async import (
    Contact,
    InboundMessage,
    Ingestor,
    LeadConnector,
    Record,
    Rejected,
    Sent,
)

API: Final = os.environ.get("LEADCONNECTOR_BASE_URL", "https://services.leadconnectorhq.com")

broker: AsyncBroker = InMemoryBroker()


@broker.on_event(TaskiqEvents.WORKER_STARTUP)
async def start(state: TaskiqState) -> None:
    """Open the outbox before the first task."""
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(
            LeadConnector(
                os.environ["LEADCONNECTOR_TOKEN"],
                location_id=os.environ["LEADCONNECTOR_LOCATION"],
                base_url=API,
            )
        )
        outbox = os.environ["LEADCONNECTOR_OUTBOX"]
        state.ingestor = await stack.enter_async_context(Ingestor(api, outbox=outbox))
        state.stack = stack.pop_all()


@broker.on_event(TaskiqEvents.WORKER_SHUTDOWN)
async def stop(state: TaskiqState) -> None:
    """Settle what is in flight."""
    await state.stack.aclose()


def ingestor_of(context: Annotated[Context, TaskiqDepends()]) -> Ingestor:
    """The worker's ingestor."""
    return cast("Ingestor", context.state.ingestor)


@broker.task
async def send_text(
    id_: str,
    sender: str,
    text: str,
    received_at: datetime,
    ingestor: Annotated[Ingestor, TaskiqDepends(ingestor_of)],
) -> str:
    """Store one message; the result is the API's id of it, or why there is none."""
    message = InboundMessage(type="SMS", direction="inbound", date=received_at, message=text)
    record = Record(id=id_, contact=Contact(phone=sender), message=message)
    match await ingestor.submit(record):
        case Sent(receipt=receipt):
            return receipt.message_id
        case Rejected(reason=reason):
            return f"rejected: {reason}"
        case unresolved:
            return f"unresolved: {unresolved.reason}"
