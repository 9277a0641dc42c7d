from __future__ import annotations

import pytest

from leadconnector_async.cli.format import counted, duration, places, rate, remaining, size


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (200, "3 min 20 s"),
        (3600, "1 h"),
        (19_990, "5 h 33 min"),
        (423_000, "4 d 21 h"),
    ],
)
def test_a_duration_has_two_units_at_most(seconds: float, words: str) -> None:
    """The larger ones, since nobody needs seconds after hours."""
    assert duration(seconds) == words


def test_the_time_that_is_left_is_rounded_up() -> None:
    """It never says that no time is left while there is some."""
    assert remaining(0.2) == "1 s"
    assert remaining(59.1) == "1 min"


@pytest.mark.parametrize(
    ("per_second", "words"),
    [(0.2, "12/min"), (9.84, "9.8/s"), (1240.4, "1,240/s")],
)
def test_a_rate_has_a_unit_that_shows_it(per_second: float, words: str) -> None:
    """Slow ones are told by the minute."""
    assert rate(per_second) == words


def test_counts_have_thousands_apart_and_their_noun() -> None:
    """One record, two records."""
    assert counted(1, "record") == "1 record"
    assert counted(1_234_567, "record") == "1,234,567 records"
    assert counted(0, "query", "queries") == "0 queries"


@pytest.mark.parametrize(
    ("count", "words"),
    [(500, "0 kB"), (12_345, "12 kB"), (3_400_000, "3.4 MB"), (2 * 10**9, "2.0 GB")],
)
def test_sizes_are_decimal(count: int, words: str) -> None:
    """As file managers show them."""
    assert size(count) == words


def test_places_name_a_file_once_in_a_row() -> None:
    """And say that there are more."""
    assert places(["a.csv:1"], 1) == "a.csv:1"
    assert places(["a.csv:17", "a.csv:43", "b.csv:9"], 3) == "a.csv:17, 43, b.csv:9"
    assert places(["a.csv:17", "a.csv:43"], 9) == "a.csv:17, 43, …"
    assert places(["no file", "no file"], 2) == "no file, no file"
