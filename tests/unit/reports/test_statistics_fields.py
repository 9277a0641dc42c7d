"""What the figures of statistics mean: the table in the docs, quantiles, times of staging."""

from __future__ import annotations

import ast
import re
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from leadconnector_async import ImportProgress, Latency, LocationStatistics, Statistics
from leadconnector_async.reports import statistics
from leadconnector_async.reports.statistics import LatencyHistogram
from leadconnector_async.reports.statistics_meter import StagingTimes

if TYPE_CHECKING:
    import msgspec

PAGE = (Path(__file__).parents[3] / "docs/metrics.md").read_text("utf-8")


def documented(struct: type[msgspec.Struct]) -> dict[str, str]:
    """Each field of a struct with its docstring, in one line."""
    module = ast.parse(Path(statistics.__file__).read_text("utf-8"))
    (tree,) = [
        node
        for node in module.body
        if isinstance(node, ast.ClassDef) and node.name == struct.__name__
    ]
    found = {}
    for field, after in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            assert isinstance(after, ast.Expr)
            assert isinstance(after.value, ast.Constant), f"{field.target.id} has no docstring"
            found[field.target.id] = " ".join(str(after.value.value).split())
    return found


@pytest.mark.parametrize("struct", [Latency, LocationStatistics, Statistics])
def test_the_page_says_of_each_field_what_the_struct_says(struct: type[msgspec.Struct]) -> None:
    """Its unit and its meaning, in the same order and words, and of no other field."""
    section = PAGE.partition(f"### `{struct.__name__}`\n")[2].partition("\n#")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+) \|$", section, re.MULTILINE)
    table = {name: f"{unit}: {meaning}" for name, unit, meaning in rows}
    assert table == documented(struct)
    assert list(table) == list(struct.__struct_fields__)
    assert struct.__struct_config__.frozen


def test_statistics_have_the_names_of_progress() -> None:
    """Whoever shows one can show the other."""
    names = ["read", "staged", "sent", "failed", "unresolved", "pending", "rate", "seconds_left"]
    assert set(names) <= {*ImportProgress.__struct_fields__} & {*Statistics.__struct_fields__}


@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=200))
def test_quantiles_are_within_4_percent(times: list[float]) -> None:
    """Whatever is measured; the largest is exact, and so are the count and the sum."""
    histogram = LatencyHistogram(0.0)
    for seconds in times:
        histogram.add(seconds, 0.0)
    latency = histogram.latency(0.0)
    assert (latency.count, latency.max) == (len(times), max(times))
    assert latency.total == pytest.approx(sum(times))
    for share, found in ((0.5, latency.p50), (0.9, latency.p90), (0.99, latency.p99)):
        exact = sorted(times)[ceil(share * len(times)) - 1]
        assert found == pytest.approx(exact, rel=0.04)


def test_quantiles_are_of_the_last_one_to_two_minutes() -> None:
    """What is older is in the count and the sum alone."""
    histogram = LatencyHistogram(0.0)
    histogram.add(10.0, 30.0)
    histogram.add(0.1, 61.0)
    assert histogram.latency(119.0).max == 10.0
    latency = histogram.latency(122.0)
    assert (latency.count, latency.max) == (2, 0.1)
    assert histogram.latency(300.0) == Latency(count=2, total=10.1)


def test_a_time_outside_of_all_buckets_counts_as_the_nearest() -> None:
    """None is lost, and none fails."""
    histogram = LatencyHistogram(0.0)
    for seconds in (0.0, 1e-12, 1e12):
        histogram.add(seconds, 0.0)
    assert histogram.latency(0.0).count == 3


def test_the_time_of_staging_is_that_of_the_lot() -> None:
    """Of one record once; of what another process staged, none."""
    times = StagingTimes()
    times.note(range(10, 20), 1.0)
    times.note(range(0), 2.0)
    times.note(range(30, 40), 3.0)
    times.note(range(50, 51), 4.0)
    found = [times.take(seq) for seq in (9, 10, 19, 20, 29, 30, 39, 40, 50, 50)]
    assert found == [None, 1.0, 1.0, None, None, 3.0, 3.0, None, 4.0, None]


def test_what_ends_before_its_staging_is_told_is_counted_then() -> None:
    """Of one record, and of a lot; each once, and none that another process staged."""
    times = StagingTimes()
    assert [times.take(seq) for seq in (7, 12, 15, 99)] == [None] * 4
    assert [times.note(range(7, 8), 1.0), times.note(range(10, 20), 2.0)] == [1, 2]
    assert [times.note(range(7, 8), 3.0), times.note(range(20, 30), 3.0)] == [0, 0]


def test_times_of_staging_are_bounded() -> None:
    """However many lots and records there are, the latest are known."""
    times = StagingTimes()
    for number in range(5_000):
        times.note(range(10 * number, 10 * number + 10), float(number))
    for seq in range(200_000):
        times.note(range(100_000 + seq, 100_001 + seq), 1.0)
    assert times.take(49_995) == 4_999.0
    for seq in range(1_000_000, 1_005_000):
        assert times.take(seq) is None
    assert times.note(range(1_004_999, 1_005_000), 1.0) == 1
    assert len(times._begins) < 2_100
    assert len(times._alone) <= 100_000
    assert len(times._early) <= 2_048
