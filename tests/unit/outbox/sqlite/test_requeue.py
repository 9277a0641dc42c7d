from __future__ import annotations

from typing import TYPE_CHECKING

from outbox_kit import Reading, claimed, crashed, draft, drafts, fate, in_outbox, keys, published

from leadconnector_async.outbox.base import State
from leadconnector_async.outbox.durable import Requeued

if TYPE_CHECKING:
    from pathlib import Path

    from leadconnector_async.outbox.base import Acquired
    from leadconnector_async.outbox.sqlite.outbox import SqliteOutbox


async def fail(outbox: SqliteOutbox) -> None:
    """Stage six records, of which one is sent, two rejected, one unresolved and one refused."""
    await published(outbox, [*drafts(5, lanes=5), draft("refused", problem="no")])
    claims = await claimed(outbox, 4)
    states = [State.SENT, State.REJECTED, State.REJECTED, State.UNRESOLVED]
    await outbox.settle([fate(*pair) for pair in zip(claims, states, strict=True)], ())


def test_rejected_records_are_sent_again(tmp_path: Path) -> None:
    """With fresh attempts; what validation refused stays on the list."""
    path = tmp_path / "o.db"

    async def work(outbox: SqliteOutbox) -> list[tuple[str, int]]:
        await fail(outbox)
        assert await outbox.requeue() == Requeued(pending=2, unknown=1, refused=1)
        claims = await claimed(outbox, 9)
        return sorted((claim.key.decode(), claim.attempts) for claim in claims)

    assert in_outbox(path, work) == [("l1-1", 0), ("l1-2", 0), ("l1-4", 0)]
    with Reading(path) as reader:
        assert reader.summary().counts == (0, 4, 1, 1, 0, 0, 0)
        assert [failed.key for failed in reader.failed()] == [b"refused"]


def test_unresolved_records_are_looked_for(tmp_path: Path) -> None:
    """They may be stored: the next epoch hands them back as unknown, in this process or another."""
    path = tmp_path / "o.db"

    async def work(outbox: SqliteOutbox) -> Acquired:
        await fail(outbox)
        await outbox.requeue()
        return await outbox.acquire("l1")

    async def after(outbox: SqliteOutbox) -> Acquired:
        return await outbox.acquire("l1")

    assert keys(in_outbox(path, work).unknown) == ["l1-3"]
    assert keys(in_outbox(path, after).unknown) == ["l1-3"]


def test_a_retried_record_is_not_taken_for_one_in_flight(tmp_path: Path) -> None:
    """Its old claim is forgotten on disk too, though others of the same call are still held."""
    path = tmp_path / "o.db"

    async def work(outbox: SqliteOutbox) -> Path:
        await published(outbox, drafts(3, lanes=3))
        claims = await claimed(outbox, 2)
        await outbox.settle([fate(claims[0], State.REJECTED)], ())
        await outbox.requeue()
        return crashed(path)

    async def after(outbox: SqliteOutbox) -> list[list[str]]:
        return [keys((await outbox.acquire("l1")).unknown), keys(await claimed(outbox, 9))]

    assert in_outbox(in_outbox(path, work), after) == [["l1-1"], ["l1-0", "l1-2"]]


def test_there_may_be_nothing_to_retry(tmp_path: Path) -> None:
    """Twice in a row does no more than once."""

    async def work(outbox: SqliteOutbox) -> list[Requeued]:
        before = await outbox.requeue()
        await fail(outbox)
        await outbox.requeue()
        return [before, await outbox.requeue()]

    assert in_outbox(tmp_path / "o.db", work) == [Requeued(), Requeued(refused=1)]


def test_many_are_retried_in_several_transactions(tmp_path: Path) -> None:
    """However many there are."""

    async def work(outbox: SqliteOutbox) -> Requeued:
        await published(outbox, drafts(6_000, lanes=60))
        claims = await claimed(outbox, 6_000)
        await outbox.settle([fate(claim, State.REJECTED) for claim in claims], ())
        return await outbox.requeue()

    assert in_outbox(tmp_path / "o.db", work) == Requeued(pending=6_000)
