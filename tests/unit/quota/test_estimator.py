from __future__ import annotations

from math import inf

from leadconnector_async.quota.estimator import Capacity
from leadconnector_async.quota.limits import RateLimit
from leadconnector_async.quota.window import Slot, Window

LIMIT = RateLimit(10, 10.0)


class SimulatedLocation:
    """A window and its room, on a clock that stands where it is put."""

    def __init__(self, *, wary: bool = False) -> None:
        self.window = Window(LIMIT.interval)
        self.capacity = Capacity(LIMIT, self.window, wary=wary)
        self.now = 0.0

    def send(self, number: int = 1) -> list[Slot]:
        """Take slots, having looked at the room."""
        self.capacity.share(self.now)
        return [
            self.window.take(self.now, self.capacity.others.mark(self.now)) for _ in range(number)
        ]

    def answer(self, slots: list[Slot], remaining: int) -> None:
        """Answer requests; the last answer says what remains."""
        for slot in slots:
            self.window.give_back(slot, self.now)
        self.capacity.observe(slots[-1], remaining, self.now)

    @property
    def left(self) -> float:
        """How many requests may start now."""
        self.window.expire(self.now)
        return self.capacity.left(self.now, self.capacity.share(self.now))


def test_slots_are_enough_where_no_figures_come() -> None:
    """Headers may be missing."""
    site = SimulatedLocation()
    site.send(4)
    assert site.left == 6


def test_a_promise_is_used_beyond_the_slots() -> None:
    """All slots are held, but the server has begun a new window and says so."""
    site = SimulatedLocation()
    site.answer(site.send(9), 1)
    site.now = 1.0
    site.answer(site.send(), 9)
    assert site.window.used == 10
    assert site.left == 9
    site.send(9)
    assert site.left <= 0


def test_requests_under_way_count_against_a_promise() -> None:
    """Of what was sent before the figure, only what had been answered had certainly arrived."""
    site = SimulatedLocation()
    site.answer(site.send(7), 3)
    site.now = 1.0
    site.send(2)
    site.answer(site.send(), 9)
    assert site.left == 9 - 2


def test_a_figure_older_than_the_newest_is_no_news() -> None:
    """Answers overtake each other."""
    site = SimulatedLocation()
    first, second = site.send(2)
    site.answer([second], 2)
    site.answer([first], 9)
    assert site.left == 10 - 2 - (10 - 2 - 2) - LIMIT.spare


def test_a_promise_older_than_the_newest_figure_is_none() -> None:
    """What it promised was used by those whose answers came before it."""
    site = SimulatedLocation()
    site.answer(site.send(8), 2)
    late, newest = site.send(2)
    site.answer([newest], 0)
    site.answer([late], 9)
    assert site.left == 0


def test_a_promise_ends_with_the_interval() -> None:
    """After that the slots say as much."""
    site = SimulatedLocation()
    site.answer(site.send(10), 0)
    site.now = 9.0
    site.answer(site.send(), 9)
    site.now = 19.1
    assert site.left == 10


def test_no_promise_is_trusted_while_a_request_may_still_arrive() -> None:
    """One that was given up would take what is promised."""
    site = SimulatedLocation()
    lost, *others = site.send(9)
    site.window.give_back(lost, site.now)
    site.capacity.unanswered(site.now)
    site.answer(others, 1)
    site.now = 1.0
    site.answer(site.send(), 9)
    assert site.left == 0


def test_no_promise_is_trusted_after_a_refusal() -> None:
    """Figures that led to a 429 are wrong, or not ours alone."""
    site = SimulatedLocation()
    site.answer(site.send(9), 1)
    site.capacity.refused(site.now)
    site.now = 25.0
    site.answer(site.send(9), 1)
    site.now = 26.0
    site.answer(site.send(), 9)
    assert site.left == 0


def test_beside_others_the_last_figure_bounds() -> None:
    """The slots leave room, but what remains is on its way already."""
    site = SimulatedLocation()
    site.answer(site.send(2), 3)
    site.send(1)
    assert site.left == 10 - 3 - 5 - LIMIT.spare
    site.now = 0.5
    site.answer(site.send(1), 1)
    assert site.left < 1


def test_beside_others_slots_that_come_free_are_no_more_than_what_remains() -> None:
    """What is under way since comes off it too."""
    site = SimulatedLocation()
    site.answer(site.send(5), 3)
    site.now = 9.5
    site.answer(site.send(1), 2)
    site.now = 10.0
    assert site.left == 2
    assert site.capacity.may_grow(site.capacity.share(site.now))
    site.send(1)
    assert site.left == 1


def test_what_others_took_is_left_to_them_for_an_interval() -> None:
    """Those who take less get less: six at first, then one in each."""
    site = SimulatedLocation()
    shares = []
    for site.now, remaining in ((0.0, 3), (11.0, 8), (22.0, 8)):
        site.window.expire(site.now)
        site.answer(site.send(1), remaining)
        shares.append(site.capacity.share(site.now) - LIMIT.spare)
    assert shares == [6, 6, 1]


def test_beside_others_an_old_figure_is_ground_for_one_request() -> None:
    """Who knows what they have taken since."""
    site = SimulatedLocation()
    site.answer(site.send(1), 6)
    site.now = 1.1
    assert site.left == 1
    site.send(1)
    assert site.left == 0


def test_after_a_restart_a_margin_of_what_remains_is_kept() -> None:
    """What an earlier process used may hide others."""
    site = SimulatedLocation(wary=True)
    site.answer(site.send(2), 8)
    assert site.left == 8 - LIMIT.spare
    assert site.capacity.may_grow(0)
    site.capacity.unanswered(site.now)  # and so no promise counts
    site.send(3)
    assert site.left == 8 - 2 * 3 - LIMIT.spare


def test_marks_begin_with_the_first_figure() -> None:
    """Before that nothing is known."""
    site = SimulatedLocation()
    assert site.capacity.others.mark(0.0) == -inf
    site.answer(site.send(2), 8)
    assert site.capacity.others.mark(0.1) == 8 + 1


def test_what_is_sure_is_left_however_many_are_taken() -> None:
    """Where others may go unnoticed, each that starts takes two from what the figure leaves."""
    window = Window(10.0)
    capacity = Capacity(RateLimit(1_000, 10.0), window, wary=True, promises=False)
    slot = window.take(0.0, -inf)
    window.give_back(slot, 0.0)
    capacity.observe(slot, 20, 0.0)
    for _ in range(int(capacity.sure(0.0))):
        assert capacity.left(0.0, 0.0) >= 1
        window.take(0.0, -inf)
    assert capacity.sure(0.0) == 0
