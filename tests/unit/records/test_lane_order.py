from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from leadconnector_async.records.deferred import Deferred, answers_last

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def moved(mails: Mapping[str, tuple[int, Sequence[str]]], *, lanes: int = 1) -> dict[str, int]:
    """The dates of mails after the move; each has a date, and those that it answers."""
    dates = {name: date for name, (date, _) in mails.items()}
    rows = [
        (1, seq % lanes, date, seq, Deferred(mail=name, answers=list(answers)).encoded())
        for seq, (name, (date, answers)) in enumerate(mails.items(), 1)
    ]
    for date, seq in answers_last(sorted(rows)):
        dates[list(mails)[seq - 1]] = date
    return dates


def test_mails_in_order_stay() -> None:
    """Nearly all."""
    assert moved({"q": (1, ()), "a": (5, "q"), "b": (9, "aq")}) == {"q": 1, "a": 5, "b": 9}


def test_an_answer_comes_after_its_question() -> None:
    """By one millisecond; so does the answer to it."""
    assert moved({"q": (9, ()), "a": (5, "q"), "b": (1, "a")}) == {"q": 9, "a": 10, "b": 11}


def test_what_is_answered_may_be_missing() -> None:
    """Or be the mail itself."""
    assert moved({"a": (5, "xa"), "b": (1, "x")}) == {"a": 5, "b": 1}


def test_lanes_do_not_wait_for_each_other() -> None:
    """A thread belongs to one conversation."""
    assert moved({"q": (9, ()), "a": (5, "q")}, lanes=2) == {"q": 9, "a": 5}


def test_a_circle_is_cut() -> None:
    """Where it closes; what leads to it comes after it, and no more is moved than that."""
    dates = moved({"a": (1, "c"), "b": (2, "a"), "c": (3, "b")})
    assert dates == {"a": 4, "b": 2, "c": 3}
    assert moved({"r": (1, "x"), "x": (50, "y"), "y": (10, "x")}) == {"r": 51, "x": 50, "y": 10}


@pytest.mark.parametrize("shape", ["circle", "reversed", "forward", "star"])
def test_thousands_of_mails_of_any_shape_are_put_in_order(shape: str) -> None:
    """Whatever they say of each other: deep ones too, since nothing recurses."""
    count = 2_500
    answers: dict[str, Callable[[int], list[str]]] = {
        "circle": lambda n: [str((n + 1) % count)],
        "reversed": lambda n: [str(n + 1)],
        "forward": lambda n: [str(m) for m in range(max(0, n - 20), n)],
        "star": lambda n: [str(m) for m in range(20)],  # noqa: ARG005 - all answer the same
    }
    mails = {str(n): (n, answers[shape](n)) for n in range(count)}
    dates = moved(mails)
    if shape == "reversed":
        assert [dates[str(n)] for n in (count - 1, count - 2, 0)] == [2_499, 2_500, 4_998]
