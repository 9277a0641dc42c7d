"""Outcomes: their values, their queue, and the callers that wait for one."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from leadconnector_async import NotSentError, Receipt, Refusal, Rejected, Sent, Unresolved
from leadconnector_async.delivery.results import OutcomeQueue, Waiters, outcome_of
from leadconnector_async.outbox.base import Claim, Lease, Settlement, State

if TYPE_CHECKING:
    from leadconnector_async import Outcome

CLAIM = Claim(Lease("L", 1, 1), 2, 3, 4, b"ikey", b"{}", 0)
SITE = "here"
OTHER_SITE = "there"
DONE = Sent(key="key", location_id="L", receipt=Receipt(message_id="m"))


def test_a_sent_settlement_becomes_a_receipt() -> None:
    """The ids that the API gave; ``found`` only where its answer was lost."""
    settlement = Settlement(CLAIM, State.SENT, 0, 1, "m", "c", "e")
    receipt = Receipt(message_id="m", conversation_id="c", email_message_id="e")
    assert outcome_of(settlement.end, "L") == Sent(key="key", location_id="L", receipt=receipt)
    found = outcome_of(settlement.end._replace(reason="found by looking"), "L")
    assert isinstance(found, Sent)
    assert found.found


def test_a_refusal_is_given_back_whole() -> None:
    """Status, message, code and trace id survive the outbox."""
    detail = b'{"status":400,"message":"no","canonical_code":"X","trace_id":"t"}'
    settlement = Settlement(CLAIM, State.REJECTED, 0, 1, reason="400 no [X]", detail=detail)
    refusal = Refusal(status=400, message="no", canonical_code="X", trace_id="t")
    assert outcome_of(settlement.end, "L") == Rejected(
        key="key", location_id="L", reason="400 no [X]", refusal=refusal
    )
    unresolved = outcome_of(Settlement(CLAIM, State.UNRESOLVED, 0, 1, reason="lost").end, "L")
    assert unresolved == Unresolved(key="key", location_id="L", reason="lost")


async def test_a_consumer_that_lags_holds_the_claiming_back() -> None:
    """Room is cleared when too many outcomes wait, and set again when they are taken."""
    room = asyncio.Event()
    room.set()
    queue = OutcomeQueue(room)
    for _ in range(queue.MAX):
        assert room.is_set()
        queue.put(DONE)
    assert not room.is_set()
    queue.end()
    assert len([outcome async for outcome in queue.drain()]) == queue.MAX
    assert room.is_set()


def wait(waiters: Waiters, seq: int, location: str = SITE) -> asyncio.Future[Outcome]:
    """What a caller does once it knows its record's number."""
    return waiters.wait_for(seq, location)


@pytest.mark.parametrize("others_wait", [False, True])
async def test_an_outcome_that_comes_before_its_waiter_is_kept_for_it(
    others_wait: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """The record was known, and was settled while the caller still learned its number."""
    waiters = Waiters()
    first = wait(waiters, 4) if others_wait else None
    with waiters.submission():
        assert waiters.take(4, DONE) is others_wait
        deferred = wait(waiters, 4)
    assert deferred.result() is DONE
    assert first is None or first.result() is DONE
    assert not waiters


async def test_outcomes_are_kept_for_no_longer_than_a_caller_may_want_them() -> None:
    """Also where there is always a caller who learns its record's number."""
    waiters = Waiters()
    for early in range(3):
        with ExitStack() as stack:
            callers = deque([stack.enter_context(ExitStack()) for _ in range(3)])
            for seq in range(100):
                callers.append(stack.enter_context(ExitStack()))
                callers[-1].enter_context(waiters.submission())
                waiters.note(seq)
                waiters.take(seq, DONE)
                assert all(waiters.noted(seq - n) for n in range(min(seq, early) + 1))
                callers.popleft().close()
                assert not waiters.noted(seq - 9)
                assert waiters.submitting
            assert wait(waiters, 99).result() is DONE
        assert not waiters.submitting
        assert not waiters.noted(99)
    assert not waiters


async def test_callers_of_the_same_record_share_its_outcome() -> None:
    """And each record has its own."""
    waiters = Waiters()
    first, second, other = wait(waiters, 4), wait(waiters, 4), wait(waiters, 5)
    assert waiters.take(4, DONE)
    assert first is second
    assert first.result() is DONE
    assert not other.done()


async def test_a_location_that_stops_fails_its_own_waiters_alone() -> None:
    """The end of the work fails the rest."""
    waiters = Waiters()
    here, there = wait(waiters, 1), wait(waiters, 2, OTHER_SITE)
    waiters.fail_location(SITE, NotSentError("stopped"))
    assert isinstance(here.exception(), NotSentError)
    assert not there.done()
    waiters.fail_all(NotSentError("ended"))
    assert isinstance(there.exception(), NotSentError)
