from __future__ import annotations

from random import Random

import msgspec
import pytest

from leadconnector_async.api.reconciliation import Found, Inconclusive, LookupFailed, NotFound
from leadconnector_async.api.responses import Forbidden, Indeterminate, Refused
from leadconnector_async.delivery import decisions
from leadconnector_async.delivery.decisions import (
    MAX_LOOKUP_FAILURES,
    Reconcile,
    Retry,
    Settle,
    StopLocation,
    after_response,
    after_search,
    in_doubt,
    reason_of,
    unresolved,
)
from leadconnector_async.delivery.lane import InDoubt
from leadconnector_async.models import Refusal
from leadconnector_async.outbox.base import State
from leadconnector_async.policy import OnUnknown, Policy

NO = Refusal(status=400, message="no", canonical_code="CODE", trace_id="t1")
DOWN = Refusal(status=502, message="bad gateway")
LOOK = Policy(look_after=(2.0, 8.0), attempts=3)


class Half(Random):
    """Half of the bound, each time."""

    def uniform(self, a: float, b: float) -> float:
        """The middle."""
        return (a + b) / 2


def response_step(
    classification: Refused | Forbidden | Indeterminate,
    attempts: int = 1,
    retry_after: float | None = None,
    policy: Policy = LOOK,
) -> decisions.Decision:
    """The step after a classification."""
    return after_response(
        classification, attempts=attempts, retry_after=retry_after, policy=policy, random=Half()
    )


def look_step(
    finding: NotFound | Found | Inconclusive | LookupFailed,
    *,
    looks: int = 1,
    troubles: int = 0,
    attempts: int = 1,
    policy: Policy = LOOK,
) -> decisions.Decision:
    """The step after a look, which ``looks`` or ``troubles`` counts."""
    doubt = InDoubt("502 bad gateway", looks, troubles)
    return after_search(finding, doubt, attempts=attempts, policy=policy, random=Half())


def test_what_is_refused_has_ended() -> None:
    """Rejected: the reason can be counted, the detail has what differs per record."""
    step = response_step(Refused(NO))
    assert isinstance(step, Settle)
    assert (step.state, step.reason) == (State.REJECTED, "400 no [CODE]")
    assert msgspec.json.decode(step.detail or b"", type=Refusal) == NO


def test_a_token_that_is_refused_stops_the_location() -> None:
    """At once: the session has renewed it where that could help."""
    assert response_step(Forbidden(NO)) == StopLocation(NO)


def test_an_unknown_fate_is_looked_for() -> None:
    """After the settling time, whatever Retry-After asks for: that is for sending it again."""
    step = response_step(Indeterminate(DOWN), retry_after=90.0)
    assert step == Reconcile(2.0, "502 bad gateway", 90.0)
    assert response_step(Indeterminate(DOWN), attempts=99) == Reconcile(2.0, "502 bad gateway")


def test_an_unknown_fate_is_held_where_that_was_chosen() -> None:
    """At the risk that the record is missing."""
    step = response_step(Indeterminate(DOWN), policy=Policy(on_unknown="hold"))
    assert step == Settle(State.UNRESOLVED, reason="may have been stored: 502 bad gateway")
    assert step == unresolved("502 bad gateway")


@pytest.mark.parametrize(
    ("attempts", "retry_after", "step"),
    [
        (1, None, Retry(0.25)),
        (2, None, Retry(0.5)),
        (1, 7.0, Retry(7.0)),
        (2, 0.0, Retry(0.5)),
        (3, None, unresolved("502 bad gateway")),
        (4, 7.0, unresolved("502 bad gateway")),
    ],
)
def test_an_unknown_fate_is_sent_again_where_that_was_chosen(
    attempts: int, retry_after: float | None, step: decisions.Decision
) -> None:
    """After a random wait, or as long as Retry-After says, up to the last attempt."""
    policy = Policy(on_unknown="send", attempts=3)
    assert response_step(Indeterminate(DOWN), attempts, retry_after, policy) == step


@pytest.mark.parametrize(
    ("on_unknown", "step"),
    [
        ("look", Reconcile(2.0, "no answer")),
        ("hold", unresolved("no answer")),
        ("send", Retry(5.0)),
    ],
)
def test_no_answer_is_an_unknown_fate(on_unknown: OnUnknown, step: decisions.Decision) -> None:
    """The same three choices as for an answer that says nothing."""
    policy = Policy(on_unknown=on_unknown)
    assert in_doubt("no answer", attempts=1, delay=5.0, policy=policy) == step


def test_what_is_found_has_ended() -> None:
    """Sent, with the ids of the message, and a note that its answer was lost."""
    step = look_step(Found("m1", "v1"))
    assert isinstance(step, Settle)
    assert (step.state, step.message_id, step.conversation_id) == (State.SENT, "m1", "v1")
    assert step.reason == decisions.FOUND


def test_what_cannot_be_looked_for_stays_unresolved() -> None:
    """With the reason of the doubt, and why looking cannot help."""
    assert look_step(Inconclusive("403 no")) == Settle(
        State.UNRESOLVED,
        reason="may have been stored (502 bad gateway), and cannot be looked for: 403 no",
    )


@pytest.mark.parametrize(
    ("troubles", "delay"), [(0, 0.5), (1, 1.0), (2, 2.0), (MAX_LOOKUP_FAILURES - 1, 16.0)]
)
def test_a_look_that_failed_is_repeated(troubles: int, delay: float) -> None:
    """At growing intervals, and the reason stays that of the doubt."""
    assert look_step(LookupFailed("500"), troubles=troubles) == Reconcile(delay, "502 bad gateway")


def test_the_wait_between_looks_is_capped() -> None:
    """By the policy's cap, as every wait."""
    policy = Policy(backoff=20.0, backoff_cap=30.0)
    assert look_step(LookupFailed("500"), troubles=3, policy=policy) == Reconcile(
        30.0, "502 bad gateway"
    )


def test_looks_that_keep_failing_are_given_up() -> None:
    """The record may be stored, and nobody knows."""
    assert look_step(LookupFailed("500"), troubles=MAX_LOOKUP_FAILURES) == unresolved("500")


def test_a_record_is_missed_only_after_the_settling_time() -> None:
    """Reads lag behind writes: the looks are as far apart as the policy says."""
    policy = Policy(look_after=(2.0, 8.0, 8.0, 5.0, 20.0))
    waits = [look_step(NotFound(), looks=looks, policy=policy) for looks in (1, 2, 3, 4)]
    assert waits == [Reconcile(wait, "502 bad gateway") for wait in (6.0, 0.0, 0.0, 15.0)]
    assert look_step(NotFound(), looks=5, policy=policy) == Retry(0.25)


@pytest.mark.parametrize("looks", [2, 3])
def test_what_is_missing_is_sent_again(looks: int) -> None:
    """After a random wait, or at once if it was perhaps never sent."""
    assert look_step(NotFound(), looks=looks, attempts=1) == Retry(0.25)
    assert look_step(NotFound(), looks=looks, attempts=2) == Retry(0.5)
    assert look_step(NotFound(), looks=looks, attempts=0) == Retry(0.0)


@pytest.mark.parametrize(("retry_after", "wait"), [(5.0, 0.25), (90.0, 82.0)])
def test_what_is_missing_is_sent_again_when_its_answer_allows(
    retry_after: float, wait: float
) -> None:
    """Not before Retry-After, of which the looks have taken their part."""
    doubt = InDoubt("503 service unavailable", 2, retry_after=retry_after)
    step = after_search(NotFound(), doubt, attempts=1, policy=LOOK, random=Half())
    assert step == Retry(wait)


def test_what_keeps_missing_is_rejected() -> None:
    """After the last attempt it is proven not to be stored: a poison record ends."""
    step = look_step(NotFound(), looks=2, attempts=3)
    reason = "502 bad gateway (in 3 attempts)"
    assert step == Settle(State.REJECTED, reason=reason, exhausted=True)


def test_one_look_may_be_enough() -> None:
    """A policy with a single look decides by it."""
    policy = Policy(look_after=(4.0,))
    assert in_doubt("no answer", attempts=1, delay=0.0, policy=policy) == Reconcile(
        4.0, "no answer"
    )
    assert look_step(NotFound(), looks=1, policy=policy) == Retry(0.25)


def test_a_reason_can_be_counted() -> None:
    """Without the trace id, which is another for each record."""
    assert reason_of(NO) == "400 no [CODE]"
    assert reason_of(DOWN) == "502 bad gateway"
