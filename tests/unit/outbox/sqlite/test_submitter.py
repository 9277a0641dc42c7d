from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from outbox_kit import claimed, crashed, draft, drafts, fate, in_outbox, keys, published

from leadconnector_async.errors import OutboxError
from leadconnector_async.outbox.base import SourcePass, Staged, State, Submission

if TYPE_CHECKING:
    from pathlib import Path

    from leadconnector_async.outbox.sqlite.outbox import SqliteOutbox
    from leadconnector_async.records.draft import Draft


async def admit_all(outbox: SqliteOutbox, batch: list[Draft]) -> list[Submission]:
    """Admit all at the same moment."""
    return list(await asyncio.gather(*map(outbox.submit, batch)))


def test_what_is_submitted_can_be_claimed_at_once(tmp_path: Path) -> None:
    """Without sealing, in date order; callers get the numbers of their own records."""

    async def work(outbox: SqliteOutbox) -> list[str]:
        batch = [draft(str(n), date=-n) for n in range(5)]
        admissions = await admit_all(outbox, batch)
        assert {submission.state for submission in admissions} == {State.PENDING}
        claims = await claimed(outbox, 9)
        seqs = {claim.key.decode(): claim.seq for claim in claims}
        assert [submission.seq for submission in admissions] == [seqs[str(n)] for n in range(5)]
        return keys(claims)

    assert in_outbox(tmp_path / "o.db", work) == ["4", "3", "2", "1", "0"]


def test_submitted_records_survive_a_crash(tmp_path: Path) -> None:
    """A caller that was told the number can rely on it."""
    path = tmp_path / "o.db"

    async def work(outbox: SqliteOutbox) -> Path:
        await admit_all(outbox, drafts(3))
        return crashed(path)

    async def after(outbox: SqliteOutbox) -> list[str]:
        return keys(await claimed(outbox, 9))

    assert in_outbox(in_outbox(path, work), after) == ["l1-0", "l1-1", "l1-2"]


def test_the_same_record_again_has_the_same_number(tmp_path: Path) -> None:
    """By id or by content, in the same moment or later, whatever its state."""

    async def work(outbox: SqliteOutbox) -> None:
        one = draft("a", counted=True)
        first, same = await admit_all(outbox, [one, one])
        assert first == same == Submission(first.seq, State.PENDING, None)
        (claim,) = await claimed(outbox, 1)
        assert await outbox.submit(one) == Submission(first.seq, State.CLAIMED, None)
        await outbox.settle([fate(claim, conversation_id="c")], ())
        again = await outbox.submit(one)
        assert again.state is State.SENT
        assert again.end is not None
        assert again.end.message_id == f"m{first.seq}"
        assert again.end.conversation_id == "c"
        assert again.end.key == b"a"
        assert not await claimed(outbox, 1)

    in_outbox(tmp_path / "o.db", work)


def test_a_failed_record_has_its_reason(tmp_path: Path) -> None:
    """Whether validation or the API refused it."""

    async def work(outbox: SqliteOutbox) -> None:
        refused = await outbox.submit(draft("a", problem="type is missing"))
        await outbox.submit(draft("b"))
        (claim,) = await claimed(outbox, 1)
        await outbox.settle([fate(claim, State.REJECTED, reason="422", detail=b"{}")], ())
        rejected = await outbox.submit(draft("b"))
        for submission, reason, detail in (
            (refused, "type is missing", None),
            (rejected, "422", b"{}"),
        ):
            assert submission.state is State.REJECTED
            assert submission.end is not None
            assert submission.end.reason == reason
            assert submission.end.detail == detail

    in_outbox(tmp_path / "o.db", work)


def test_a_refused_record_can_be_mended(tmp_path: Path) -> None:
    """Then it is claimed like a new one, under its number."""

    async def work(outbox: SqliteOutbox) -> None:
        refused = await outbox.submit(draft("a", problem="no"))
        assert await outbox.submit(draft("a")) == Submission(refused.seq, State.PENDING, None)
        assert [claim.seq for claim in await claimed(outbox, 9)] == [refused.seq]

    in_outbox(tmp_path / "o.db", work)


def test_admitting_beside_staging_seals_only_what_is_submitted(tmp_path: Path) -> None:
    """What is being staged waits for its publish, and is then in the queue once."""

    async def work(outbox: SqliteOutbox) -> list[list[str]]:
        source_pass = SourcePass()
        await outbox.stage([draft("s1")], source_pass)
        await outbox.submit(draft("a1", date=1))
        await outbox.stage([draft("s2")], source_pass)
        early = await claimed(outbox, 9)
        await outbox.settle([fate(claim) for claim in early], ())
        await outbox.publish()
        return [keys(early), keys(await claimed(outbox, 9))]

    assert in_outbox(tmp_path / "o.db", work) == [["a1"], ["s1", "s2"]]


def test_admitting_what_a_crashed_staging_left_makes_it_claimable(tmp_path: Path) -> None:
    """Its caller waits for it, and no one may ever publish the rest."""

    async def work(outbox: SqliteOutbox) -> list[list[str]]:
        await outbox.stage([draft("s1"), draft("s2", problem="no")], SourcePass())
        await outbox.submit(draft("s1"))
        await outbox.submit(draft("s2"))
        first = keys(await claimed(outbox, 9))
        await outbox.publish()
        return [first, keys(await claimed(outbox, 9))]

    assert in_outbox(tmp_path / "o.db", work) == [["s1", "s2"], []]


def test_single_records_leave_nothing_behind_to_publish(tmp_path: Path) -> None:
    """A worker that admits without end must not collect exceptions to the publish."""
    path = tmp_path / "o.db"

    async def work(outbox: SqliteOutbox) -> None:
        await published(outbox, [draft("s"), draft("s")])
        for n in range(20):
            await admit_all(outbox, [draft(f"{n}"), draft(f"{n}"), draft(f"x{n}")])

    in_outbox(path, work)
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT count(*) FROM early").fetchone()
    assert rows == (0,)


def test_a_draft_that_makes_no_sense_fails_its_caller_alone(tmp_path: Path) -> None:
    """Those who asked in the same moment get their answers."""

    async def work(outbox: SqliteOutbox) -> list[object]:
        calls = [draft("a"), draft("b", payload=None), draft("c")]
        return list(await asyncio.gather(*map(outbox.submit, calls), return_exceptions=True))

    one, error, two = in_outbox(tmp_path / "o.db", work)
    assert isinstance(one, Submission)
    assert isinstance(error, ValueError)
    assert isinstance(two, Submission)


def test_a_cancelled_caller_does_not_take_its_record_back(tmp_path: Path) -> None:
    """Nor does it take those of the others with it."""

    async def work(outbox: SqliteOutbox) -> list[str]:
        calls = [asyncio.ensure_future(outbox.submit(draft(key))) for key in "ab"]
        await asyncio.sleep(0)
        calls[0].cancel()
        await asyncio.wait(calls)
        assert calls[1].result().state is State.PENDING
        return keys(await claimed(outbox, 9))

    assert in_outbox(tmp_path / "o.db", work) == ["a", "b"]


def test_admitting_to_a_closed_outbox_fails(tmp_path: Path) -> None:
    """With an error of the outbox, and not in silence."""

    async def work(outbox: SqliteOutbox) -> None:
        await outbox.close()
        with pytest.raises(OutboxError, match="is closed"):
            await outbox.submit(draft("a"))

    in_outbox(tmp_path / "o.db", work)


def test_an_submitted_record_is_known_to_a_later_reading(tmp_path: Path) -> None:
    """There is one outbox for both ways in."""

    async def work(outbox: SqliteOutbox) -> Staged:
        await outbox.submit(draft("a"))
        return await outbox.stage([draft("a"), draft("b")], SourcePass())

    assert in_outbox(tmp_path / "o.db", work) == Staged(1, 1, 0)
