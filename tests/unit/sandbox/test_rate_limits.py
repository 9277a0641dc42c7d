from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given, strategies as st

from leadconnector_async.sandbox import NO_LIMITS, Limits
from leadconnector_async.sandbox.rate_limits import RateLimiter

WINDOWS: tuple[Literal["fixed", "sliding", "bucket"], ...] = ("fixed", "sliding", "bucket")


def admitted(limiter: RateLimiter, *times: float) -> int:
    """Ask at each of these seconds; count how often it was let through."""
    return sum(limiter.allow(at).allowed for at in times)


@pytest.mark.parametrize("window", WINDOWS)
def test_no_window_lets_more_through_at_once(window: Literal["fixed", "sliding", "bucket"]) -> None:
    """Whatever its kind, a window lets ``max`` requests through at one moment, and no more."""
    limiter = RateLimiter(Limits(window=window, max=10, interval=10.0))
    assert admitted(limiter, *[5.0] * 25) == 10


def test_a_fixed_window_forgets_at_its_end() -> None:
    """It starts with the first request, and lets twice the figure through around its end."""
    limiter = RateLimiter(Limits(max=10, interval=10.0))
    assert admitted(limiter, 3.0, *[12.9] * 20) == 10
    assert admitted(limiter, *[13.0] * 20) == 10


def test_a_phase_aligns_fixed_windows_to_the_clock() -> None:
    """With a phase the window ends at a tick, whenever its first request came."""
    limiter = RateLimiter(Limits(max=10, interval=10.0, phase=2.0))
    assert admitted(limiter, *[11.9] * 12) == 10
    assert admitted(limiter, *[12.0] * 12) == 10


@pytest.mark.slow
@given(st.lists(st.floats(0, 3), min_size=1, max_size=80))
def test_a_sliding_window_bounds_every_stretch(gaps: list[float]) -> None:
    """No stretch of one interval holds more than ``max`` admitted requests."""
    limiter = RateLimiter(Limits(window="sliding", max=5, interval=10.0))
    now, times = 0.0, []
    for gap in gaps:
        now += gap
        if limiter.allow(now).allowed:
            times.append(now)
    for start in times:
        assert sum(start <= at < start + 10.0 for at in times) <= 5


def test_a_sliding_window_forgets_one_by_one() -> None:
    """Room returns an interval after each arrival, not before and not later."""
    limiter = RateLimiter(Limits(window="sliding", max=2, interval=10.0))
    assert admitted(limiter, 0.0, 5.0, 9.9) == 2
    assert admitted(limiter, 10.0, 10.0) == 1
    assert admitted(limiter, 15.0, 15.0) == 1


def test_a_bucket_refills_evenly() -> None:
    """An empty bucket gives one request back every ``interval / max`` seconds."""
    limiter = RateLimiter(Limits(window="bucket", max=10, interval=10.0))
    assert admitted(limiter, *[0.0] * 10) == 10
    assert admitted(limiter, 0.9) == 0
    assert admitted(limiter, 1.0, 1.5) == 1
    assert admitted(limiter, *[100.0] * 30) == 10


def test_the_headers_tell_the_quota() -> None:
    """Every figure of the API's documentation, after this request was counted."""
    limiter = RateLimiter(Limits(max=3, interval=10.0, daily=50, day=86_400.0))
    limiter.allow(0.0)
    assert limiter.allow(1.0).headers == {
        "X-RateLimit-Max": "3",
        "X-RateLimit-Remaining": "1",
        "X-RateLimit-Interval-Milliseconds": "10000",
        "X-RateLimit-Limit-Daily": "50",
        "X-RateLimit-Daily-Remaining": "48",
        "X-RateLimit-Daily-Reset": "86399000",
    }


@pytest.mark.parametrize(("window", "wait"), [("fixed", "8"), ("sliding", "8"), ("bucket", "3")])
def test_a_refusal_says_when_to_come_back(
    window: Literal["fixed", "sliding", "bucket"], wait: str
) -> None:
    """Retry-After is whole seconds, rounded up."""
    limiter = RateLimiter(Limits(window=window, max=2, interval=10.0))
    limiter.allow(0.0)
    limiter.allow(0.0)
    ruling = limiter.allow(2.1)
    assert not ruling.allowed
    assert ruling.headers["Retry-After"] == wait
    assert ruling.headers["X-RateLimit-Remaining"] == "0"


def test_a_refusal_may_say_nothing() -> None:
    """Both the figures and Retry-After can be turned off."""
    limiter = RateLimiter(Limits(max=1, retry_after=False, headers=False))
    limiter.allow(0.0)
    assert not limiter.allow(0.0).allowed
    assert limiter.allow(0.0).headers == {}


def test_the_day_s_budget_ends_and_returns() -> None:
    """The day is spent after ``daily`` requests, and a refused request costs none of it."""
    limiter = RateLimiter(Limits(max=2, interval=10.0, daily=3, day=100.0))
    assert admitted(limiter, 0.0, 0.0, 0.0, 10.0, 20.0, 99.0) == 3
    ruling = limiter.allow(99.5)
    assert ruling.headers["X-RateLimit-Daily-Remaining"] == "0"
    assert ruling.headers["X-RateLimit-Daily-Reset"] == "500"
    assert ruling.headers["Retry-After"] == "1"
    assert admitted(limiter, 100.0) == 1


def test_without_limits_nothing_is_counted_and_much_is_announced() -> None:
    """A client learns that it need not pace."""
    limiter = RateLimiter(NO_LIMITS)
    assert admitted(limiter, *[0.0] * 5000) == 5000
    assert int(limiter.allow(0.0).headers["X-RateLimit-Remaining"]) >= 1_000_000


def test_no_daily_budget_is_not_announced() -> None:
    """``daily=None`` leaves the day's headers out."""
    headers = RateLimiter(Limits(daily=None)).allow(0.0).headers
    assert not [name for name in headers if "Daily" in name]
