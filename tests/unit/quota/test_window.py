from __future__ import annotations

import asyncio
import heapq
from math import inf

import pytest
from hypothesis import given, strategies as st
from virtual_time import in_virtual_time

from leadconnector_async.api.responses import MAX_FIGURE, SILENT
from leadconnector_async.models import RateLimitHeaders
from leadconnector_async.quota.limits import RateLimit
from leadconnector_async.quota.window import DAY_S, GRAINS, Day, Pacer, Slot, Window

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


def test_what_is_given_back_at_nearly_the_same_moment_is_free_with_the_last() -> None:
    """Kept as one, and no request of it is forgotten by us before the server forgets it."""
    window = Window(10.0)
    for number in range(5):
        window.give_back(take(window, 0.0), number / 1_000)
    assert len(window._held) == 2
    assert window.next_release() == 10.0 + 0.004


@pytest.mark.slow
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


async def passed(pacer: Pacer, seconds: float, weight: float = 1.0) -> int:
    """How many requests pass in that time."""
    loop = asyncio.get_running_loop()
    ends, number = loop.time() + seconds, 0
    while (ready_at := pacer.ready_at(now := loop.time(), weight)) < ends:
        if ready_at > now:
            await asyncio.sleep(ready_at - now)
            continue
        pacer.draw(weight)
        assert loop.time() == pytest.approx(now, abs=1e-6), "drawing waited though it was ready"
        number += 1
    return number


def test_a_small_burst_then_a_little_more_than_the_mean_rate() -> None:
    """A twentieth of the limit at once, then 1.1 times the mean: the slots bound, not the pacer."""
    burst, number = in_virtual_time(_burst_and_rate())
    assert burst == 5
    assert number == pytest.approx(110, abs=2)


async def _burst_and_rate() -> tuple[int, int]:
    pacer = Pacer(RateLimit())
    return await passed(pacer, 0.01), await passed(pacer, 10.0)


def test_twice_the_weight_is_half_the_rate() -> None:
    """So the pace follows what is left to us without another limiter."""
    number = in_virtual_time(_weighted(2.0))
    assert number == pytest.approx(55, abs=3)


def test_a_weight_that_no_burst_holds_still_passes() -> None:
    """Where nearly all is left to others, one passes at a time."""
    assert in_virtual_time(_weighted(1e6)) > 0


async def _weighted(weight: float) -> int:
    return await passed(Pacer(RateLimit()), 10.0, weight)


def test_a_day_is_spent_when_its_limit_is_used() -> None:
    """And not one request earlier."""
    day = Day(3)
    for _ in range(3):
        assert not day.is_spent(0.0)
        day.count(0.0)
    assert day.is_spent(0.0)
    assert day.left == 0


def test_a_day_ends_24_hours_after_its_first_request() -> None:
    """Where the server does not say: no server's day is longer."""
    day = Day(1)
    assert day.ends == inf
    day.count(100.0)
    assert day.ends == 100.0 + DAY_S
    assert day.is_spent(100.0 + DAY_S - 1)
    assert not day.is_spent(100.0 + DAY_S)
    assert day.left == 1


def test_the_server_tells_when_the_day_ends() -> None:
    """``Daily-Reset`` is in milliseconds from now."""
    day = Day(10)
    day.count(0.0)
    day.learn(RateLimitHeaders(daily_reset_ms=60_000), 0, 5.0)
    assert day.ends == 65.0


@pytest.mark.parametrize("reset_ms", [0, 90_000_001, MAX_FIGURE])
def test_an_absurd_reset_is_not_believed(reset_ms: int) -> None:
    """Neither now, nor in more than 25 hours."""
    day = Day(10)
    day.count(0.0)
    day.learn(RateLimitHeaders(daily_reset_ms=reset_ms), 0, 5.0)
    assert day.ends == DAY_S


@pytest.mark.parametrize("remaining", [999, 0])
def test_an_answer_that_comes_after_its_day_leaves_no_day_without_end(remaining: int) -> None:
    """Its figures may be those of the day before: one that never ended was never begun anew."""
    day = Day(1000)
    day.count(0.0)
    assert not day.is_spent(DAY_S)
    day.learn(RateLimitHeaders(daily_remaining=remaining), 0, DAY_S)
    assert day.ends <= 2 * DAY_S


def test_a_day_that_the_server_says_is_spent_earlier_than_counted_is_tried_again_soon() -> None:
    """By its clock, which does not say when it ends, ours may have begun a moment too early."""
    day = Day(1000)
    day.count(0.0)
    day.learn(RateLimitHeaders(daily_remaining=0), 0, 1.0)
    assert day.is_spent(900.0)
    assert not day.is_spent(901.0)
    day.count(901.0)
    day.learn(RateLimitHeaders(daily_remaining=0, daily_reset_ms=9_000_000), 0, 902.0)
    assert day.ends == 902.0 + 9_000.0


def test_no_limit_is_never_spent() -> None:
    """None is no limit, until the server announces one."""
    day = Day(None)
    day.count(0.0)
    assert day.left is None
    assert not day.is_spent(0.0)
    day.learn(RateLimitHeaders(daily_limit=1), 0, 0.0)
    assert day.is_spent(0.0)


def test_a_smaller_remainder_than_ours_is_believed() -> None:
    """Others draw on the same day; what was sent after the figure comes on top."""
    day = Day(1000)
    for _ in range(10):
        day.count(0.0)
    day.learn(RateLimitHeaders(daily_limit=1000, daily_remaining=400), 3, 0.0)
    assert day.used == 603


def test_a_larger_remainder_than_ours_is_not_believed() -> None:
    """It may be of an earlier answer."""
    day = Day(1000, used=500, ends=DAY_S)
    day.learn(RateLimitHeaders(daily_remaining=600), 0, 0.0)
    assert day.used == 500


def test_a_remainder_that_grows_begins_a_new_day() -> None:
    """The server's own figures say so, whatever our clock does."""
    day = Day(1000, used=950, ends=DAY_S)
    day.learn(RateLimitHeaders(daily_remaining=50), 0, 0.0)
    day.learn(RateLimitHeaders(daily_remaining=999), 0, 1.0)
    assert day.used == 1
    assert day.ends == 1.0 + DAY_S


@pytest.mark.parametrize("seen", [SILENT, RateLimitHeaders(daily_remaining=1001)])
def test_missing_and_contradictory_figures_say_nothing(seen: RateLimitHeaders) -> None:
    """More cannot remain than the limit."""
    day = Day(1000, used=10, ends=DAY_S)
    day.learn(seen, 0, 0.0)
    assert day.used == 10


def test_what_was_never_sent_is_not_counted() -> None:
    """Not even where a new day has begun in between."""
    day = Day(10)
    day.count(0.0)
    day.uncount()
    day.uncount()
    assert day.used == 0


def test_a_count_of_an_earlier_process_spends_no_day() -> None:
    """Not before an answer has confirmed it, be it by saying nothing."""
    day = Day(10, used=12, ends=DAY_S, inherited=True)
    assert not day.is_spent(0.0)
    assert day.left == 0
    day.learn(SILENT, 0, 1.0)
    assert day.is_spent(1.0)


def test_the_first_answer_after_a_restart_is_believed() -> None:
    """It went alone: a larger remainder, a larger limit, or a new day."""
    day = Day(950, used=949, ends=DAY_S, inherited=True)
    day.count(0.0)
    day.learn(RateLimitHeaders(daily_limit=1000, daily_remaining=900), 0, 0.0)
    assert (day.announced, day.used, day.left) == (1000, 100, 900)
    day.learn(RateLimitHeaders(daily_remaining=950), 0, 0.0)
    assert day.used == 100


def test_what_was_announced_goes_before_what_was_assumed() -> None:
    """Until the server announces another one."""
    day = Day(200_000, announced=10_000)
    assert day.limit == 10_000
    day.learn(SILENT, 0, 0.0)
    assert (day.limit, day.announced) == (10_000, 10_000)
    assert Day(200_000).announced is None
