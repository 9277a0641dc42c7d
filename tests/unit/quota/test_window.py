from __future__ import annotations

import heapq
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadconnector_async.quota.window import GRAINS, Slot, Window

WAITS = st.floats(0.0, 3.0, allow_subnormal=False)


def take(window: Window, now: float) -> Slot:
    """Take a slot that remembers no figures."""
    return window.take(now, -inf)


def test_a_slot_is_free_an_interval_after_its_answer() -> None:
    """Not an interval after it was taken: what counts is when the request arrived."""
    window = Window(10.0)
    slot = take(window, 0.0)
    window.give_back(slot, 4.0)
    window.expire(13.9)
    assert (window.used, window.next_release()) == (1, 14.0)
    window.expire(14.0)
    assert (window.used, window.next_release()) == (0, inf)


def test_a_slot_that_was_not_used_is_free_at_once() -> None:
    """Its request never left."""
    window = Window(10.0)
    window.unused(take(window, 0.0))
    assert window.used == 0


def test_a_slot_is_given_back_once() -> None:
    """A second time is a bug of the caller, and would let too many through."""
    window = Window(10.0)
    slot = take(window, 0.0)
    window.give_back(slot, 1.0)
    with pytest.raises(RuntimeError, match="slot 1 was given back before"):
        window.unused(slot)
    assert window.used == 1


def test_a_longer_interval_holds_what_is_held_for_longer() -> None:
    """The interval is the server's, and it may announce another one."""
    window = Window(10.0)
    window.give_back(take(window, 0.0), 1.0)
    window.interval = 60.0
    window.expire(60.9)
    assert window.used == 1


def test_memory_is_flat_however_large_the_limit() -> None:
    """A million slots in ten seconds are kept in some hundred pairs, and released in time."""
    window = Window(10.0)
    for number in range(200_000):
        window.give_back(take(window, 0.0), number / 20_000)
    assert len(window._held) <= 2 * (GRAINS + 1)
    window.expire(10.0 + 5.0)
    assert window.used == pytest.approx(100_000, rel=0.005)
    window.expire(20.0)
    assert window.used == 0


@given(st.lists(WAITS, max_size=60), WAITS)
def test_no_slot_is_released_early_and_none_much_too_late(waits: list[float], later: float) -> None:
    """Against a list of all returns: at least that, and at most that of a grain earlier."""
    window, returns, now = Window(1.0), [], 0.0
    for wait in waits:
        slot = take(window, now)
        now += wait
        window.expire(now)
        window.give_back(slot, now)
        returns.append(now)
    now += later
    window.expire(now)
    assert window.used >= sum(at + 1.0 > now for at in returns)
    assert window.used <= sum(at + 1.0 + 1.0 / GRAINS >= now for at in returns)


@given(
    st.lists(st.floats(0.0, 2.0), max_size=80),
    st.floats(0.0, 2.0),
    st.floats(0.0, 1.0),
    st.lists(st.floats(0.0, 3.0), min_size=5, max_size=20),
)
def test_another_process_goes_on_without_releasing_anything_early(
    ago: list[float], in_flight: float, pause: float, later: list[float]
) -> None:
    """Two numbers carry the window over: never less is in use than would have been."""
    window = Window(1.0)
    for at in sorted(2.0 - each for each in ago):
        window.expire(at)
        window.give_back(take(window, at), at)
    window.expire(2.0)
    flying = [take(window, 2.0) for _ in range(round(in_flight))]
    used, free_at = window.used, window.evenly_free_at(2.0)
    for slot in flying:
        window.give_back(slot, 2.0)
    heir = Window(1.0)
    heir.inherit(used, free_at, 2.0 + pause)
    for wait in sorted(later):
        window.expire(2.0 + pause + wait)
        heir.expire(2.0 + pause + wait)
        assert heir.used >= window.used
    heir.expire(2.0 + pause + 1.0 + 1e-9)
    assert heir.used == 0


def test_a_steady_rate_goes_on_almost_unchanged() -> None:
    """Half a window later about half of the slots are free, as they would have been."""
    window = Window(10.0)
    for number in range(100):
        window.give_back(take(window, number / 10), number / 10)
    heir = Window(10.0)
    heir.inherit(window.used, window.evenly_free_at(9.9), 9.9)
    heir.expire(15.0)
    assert 50 <= heir.used <= 55


def test_an_heir_is_free_an_interval_later_whatever_it_is_told() -> None:
    """A clock that jumped back by a year stops nothing for more than an interval."""
    heir = Window(10.0)
    heir.inherit(100, 31_536_000.0, 5.0)
    heir.expire(14.9)
    assert heir.used == 100
    heir.expire(15.0)
    assert heir.used == 0


@given(
    st.integers(1, 8),
    st.lists(st.tuples(st.integers(0, 25), st.integers(0, 25)), min_size=1, max_size=80),
)
def test_no_interval_sees_more_arrivals_than_there_are_slots(
    limit: int, delays: list[tuple[int, int]]
) -> None:
    """Whatever the way there and the way back take: the theorem of the module."""
    window, now = Window(10.0), 0.0
    arrivals: list[float] = []
    answers: list[tuple[float, int, Slot]] = []
    for there, back in delays:
        while window.used >= limit:
            now = min(answers[0][0] if answers else inf, window.next_release())
            while answers and answers[0][0] <= now:
                window.give_back(heapq.heappop(answers)[2], now)
            window.expire(now)
        slot = take(window, now)
        arrivals.append(now + there)
        heapq.heappush(answers, (now + there + back, slot.number, slot))
    for arrival in arrivals:
        assert sum(arrival - 10 < other <= arrival for other in arrivals) <= limit
