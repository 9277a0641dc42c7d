from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

from outbox_kit import claimed, crashed, draft, drafts, fate, in_outbox, published

from leadconnector_async.models import Contact
from leadconnector_async.outbox.base import State
from leadconnector_async.records.deferred import Deferred

if TYPE_CHECKING:
    from pathlib import Path

    from leadconnector_async.outbox.base import Lease
    from leadconnector_async.outbox.sqlite.outbox import SqliteOutbox

KIM = Deferred(contact=Contact(phone="+1")).encoded()


async def recalled(
    outbox: SqliteOutbox, *names: str, location: str = "l1", lease: Lease | None = None
) -> dict[str, str]:
    """What is known."""
    return await outbox.get_lookups(lease or (await outbox.acquire(location)).lease, names)


def test_facts_belong_to_a_location_and_outlive_a_crash(tmp_path: Path) -> None:
    """They are durable when they are written."""

    async def work(outbox: SqliteOutbox) -> Path:
        here = (await outbox.acquire("l1")).lease
        await outbox.put_lookups(here, {f"n{n}": f"v{n}" for n in range(150)})
        assert await recalled(outbox, "n1", location="l2") == {}
        return crashed(tmp_path / "o.db")

    copy = in_outbox(tmp_path / "o.db", work)
    names = [f"n{n}" for n in range(160)]

    async def look(outbox: SqliteOutbox) -> dict[str, str]:
        return await recalled(outbox, *names, "n1")

    assert in_outbox(copy, look) == {f"n{n}": f"v{n}" for n in range(150)}


def test_what_is_remembered_replaces_and_what_an_end_teaches_does_not(tmp_path: Path) -> None:
    """A thread keeps the name of its first mail."""

    async def work(outbox: SqliteOutbox) -> None:
        await published(outbox, [draft("a"), draft("b", date=1)])
        first, second = await claimed(outbox, 2)
        await outbox.settle([fate(first, lookups={"mail": "e1"})], ())
        await outbox.settle([fate(second, lookups={"mail": "e2"})], ())
        assert await recalled(outbox, "mail", lease=first.lease) == {"mail": "e1"}
        await outbox.put_lookups(first.lease, {"mail": "e3"})
        assert await recalled(outbox, "mail", lease=first.lease) == {"mail": "e3"}

    in_outbox(tmp_path / "o.db", work)


def rejected(path: Path, *, beside: State) -> dict[str, str]:
    """What is known after a retry of a rejected record, with another record of its lane."""

    async def work(outbox: SqliteOutbox) -> dict[str, str]:
        drafts = [draft("a"), draft("b", date=1)]
        await published(outbox, [one._replace(deferred=KIM) for one in drafts])
        first, second = await claimed(outbox, 2)
        lookups = {"contact:+1": "k", "conversation:k": "v", "contact:+2": "x"}
        await outbox.put_lookups(first.lease, lookups)
        ends = [fate(first, State.REJECTED, reason="no")]
        if beside is not State.CLAIMED:
            ends.append(fate(second, beside))
        await outbox.settle(ends, ())
        await outbox.requeue()
        return await recalled(outbox, *lookups, lease=first.lease)

    return in_outbox(path, work)


def test_a_retry_lets_the_contact_be_asked_for_again(tmp_path: Path) -> None:
    """And its conversation: they may have been deleted. Those of others stay."""
    assert rejected(tmp_path / "o.db", beside=State.SENT) == {"contact:+2": "x"}


def test_a_contact_is_kept_where_a_record_of_it_may_be_stored(tmp_path: Path) -> None:
    """What is looked for has to be looked for where it was sent."""
    assert "contact:+1" in rejected(tmp_path / "unresolved.db", beside=State.UNRESOLVED)
    assert "contact:+1" in rejected(tmp_path / "held.db", beside=State.CLAIMED)


def test_a_retry_asks_once_for_each_lane_whether_a_record_of_it_may_be_stored(
    tmp_path: Path,
) -> None:
    """That looks through all ends of the lane: for each record it would take for ever."""
    asked: list[str] = []

    class Noting(sqlite3.Connection):
        def execute(self, statement: str, *args: Any) -> sqlite3.Cursor:  # noqa: ANN401 - passed on
            asked.extend([statement] if statement.startswith("SELECT 1 FROM outcome") else ())
            return super().execute(statement, *args)

    async def work(outbox: SqliteOutbox) -> None:
        await published(outbox, [one._replace(deferred=KIM) for one in drafts(60, lanes=3)])
        claims = await claimed(outbox, 60)
        await outbox.settle([fate(claim, State.REJECTED) for claim in claims], ())
        assert (await outbox.requeue()).pending == 60

    def connect(database: str, /, **options: Any) -> sqlite3.Connection:  # noqa: ANN401 - passed on
        return sqlite3.connect(database, factory=Noting, **options)

    in_outbox(tmp_path / "o.db", work, connect=connect)
    assert len(asked) == 3
