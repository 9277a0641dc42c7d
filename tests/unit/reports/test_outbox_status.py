from __future__ import annotations

import pytest

from leadconnector_async.outbox.reader import MAX_REASONS, OTHERS, gist
from leadconnector_async.reports.outbox_status import Notes, Reasons
from leadconnector_async.sources import Parsed
from leadconnector_async.sources.base import SourceRow


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
    for number in range(MAX_REASONS + 50):
        reasons.add(f"reason {number}", "a.csv:1")
    groups = reasons.most_frequent()
    assert len(groups) == MAX_REASONS + 1
    assert (groups[0].reason, groups[0].count) == (OTHERS, 50)


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        (
            'date is text of 6 characters that is no date ("1/2/24"): write',
            "date is text that is no",
        ),
        ("line is not UTF-8 (byte 0xE9 at position 8): save", "line is not UTF-8: save"),
        ("line is not UTF-16-LE (position 1): save", "line is not UTF-16-LE: save"),
        ("message has a NUL character at position 22: remove", "message has a NUL character: rem"),
        ('direction is "weird": write one of inbound', 'direction is "weird": write one of inb'),
    ],
)
def test_what_one_record_holds_is_no_reason_of_its_own(reason: str, said: str) -> None:
    """A word that has to be one of a few is: there are few of it, and it tells what to mend."""
    assert gist(reason).startswith(said)


def test_reasons_that_differ_by_one_record_are_one_group() -> None:
    """A reason that one record alone has keeps what leads to the place."""
    reasons = Reasons()
    lone, *others = [f"line is not UTF-8 (byte 0xE9 at position {n})" for n in range(1, 4)]
    reasons.add(lone, "a.csv:1")
    assert [group.reason for group in reasons.most_frequent()] == [lone]
    for line, reason in enumerate(others, 2):
        reasons.add(reason, f"a.csv:{line}")
    (group,) = reasons.most_frequent()
    assert (group.reason, group.count) == ("line is not UTF-8", 3)
    assert group.lines == ["a.csv:1", "a.csv:2", "a.csv:3"]


def test_a_file_of_many_locations_fills_no_screen() -> None:
    """The first locations beside the given one are named; those of all others are one notice."""
    notes = Notes("here")
    row = SourceRow(type="SMS", direction="inbound")
    for line in range(1, 201):
        row.location_id = f"place{line % 50}" if line % 2 else "here"
        notes.add(Parsed(line, b"", row, ()), "a.csv")
    others, *named = notes.notices.most_frequent()
    assert (others.count, others.reason.split(",")[0]) == (20, "goes to another location")
    assert [(of.count, of.reason.split(",")[0]) for of in named] == [
        (4, f"goes to place{number}") for number in range(1, 41, 2)
    ]
    assert named[0].lines == ["a.csv:1", "a.csv:51", "a.csv:101", "a.csv:151"]
