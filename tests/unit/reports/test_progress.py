from __future__ import annotations

from leadconnector_async.reports.progress import RateMeter


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
