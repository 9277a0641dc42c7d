from __future__ import annotations

from random import Random

import msgspec
import pytest

from leadconnector_async._api.answers import Barred, Refused, Renew, Unknown
from leadconnector_async._api.search import Absent, Found, Impossible, Trouble
from leadconnector_async._engine import steps
from leadconnector_async._engine.steps import (
    MOST_TROUBLES,
    Again,
    Bar,
    End,
    Look,
    after_look,
    after_verdict,
    held,
    in_doubt,
    reason_of,
)
from leadconnector_async._engine.unsettled import Doubt
from leadconnector_async._messages import Refusal
from leadconnector_async._outbox.interface import State
from leadconnector_async._policy import OnUnknown, Policy

NO = Refusal(status=400, message="no", canonical_code="CODE", trace_id="t1")
DOWN = Refusal(status=502, message="bad gateway")
LOOK = Policy(look_after=(2.0, 8.0), attempts=3)


class Half(Random):
    """Half of the bound, each time."""

    def uniform(self, a: float, b: float) -> float:
        """The middle."""
        return (a + b) / 2


def verdict_step(
    verdict: Refused | Renew | Barred | Unknown,
    attempts: int = 1,
    retry_after: float | None = None,
    policy: Policy = LOOK,
) -> steps.Step:
    """The step after a verdict."""
    return after_verdict(
        verdict, attempts=attempts, retry_after=retry_after, policy=policy, random=Half()
    )


def look_step(
    finding: Absent | Found | Impossible | Trouble,
    *,
    looks: int = 1,
    troubles: int = 0,
    attempts: int = 1,
    policy: Policy = LOOK,
) -> steps.Step:
    """The step after a look, which ``looks`` or ``troubles`` counts."""
    doubt = Doubt("502 bad gateway", looks, troubles)
    return after_look(finding, doubt, attempts=attempts, policy=policy, random=Half())


def test_what_is_refused_has_ended() -> None:
    """Rejected: the reason can be counted, the detail has what differs per record."""
    step = verdict_step(Refused(NO))
    assert isinstance(step, End)
    assert (step.state, step.reason) == (State.REJECTED, "400 no [CODE]")
    assert msgspec.json.decode(step.detail or b"", type=Refusal) == NO


@pytest.mark.parametrize("verdict", [Barred(NO), Renew(NO)])
def test_a_token_that_is_refused_stops_the_location(verdict: Barred | Renew) -> None:
    """At once, or once renewing it did not help."""
    assert verdict_step(verdict) == Bar(NO)


def test_an_unknown_fate_is_looked_for() -> None:
    """After the settling time, whatever Retry-After asks for."""
    assert verdict_step(Unknown(DOWN), retry_after=90.0) == Look(2.0, "502 bad gateway")
    assert verdict_step(Unknown(DOWN), attempts=99) == Look(2.0, "502 bad gateway")


def test_an_unknown_fate_is_held_where_that_was_chosen() -> None:
    """At the risk that the record is missing."""
    step = verdict_step(Unknown(DOWN), policy=Policy(on_unknown="hold"))
    assert step == End(State.UNRESOLVED, reason="may have been stored: 502 bad gateway")
    assert step == held("502 bad gateway")


@pytest.mark.parametrize(
    ("attempts", "retry_after", "step"),
    [
        (1, None, Again(0.25)),
        (2, None, Again(0.5)),
        (1, 7.0, Again(7.0)),
        (2, 0.0, Again(0.5)),
        (3, None, held("502 bad gateway")),
        (4, 7.0, held("502 bad gateway")),
    ],
)
def test_an_unknown_fate_is_sent_again_where_that_was_chosen(
    attempts: int, retry_after: float | None, step: steps.Step
) -> None:
    """After a random wait, or as long as Retry-After says, up to the last attempt."""
    policy = Policy(on_unknown="send", attempts=3)
    assert verdict_step(Unknown(DOWN), attempts, retry_after, policy) == step


@pytest.mark.parametrize(
    ("on_unknown", "step"),
    [("look", Look(2.0, "no answer")), ("hold", held("no answer")), ("send", Again(5.0))],
)
def test_no_answer_is_an_unknown_fate(on_unknown: OnUnknown, step: steps.Step) -> None:
    """The same three choices as for an answer that says nothing."""
    policy = Policy(on_unknown=on_unknown)
    assert in_doubt("no answer", attempts=1, delay=5.0, policy=policy) == step


def test_what_is_found_has_ended() -> None:
    """Sent, with the ids of the message, and a note that its answer was lost."""
    step = look_step(Found("m1", "v1"))
    assert isinstance(step, End)
    assert (step.state, step.message_id, step.conversation_id) == (State.SENT, "m1", "v1")
    assert step.reason == steps.FOUND


def test_what_cannot_be_looked_for_stays_unresolved() -> None:
    """With the reason of the doubt, and why looking cannot help."""
    assert look_step(Impossible("403 no")) == End(
        State.UNRESOLVED,
        reason="may have been stored (502 bad gateway), and cannot be looked for: 403 no",
    )


@pytest.mark.parametrize(
    ("troubles", "delay"), [(0, 0.5), (1, 1.0), (2, 2.0), (MOST_TROUBLES - 1, 16.0)]
)
def test_a_look_that_failed_is_repeated(troubles: int, delay: float) -> None:
    """At growing intervals, and the reason stays that of the doubt."""
    assert look_step(Trouble("500"), troubles=troubles) == Look(delay, "502 bad gateway")


def test_the_wait_between_looks_is_capped() -> None:
    """By the policy's cap, as every wait."""
    policy = Policy(backoff=20.0, backoff_cap=30.0)
    assert look_step(Trouble("500"), troubles=3, policy=policy) == Look(30.0, "502 bad gateway")


def test_looks_that_keep_failing_are_given_up() -> None:
    """The record may be stored, and nobody knows."""
    assert look_step(Trouble("500"), troubles=MOST_TROUBLES) == held("500")


def test_a_record_is_missed_only_after_the_settling_time() -> None:
    """Reads lag behind writes: the looks are as far apart as the policy says."""
    policy = Policy(look_after=(2.0, 8.0, 8.0, 5.0, 20.0))
    waits = [look_step(Absent(), looks=looks, policy=policy) for looks in (1, 2, 3, 4)]
    assert waits == [Look(wait, "502 bad gateway") for wait in (6.0, 0.0, 0.0, 15.0)]
    assert look_step(Absent(), looks=5, policy=policy) == Again(0.25)


@pytest.mark.parametrize("looks", [2, 3])
def test_what_is_missing_is_sent_again(looks: int) -> None:
    """After a random wait, or at once if it was perhaps never sent."""
    assert look_step(Absent(), looks=looks, attempts=1) == Again(0.25)
    assert look_step(Absent(), looks=looks, attempts=2) == Again(0.5)
    assert look_step(Absent(), looks=looks, attempts=0) == Again(0.0)


def test_what_keeps_missing_is_rejected() -> None:
    """After the last attempt it is proven not to be stored: a poison record ends."""
    step = look_step(Absent(), looks=2, attempts=3)
    assert step == End(State.REJECTED, reason="502 bad gateway (in 3 attempts)")


def test_one_look_may_be_enough() -> None:
    """A policy with a single look decides by it."""
    policy = Policy(look_after=(4.0,))
    assert in_doubt("no answer", attempts=1, delay=0.0, policy=policy) == Look(4.0, "no answer")
    assert look_step(Absent(), looks=1, policy=policy) == Again(0.25)


def test_a_reason_can_be_counted() -> None:
    """Without the trace id, which is another for each record."""
    assert reason_of(NO) == "400 no [CODE]"
    assert reason_of(DOWN) == "502 bad gateway"
