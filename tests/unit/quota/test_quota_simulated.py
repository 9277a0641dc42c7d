"""The quota against simulated servers: all of what they allow, and not one 429."""

from __future__ import annotations

from typing import Any, Final, get_args

import pytest
from hypothesis import given, strategies as st
from quota_servers import Kind, Scenario, our_quota, simulate
from samples import sampled

from leadconnector_async.quota.limits import RateLimit

KINDS = get_args(Kind)
ROUND_TRIPS = (0.01, 0.1, 0.3)


SCENARIOS: Final[dict[str, dict[str, Any]]] = {
    "first 10 s": {"seconds": 10},
    "60 s": {"seconds": 60},
    "restart": {"restart_after": 25},
    "early restart": {"restart_after": 3},
    "25 announced": {"requests": 25},
    "restart at 25": {"requests": 25, "restart_after": 25},
    "250 announced": {"requests": 250},
    "20 s announced": {"interval": 20},
    "jitter": {"jitter": 0.9, "slow": 0.2},
    "others": {"others": "evenly", "warm_up": 15},
}


@pytest.mark.slow
@sampled("scenario, kind, round_trip", SCENARIOS, KINDS, ROUND_TRIPS)
def test_all_of_the_quota_and_none_of_the_429s(
    scenario: str, kind: Kind, round_trip: float
) -> None:
    """95 % of what the slots allow, whatever the server, the network, and the past."""
    outcome = simulate(Scenario(kind=kind, round_trip=round_trip, **SCENARIOS[scenario]))
    assert outcome.throttled == 0
    assert outcome.used >= 0.95


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_others_that_come_in_bursts_are_left_their_third(kind: Kind) -> None:
    """Their first burst may find us unprepared: what is on its way then is all that is refused."""
    for seed in range(2):
        scenario = Scenario(
            kind=kind, round_trip=0.1, seconds=120, others="in bursts", warm_up=15, seed=seed
        )
        outcome = simulate(scenario)
        assert outcome.throttled <= 5
        assert outcome.used >= 0.95


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "share"),
    [("fixed", 0.985), pytest.param("bucket", 0.995, marks=pytest.mark.full)],
)
def test_a_server_that_forgets_early_is_used_to_the_full(kind: Kind, share: float) -> None:
    """Of the limit itself, with no round trip deducted: its own figures say that it may be."""
    longer, shorter = (
        simulate(Scenario(kind=kind, round_trip=0.3, seconds=seconds)) for seconds in (600, 200)
    )
    assert longer.throttled == 0
    assert longer.sent - shorter.sent >= share * 4000


@pytest.mark.slow
@given(
    st.builds(
        Scenario,
        kind=st.sampled_from(KINDS),
        round_trip=st.floats(0.001, 5.0),
        seconds=st.just(50.0),
        requests=st.integers(1, 60),
        interval=st.sampled_from([1.0, 5.0, 10.0, 30.0]),
        restart_after=st.sampled_from([0.0, 3.0, 20.0]),
        jitter=st.floats(0.0, 1.0),
        slow=st.floats(0.0, 1.0),
        lost=st.sampled_from([0.0, 0.05, 0.5]),
        seed=st.integers(0, 1000),
    )
)
def test_alone_we_are_never_refused(scenario: Scenario) -> None:
    """Any server, any limit, any network; with answers that never come, and after a restart."""
    limit = RateLimit(scenario.requests, scenario.interval)
    assert simulate(scenario, our_quota(limit)).throttled == 0


@pytest.mark.full
def test_an_hour_without_a_break() -> None:
    """36,000 requests, none refused, and nothing wears out."""
    outcome = simulate(Scenario(kind="sliding", round_trip=0.1, seconds=3600))
    assert outcome.throttled == 0
    assert outcome.used >= 0.99


@pytest.mark.parametrize("kind", KINDS)
def test_a_share_leaves_the_rest_untouched(kind: Kind) -> None:
    """Half of the quota is used, nearly all of that half, and no request is refused."""
    outcome = simulate(Scenario(kind=kind, round_trip=0.1), our_quota(RateLimit(), 0.5))
    assert 0.45 <= outcome.used <= 0.52
    assert outcome.throttled == 0
