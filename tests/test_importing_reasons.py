from __future__ import annotations

from leadconnector_async._importing.reasons import MOST_REASONS, OTHERS, Reasons


def test_equal_reasons_are_one_group_with_its_first_places() -> None:
    """The largest group comes first."""
    reasons = Reasons()
    reasons.add("rare", "a.csv:1")
    for line in range(2, 10):
        reasons.add("frequent", f"a.csv:{line}")
    first, second = reasons.most_frequent()
    assert (first.reason, first.count) == ("frequent", 8)
    assert first.lines == ["a.csv:2", "a.csv:3", "a.csv:4", "a.csv:5", "a.csv:6"]
    assert (second.reason, second.count, second.lines) == ("rare", 1, ["a.csv:1"])


def test_memory_is_bounded() -> None:
    """A source of a million different complaints fills one last group."""
    reasons = Reasons()
    for number in range(MOST_REASONS + 50):
        reasons.add(f"reason {number}", "a.csv:1")
    groups = reasons.most_frequent()
    assert len(groups) == MOST_REASONS + 1
    assert (groups[0].reason, groups[0].count) == (OTHERS, 50)
