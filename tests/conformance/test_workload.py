"""Counting what is left to do: the deferred parts of records, less what is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from outbox_kit import published

from leadconnector_async.models import Contact, InboundMessage
from leadconnector_async.outbox.reader import Workload
from leadconnector_async.outbox.workload import workload
from leadconnector_async.records.deferred import Deferred, LocalFile
from leadconnector_async.records.draft import draft

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leadconnector_async.outbox.base import Outbox
    from leadconnector_async.outbox.durable import DurableOutbox
    from leadconnector_async.outbox.outbox_reader import OutboxReader

KIM = Contact(phone="+12125550100")
KIM_BY_MAIL = Contact(email="kim@example.org")
KIM_BY_BOTH = Contact(phone="+12125550100", email="kim@example.org", name="Kim")
LEE = Contact(email="lee@example.org")
PICTURE, LETTER = LocalFile("/a/1.png", "d1"), LocalFile("/a/2.pdf", "d2")


async def fill(outbox: Outbox, items: Sequence[tuple[dict[str, str], Deferred | None]]) -> None:
    """Stage records of ids and deferred parts in location "here"."""
    message = {"type": "SMS", "direction": "inbound", "message": "hi"}
    batch = [
        draft(
            InboundMessage(**message, **ids),  # type: ignore[arg-type]
            location="here",
            id=f"r{number}",
            now_ms=0,
            deferred=deferred,
        )
        for number, (ids, deferred) in enumerate(items)
    ]
    await published(outbox, batch)


async def test_plain_records_take_one_request_each(
    durable: DurableOutbox, reader: OutboxReader
) -> None:
    """Nothing is to be found or uploaded for them."""
    await fill(durable, [({"contact_id": "c"}, None)] * 3)
    assert await workload(reader) == {"here": Workload(3)}


@pytest.mark.slow
async def test_handles_of_one_person_are_one_contact(
    durable: DurableOutbox, reader: OutboxReader
) -> None:
    """Each handle is looked up; one whose person is known to have two can be in two ways."""
    who = [KIM, KIM_BY_MAIL, KIM_BY_BOTH, KIM, LEE]
    await fill(durable, [({}, Deferred(contact=one)) for one in who])
    assert (await workload(reader))["here"] == Workload(5, handles=3, contacts=2, ways=5)


@pytest.mark.parametrize("is_known", [False, True])
async def test_what_is_known_is_not_counted(
    durable: DurableOutbox,
    reader: OutboxReader,
    *,
    is_known: bool,
) -> None:
    """Contacts, files and conversations that lookups tell of."""
    items = [
        ({}, Deferred(contact=KIM, attachments=[PICTURE, "https://a.example/x.png"])),
        ({"contact_id": "c9"}, Deferred(outbound_call=True)),
        ({"conversation_id": "v1"}, Deferred(attachments=[LETTER, PICTURE])),
    ]
    await fill(durable, items)
    unknown = Workload(3, handles=1, contacts=1, ways=1, files=2, conversations=2, owners=1)
    if is_known:
        lookups = {
            "contact:+12125550100": "c1",
            "conversation:c1": "v2",
            "conversation:c9": "v9",
            "owner:v1": "c3",
            "file:d1": "https://a.example/1.png",
        }
        await durable.put_lookups((await durable.acquire("here")).lease, lookups)
    assert (await workload(reader))["here"] == (Workload(3, files=1) if is_known else unknown)
