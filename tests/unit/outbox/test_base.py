from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from leadconnector_async.outbox.source_pass import SourcePass

RUNS = st.lists(st.tuples(st.integers(1, 90), st.integers(0, 60)), max_size=4)


@pytest.mark.slow
@given(RUNS)
def test_meeting_a_run_is_meeting_each_of_it(runs: list[tuple[int, int]]) -> None:
    """Wherever in a byte it begins and ends, and whatever was met before."""
    at_once, one_by_one = SourcePass(), SourcePass()
    for first, count in runs:
        at_once.meet_new(first, first + count)
        for seq in range(first, first + count):
            one_by_one.meet(seq)
    for seq in range(160):
        assert at_once.has_met(seq) == one_by_one.has_met(seq)
