from __future__ import annotations

from math import inf

import pytest

from leadconnector_async.quota.estimator import OtherConsumers
from leadconnector_async.quota.limits import RateLimit
from leadconnector_async.quota.window import Slot

LIMIT = RateLimit(100, 10.0)


def make_others(*, wary: bool = False) -> OtherConsumers:
    """Those of a process that has just begun."""
    these = OtherConsumers(LIMIT, 0, wary=wary)
    these.advance(0.0, 0)
    return these


def slot(
    number: int, *, used: int | None = None, behind: int = 0, mark: float = -inf, at: float = 0.0
) -> Slot:
    """The ``number``th slot, ``behind`` requests of ours being under way when it was taken."""
    return Slot(number, number if used is None else used, number - 1 - behind, mark, at)


def test_nobody_is_there_until_figures_prove_it() -> None:
    """Alone, all slots are ours."""
    these = make_others()
    assert these.share(0.0) == 0
    these.learn(slot(1), 99, 0.1, 1)
    assert these.share(0.1) == 0


def test_a_server_that_counts_more_than_ours_proves_others() -> None:
    """Ours are 10 at most, it counts 43: 33 are others', and a margin is left beside them."""
    these = make_others()
    these.learn(slot(10), 57, 0.1, 10)
    assert these.share(0.1) == 33 + LIMIT.spare


def test_requests_that_may_have_overtaken_prove_nothing() -> None:
    """The third of five sees all five counted: the last two may have come first."""
    these = make_others()
    these.learn(slot(3), 95, 0.1, 5)
    assert these.share(0.1) == 0


def test_what_remains_falls_faster_than_we_send() -> None:
    """Ours of an earlier window may hide others in the count; the fall shows them all the same."""
    these = make_others()
    these.learn(slot(60, used=90), 100 - 1, 1.0, 60)
    mark = these.mark(1.5)
    these.learn(slot(61, used=90, mark=mark), 65, 1.6, 61)
    assert these.share(1.6) == 33 + LIMIT.spare


def test_what_was_under_way_may_explain_a_fall() -> None:
    """The mark counts as arrived only what had been answered when its request left."""
    these = make_others()
    these.learn(slot(4, behind=3), 99, 0.1, 4)
    these.learn(slot(5, mark=these.mark(0.2)), 95, 0.3, 5)
    assert these.share(0.3) == 0


def test_others_are_remembered_for_an_interval_and_forgotten_after_two() -> None:
    """A fixed window shows all that they take only at its end."""
    these = make_others()
    these.learn(slot(10), 57, 1.0, 10)
    these.advance(12.0, 10)
    assert these.share(12.0) == 33 + LIMIT.spare
    these.advance(21.0, 10)
    assert these.share(21.0) == 0


def test_a_refusal_leaves_others_a_third_until_they_are_seen() -> None:
    """A full server shows what they got, and not what they came for."""
    these = make_others()
    these.refused(1.0, used=98)
    assert these.share(1.0) == pytest.approx(100 / 3 + LIMIT.spare)


def test_a_refusal_with_few_of_ours_leaves_the_rest() -> None:
    """The server is full, and ours are 20: the other 80 are not ours."""
    these = make_others()
    these.refused(1.0, used=20)
    assert these.share(1.0) == 80 + LIMIT.spare


def test_one_slot_is_always_ours() -> None:
    """Else nothing would ever be sent again, and nothing be learned."""
    these = make_others()
    these.refused(1.0, used=0)
    assert these.share(1.0) == 99


def test_in_the_first_interval_others_are_expected_to_go_on() -> None:
    """15 in the first half of it will be 30 at its end."""
    these = make_others()
    for number in range(1, 53):
        others = number * 3 // 10
        these.learn(slot(number, at=number / 10), 100 - number - others, number / 10, number)
    assert 30 <= these.share(5.2) - LIMIT.spare <= 33


def test_a_burst_is_no_trend() -> None:
    """33 at once are 33, and not the beginning of 66."""
    these = make_others()
    for number in range(1, 53):
        others = 0 if number < 40 else 33
        these.learn(slot(number, at=number / 10), 100 - number - others, number / 10, number)
    assert these.share(5.2) == 33 + LIMIT.spare


def test_a_bucket_is_told_by_what_it_no_longer_counts() -> None:
    """50 of ours came in this interval, and it counts 3: whoever drains it slowly may hide."""
    these = make_others()
    assert not these.may_hide
    these.learn(slot(50, at=5.0), 97, 5.0, 50)
    assert these.forgets_early
    assert these.may_hide


def test_a_fixed_window_is_told_by_its_reset() -> None:
    """It forgets all at once, and then nobody hides: what remains is the whole story."""
    these = make_others()
    these.learn(slot(50, at=5.0), 50, 5.0, 50)
    these.learn(slot(51, at=5.1), 99, 5.1, 51)
    assert these.forgets_early
    assert not these.may_hide


def test_what_grows_over_a_long_pause_is_no_reset() -> None:
    """A bucket refills meanwhile."""
    these = make_others(wary=True)
    these.learn(slot(50, at=5.0), 50, 5.0, 50)
    these.learn(slot(51, at=9.0), 99, 9.0, 51)
    assert these.may_hide


def test_after_a_restart_others_may_hide() -> None:
    """Behind what the earlier process used."""
    assert make_others(wary=True).may_hide
