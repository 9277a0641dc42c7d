from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from outbox_kit import AT, Reading, claimed, drafts, fate, in_outbox, published

from leadconnector_async.outbox.base import State
from leadconnector_async.quota.limits import QuotaSnapshot

if TYPE_CHECKING:
    from pathlib import Path

    from leadconnector_async.outbox.sqlite.outbox import SqliteOutbox


def test_every_end_is_counted_once(tmp_path: Path) -> None:
    """Sent, rejected and unresolved; what is given back stays pending."""
    path = tmp_path / "o.db"
    states = [State.SENT, State.SENT, State.REJECTED, State.UNRESOLVED, State.PENDING]

    async def work(outbox: SqliteOutbox) -> None:
        await published(outbox, drafts(8, lanes=8))
        claims = await claimed(outbox, 6)
        await outbox.settle([fate(*pair) for pair in zip(claims, states, strict=False)], ())

    in_outbox(path, work)
    with Reading(path) as reader:
        counts = reader.summary().counts
    assert counts._asdict() == {
        "pending": 3,
        "claimed": 1,
        "sent": 2,
        "rejected": 1,
        "unresolved": 1,
        "left_out": 0,
        "dismissed": 0,
    }


def test_an_end_is_kept_with_all_its_details(tmp_path: Path) -> None:
    """What the API answered, and when."""
    path = tmp_path / "o.db"

    async def work(outbox: SqliteOutbox) -> None:
        await published(outbox, drafts(2, lanes=2))
        sent, rejected = await claimed(outbox, 2)
        ends = [
            fate(sent, message_id="m", conversation_id="c", email_message_id="e"),
            fate(rejected, State.REJECTED, reason="422", detail=b'{"traceId":"t"}'),
        ]
        await outbox.settle(ends, ())

    in_outbox(path, work)
    with Reading(path) as reader:
        (sent,) = reader.sent("l1")
        (failed,) = reader.failed()
    assert (sent.message_id, sent.conversation_id, sent.payload) == ("m", "c", b"{}")
    assert (failed.reason, failed.detail, failed.payload) == ("422", b'{"traceId":"t"}', b"{}")


@pytest.mark.parametrize(
    "wrong", ["twice in a call", "twice in two calls", "never claimed", "held"]
)
def test_a_record_has_one_end(tmp_path: Path, wrong: str) -> None:
    """What is not claimed cannot be settled: a bug in the caller changes nothing."""
    path = tmp_path / "o.db"

    async def work(outbox: SqliteOutbox) -> None:
        await published(outbox, drafts(3, lanes=3))
        one, other, third = await claimed(outbox, 3)
        await outbox.settle([fate(third)], ())
        ends = {
            "twice in a call": [fate(one), fate(other), fate(one, State.REJECTED)],
            "twice in two calls": [fate(one), fate(third)],
            "never claimed": [fate(one), fate(one.__class__(one.lease, 0, 0, 99, b"", b"", 0))],
            "held": [fate(one), fate(other, State.CLAIMED)],
        }
        with pytest.raises(ValueError, match=r"record .*is (not claimed|settled twice)"):
            await outbox.settle(ends[wrong], ())

    in_outbox(path, work)
    with Reading(path) as reader:
        assert reader.summary().counts == (0, 2, 1, 0, 0, 0, 0)


def test_quota_that_is_used_is_known_at_the_next_start(tmp_path: Path) -> None:
    """With records or without; the latest figure counts."""
    path = tmp_path / "o.db"

    async def work(outbox: SqliteOutbox) -> QuotaSnapshot | None:
        acquired = await outbox.acquire("l1")
        for used in (1, 2):
            await outbox.settle([], [(acquired.lease, QuotaSnapshot(used, AT, used, AT))])
        return acquired.snapshot

    assert in_outbox(path, work) is None
    assert in_outbox(path, work) == QuotaSnapshot(2, AT, 2, AT)


def test_messages_of_other_records_of_the_lane_are_known(tmp_path: Path) -> None:
    """What is found by looking must not be another record's message."""

    async def work(outbox: SqliteOutbox) -> set[str]:
        await published(outbox, [*drafts(4), *drafts(2, location="l2")])
        claims = [*await claimed(outbox, 4), *await claimed(outbox, 2, "l2")]
        ends = [fate(claim) for claim in (claims[0], claims[1], claims[4])]
        await outbox.settle([*ends, fate(claims[2], State.REJECTED)], ())
        assert await outbox.stored(claims[0]) == {f"m{claims[1].seq}"}
        return await outbox.stored(claims[3])

    assert in_outbox(tmp_path / "o.db", work) == {"m1", "m2"}


def test_a_batch_that_is_done_leaves_no_trace(tmp_path: Path) -> None:
    """What lists claims for after a crash does not grow with the import."""
    path = tmp_path / "o.db"

    async def work(outbox: SqliteOutbox) -> None:
        await published(outbox, drafts(60, lanes=60))
        lease = (await outbox.acquire("l1")).lease
        for _ in range(6):
            (claims,) = await outbox.claim([(lease, 10)])
            await outbox.settle([fate(claim) for claim in claims[:5]], ())
            await outbox.settle([fate(claim) for claim in claims[5:]], ())

    in_outbox(path, work)
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT count(*) FROM claimed").fetchone()
    assert rows == (0,)
