from __future__ import annotations

from math import inf

import pytest

from leadconnector_async.api.responses import MAX_FIGURE, SILENT
from leadconnector_async.models import RateLimitHeaders
from leadconnector_async.quota.window import DAY_S, Day


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
