from __future__ import annotations

from typing import Literal

import pytest
from msgspec.structs import asdict

from leadconnector_async.cli.app import Exit
from leadconnector_async.cli.commands.run_import import exit_code
from leadconnector_async.delivery.results import RunStats
from leadconnector_async.reports.outbox_status import LocationCounts, OutboxStatus, Tallied
from leadconnector_async.reports.summary import Ending, ImportSummary, summary_of


def summary(  # noqa: PLR0913 - one argument for each count
    ending: Ending,
    *,
    failed: int = 0,
    unresolved: int = 0,
    pending: int = 0,
    read: int = 0,
    answers: int = 3,
    skipped: int = 2,
) -> ImportSummary:
    """What a run came to that ended so."""
    tallied = Tallied(
        read=read or 5 + failed + unresolved + pending + 3,
        sent=5,
        failed=failed,
        unresolved=unresolved,
        pending=pending,
        copies=1,
        left_out=2,
        dismissed=0,
    )
    status = OutboxStatus(
        sent=5,
        failed=failed,
        unresolved=unresolved,
        pending=pending,
        rate=0.0,
        by_reason=[],
        locations=[LocationCounts(location="here", sent=5, failed=0, unresolved=0, pending=0)],
        list_format="csv",
        account=tallied,
    )
    stats = RunStats(read=9, staged=7, skipped=skipped, sent=answers, requests=4, enrichments=1)
    return summary_of(stats, status, ending, elapsed_s=1.23456, outbox="o.db")


@pytest.mark.parametrize(
    ("ending", "status", "code"),
    [
        ("done", {}, Exit.DONE),
        ("done", {"failed": 1}, Exit.FAILED),
        ("done", {"unresolved": 1}, Exit.FAILED),
        ("done", {"pending": 1}, Exit.ERROR),
        ("error", {"failed": 1}, Exit.ERROR),
        ("day_spent", {"failed": 1, "pending": 1}, Exit.DAY_SPENT),
        ("interrupted", {"failed": 1, "pending": 1}, Exit.INTERRUPTED),
        ("planned", {}, Exit.DONE),
    ],
)
def test_the_exit_code_is_what_the_numbers_say(
    ending: str, status: dict[str, int], code: Exit
) -> None:
    """0 means that everything is sent, by this run or an earlier one."""
    found = summary(Ending(ended=ending), **status)  # type: ignore[arg-type]  # as listed
    assert exit_code(found) is code


@pytest.mark.parametrize(("ended", "is_told"), [("interrupted", False), ("staged", True)])
def test_who_stops_amid_reading_meets_no_error_of_ours(
    ended: Literal["interrupted", "staged"], *, is_told: bool
) -> None:
    """The batch that was read then is not counted yet, and the next run reads it again."""
    found = summary(Ending(ended=ended), pending=1, skipped=0)
    assert (found.error is not None) is is_told


def test_what_this_run_did_and_what_stands_are_told_apart() -> None:
    """Sent, skipped and requests are of this run; failed and pending of the outbox."""
    found = asdict(summary(Ending(ended="error", stopped={"here": "401 no"}), failed=9))
    assert (found["staged"], found["skipped"], found["sent"], found["requests"]) == (7, 2, 3, 4)
    assert found["errands"] == 1
    assert (found["failed"], found["elapsed_s"], found["outbox"]) == (9, 1.235, "o.db")
    assert found["locations"][0].error == "401 no"
    assert found["locations"][0].sent == 5


def test_an_account_that_does_not_add_up_is_an_error() -> None:
    """A record that is nowhere is our fault, and is never passed over."""
    assert summary(Ending(ended="done")).error is None
    found = summary(Ending(ended="done"), read=9)
    assert exit_code(found) is Exit.ERROR
    assert "read 9 = 5 sent + 1 copy + 2 left out" in (found.error or "")


def test_answers_that_the_outbox_could_not_keep_are_not_counted_as_sent() -> None:
    """The counts of a run whose store failed agree with its store, and none is below nothing."""
    found = summary(Ending(ended="error", error="disk full"), pending=9, answers=12)
    assert (found.sent, found.sent_before) == (5, 0)
