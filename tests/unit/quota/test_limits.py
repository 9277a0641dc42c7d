from __future__ import annotations

from math import nan

import pytest

from leadconnector_async.api.responses import MAX_FIGURE, SILENT
from leadconnector_async.models import RateLimitHeaders
from leadconnector_async.quota.limits import RateLimit


def test_the_documented_limit_is_assumed() -> None:
    """100 per 10 s and 200,000 a day, until answers tell."""
    assert RateLimit() == RateLimit(requests=100, interval=10.0, daily=200_000)


@pytest.mark.parametrize(
    "figures", [(0, 10.0, None), (100, 0.0, None), (100, nan, None), (100, 10.0, 0)]
)
def test_a_limit_that_allows_nothing_is_refused(figures: tuple[int, float, int | None]) -> None:
    """Zero is no limit to work by; "no limit" is None."""
    with pytest.raises(ValueError, match=r"(requests|interval|daily) is .*: give"):
        RateLimit(*figures)


def test_announced_figures_are_taken_over() -> None:
    """Higher or lower, one of them or both."""
    limit = RateLimit()
    assert limit.announced(RateLimitHeaders(max=25)).requests == 25
    assert limit.announced(RateLimitHeaders(max=250, interval_ms=60_000)) == RateLimit(250, 60.0)


@pytest.mark.parametrize(
    "seen",
    [
        SILENT,
        RateLimitHeaders(max=0),
        RateLimitHeaders(interval_ms=0),
        RateLimitHeaders(interval_ms=99),
        RateLimitHeaders(interval_ms=3_600_001),
        RateLimitHeaders(interval_ms=MAX_FIGURE),
        RateLimitHeaders(max=100, interval_ms=10_000),
    ],
)
def test_nothing_new_and_nonsense_change_nothing(seen: RateLimitHeaders) -> None:
    """Zero, less than a tenth of a second, more than an hour."""
    limit = RateLimit()
    assert limit.announced(seen) is limit


def test_stricter_is_fewer_requests_or_a_longer_interval() -> None:
    """Also where the mean rate is the same: 50 per 5 s forbids 100 at once."""
    assert RateLimit(50, 5.0).is_stricter_than(RateLimit(100, 10.0))
    assert RateLimit(100, 20.0).is_stricter_than(RateLimit(100, 10.0))
    assert not RateLimit(100, 5.0).is_stricter_than(RateLimit(100, 10.0))


def test_the_margin_is_small() -> None:
    """2 % of a small limit, two requests of a large one, one at least."""
    assert [RateLimit(requests).spare for requests in (1, 25, 100, 10**6)] == [1, 1, 2, 2]
