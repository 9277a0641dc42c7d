from __future__ import annotations

import asyncio
from math import inf, nan
from random import Random
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from virtual_time import HeldClock

from leadconnector_async.api.responses import MAX_FIGURE, SILENT
from leadconnector_async.models import RateLimitHeaders
from leadconnector_async.quota.limits import QuotaSnapshot, RateLimit
from leadconnector_async.quota.quota import PLENTY, Quota
from leadconnector_async.quota.window import DAY_S, GRAINS

if TYPE_CHECKING:
    from leadconnector_async.quota.window import Slot

WALL = 1_700_000_000_000
FULL = RateLimitHeaders(max=100, remaining=99, interval_ms=10_000)


def time() -> float:
    """The loop's time."""
    return asyncio.get_running_loop().time()


def make(
    limit: RateLimit | None = None, snapshot: QuotaSnapshot | None = None, wall_ms: int = WALL
) -> Quota:
    """A quota that begins now."""
    return Quota(limit or RateLimit(), snapshot=snapshot, now=time(), wall_ms=wall_ms)


async def one(quota: Quota) -> Slot:
    """The next slot, however long it takes."""
    while (ready_at := quota.ready_at(now := time())) > now:  # noqa: ASYNC110 - in virtual time
        await asyncio.sleep(ready_at - now)
    return quota.take(now)


async def exchange(quota: Quota, seen: RateLimitHeaders | None, number: int = 1) -> None:
    """Requests that are answered at once, each with these figures."""
    for _ in range(number):
        quota.give_back(await one(quota), time(), seen)


async def consistent(quota: Quota, number: int, most: int = 100) -> None:
    """Requests that are answered at once, by a server that counts them all."""
    for sent in range(1, number + 1):
        await exchange(quota, RateLimitHeaders(max=most, remaining=most - sent, interval_ms=10_000))


@pytest.mark.parametrize("assumed", [100, 10**9])
@pytest.mark.virtual_time
async def test_the_first_request_goes_alone(assumed: int) -> None:
    """Its answer tells the limit; until then nothing is ready, however much is assumed."""
    quota = make(RateLimit(assumed))
    slot = await one(quota)
    assert quota.ready_at(time()) == inf
    quota.give_back(slot, time(), FULL)
    assert quota.ready_at(time()) == time()


@pytest.mark.virtual_time
async def test_an_unanswered_first_request_leaves_the_next_alone_too() -> None:
    """Given up is not answered."""
    quota = make()
    quota.give_back(await one(quota), time(), None)
    await one(quota)
    assert quota.ready_at(time()) == inf


@pytest.mark.virtual_time
async def test_a_slot_is_taken_only_when_one_is_ready() -> None:
    """Each take needs its own answer of ready_at."""
    quota = make()
    with pytest.raises(RuntimeError, match="ask ready_at"):
        quota.take(time())
    await one(quota)
    with pytest.raises(RuntimeError, match="ask ready_at"):
        quota.take(time())


@pytest.mark.virtual_time
async def test_a_full_window_is_ready_again_an_interval_after_the_first_answer() -> None:
    """And says so beforehand, without being asked in between."""
    quota = make(RateLimit(5, 10.0))
    began = time()
    await exchange(quota, SILENT, 5)
    assert quota.ready_at(time()) == pytest.approx(began + 10.0, abs=0.1)
    await one(quota)
    assert time() >= began + 10.0


@pytest.mark.virtual_time
async def test_what_never_left_costs_nothing() -> None:
    """Neither a slot nor a request of the day."""
    quota = make(RateLimit(1, 10.0, daily=1))
    quota.unused(await one(quota))
    assert quota.day.left == 1
    quota.give_back(await one(quota), time(), SILENT)
    assert quota.day.left == 0


@pytest.mark.virtual_time
async def test_a_slot_is_given_back_once() -> None:
    """A second time is a bug, and is told."""
    quota = make()
    slot = await one(quota)
    quota.give_back(slot, time(), SILENT)
    with pytest.raises(RuntimeError, match="given back before"):
        quota.give_back(slot, time(), SILENT)


@pytest.mark.virtual_time
async def test_no_limit_is_none_until_one_is_announced() -> None:
    """Then it is the announced one."""
    quota = make()
    quota = Quota(None, now=time(), wall_ms=WALL)
    await exchange(quota, SILENT, 10_000)
    assert quota.day.left is None
    await exchange(quota, RateLimitHeaders(max=25, interval_ms=10_000, daily_limit=10_000))
    assert quota.limit.requests == 25
    assert quota.rate == 2.5


@pytest.mark.virtual_time
async def test_announced_limits_are_in_force_at_once() -> None:
    """Lower and higher ones."""
    lower, higher = make(), make()
    await exchange(lower, RateLimitHeaders(max=25, remaining=24, interval_ms=10_000))
    await exchange(higher, RateLimitHeaders(max=250, remaining=249, interval_ms=5_000))
    assert lower.limit == RateLimit(25, 10.0)
    assert higher.limit == RateLimit(250, 5.0)


@pytest.mark.virtual_time
async def test_an_announced_limit_is_used_and_kept_to() -> None:
    """Its pace, its slots, and for how long those are held."""
    quota, began = make(), time()
    await exchange(quota, RateLimitHeaders(max=1_000, interval_ms=60_000), 1_000)
    assert 40 < time() - began < 60
    assert quota.ready_at(time()) == pytest.approx(began + 60.0, abs=0.2)


@pytest.mark.parametrize("most", [10, 20])
@pytest.mark.virtual_time
async def test_what_the_server_promises_is_used_beyond_the_slots(most: int) -> None:
    """It has begun a new window; unless what was given up may arrive in that. Assumed or told."""
    quota, began = make(RateLimit(10, 10.0)), time()
    await consistent(quota, most - 1, most=most)
    await exchange(quota, RateLimitHeaders(max=most, remaining=most - 1))
    assert quota.ready_at(time()) < time() + 1.0
    await exchange(quota, None)
    assert quota.ready_at(time()) == began + 10.0


@pytest.mark.virtual_time
async def test_a_limit_that_flaps_is_the_lower_one() -> None:
    """It is raised only when an interval has passed without the lower figure."""
    quota = make()
    for most in (25, 250, 25, 250):
        await exchange(quota, RateLimitHeaders(max=most, remaining=most - 1, interval_ms=10_000))
        assert quota.limit.requests == 25
    await asyncio.sleep(6.0)
    await exchange(quota, RateLimitHeaders(max=25, remaining=24, interval_ms=10_000))
    await asyncio.sleep(6.0)
    await exchange(quota, RateLimitHeaders(max=250, remaining=249, interval_ms=10_000))
    assert quota.limit.requests == 25
    await asyncio.sleep(4.1)
    await exchange(quota, RateLimitHeaders(max=250, remaining=249, interval_ms=10_000))
    assert quota.limit.requests == 250


@pytest.mark.parametrize(
    "nonsense",
    [
        RateLimitHeaders(max=0, remaining=0, interval_ms=0),
        RateLimitHeaders(max=100, remaining=MAX_FIGURE, interval_ms=MAX_FIGURE),
        RateLimitHeaders(max=0, remaining=5),
        RateLimitHeaders(daily_limit=0, daily_remaining=MAX_FIGURE, daily_reset_ms=MAX_FIGURE),
        RateLimitHeaders(remaining=101),
    ],
)
@pytest.mark.virtual_time
async def test_nonsense_in_headers_changes_nothing(nonsense: RateLimitHeaders) -> None:
    """Zeros, absurd figures, more remaining than there is."""
    quota, silent = make(), make()
    for each, seen in ((quota, nonsense), (silent, SILENT)):
        await exchange(each, seen, 10)
    assert repr(quota) == repr(silent)
    assert quota.ready_at(time()) == pytest.approx(silent.ready_at(time()), abs=0.1)


@pytest.mark.virtual_time
async def test_more_than_the_limit_cannot_remain() -> None:
    """A figure that contradicts itself promises nothing."""
    quota = make(RateLimit(5, 10.0))
    began = time()
    await exchange(quota, RateLimitHeaders(max=5, remaining=MAX_FIGURE), 5)
    assert quota.ready_at(time()) > began + 9.9


@pytest.mark.virtual_time
async def test_a_lower_remainder_than_ours_is_believed() -> None:
    """Somebody else took 60 of the 100."""
    quota = make()
    await exchange(quota, RateLimitHeaders(max=100, remaining=39, interval_ms=10_000))
    began = time()
    sent = 0
    while time() < began + 9.0:
        await exchange(quota, RateLimitHeaders(max=100, remaining=38 - sent, interval_ms=10_000))
        sent += 1
    assert 30 <= sent < 39


@pytest.mark.virtual_time
async def test_a_pause_holds_everything_back() -> None:
    """The longest one counts; nonsense is none."""
    quota = make()
    quota.pause(time() + 5.0)
    quota.pause(time() + 3.0)
    quota.pause(inf)
    quota.pause(nan)
    assert quota.ready_at(time()) == time() + 5.0


@pytest.mark.parametrize(
    ("retry_after", "pause"),
    [(None, 1.0), (7.0, 7.0), (-5.0, 0.0), (31_536_000.0, 86_400.0), (inf, 86_400.0), (nan, 0.0)],
)
@pytest.mark.virtual_time
async def test_a_429_pauses(retry_after: float | None, pause: float) -> None:
    """As long as it says, a day at most; a tenth of an interval where it does not say."""
    quota = make()
    await exchange(quota, FULL)
    goes_on = quota.throttled(time(), retry_after)
    assert goes_on - time() == pytest.approx(pause, abs=1e-6)
    assert quota.ready_at(time()) >= goes_on


@pytest.mark.virtual_time
async def test_a_429_yields_to_others() -> None:
    """Ours alone cannot have caused it: a third is left to whoever did."""
    quota = make()
    await consistent(quota, 100)
    quota.throttled(time())
    slot = await one(quota)
    assert 60 <= slot.used <= 100 - 33 - 2


@pytest.mark.virtual_time
async def test_a_row_of_429s_begins_with_its_first() -> None:
    """It is what a location is given up for; a day that is spent is another matter."""
    quota = make()
    await exchange(quota, FULL)
    began = time()
    for _ in range(3):
        quota.throttled(time(), 1.0)
        await asyncio.sleep(5.0)
    assert quota.throttled_since == began
    await asyncio.sleep(10 * 3600.0)  # nobody has asked for hours: what the API would have said?
    quota.throttled(time(), 1.0)
    assert quota.throttled_since == time()
    await exchange(quota, RateLimitHeaders(daily_limit=1000, daily_remaining=0))
    quota.throttled(time())
    assert quota.throttled_since == inf


@pytest.mark.parametrize("sent", [True, False])
@pytest.mark.virtual_time
async def test_who_waits_for_a_slot_is_told_once_when_one_is_given_back(*, sent: bool) -> None:
    """Also one whose request never left: of a quota that waits for its first answer all do."""
    quota, told = make(), list[str]()
    slot = await one(quota)
    quota.when_freed("another", lambda: told.append("free"))
    quota.give_back(slot, time(), FULL) if sent else quota.unused(slot)
    await exchange(quota, FULL)
    assert told == ["free"]


@pytest.mark.virtual_time
async def test_a_spent_day_ends_when_the_server_says() -> None:
    """Nothing is ready before; then all of it is."""
    quota = make(RateLimit(100, 10.0, daily=1000))
    seen = RateLimitHeaders(daily_limit=1000, daily_remaining=0, daily_reset_ms=3_600_000)
    await exchange(quota, seen)
    assert quota.ready_at(time()) == inf
    assert quota.day.spent
    assert quota.day.ends == pytest.approx(time() + 3600.0, abs=1e-3)
    assert quota.throttled(time()) == quota.day.ends
    await asyncio.sleep(3600.0)
    assert quota.ready_at(time()) == time()
    assert not quota.day.spent
    assert quota.day.left == 1000


@pytest.mark.virtual_time
async def test_the_first_request_after_a_spent_day_goes_alone() -> None:
    """By the server's clock that day may not have ended: one answer 429 is enough to tell."""
    quota = make(RateLimit(100, 10.0, daily=1000))
    await exchange(quota, RateLimitHeaders(daily_limit=1000, daily_remaining=0))
    assert quota.ready_at(time()) == inf
    await asyncio.sleep(DAY_S)
    slot = await one(quota)
    assert quota.ready_at(time()) == inf
    assert not quota.day.spent
    quota.give_back(slot, time(), RateLimitHeaders(daily_limit=1000, daily_remaining=999))
    assert quota.ready_at(time()) == time()


@pytest.mark.virtual_time
async def test_a_day_goes_on_in_the_next_process() -> None:
    """What was used is used, and it ends when it would have ended."""
    quota = make(RateLimit(100, 10.0, daily=1000))
    await exchange(quota, RateLimitHeaders(daily_reset_ms=7_200_000), 40)
    state = quota.state(time(), WALL)
    assert state.day_used == 40
    heir = make(RateLimit(100, 10.0, daily=1000), state, WALL + 3_600_000)
    assert heir.day.left == 960
    assert heir.day.ends == pytest.approx(time() + 3600.0, abs=0.01)
    tomorrow = make(RateLimit(100, 10.0, daily=1000), state, WALL + 7_300_000)
    assert tomorrow.day.left == 1000


@pytest.mark.virtual_time
async def test_a_window_goes_on_in_the_next_process() -> None:
    """100 of 100 used: the next process gets what comes free, as it comes free."""
    quota = make()
    await consistent(quota, 100)
    heir = make(snapshot=quota.state(time(), WALL), wall_ms=WALL + 500)
    began, sent = time(), 0
    while time() < began + 5.0:
        await exchange(heir, SILENT)
        sent += 1
    assert 35 <= sent <= 50


@pytest.mark.virtual_time
async def test_after_a_restart_a_released_slot_is_waited_for() -> None:
    """The limit may have been what the earlier process used; it is not waited for long."""
    quota = make()
    await consistent(quota, 25, most=25)
    heir = make(snapshot=quota.state(time(), WALL))
    assert time() < heir.ready_at(time()) <= time() + 1.0


@pytest.mark.virtual_time
async def test_after_a_restart_a_full_window_is_kept_to() -> None:
    """No more was used than the limit in force allows: it may be the server's."""
    heir = make(snapshot=QuotaSnapshot(100, WALL + 10_000, 100, WALL + 20_000))
    for later in (1.0, 8.9):
        await asyncio.sleep(later)
        assert heir.ready_at(time()) > time()


@pytest.mark.virtual_time
async def test_after_a_restart_a_greater_limit_is_asked_for() -> None:
    """More was used than the limit in force allows: one request goes, and its answer tells."""
    quota = make()
    await consistent(quota, 400, most=500)
    heir = make(snapshot=quota.state(time(), WALL))
    began = time()
    slot = await one(heir)
    assert time() < began + 1.1
    assert heir.ready_at(time()) == inf
    heir.give_back(slot, time(), RateLimitHeaders(max=500, remaining=99, interval_ms=10_000))
    assert heir.ready_at(time()) == time()


@pytest.mark.virtual_time
async def test_after_a_restart_a_greater_limit_is_asked_for_once() -> None:
    """An answer that tells none leaves the one in force, and what is used of it."""
    heir = make(snapshot=QuotaSnapshot(400, WALL, 400, WALL + 10_000))
    await exchange(heir, SILENT)
    assert heir.ready_at(time()) > time()


@pytest.mark.parametrize("jump_ms", [-(10**12), -3_600_000, 3_600_000, 10**12])
@pytest.mark.virtual_time
async def test_a_wall_clock_that_jumped_stops_nothing_for_long(jump_ms: int) -> None:
    """Back: an interval is waited, and a day. Forth: the first answer tells what is left."""
    quota = make()
    await consistent(quota, 100)
    heir = make(snapshot=quota.state(time(), WALL), wall_ms=WALL + jump_ms)
    assert heir.day.ends <= time() + 86_400.0 or heir.day.left == 200_000
    await asyncio.sleep(10.0)
    assert heir.ready_at(time()) <= time()


@pytest.mark.virtual_time
async def test_a_state_that_says_nothing_changes_nothing() -> None:
    """A location that was never used, and one whose spend is long over."""
    fresh = make().state(time(), WALL)
    assert fresh == QuotaSnapshot(0, WALL, 0, WALL)
    heir = make(snapshot=QuotaSnapshot(500, WALL - 1, 100, WALL - 1))
    assert heir.ready_at(time()) == time()
    assert heir.day.left == 200_000


@pytest.mark.slow
@pytest.mark.virtual_time
async def test_a_huge_limit_costs_no_memory() -> None:
    """A million per 10 s, as the server announces: the slots are kept in grains."""
    quota = make()
    huge = RateLimitHeaders(max=1_000_000, interval_ms=10_000)
    await exchange(quota, huge)
    for _ in range(50):
        await exchange(quota, replace(huge, remaining=900_000), 400)
        await asyncio.sleep(0.01)
    assert len(quota._window._held) < 600
    assert quota._window.used > 15_000


@pytest.mark.virtual_time
async def test_its_repr_says_how_it_stands() -> None:
    """For a debugger."""
    quota = make()
    await one(quota)
    assert repr(quota) == "<Quota: 1 of 100 in 10 s, 1 in flight, 1 of 200000 today>"


@pytest.mark.virtual_time
async def test_an_announced_day_is_handed_on() -> None:
    """Also where nothing of it is used any more."""
    quota = make()
    await exchange(quota, RateLimitHeaders(daily_limit=5, daily_remaining=0))
    assert quota.ready_at(time()) == inf
    assert quota.day.spent
    heir = make(snapshot=quota.state(time(), WALL))
    assert (heir.day.limit, heir.day.spent) == (5, False)
    await exchange(heir, SILENT)
    assert heir.ready_at(time()) == inf
    assert heir.day.spent
    later = make(snapshot=quota.state(time(), WALL), wall_ms=WALL + 25 * 3_600_000)
    assert (later.day.limit, later.day.left) == (5, 5)


def shared(share: float, snapshot: QuotaSnapshot | None = None) -> Quota:
    """A part of the documented quota, that begins now."""
    return Quota(RateLimit(), snapshot=snapshot, now=time(), wall_ms=WALL, share=share)


@pytest.mark.virtual_time
async def test_a_share_is_a_share_of_what_is_announced() -> None:
    """Of the window and of the day; the next run, which may use all, is told the server's own."""
    quota = shared(0.5)
    assert quota.limit == RateLimit(50, 10.0, 100_000)
    seen = RateLimitHeaders(max=25, remaining=24, interval_ms=10_000, daily_limit=10_000)
    await exchange(quota, seen)
    assert (quota.limit.requests, quota.day.limit) == (12, 5_000)
    assert quota.state(time(), WALL).day_limit == 10_000


@pytest.mark.parametrize(("told", "part"), [(100, 50), (60, 30), (None, 50)])
@pytest.mark.virtual_time
async def test_a_share_is_not_exceeded_where_nobody_else_is(told: int | None, part: int) -> None:
    """Whatever the server has left: people at work may come at any time."""
    quota, began = shared(0.5), time()
    for sent in range(3 * part):
        await exchange(quota, RateLimitHeaders(max=told, remaining=2 * part - 1 - sent % part))
    assert time() - began > 19.5


@pytest.mark.virtual_time
async def test_others_who_use_more_than_their_share_are_given_room() -> None:
    """They took 70 of 100: 30 are left to a half of the quota."""
    quota, began = shared(0.5), time()
    for remaining in range(29, 4, -1):
        await exchange(quota, RateLimitHeaders(max=100, remaining=remaining, interval_ms=10_000))
    assert time() - began < 8
    await exchange(quota, RateLimitHeaders(max=100, remaining=0, interval_ms=10_000), 5)
    assert time() - began > 9


@pytest.mark.virtual_time
async def test_a_day_keeps_its_share_over_restarts() -> None:
    """What this import has used counts, and what others have left does not give it back."""
    used = QuotaSnapshot(99_990, WALL + 3_600_000, 0, WALL, 200_000)
    quota = shared(0.5, used)
    assert quota.day.left == 10
    plenty = RateLimitHeaders(daily_limit=200_000, daily_remaining=100_000)
    await exchange(quota, plenty, 10)
    assert quota.ready_at(time()) == inf
    assert quota.day.spent


@pytest.mark.virtual_time
async def test_a_share_of_a_day_counts_what_is_under_way_once() -> None:
    """Answers of the first of several at once say nothing of the last."""
    quota = shared(0.5)
    plenty = RateLimitHeaders(daily_limit=200_000, daily_remaining=199_000)
    await exchange(quota, plenty)
    for slot in [await one(quota) for _ in range(5)]:
        quota.give_back(slot, time(), plenty)
    assert quota.day.used == 6


@pytest.mark.virtual_time
async def test_a_day_that_others_use_up_is_up() -> None:
    """Nobody has a share of nothing."""
    quota = shared(0.5)
    await exchange(quota, RateLimitHeaders(daily_limit=200_000, daily_remaining=3))
    assert quota.day.left == 3


@pytest.mark.virtual_time
async def test_a_slot_tells_how_long_it_was_waited_for() -> None:
    """From when the first was wanted, however often it was asked whether there is one."""
    quota = make()
    quota.ready_at(time())
    quota.pause(time() + 3.0)
    await asyncio.sleep(1.0)
    assert quota.ready_at(time()) > time()
    await asyncio.sleep(2.5)
    for _ in range(3):
        assert quota.ready_at(time()) <= time()
    slot = quota.take(time())
    assert slot.waited == pytest.approx(2.5, abs=0.01)


@pytest.mark.virtual_time
async def test_figures_of_a_large_limit_are_heard_less_often_while_much_remains() -> None:
    """They tell nothing new, and reading them costs more than the rest of an answer does."""
    for remaining, times in ((900_000, PLENTY), (400_000, GRAINS)):
        quota = make(RateLimit(1_000_000, 10.0))
        await exchange(
            quota, RateLimitHeaders(max=1_000_000, remaining=remaining, interval_ms=10_000)
        )
        assert not quota.listens(time() + 0.9 * 10.0 / times)
        assert quota.listens(time() + 1.1 * 10.0 / times)
    quota = make()
    await exchange(quota, FULL)
    assert quota.listens(time())


class Looking(Quota):
    """A quota that looks each time."""

    def _be_sure(self, now: float) -> None: ...


@pytest.mark.parametrize("seed", range(12))
def test_whether_a_request_may_start_is_the_same_where_nothing_is_looked_at(seed: int) -> None:
    """Whatever is taken, answered, given up, heard and paused meanwhile, and however time goes."""
    random = Random(seed)
    limit, share = random.choice([20, 1_500, 2_500]), random.choice([1.0, 0.9])
    daily, mislead = random.choice([None, limit // 2 + 1, limit * 3]), random.choice([0.0, 0.2])
    left_over = random.choice([None, QuotaSnapshot(9, WALL + 500, 9, WALL + 500)])
    assumed, figures = RateLimit(limit, 1.0, daily), replace(FULL, max=limit, interval_ms=None)

    async def compare(loop: HeldClock) -> None:
        both = [
            of(assumed, snapshot=left_over, now=0.0, wall_ms=WALL, share=share)
            for of in (Quota, Looking)
        ]
        out: list[list[Slot]] = []
        for _ in range(5_000):
            steps = [0.0, 0.0, 0.0, 0.2 / limit, 1 / limit]
            loop.now += random.choice(steps if random.random() < 0.9995 else [0.3, 1.5, 90_000.0])
            now, told = loop.now, random.random()
            ready = {quota.ready_at(now) for quota in both}
            assert len(ready) == 1
            if ready.pop() <= now and told < 0.95:
                out.append([quota.take(now) for quota in both])
                assert out[-1][0] == out[-1][1]
            if out and random.random() < 0.7:
                slots = out.pop(random.randrange(len(out)))
                hidden = random.randint(0, limit) if random.random() < mislead else 0
                left, reset = limit - slots[0].used - hidden, random.choice([None, 700])
                seen = replace(figures, remaining=max(0, left), daily_reset_ms=reset)
                for quota, slot in zip(both, slots, strict=True):
                    if told < 0.02:
                        quota.unused(slot)
                    else:
                        quota.give_back(slot, now, seen if told < 0.1 else SILENT)
                    if told > 0.999:
                        quota.pause(now + 0.01)
                    elif told > 0.9985:
                        quota.throttled(now, 0.1)
            assert both[0].day.used == both[1].day.used

    with asyncio.Runner(loop_factory=HeldClock) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, HeldClock)
        runner.run(compare(loop))


@pytest.mark.virtual_time
async def test_a_stricter_limit_holds_from_the_answer_that_announces_it() -> None:
    """Also amid requests that were sure of their slots."""
    quota = make(RateLimit(500_000, 10.0))
    await consistent(quota, 20, most=500_000)
    assert quota.ready_at(time()) == time()
    slot = quota.take(time())
    quota.give_back(slot, time() + 1, RateLimitHeaders(max=10, remaining=0, interval_ms=10_000))
    assert quota.ready_at(time() + 1) > time() + 1


@pytest.mark.virtual_time
@pytest.mark.parametrize(("daily", "more"), [(None, 5_000), (1_005, 1_004)])
async def test_no_more_are_sure_than_window_and_day_have_left(daily: int | None, more: int) -> None:
    """None is answered; the one of before is released after an interval."""
    quota = make(RateLimit(5_000, 10.0, daily))
    await exchange(quota, SILENT)
    started = 0
    while (ready_at := quota.ready_at(now := time())) < inf:
        if ready_at > now:
            await asyncio.sleep(ready_at - now)
        else:
            assert quota.take(now).used <= 5_000
            started += 1
    assert started == more


@pytest.mark.virtual_time
async def test_what_starts_after_the_end_of_a_day_counts_in_the_next() -> None:
    """Also where it was sure of its slot before."""
    quota = make(RateLimit(5_000, 10.0, daily=1_000))
    await exchange(quota, SILENT)
    await asyncio.sleep(DAY_S - 1)
    await one(quota)
    await asyncio.sleep(2)
    await one(quota)
    assert quota.day.used == 1


@pytest.mark.virtual_time
async def test_what_is_answered_after_the_end_of_its_day_can_be_handed_on() -> None:
    """Also before the next request, and where no answer says when a day ends."""
    quota = make(RateLimit(100, 10.0, daily=1_000))
    await exchange(quota, SILENT)
    await asyncio.sleep(DAY_S - 1)
    slot = await one(quota)
    await asyncio.sleep(2)
    assert quota.state(time(), 0).day_used == 0
    quota.give_back(slot, time(), RateLimitHeaders(daily_remaining=900))
    assert quota.state(time(), 0).day_used == 100


@pytest.mark.virtual_time
async def test_a_sliding_window_is_not_taken_for_one_that_forgets_early() -> None:
    """Also where slots are sure across the end of an interval: what it has forgotten was due."""
    quota = make(RateLimit(5_000, 10.0))
    await exchange(quota, SILENT)
    await asyncio.sleep(30)
    burst = [await one(quota) for _ in range(5)]
    await asyncio.sleep(1)
    for slot in burst:
        quota.give_back(slot, time(), RateLimitHeaders(max=5_000, remaining=4_995))
    await asyncio.sleep(8.95)
    early = await one(quota)
    await asyncio.sleep(0.55)
    late = await one(quota)
    await asyncio.sleep(0.45)
    quota.give_back(early, time(), RateLimitHeaders(max=5_000, remaining=4_994))
    await asyncio.sleep(0.55)  # the burst's requests came 10.5 seconds before this one
    quota.give_back(late, time(), RateLimitHeaders(max=5_000, remaining=4_998))
    assert not quota._capacity.others.forgets_early
