from __future__ import annotations

import math

import pytest
from hypothesis import given, strategies as st

from leadconnector_async.outbox.reader import Workload
from leadconnector_async.reports.progress import (
    DAY,
    Budget,
    RateMeter,
    requests_for,
    seconds_needed,
    slowest,
)


def test_the_rate_is_of_the_last_half_minute() -> None:
    """A long pause at the beginning is forgotten."""
    pace = RateMeter()
    for second in range(100):
        pace.note(float(second), {"1": 1000 - max(0, second - 60) * 10, "2": 500})
    assert pace.of("1") == 10.0
    assert pace.of("2") == 0.0
    assert pace.total == 10.0
    assert pace.span == 30.0


def test_nothing_is_known_at_first() -> None:
    """One sample is no rate, and an unknown location has none."""
    pace = RateMeter()
    assert pace.span == pace.total == pace.of("1") == 0.0
    pace.note(5.0, {"1": 10})
    assert pace.span == pace.total == pace.of("1") == 0.0
    pace.note(6.0, {"1": 8})
    assert (pace.of("1"), pace.of("7")) == (2.0, 0.0)


def test_samples_are_bounded() -> None:
    """Memory does not grow with the length of the import."""
    pace = RateMeter()
    for tick in range(10_000):
        pace.note(tick * 0.2, {"1": 0})
    assert len(pace._samples) < 200


USUAL = Budget(rate=10.0, daily=200_000)


@pytest.mark.parametrize(
    ("count", "budget", "expected"),
    [
        (0, USUAL, 0.0),
        (612, USUAL, 61.2),
        (200_000, USUAL, 20_000.0),
        (200_001, USUAL, DAY + 0.1),
        (1_000_000, USUAL, 4 * DAY + 20_000.0),
        (1_000, Budget(rate=math.inf), 0.0),
        (1_000_000, Budget(rate=10.0), 100_000.0),
        (10_000_000, Budget(rate=1.0, daily=200_000), 10_000_000.0),
        (100, Budget(rate=10.0, daily=1000, left_today=0, day_ends_in=3600.0), 3610.0),
        (150, Budget(rate=10.0, daily=100, left_today=50, day_ends_in=60.0), 70.0),
        (250, Budget(rate=10.0, daily=100, left_today=50, day_ends_in=60.0), 60.0 + DAY + 10.0),
        (100, Budget(rate=1.0, daily=1000, left_today=50, day_ends_in=10.0), 100.0),
    ],
)
def test_days_count_where_the_day_is_the_limit(count: int, budget: Budget, expected: float) -> None:
    """A million records of one location take five days."""
    assert seconds_needed(count, budget) == pytest.approx(expected)


@given(st.integers(0, 10**6), st.integers(1, 10**4), st.integers(1, 10**5), st.integers(0, 10**5))
def test_more_records_never_take_less(count: int, more: int, daily: int, left: int) -> None:
    """And no estimate is shorter than the rate allows."""
    budget = Budget(rate=10.0, daily=daily, left_today=left, day_ends_in=1000.0)
    few, many = seconds_needed(count, budget), seconds_needed(count + more, budget)
    assert few <= many + 1e-6
    assert many >= (count + more) / 10.0 - 1e-6


def test_locations_run_side_by_side() -> None:
    """The slowest one decides; none take no time."""
    assert slowest([(100, USUAL), (900, USUAL), (10, Budget(rate=0.5))]) == 90.0
    assert slowest([]) == 0.0


def test_requests_depend_on_how_contacts_are_found() -> None:
    """A contact is found at once, or after its last way and created; conversations need none."""
    of = Workload(10, handles=3, contacts=2, ways=5, files=4, conversations=2, owners=1)
    assert requests_for(of, "create") == (17, 27)
    assert requests_for(of, "find") == (17, 24)
    assert requests_for(of, "upsert") == (17, 27)
    assert requests_for(Workload(7), "create") == (7, 7)
    assert requests_for(Workload(7), "create", marks=2) == (9, 11)
