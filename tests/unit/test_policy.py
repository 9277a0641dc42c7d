from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given, strategies as st

from leadconnector_async.policy import Policy


class Largest(Random):
    """The largest wait that could be drawn."""

    def uniform(self, a: float, b: float) -> float:
        """The upper bound; the lower one is 0."""
        assert a == 0
        return b


@pytest.mark.parametrize(
    ("attempt", "most"), [(1, 0.5), (2, 1.0), (3, 2.0), (6, 16.0), (7, 30.0), (5000, 30.0)]
)
def test_the_bound_of_the_wait_doubles_up_to_a_cap(attempt: int, most: float) -> None:
    """min(cap, backoff · 2^(n-1)), however many attempts there were."""
    assert Policy().delay(attempt, Largest()) == most


@given(st.integers(1, 10_000), st.floats(0, 100), st.floats(0, 100), st.randoms())
def test_a_wait_is_random_within_its_bound(
    attempt: int, backoff: float, cap: float, random: Random
) -> None:
    """Full jitter: anything from 0 up to the bound."""
    policy = Policy(backoff=backoff, backoff_cap=cap)
    assert 0 <= policy.delay(attempt, random) <= policy.delay(attempt, Largest())


def test_waits_differ() -> None:
    """Lanes that failed together do not come back together."""
    random = Random(1)
    assert len({Policy().delay(3, random) for _ in range(20)}) == 20


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"attempts": 0}, "attempts"),
        ({"on_unknown": "lok"}, "look, send, hold"),
        ({"look_after": ()}, "look_after"),
        ({"share": 1.5}, "share is 1.5: give `float` <= 1"),
        ({"look_after": (2.0, -1.0)}, "look_after"),
        ({"backoff": -1.0}, "backoff is -1.0: give `float` >= 0"),
        ({"backoff_cap": -1.0}, "backoff_cap"),
        ({"retry_after_cap": -1.0}, "retry_after_cap"),
        ({"patience": -1.0}, "patience"),
        ({"patience": float("nan")}, "patience"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(wrong: dict[str, Any], told: str) -> None:
    """At once and with the field's name: a typing error must not decide about sending twice."""
    with pytest.raises(ValueError, match=told):
        Policy(**wrong)


@pytest.mark.parametrize(
    ("given", "told"), [(8.0, "is a float: give `list`"), (["8"], "is a list: give `float` .*0")]
)
def test_what_is_within_an_argument_is_told_apart_from_it(given: object, told: str) -> None:
    """In Python's words: each of them is not told to be the other one."""
    with pytest.raises(TypeError, match=told):
        Policy(look_after=given)  # type: ignore[arg-type] # wrong on purpose


def test_a_policy_may_be_impatient() -> None:
    """One attempt, no waits, one look are a policy."""
    policy = Policy(attempts=1, backoff=0, look_after=(0.0,), patience=0, on_unknown="hold")
    assert policy.delay(1, Random(1)) == 0


def test_a_policy_is_frozen() -> None:
    """It is made at the edge and handed down."""
    with pytest.raises(AttributeError):
        Policy().attempts = 9  # type: ignore[misc]
