from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from outbox_kit import claimed, draft, drafts, in_outbox, keys, published

from leadconnector_async.outbox.base import SourcePass
from leadconnector_async.outbox.sqlite.claims import Claims
from leadconnector_async.outbox.sqlite.connection import open_to_write
from leadconnector_async.outbox.sqlite.enqueuer import Enqueuer
from leadconnector_async.outbox.sqlite.lookups import Lookups
from leadconnector_async.records.deferred import Deferred

if TYPE_CHECKING:
    from pathlib import Path

    from leadconnector_async.outbox.sqlite.outbox import SqliteOutbox
    from leadconnector_async.records.draft import Draft


def test_publishing_goes_on_where_a_crash_ended_it(tmp_path: Path) -> None:
    """A large one takes several transactions; each leaves the file in order."""
    path = tmp_path / "o.db"

    async def stage(outbox: SqliteOutbox) -> None:
        await outbox.stage(drafts(25, lanes=3), SourcePass())

    async def finish(outbox: SqliteOutbox) -> list[str]:
        await outbox.publish()
        return keys(await claimed(outbox, 100))

    in_outbox(path, stage)
    with closing(open_to_write(str(path), sqlite3.connect)) as connection:
        enqueuer = Enqueuer(connection, Claims(connection), Lookups(connection), at_most=10)
        assert not enqueuer.publish()
    assert sorted(in_outbox(path, finish)) == sorted(draft.key.decode() for draft in drafts(25))


def test_a_publish_can_take_several_transactions(tmp_path: Path) -> None:
    """It says when it is done, and then does nothing more."""
    path = tmp_path / "o.db"

    async def stage(outbox: SqliteOutbox) -> None:
        await outbox.stage(drafts(25, lanes=3), SourcePass())

    in_outbox(path, stage)
    with closing(open_to_write(str(path), sqlite3.connect)) as connection:
        enqueuer = Enqueuer(connection, Claims(connection), Lookups(connection), at_most=10)
        assert [enqueuer.publish() for _ in range(4)] == [False, False, True, True]
        (queued,) = connection.execute("SELECT count(*) FROM queue").fetchone()
    assert queued == 25


def test_refused_records_are_not_published(tmp_path: Path) -> None:
    """They have their end already."""

    async def work(outbox: SqliteOutbox) -> list[str]:
        await published(outbox, [draft("a", problem="no"), draft("b")])
        return keys(await claimed(outbox, 9))

    assert in_outbox(tmp_path / "o.db", work) == ["b"]


def test_only_locations_with_something_to_do_are_named(tmp_path: Path) -> None:
    """In the order in which they were first seen."""

    async def work(outbox: SqliteOutbox) -> list[object]:
        batch = [draft("a", location="z"), draft("b", location="y", problem="no"), draft("c")]
        await outbox.stage(batch, SourcePass())
        before = await outbox.locations()
        await outbox.publish()
        return [before, await outbox.locations(), await outbox.unsent()]

    assert in_outbox(tmp_path / "o.db", work) == [[], ["z", "l1"], {"z": 1, "l1": 1}]


def test_a_mail_that_was_published_ahead_keeps_its_place(tmp_path: Path) -> None:
    """It may be on its way; the others are put into the order of their threads."""

    def mail(name: str, date: int, *answers: str) -> Draft:
        deferred = Deferred(mail=name, answers=list(answers))
        sent = draft(name, date=date)
        return sent._replace(deferred=deferred.encoded(), traits=int(deferred.traits))

    async def work(outbox: SqliteOutbox) -> list[str]:
        await outbox.stage([mail("q", 9), mail("b", 2, "q")], SourcePass())
        await outbox.submit(mail("a", 1, "q"))
        await outbox.publish()
        return keys(await claimed(outbox, 9))

    assert in_outbox(tmp_path / "o.db", work) == ["a", "q", "b"]
