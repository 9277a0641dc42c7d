"""A piece of what is staged: what is selected is claimable, and all the rest waits, whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from outbox_kit import claimed, draft, fate, keys

from leadconnector_async.errors import SelectionError
from leadconnector_async.outbox.base import State
from leadconnector_async.outbox.selection import WHOLE, Selection
from leadconnector_async.outbox.source_pass import SourcePass
from leadconnector_async.outbox.workload import workload

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outbox_places import DurablePlace

    from leadconnector_async.outbox.durable import DurableOutbox
    from leadconnector_async.outbox.outbox_reader import OutboxReader
    from leadconnector_async.records.draft import Draft


def body(**fields: str) -> bytes:
    """An encoded message."""
    return b"{%b}" % ",".join(f'"{name}":"{value}"' for name, value in fields.items()).encode()


HISTORY = [
    draft("a1", lane=1, date=10, payload=body(type="SMS", contactId="c1"), line=1),
    draft("b1", lane=2, date=20, payload=body(type="Email", contactId="c2"), line=2),
    draft("a2", lane=1, date=30, payload=body(type="Call", contactId="c1"), line=3),
    draft("b2", lane=2, date=40, payload=body(type="SMS", contactId="c2"), line=4),
    draft("c1", lane=3, date=50, payload=body(type="SMS", contactId="c3"), line=5),
]


async def staged(outbox: DurableOutbox, batch: Sequence[Draft] = HISTORY) -> None:
    """Stage as an import of a file does, and publish."""
    await outbox.stage(batch, SourcePass(await outbox.source("h.jsonl", b"{}")))
    await outbox.publish()


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(limit=2), ["a1", "b1"]),
        (Selection(limit=2, limit_conversations=WHOLE), ["a1", "a2", "b1", "b2"]),
        (Selection(limit_conversations=1), ["a1", "a2"]),
        (Selection(limit=3, limit_conversations=2), ["a1", "a2", "b1"]),
        (Selection(since=20, until=40), ["a2", "b1"]),
        (Selection(only=("sms",)), ["a1", "b2", "c1"]),
        (Selection(only=("c1", "Email")), ["a1", "a2", "b1"]),
        (Selection(limit=1, only=("c2",)), ["b1"]),
        (None, ["a1", "a2", "b1", "b2", "c1"]),
    ],
)
async def test_what_is_selected_is_claimable(
    durable: DurableOutbox, reader: OutboxReader, selection: Selection | None, expected: list[str]
) -> None:
    """The first by date, over all lanes; the rest is counted as left for later, and as pending."""
    await staged(durable)
    await durable.select(selection)
    left = len(HISTORY) - len(expected)
    assert await durable.unsent() == {"l1": len(expected)}
    assert sorted(keys(await claimed(durable, 10))) == expected
    summary = await reader.summary()
    assert summary.later == ({"l1": left} if left else {})
    assert summary.counts.left == len(HISTORY)
    assert (await workload(reader))["l1"].records == len(expected)


async def test_a_selection_counts_what_is_sent(durable: DurableOutbox) -> None:
    """So the same one again selects nothing more, and a wider one what is new in it."""
    await staged(durable)
    await durable.select(Selection(limit=2))
    await durable.settle([fate(claim) for claim in await claimed(durable, 10)], [])
    await durable.select(Selection(limit=2))
    assert not await claimed(durable, 10)
    await durable.select(Selection(limit=3))
    await durable.settle([fate(claim) for claim in await claimed(durable, 10)], [])
    await durable.select(None)
    assert sorted(keys(await claimed(durable, 10))) == ["b2", "c1"]


async def test_what_is_in_flight_stays(durable: DurableOutbox, place: DurablePlace) -> None:
    """A record in doubt is handed to the next owner, whatever is selected by then."""
    await staged(durable)
    assert len(await claimed(durable, 10)) == len(HISTORY)
    again = await place.crashed()
    await again.select(Selection(limit=1))
    lease, unknown, _ = await again.acquire("l1")
    assert len(unknown) == len(HISTORY)
    assert await again.claim([(lease, 10)]) == [[]]
    await again.settle([fate(claim, State.SENT) for claim in unknown], [])
    assert await again.unsent() == {}
    await again.close()


async def test_programs_messages_are_not_held_back(durable: DurableOutbox) -> None:
    """Somebody waits for them; and one that is submitted again is taken in."""
    await staged(durable)
    await durable.submit(draft("own", lane=4))
    await durable.select(Selection(limit=1))
    assert sorted(keys(await claimed(durable, 10))) == ["a1", "own"]
    await durable.submit(HISTORY[-1])
    assert keys(await claimed(durable, 10)) == ["c1"]


async def test_nothing_changes_where_nothing_is_meant(durable: DurableOutbox) -> None:
    """A word that is in no record is most likely misspelt."""
    await staged(durable)
    await durable.select(Selection(limit=2))
    with pytest.raises(SelectionError, match="Fax"):
        await durable.select(Selection(only=("SMS", "Fax")))
    assert await durable.unsent() == {"l1": 2}
    await durable.select(Selection(limit=3))
    assert await durable.unsent() == {"l1": 3}


async def test_what_is_left_survives_a_crash(durable: DurableOutbox, place: DurablePlace) -> None:
    """It is left for later until another import selects."""
    await staged(durable)
    await durable.select(Selection(limit=1))
    again = await place.crashed()
    assert await again.unsent() == {"l1": 1}
    await again.select(None)
    assert sorted(keys(await claimed(again, 10))) == ["a1", "a2", "b1", "b2", "c1"]
    await again.close()
