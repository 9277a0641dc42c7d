from __future__ import annotations

import math

import pytest
from hypothesis import given, strategies as st

from leadconnector_async import NotSentError
from leadconnector_async.breaker import FAILURES_TO_OPEN, FIRST_PAUSE, MAX_PAUSE, Breaker


def opened(now: float = 100.0) -> Breaker:
    """A breaker that has just opened, after failures at one moment."""
    breaker = Breaker()
    for _ in range(FAILURES_TO_OPEN):
        breaker.began()
        breaker.failed(now)
    return breaker


def test_it_opens_after_failures_in_a_row() -> None:
    """One fewer is not enough, a success begins the count anew, and the first pause is short."""
    breaker = Breaker()
    for _ in range(3):
        for _ in range(FAILURES_TO_OPEN - 1):
            breaker.failed(1.0)
        assert breaker.allows(1.0)
        breaker.succeeded()
    for second in range(FAILURES_TO_OPEN):
        assert not breaker.is_open
        breaker.failed(second)
    assert breaker.is_open
    assert not breaker.allows(second)
    assert breaker.open_until == second + FIRST_PAUSE


def test_opening_and_closing_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Once each, however many requests fail meanwhile."""
    breaker = opened()
    breaker.failed(101.0)
    for _ in range(2):
        breaker.succeeded()
    told = [(record.name, record.levelname, record.getMessage()) for record in caplog.records]
    assert told == [
        ("leadconnector_async.breaker", "WARNING", f"circuit {what}")
        for what in (
            f"opened: {FAILURES_TO_OPEN} requests in a row got no answer",
            "closed: the API is within reach again",
        )
    ]


def test_while_open_one_request_probes_at_a_time() -> None:
    """After the pause one request may leave, and no second before it ends."""
    breaker = opened()
    assert breaker.open_until == 100.0 + FIRST_PAUSE
    assert not breaker.allows(breaker.open_until - 0.01)
    assert breaker.allows(breaker.open_until)
    breaker.began()
    assert not breaker.allows(200.0)


def test_nobody_is_woken_while_a_probe_is_out() -> None:
    """There is no time at which to ask again: the probe's end says when."""
    breaker = opened()
    breaker.began()
    assert breaker.open_until == math.inf
    breaker.failed(130.0)
    assert 130.0 < breaker.open_until < math.inf


def test_a_probe_tells_who_comes_after_the_patience_that_the_outage_is_over() -> None:
    """Without one, a service whose API was away for longer never sent anything again."""
    breaker = opened()
    assert not breaker.lets_through(100.4, 0.5)
    with pytest.raises(NotSentError, match="out of reach for 0 s"):
        breaker.lets_through(100.4, 0.0)
    assert breaker.lets_through(110.0, 0.0)
    breaker.began()
    assert not breaker.lets_through(111.0, 0.0)
    breaker.failed(112.0)
    with pytest.raises(NotSentError, match="out of reach for 12 s"):
        breaker.lets_through(112.0, 0.0)
    assert breaker.lets_through(breaker.open_until, 0.0)
    breaker.succeeded()
    assert breaker.lets_through(112.0, 0.0)


def test_pauses_grow_up_to_a_bound() -> None:
    """Each probe that fails doubles the wait for the next."""
    breaker, now, pauses = opened(), 100.0, []
    for _ in range(10):
        pauses.append(breaker.open_until - now)
        now = breaker.open_until
        breaker.began()
        breaker.failed(now)
    assert pauses == [min(FIRST_PAUSE * 2**n, MAX_PAUSE) for n in range(10)]
    assert pauses[-1] == MAX_PAUSE


def test_requests_that_were_under_way_prolong_nothing() -> None:
    """Many that fail together are one failure, not so many doublings."""
    breaker = opened()
    before = breaker.open_until
    for _ in range(60):
        breaker.failed(100.0 + FIRST_PAUSE / 2)
    assert breaker.open_until == before


def test_the_first_answer_closes_it() -> None:
    """Everything flows again, and the next outage begins with the first pause."""
    breaker = opened()
    breaker.began()
    breaker.failed(150.0)
    breaker.began()
    breaker.succeeded()
    assert not breaker.is_open
    assert breaker.allows(150.0)
    assert breaker.outage(150.0) == 0.0
    assert opened().open_until == 100.0 + FIRST_PAUSE
    for _ in range(FAILURES_TO_OPEN):
        breaker.failed(300.0)
    assert breaker.open_until == 300.0 + FIRST_PAUSE


def test_a_cancelled_probe_proves_nothing() -> None:
    """It stays open, and another may probe."""
    breaker = opened()
    breaker.began()
    breaker.abandoned()
    assert breaker.is_open
    assert breaker.allows(101.0)


def test_failures_before_a_quiet_night_are_no_outage_of_the_morning() -> None:
    """One failure more would end a run at once, with an outage of hours that nobody has seen."""
    for before in (FAILURES_TO_OPEN - 1, FAILURES_TO_OPEN + 1):
        breaker = Breaker()
        for second in range(before):
            breaker.failed(100.0 + second)
        breaker.began()
        breaker.failed(40_000.0)
        assert breaker.lets_through(40_000.1, 1800.0)
        for second in range(FAILURES_TO_OPEN):
            breaker.failed(40_000.0 + second)
        assert breaker.outage(40_010.0) == 10.0


def test_an_outage_counts_from_its_first_failure() -> None:
    """Not from the opening, and not at all while closed."""
    breaker = Breaker()
    for second in range(FAILURES_TO_OPEN):
        assert breaker.outage(100.0 + second) == 0.0
        breaker.failed(100.0 + second)
    assert breaker.outage(160.0) == 60.0
    breaker.succeeded()
    for _ in range(FAILURES_TO_OPEN):
        breaker.failed(200.0)
    assert breaker.outage(207.0) == 7.0


def test_a_request_that_began_before_it_opened_is_no_probe() -> None:
    """While closed, any number of requests may leave."""
    breaker = Breaker()
    breaker.began()
    breaker.began()
    assert breaker.allows(0.0)


@pytest.mark.parametrize(
    ("breaker", "text"),
    [
        (Breaker(), "<Breaker closed, 0 failures>"),
        (opened(), f"<Breaker open, {FAILURES_TO_OPEN} failures>"),
    ],
)
def test_it_shows_its_state(breaker: Breaker, text: str) -> None:
    """For whoever debugs an outage."""
    assert repr(breaker) == text


@given(st.lists(st.sampled_from(["fail", "succeed", "abandon", "wait"]), max_size=60))
def test_it_never_locks_for_good(events: list[str]) -> None:
    """Whatever happens, once no request is out one is admitted within the longest pause."""
    breaker, now = Breaker(), 0.0
    for event in events:
        now += 1.0
        if event == "wait" or not breaker.allows(now):
            continue
        breaker.began()
        {
            "fail": lambda: breaker.failed(now),  # noqa: B023 - called at once
            "succeed": breaker.succeeded,
            "abandon": breaker.abandoned,
        }[event]()
    assert breaker.allows(now + MAX_PAUSE)
