from __future__ import annotations

import asyncio
import math
import tracemalloc
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given, strategies as st

from leadconnector_async import Policy, RateLimit
from leadconnector_async.auth.provider import StaticToken
from leadconnector_async.delivery.lane import InDoubt, Lane
from leadconnector_async.delivery.scheduler import (
    MAX_AHEAD,
    MAX_HELD,
    MIN_AHEAD,
    TURN,
    LocationState,
    Scheduler,
)
from leadconnector_async.errors import LeadConnectorError
from leadconnector_async.outbox.base import Claim, Lease
from leadconnector_async.quota.window import Day
from leadconnector_async.session import ApiSession

if TYPE_CHECKING:
    from collections.abc import Callable

    from leadconnector_async.quota.quota import Quota
    from leadconnector_async.transport.base import Transport


class StandInQuota:
    """What lanes ask of a quota: its limit and rate, and when a request may leave."""

    limit: RateLimit = RateLimit()

    def __init__(self, rate: float, opens_at: float) -> None:
        self.rate = rate
        self.opens_at = opens_at
        self.day: Day = Day(None)

    def ready_at(self, now: float) -> float:
        """Now, or later."""
        return max(now, self.opens_at)

    def when_freed(self, who: object, tell: Callable[[], None]) -> None:
        """Nobody gives a slot back here."""


def location_state(
    name: str = "l1", *, rate: float = 10.0, opens_at: float = -math.inf
) -> LocationState:
    """A location without claims."""
    quota = cast("Quota", StandInQuota(rate, opens_at))
    return LocationState(Lease(name, 1, 1), quota)


def claim(seq: int, lane: int = 1) -> Claim:
    """A record of a lane; its number is its place in date order."""
    return Claim(Lease("l1", 1, 1), lane, seq, seq, b"k", b"{}", 0)


def full(place: LocationState, lanes: int, each: int) -> LocationState:
    """The site with as many records in as many lanes."""
    place.take_in([claim(seq, seq % lanes) for seq in range(lanes * each)])
    return place


def numbers(lane: Lane) -> list[int]:
    """The records of a lane, in order."""
    return [claim.seq for claim in lane.claims]


def test_a_site_and_a_lane_begin_empty() -> None:
    """Nothing held, nothing in doubt, nothing known."""
    place, lane, doubt = location_state(), Lane(7), InDoubt("no answer")
    assert (place.lease.number, place.name, place.claimed, place.resting) == (1, "l1", 0, 0)
    assert (place.lanes, place.error, place.more) == ({}, None, True)
    assert (lane.id, list(lane.claims), lane.doubts) == (7, [], {})
    assert (lane.search, lane.busy, lane.waiting) == (None, False, False)
    assert (doubt.searches, doubt.lookup_failures) == (0, 0)


def test_records_stay_in_order_within_their_lane() -> None:
    """In the order in which they were claimed, over all claims."""
    place = location_state()
    place.take_in([claim(1), claim(2, 9), claim(3)])
    place.take_in([claim(4), claim(5, 9)])
    assert {lane.id: numbers(lane) for lane in place.lanes.values()} == {1: [1, 3, 4], 9: [2, 5]}
    assert [lane.id for lane in place.ready] == [1, 9]
    assert place.claimed == 5


def test_only_the_first_record_of_a_lane_moves() -> None:
    """The next one moves when the fate of the first is known."""
    place = full(location_state(), lanes=1, each=2)
    lane = place.ready.pop(0)
    assert not place.ready
    place.take_out(lane, lane.claims[0])
    place.go_on(lane)
    assert list(place.ready) == [lane]
    assert numbers(lane) == [1]


def test_a_lane_without_records_is_gone() -> None:
    """Memory is flat: a contact leaves nothing behind, and may come back."""
    place = full(location_state(), lanes=1, each=1)
    lane = place.ready.pop(0)
    place.take_out(lane, lane.claims[0])
    place.go_on(lane)
    assert (place.lanes, list(place.ready), place.claimed) == ({}, [], 0)
    place.take_in([claim(7, lane.id)])
    assert place.lanes[lane.id] is not lane


def test_a_known_fate_ends_doubts_and_renewals() -> None:
    """Of that record alone, wherever it stands in the lane."""
    place = full(location_state(), lanes=1, each=3)
    lane = place.lanes[0]
    lane.doubts = {1: InDoubt("no answer"), 2: InDoubt("no answer")}
    place.take_out(lane, lane.claims[1])
    assert (numbers(lane), list(lane.doubts)) == ([0, 2], [2])


def test_a_waiting_lane_is_no_work_at_hand() -> None:
    """So other lanes are claimed meanwhile; what joins it waits with it."""
    place = full(location_state(), lanes=2, each=4)
    lane = place.lanes[0]
    place.rest(lane)
    assert place.resting == 4
    place.take_in([claim(90, 0), claim(91, 1)])
    assert place.resting == 5
    place.ready.clear()
    place.rested(lane)
    assert (place.resting, list(place.ready), lane.waiting) == (0, [lane], False)


def test_a_lane_that_was_drained_while_it_waited_does_not_come_back() -> None:
    """Its timer finds nothing to do."""
    place = full(location_state(), lanes=1, each=3)
    lane = place.lanes[0]
    place.rest(lane)
    assert len(place.drain()) == 3
    place.rested(lane)
    assert (place.claimed, place.resting, list(place.ready)) == (0, 0, [])


@pytest.mark.parametrize(
    ("rate", "ahead"),
    [
        (0.0, MIN_AHEAD),
        (0.1, MIN_AHEAD),
        (10.0, 20),
        (10.2, 21),
        (1e9, MAX_AHEAD),
        (math.inf, MAX_AHEAD),
    ],
)
def test_two_seconds_of_quota_are_claimed_ahead(rate: float, ahead: int) -> None:
    """Within bounds, for a location without a limit too."""
    assert location_state(rate=rate).prefetch == ahead


def test_a_site_is_hungry_when_half_of_it_is_gone() -> None:
    """Batches stay large, and the workers never wait for a commit."""
    place = full(location_state(rate=10.0), lanes=11, each=1)
    assert place.prefetch == 0
    lane = place.lanes[0]
    place.take_out(lane, lane.claims[0])
    assert place.prefetch == 10


def test_lanes_in_doubt_do_not_starve_the_others() -> None:
    """Records that wait take no part of what is claimed ahead, up to a bound on memory."""
    place = full(location_state(rate=10.0), lanes=1, each=100)
    place.rest(place.lanes[0])
    assert place.prefetch == 20
    place.take_in([claim(1000 + seq, 0) for seq in range(MAX_HELD - 105)])
    assert place.prefetch == 5
    place.take_in([claim(9000 + seq, 0) for seq in range(50)])
    assert place.prefetch == 0


def test_a_site_that_cannot_go_on_claims_nothing() -> None:
    """Nor does one whose outbox has nothing more."""
    stopped, empty = location_state(), location_state()
    stopped.error = LeadConnectorError()
    empty.more = False
    assert (stopped.prefetch, empty.prefetch) == (0, 0)


def test_no_provider_that_has_stored_something_fails() -> None:
    """Whichever of several was the last to do so; another one does after three records.

    Records that name none have none that fails.
    """
    place = location_state()

    def of(provider: str, seq: int = 1) -> Claim:
        payload = f'{{"conversationProviderId":"{provider}"}}'.encode() if provider else b"{}"
        return Claim(Lease("l1", 1, 1), 1, seq, seq, b"k", payload, 0)

    for provider in ("a", "b", "a"):
        place.works(of(provider))
    told = {name: [place.fails(of(name, seq)) for seq in range(3)] for name in ("", "a", "b", "c")}
    assert told == dict.fromkeys(("", "a", "b"), [None] * 3) | {"c": [None, None, "c"]}


def test_what_was_not_sent_is_given_back() -> None:
    """All of it, and the site is empty."""
    place = full(location_state(), lanes=3, each=4)
    assert {claim.seq for claim in place.drain()} == set(range(12))
    assert (place.lanes, place.claimed, list(place.ready)) == ({}, 0, [])


def test_a_busy_record_is_not_given_back() -> None:
    """Its request is under way. What stands behind it was not sent."""
    place = full(location_state(), lanes=2, each=3)
    place.lanes[0].busy = True
    assert {claim.seq for claim in place.drain()} == {2, 4, 1, 3, 5}
    assert numbers(place.lanes[0]) == [0]
    assert (place.claimed, list(place.lanes), list(place.ready)) == (1, [0], [])


@pytest.mark.parametrize(
    ("doubtful", "kept"), [([0], [0]), ([1], [0, 1]), ([0, 2], [0, 1, 2]), ([3], [0, 1, 2, 3])]
)
def test_a_record_in_doubt_is_not_given_back(doubtful: list[int], kept: list[int]) -> None:
    """Nor what stands before it: the lane's order outlives the run."""
    place = full(location_state(), lanes=1, each=4)
    lane = place.lanes[0]
    lane.doubts = {seq: InDoubt("no answer") for seq in doubtful}
    given = {claim.seq for claim in place.drain()}
    assert numbers(lane) == kept
    assert given == {0, 1, 2, 3} - set(kept)
    assert list(place.ready) == [lane]


def test_after_an_interruption_lanes_are_ready_once() -> None:
    """Those that wait have a timer, those with a request out a worker: neither is for others."""
    place = full(location_state(), lanes=3, each=1)
    place.ready.clear()
    place.rest(place.lanes[0])
    place.lanes[1].busy = True
    place.wake()
    assert list(place.ready) == [place.lanes[2]]
    place.lanes[1].busy = False
    place.wake()
    place.wake()
    assert list(place.ready) == [place.lanes[1], place.lanes[2]]


def test_sites_and_lanes_show_their_state() -> None:
    """Names and counts, and no content."""
    place = full(location_state(), lanes=1, each=2)
    lane = place.lanes[0]
    assert repr(place) == "<LocationState l1 running 2 held, 1 ready>"
    lane.busy = lane.waiting = True
    assert repr(lane) == "<Lane 0 2 claims busy waiting>"
    place.error = LeadConnectorError()
    assert "stopped" in repr(place)


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["take_in", "serve", "doubt", "rest", "rested", "drain"]),
        st.integers(0, 1),
    ),
    max_size=60,
)


@given(EVENTS)
def test_the_books_of_a_site_balance(events: list[tuple[str, int]]) -> None:
    """Whatever happens in whatever order: counts agree with lanes, each lane with date order."""
    place, waiting = location_state(), dict[int, Lane]()
    for seq, (event, number) in enumerate(events):
        lane = place.lanes.get(number)
        if event == "take_in":
            place.take_in([claim(2 * seq, number), claim(2 * seq + 1, number)])
        elif event == "drain":
            doubtful = {seq for lane in place.lanes.values() for seq in lane.doubts}
            assert not doubtful & {claim.seq for claim in place.drain()}
        elif event == "rested" and number in waiting:
            place.rested(waiting.pop(number))
        elif lane is not None and lane in place.ready:
            place.ready.remove(lane)
            if event == "serve":
                place.take_out(lane, lane.claims[0])
                place.go_on(lane)
            elif event == "rest" and number not in waiting:
                place.rest(lane)
                waiting[number] = lane
            else:
                lane.doubts[lane.claims[0].seq] = InDoubt("no answer")
                place.go_on(lane)
        lanes = place.lanes.values()
        assert place.claimed == sum(len(lane.claims) for lane in lanes)
        assert place.resting == sum(len(lane.claims) for lane in lanes if lane.waiting)
        assert all(numbers(lane) == sorted(numbers(lane)) for lane in lanes)
        assert all(lane.claims for lane in lanes)
        assert len(set(map(id, place.ready))) == len(place.ready)


def test_the_location_whose_turn_has_been_due_longest_is_next() -> None:
    """A location with many lanes takes its turn among those with few: nobody starves."""
    scheduler, big, small = (
        Scheduler(),
        full(location_state("big"), 50, 1),
        full(location_state("small"), TURN + 2, 1),
    )
    scheduler.add(big, 0.0)
    scheduler.add(small, 0.5)
    order = []
    for now in range(1, 3 * TURN + 3):
        due = scheduler.pop(float(now))
        assert due is not None
        order.append(due[0].name)
    assert order == ["big"] * TURN + ["small"] * TURN + ["big"] * TURN + ["small"] * 2


def test_a_location_of_one_lane_goes_on_with_its_turn() -> None:
    """Once its request is answered, it goes before others that became due meanwhile."""
    scheduler, one, other = (
        Scheduler(),
        full(location_state("one"), 1, TURN + 1),
        full(location_state("other"), 2, 1),
    )
    scheduler.add(one, 0.0)
    order = []
    for now in range(1, TURN + 3):
        due = scheduler.pop(float(now))
        assert due is not None
        order.append(due[0].name)
        if now == 1:
            scheduler.add(other, 1.5)
        if due[0] is one:
            one.ready.append(due[1])
            scheduler.add_again(one, now + 0.5)
    assert order == ["one"] * TURN + ["other"] * 2


def test_who_had_to_wait_begins_a_new_turn() -> None:
    """Else it would go before those that have been due since."""
    scheduler, waited, other = (
        Scheduler(),
        full(location_state("waited"), 5, 1),
        full(location_state("other"), 5, 1),
    )
    scheduler.add(waited, 0.0)
    assert scheduler.pop(1.0) is not None
    cast("StandInQuota", waited.quota).opens_at = 9.0
    assert scheduler.pop(2.0) is None
    scheduler.add(other, 8.0)
    due = scheduler.pop(9.0)
    assert due is not None
    assert due[0] is other


def test_who_waits_for_its_own_answer_goes_on_with_its_turn() -> None:
    """As after its first one, which tells its limit: before others that are due meanwhile."""
    scheduler, begun, other = (
        Scheduler(),
        full(location_state("begun"), 5, 1),
        full(location_state("other"), 5, 1),
    )
    scheduler.add(begun, 0.0)
    assert scheduler.pop(1.0) is not None
    cast("StandInQuota", begun.quota).opens_at = math.inf
    assert scheduler.pop(2.0) is None
    cast("StandInQuota", begun.quota).opens_at = 0.0
    scheduler.add(other, 3.0)
    scheduler.add_again(begun, 4.0)
    due = scheduler.pop(4.0)
    assert due is not None
    assert due[0] is begun


def test_many_locations_take_turns() -> None:
    """Each gets as often its turn as the others, whichever has the most to do."""
    scheduler = Scheduler()
    places = [full(location_state(str(number)), 20 + 50 * number, 1) for number in range(5)]
    for place in places:
        scheduler.add(place, 0.0)
    names = [due[0].name for now in range(80) if (due := scheduler.pop(now / 10))]
    assert {name: names.count(name) for name in set(names)} == dict.fromkeys("01234", 16)


def test_a_location_waits_for_its_quota_alone() -> None:
    """It comes back when its quota says, and the others go on."""
    scheduler, deferred, soon = (
        Scheduler(),
        full(location_state("late", opens_at=9.0), 1, 1),
        full(location_state(), 1, 1),
    )
    scheduler.add(deferred, 0.0)
    scheduler.add(soon, 0.0)
    due = scheduler.pop(1.0)
    assert due is not None
    assert due[0] is soon
    assert scheduler.pop(1.0) is None
    assert scheduler.next_at == 9.0
    again = scheduler.pop(9.0)
    assert again is not None
    assert again[0] is deferred


def test_those_who_wait_for_their_turns_go_on_together() -> None:
    """With the next beat after the last of them is ready: one wake serves all of them."""
    scheduler = Scheduler()
    for number, opens_at in enumerate((9.001, 9.049)):
        scheduler.add(full(location_state(f"l{number}", opens_at=opens_at), 1, 1), 0.0)
    assert scheduler.pop(1.0) is None
    assert scheduler.next_at == pytest.approx(9.05)
    assert scheduler.pop(9.051) is not None
    assert scheduler.pop(9.051) is not None


@given(times=st.lists(st.integers(0, 9)), now=st.integers(-1, 10))
def test_all_that_are_due_are_counted(times: list[int], now: int) -> None:
    """Whatever their order: so many workers find something to do."""
    scheduler = Scheduler()
    for when in times:
        scheduler.add(full(location_state(), 1, 1), when)
    assert scheduler.due_count(now) == sum(when <= now for when in times)


@pytest.mark.parametrize("interval", [0.1, 86_400.0])
def test_a_beat_is_short_beside_an_interval_and_beside_a_second(interval: float) -> None:
    """More than a burst would be saved up within it, and nobody waits for minutes."""
    scheduler, state = Scheduler(), full(location_state(opens_at=9.01), 1, 1)
    cast("StandInQuota", state.quota).limit = RateLimit(100, interval)
    scheduler.add(state, 0.0)
    assert scheduler.pop(1.0) is None
    assert 9.01 <= scheduler.next_at <= 9.01 + min(interval / 100, 0.1)


@pytest.mark.parametrize("opens_at", [0.45000000000000007, 3.2500000000000004])
def test_nobody_is_asked_again_before_he_is_ready(opens_at: float) -> None:
    """A beat that is lost in rounding must not come before it, for ever."""
    scheduler = Scheduler()
    scheduler.add(full(location_state(opens_at=opens_at), 1, 1), 0.0)
    assert scheduler.pop(0.0) is None
    assert scheduler.next_at >= opens_at


def test_a_quota_without_an_end_is_asked_again_only_when_somebody_says_so() -> None:
    """Nothing is due until something else happens."""
    scheduler, spent = Scheduler(), full(location_state(opens_at=math.inf), 1, 1)
    scheduler.add(spent, 0.0)
    assert scheduler.pop(1.0) is None
    assert scheduler.next_at == math.inf
    cast("StandInQuota", spent.quota).opens_at = 0.0
    scheduler.add(spent, 2.0)
    assert scheduler.pop(2.0) is not None


def test_a_location_whose_day_is_spent_comes_back_with_the_next() -> None:
    """No slot that is given back can wake it before."""
    scheduler, spent = Scheduler(), full(location_state(opens_at=math.inf), 1, 1)
    quota = cast("StandInQuota", spent.quota)
    quota.day = Day(0, ends=9.0)
    scheduler.add(spent, 0.0)
    assert scheduler.pop(1.0) is None
    assert scheduler.next_at == 9.0
    quota.day.ends = math.inf
    assert scheduler.pop(9.0) is None
    assert scheduler.next_at == math.inf


def test_what_cannot_move_is_passed_over() -> None:
    """A site without ready lanes, and one that stopped."""
    scheduler, idle, stopped = Scheduler(), location_state(), full(location_state(), 1, 1)
    stopped.error = LeadConnectorError()
    scheduler.add(idle, 0.0)
    scheduler.add(stopped, 0.0)
    assert scheduler.pop(1.0) is None
    assert scheduler.next_at == math.inf
    assert len(stopped.ready) == 1


def test_a_site_is_queued_once_for_its_earliest_time() -> None:
    """Asking later changes nothing, asking earlier does, and either way it is one turn."""
    scheduler, place = Scheduler(), full(location_state(), 1, 1)
    scheduler.add(place, 5.0)
    scheduler.add(place, 7.0)
    assert scheduler.pop(4.9) is None
    scheduler.add(place, 3.0)
    assert scheduler.next_at == 3.0
    assert scheduler.pop(3.0) is not None
    assert scheduler.pop(9.0) is None


def test_an_empty_schedule_has_nothing_due() -> None:
    """Ever."""
    assert Scheduler().pop(1e9) is None
    assert Scheduler().next_at == math.inf


@pytest.mark.virtual_time
async def test_a_location_takes_little_memory_until_it_has_much_to_do() -> None:
    """Of ten thousand that one import sends for, few move at a time."""
    session = ApiSession(
        cast("Transport", None), StaticToken("token"), policy=Policy(), limit=RateLimit()
    )
    names, now = [f"l{number}" for number in range(500)], asyncio.get_running_loop().time()
    tracemalloc.start()
    try:
        states = [LocationState(Lease(name, 1, 1), session.quota(name)) for name in names]
        assert all(state.prefetch for state in states)
        assert all(state.quota.ready_at(now) == now for state in states)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken / len(names) < 2_500
