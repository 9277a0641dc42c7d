"""The quota's promise, against simulated servers in virtual time: nearly all of it, and no 429."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from msgspec.structs import replace

from benchmarks.quota_servers import Kind, Scenario, simulate

KINDS: tuple[Kind, ...] = get_args(Kind)
ANY: dict[str, Any] = {"kind": "sliding", "round_trip": 0.1}
SITUATIONS = {
    "the first ten seconds": Scenario(**ANY, seconds=10),
    "a minute": Scenario(**ANY),
    "after a restart": Scenario(**ANY, restart_after=25),
    "beside others, evenly": Scenario(**ANY, others="evenly", warm_up=15),
    "beside others, in bursts": Scenario(**ANY, others="in bursts", warm_up=15),
    "another limit is announced": Scenario(**ANY, requests=25),
    "another interval is announced": Scenario(**ANY, interval=20),
    "a network that jitters": Scenario(**ANY, jitter=0.9, slow=0.2),
}


@pytest.mark.parametrize("round_trip", [0.01, 0.3])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("situation", SITUATIONS)
def test_no_server_refuses_a_request_of_ours(situation: str, kind: Kind, round_trip: float) -> None:
    """Whatever its window, the network, and whoever else is there."""
    scenario = replace(SITUATIONS[situation], kind=kind, round_trip=round_trip, seed=3)
    assert simulate(scenario).throttled == 0


@pytest.mark.parametrize("kind", KINDS)
def test_nearly_all_of_the_quota_is_used_from_the_first_second_on(kind: Kind) -> None:
    """At least 95 % of what a window that is held for a round trip longer lets through."""
    for seconds in (10, 60):
        scenario = Scenario(kind=kind, round_trip=0.1, seconds=seconds, seed=4)
        assert simulate(scenario).used >= 0.95
