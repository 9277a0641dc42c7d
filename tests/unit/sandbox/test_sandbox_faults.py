from __future__ import annotations

from typing import cast

import pytest

from leadconnector_async.sandbox import FAULT_KINDS, Fault
from leadconnector_async.sandbox.faults import FaultKind, FaultPlan


def hits(
    plan: FaultPlan, count: int, location: str = "loc", alt_id: str | None = None
) -> list[int]:
    """The numbers, from 1, of those of so many requests that meet a fault."""
    numbers = range(1, count + 1)
    return [number for number in numbers if plan.choose("inbound", location, {"altId": alt_id})]


def test_nth_picks_by_number() -> None:
    """``nth`` counts the requests that the rule looks at, from 1."""
    plan = FaultPlan([Fault("drop", nth=(2, 5))], seed=0)
    assert hits(plan, 10) == [2, 5]


def test_a_probability_is_seeded() -> None:
    """The same seed picks the same requests, about as many as the probability says."""
    first, again, other = (FaultPlan([Fault("500", probability=0.1)], seed=s) for s in (1, 1, 2))
    picked = hits(first, 5000)
    assert hits(again, 5000) == picked
    assert hits(other, 5000) != picked
    assert 400 < len(picked) < 600


def test_times_bounds_a_rule() -> None:
    """A rule fires so many times and no more."""
    plan = FaultPlan([Fault("500", times=3)], seed=0)
    assert hits(plan, 10) == [1, 2, 3]
    assert plan.fired == {"500": 3}


def test_rules_look_where_they_are_told_to() -> None:
    """Endpoint, location and altId select the requests; other requests are not counted."""
    plan = FaultPlan(
        [Fault("hang", alt_id="poison"), Fault("503", location="b", nth=(2,))],
        seed=0,
    )
    assert plan.choose("export", "b", {"altId": "poison"}) is None
    assert hits(plan, 3, location="a") == []
    assert hits(plan, 2, location="a", alt_id="poison") == [1, 2]
    assert hits(plan, 3, location="b") == [2]


def test_the_first_rule_wins_and_all_count() -> None:
    """A request that meets two rules shows the fault of the first."""
    plan = FaultPlan([Fault("500", nth=(1,)), Fault("503", nth=(1, 2))], seed=0)
    kinds = [getattr(plan.choose("inbound", "loc", {}), "kind", None) for _ in range(3)]
    assert kinds == ["500", "503", None]


def test_rules_can_be_replaced() -> None:
    """Setting no rule ends all faults."""
    plan = FaultPlan([Fault("500")], seed=0)
    assert plan
    plan.set([])
    assert not plan
    assert hits(plan, 3) == []


@pytest.mark.parametrize(
    ("kind", "when", "probability"),
    [("explode", "before", 1.0), ("drop", "during", 1.0), ("drop", "after", 1.5)],
)
def test_a_rule_that_makes_no_sense_is_refused(kind: str, when: str, probability: float) -> None:
    """A wrong kind, moment or probability is a ValueError."""
    with pytest.raises(ValueError, match=r"unknown fault|before|probability"):
        Fault(kind, when, probability)  # type: ignore[arg-type] # wrong on purpose


def test_every_kind_can_be_named() -> None:
    """All listed kinds make a rule."""
    assert len(FAULT_KINDS) == 30
    for kind in FAULT_KINDS:
        assert Fault(cast("FaultKind", kind)).kind == kind
