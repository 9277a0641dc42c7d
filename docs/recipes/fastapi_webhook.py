"""A webhook that writes each message into its contact's conversation: FastAPI, several processes.

Run::

    pip install 'leadconnector-async[contacts,postgres]' fastapi uvicorn
    uvicorn fastapi_webhook:app --workers 2 --timeout-graceful-shutdown 30

Environment:
    LEADCONNECTOR_TOKEN, LEADCONNECTOR_LOCATION: where messages go.
    LEADCONNECTOR_OUTBOX: ``postgresql://USER@HOST/DATABASE``, shared by all processes; one process
        alone may use a file.
    LEADCONNECTOR_BASE_URL: another API, such as ``leadconnector sandbox`` prints it.
    WEBHOOK_BUFFER: messages in hand of one process at most (1000).
    WEBHOOK_WAIT: seconds to wait for an outcome (10).

Guarantees:
    200, the message is stored; 422, it never will be, with the reason. Both are durable by then.
    202, it may be stored, and looking did not tell: it is listed by ``leadconnector failed``.
    503, ask again: too much is in hand, there is no outcome yet, or the location cannot go on, such
    as with a token that is refused or a day's quota that is spent: it is tried again after a
    minute, or on the next day.
    The sender's own id is the key, so a message that is sent again, to whichever process, and also
    after a 503, is stored once.
    SIGTERM: open requests are answered, what is in flight is settled, and nothing is lost. What
    is in the outbox is sent by whichever process is there next.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Final, TypedDict, cast

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from pydantic import AwareDatetime, BaseModel

from leadconnector_async import (
    Contact,
    InboundMessage,
    Ingestor,
    LeadConnector,
    LeadConnectorError,
    Record,
    Rejected,
    Sent,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

API: Final = os.environ.get("LEADCONNECTOR_BASE_URL", "https://services.leadconnectorhq.com")
BUFFER: Final = int(os.environ.get("WEBHOOK_BUFFER", "1000"))
WAIT_S: Final = float(os.environ.get("WEBHOOK_WAIT", "10"))
RETRY_AFTER: Final = {"Retry-After": "30"}


class State(TypedDict):
    """What lives as long as the process."""

    ingestor: Ingestor


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[State]:
    """Open the outbox before the first request, and settle what is in flight after the last."""
    async with (
        LeadConnector(
            os.environ["LEADCONNECTOR_TOKEN"],
            location_id=os.environ["LEADCONNECTOR_LOCATION"],
            base_url=API,
        ) as api,
        Ingestor(api, outbox=os.environ["LEADCONNECTOR_OUTBOX"], buffer=BUFFER) as ingestor,
    ):
        yield {"ingestor": ingestor}


app = FastAPI(lifespan=lifespan)


class TextMessage(BaseModel):
    """What the sender posts. ``sender`` is a number in E.164."""

    id: str
    sender: str
    text: str
    received_at: AwareDatetime


def ingestor_of(request: Request) -> Ingestor:
    """The process's ingestor."""
    return cast("Ingestor", request.state.ingestor)


@app.post("/messages")
async def receive(
    text: TextMessage, response: Response, ingestor: Annotated[Ingestor, Depends(ingestor_of)]
) -> dict[str, str | None]:
    """Take a message in, and answer once its outcome is durable."""
    if ingestor.in_hand >= BUFFER:
        raise HTTPException(503, "too much is in hand", RETRY_AFTER)
    message = InboundMessage(
        type="SMS", direction="inbound", date=text.received_at, message=text.text
    )
    record = Record(id=text.id, contact=Contact(phone=text.sender), message=message)
    try:
        async with asyncio.timeout(WAIT_S):  # it is sent all the same
            outcome = await ingestor.submit(record)
    except TimeoutError:
        raise HTTPException(503, "no outcome yet", RETRY_AFTER) from None
    except LeadConnectorError as error:
        raise HTTPException(503, str(error), RETRY_AFTER) from error
    match outcome:
        case Sent(receipt=receipt):
            return {"messageId": receipt.message_id}
        case Rejected(reason=reason):
            raise HTTPException(422, reason)
    response.status_code = 202
    return {"messageId": None}
