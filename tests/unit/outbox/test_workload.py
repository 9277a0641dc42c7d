"""Counting what is left to do: the deferred parts of records, less what is known."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from outbox_kit import Reading

from leadconnector_async.models import Contact, InboundMessage
from leadconnector_async.outbox.base import SourcePass
from leadconnector_async.outbox.reader import Workload
from leadconnector_async.outbox.sqlite.outbox import SqliteOutbox
from leadconnector_async.records.deferred import Deferred, LocalFile
from leadconnector_async.records.draft import draft
from leadconnector_async.reports.estimate import Requests, requests_for

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

KIM = Contact(phone="+12125550100")
KIM_BY_MAIL = Contact(email="kim@example.org")
KIM_BY_BOTH = Contact(phone="+12125550100", email="kim@example.org", name="Kim")
LEE = Contact(email="lee@example.org")
PICTURE, LETTER = LocalFile("/a/1.png", "d1"), LocalFile("/a/2.pdf", "d2")
Item = tuple[dict[str, str], Deferred | None]


def work(
    path: Path, items: Sequence[Item], lookups: Mapping[str, str] | None = None
) -> dict[str, Workload]:
    """Stage records of ids and deferred parts in location "here", and count."""

    async def fill() -> None:
        async with await SqliteOutbox.open(str(path)) as outbox:
            drafts = [
                draft(
                    InboundMessage(
                        type="SMS",
                        direction="inbound",
                        message="hi",
                        contact_id=ids.get("contact_id"),
                        conversation_id=ids.get("conversation_id"),
                    ),
                    location="here",
                    id=f"r{number}",
                    now_ms=0,
                    deferred=deferred,
                )
                for number, (ids, deferred) in enumerate(items)
            ]
            await outbox.stage(drafts, SourcePass(await outbox.source("a.csv", b"{}")))
            await outbox.publish()
            lease = (await outbox.acquire("here")).lease
            await outbox.put_lookups(lease, lookups or {})

    asyncio.run(fill())
    with Reading(path) as reader:
        return reader.workload()


def test_plain_records_take_one_request_each(tmp_path: Path) -> None:
    """Nothing is to be found or uploaded for them; an empty outbox has no locations."""
    assert work(tmp_path / "o.db", [({"contact_id": "c"}, None)] * 3) == {"here": Workload(3)}
    assert work(tmp_path / "p.db", []) == {}


def test_handles_of_one_person_are_one_contact(tmp_path: Path) -> None:
    """Each handle is looked up; one whose person is known to have two can be in two ways."""
    items: list[Item] = [
        ({}, Deferred(contact=who)) for who in (KIM, KIM_BY_MAIL, KIM_BY_BOTH, KIM, LEE)
    ]
    found = work(tmp_path / "o.db", items)["here"]
    assert found == Workload(records=5, handles=3, contacts=2, ways=5)


def test_what_is_known_is_not_counted(tmp_path: Path) -> None:
    """Contacts, files and conversations that lookups tell of."""
    items: list[Item] = [
        ({}, Deferred(contact=KIM, attachments=[PICTURE, "https://a.example/x.png"])),
        ({"contact_id": "c9"}, Deferred(outbound_call=True)),
        ({"conversation_id": "v1"}, Deferred(attachments=[LETTER, PICTURE])),
    ]
    unknown = work(tmp_path / "o.db", items)["here"]
    assert unknown == Workload(3, handles=1, contacts=1, ways=1, files=2, conversations=2, owners=1)
    lookups = {
        "contact:+12125550100": "c1",
        "conversation:c1": "v2",
        "conversation:c9": "v9",
        "owner:v1": "c3",
        "file:d1": "https://a.example/1.png",
    }
    assert work(tmp_path / "p.db", items, lookups)["here"] == Workload(3, files=1)


def test_requests_depend_on_how_contacts_are_found() -> None:
    """A contact is found at once, or after its last way and created."""
    of = Workload(10, handles=3, contacts=2, ways=5, files=4, conversations=2, owners=1)
    assert requests_for(of, "create") == Requests(20, 27)
    assert requests_for(of, "find") == Requests(20, 24)
    assert requests_for(of, "upsert") == Requests(20, 27)
    assert requests_for(Workload(7), "create") == Requests(7, 7)
