from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING, Any, cast, get_args

import pytest

from leadconnector_async.sandbox import FAULT_KINDS, Fault, Latency, Limits, Reads, SandboxConfig
from leadconnector_async.sandbox.app import ROUTES
from leadconnector_async.sandbox.faults import Endpoint, FaultKind, FaultPlan

if TYPE_CHECKING:
    from collections.abc import Callable


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
    with pytest.raises(ValueError, match=r"one of drop|one of before|probability is 1.5"):
        Fault(kind, when, probability)  # type: ignore[arg-type] # wrong on purpose


@pytest.mark.parametrize(
    "wrong",
    [
        {"endpoint": "typo"},
        {"times": 0},
        {"times": -1},
        {"nth": (0,)},
        {"seconds": -1.0},
        {"status": 42},
    ],
)
def test_a_rule_that_nothing_would_meet_is_refused(wrong: dict[str, Any]) -> None:
    """Its test would pass without its fault, or the sandbox would fail when it is met."""
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} is .*: give"):
        Fault("500", **wrong)
    with pytest.raises(TypeError, match="nth is a int: give"):
        Fault("500", nth=3)  # type: ignore[arg-type] # wrong on purpose


def test_a_rule_names_endpoints_that_there_are() -> None:
    """Each one, and all of them."""
    assert {"*", *(route.name for route in ROUTES)} == set(get_args(Endpoint))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Limits(max=0),
        lambda: Limits(interval=nan),
        lambda: Limits(window="round"),  # type: ignore[arg-type] # wrong on purpose
        lambda: Latency(up=-1.0),
        lambda: Reads(lag=-1.0),
        lambda: SandboxConfig(created_status=404),  # type: ignore[arg-type] # the same
    ],
)
def test_settings_that_make_no_sense_are_refused(make: Callable[[], object]) -> None:
    """When they are made, by their names."""
    with pytest.raises(ValueError, match=r"\w+ is .*: give"):
        make()


def test_every_kind_can_be_named() -> None:
    """All listed kinds make a rule."""
    assert len(FAULT_KINDS) == 30
    for kind in FAULT_KINDS:
        assert Fault(cast("FaultKind", kind)).kind == kind
