"""One location in virtual time: a server that counts, a network that jitters, another program."""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from msgspec import Struct
from virtual_time import in_virtual_time

from leadconnector_async.models import RateLimitHeaders
from leadconnector_async.quota.limits import RateLimit
from leadconnector_async.quota.quota import Quota
from leadconnector_async.sandbox.rate_limits import Bucket, FixedWindow, RateWindow, SlidingWindow

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from aiolimiter import AsyncLimiter

    from leadconnector_async.quota.limits import QuotaSnapshot
    from leadconnector_async.quota.window import Slot

Kind = Literal["fixed", "from-first", "sliding", "bucket"]
"""A fixed window starts at a tick of the server's clock, or at its first request."""
Others = Literal["none", "evenly", "in bursts"]
EPOCH_MS: Final = 1_700_000_000_000
TAIL: Final = 1.0
"""The longest that a slow uplink takes longer, in seconds."""


class Scenario(Struct, frozen=True, kw_only=True):
    """What a client is let loose on. Times are in seconds.

    ``others``: another program that takes a third of the limit. ``warm_up``: how long it has been
    there before us. ``restart_after``: an earlier process of ours has run for so long, and stopped
    half a second ago. ``lost``: the share of answers that do not come within the ``deadline``.
    """

    kind: Kind
    round_trip: float
    seconds: float = 60.0
    requests: int = 100
    interval: float = 10.0
    others: Others = "none"
    warm_up: float = 0.0
    restart_after: float = 0.0
    jitter: float = 0.2
    slow: float = 0.05
    lost: float = 0.0
    deadline: float = 5.0
    seed: int = 0

    @property
    def left(self) -> int:
        """What others leave of the limit."""
        return self.requests - (0 if self.others == "none" else round(self.requests / 3))

    @property
    def bound(self) -> float:
        """How many requests a window that is held for a round trip longer lets through."""
        return self.left * self.seconds / (self.interval + self.round_trip)


class Outcome(Struct, frozen=True, kw_only=True):
    """What the server saw of us while the scenario lasted: ``used`` is a share of the bound."""

    used: float
    sent: int
    throttled: int


class Location:
    """A server behind a network."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.random = Random(scenario.seed)
        self.window = _window(scenario, self.random.uniform(0, scenario.interval))
        self.arrivals: list[float] = []
        self.refusals: list[float] = []

    async def exchange(self) -> tuple[bool, RateLimitHeaders | None]:
        """One request of ours: whether it was let through, and the headers' figures if any came."""
        if self.random.random() < self.scenario.lost:
            arrives = self.random.uniform(0, self.scenario.deadline)
            await asyncio.sleep(arrives)
            self._arrive()
            await asyncio.sleep(self.scenario.deadline - arrives)
            return True, None
        there, back = self._delays()
        await asyncio.sleep(there)
        admitted, left = self._arrive()
        await asyncio.sleep(back)
        interval_ms = round(self.scenario.interval * 1000)
        return admitted, RateLimitHeaders(
            max=self.scenario.requests, remaining=left, interval_ms=interval_ms
        )

    async def visit(self) -> None:
        """Be another program, which takes a third and minds nobody."""
        loop = asyncio.get_running_loop()
        at_once = round(self.scenario.requests / 3) if self.scenario.others == "in bursts" else 1
        pause = self.scenario.interval * at_once / round(self.scenario.requests / 3)
        due = loop.time() + self.random.uniform(0, pause)
        while True:
            await asyncio.sleep(due - loop.time())
            for _ in range(min(at_once, self.window.left(loop.time()))):
                self.window.take(loop.time())
            due += pause

    def _arrive(self) -> tuple[bool, int]:
        now = asyncio.get_running_loop().time()
        admitted = self.window.left(now) > 0
        if admitted:
            self.window.take(now)
        (self.arrivals if admitted else self.refusals).append(now)
        return admitted, self.window.left(now)

    def _delays(self) -> tuple[float, float]:
        half, jitter = self.scenario.round_trip / 2, self.scenario.jitter
        there = half * self.random.uniform(1 - jitter, 1 + jitter)
        back = half * self.random.uniform(1 - jitter, 1 + jitter)
        if self.random.random() < self.scenario.slow:
            there += self.random.uniform(0, min(TAIL, 5 * self.scenario.round_trip))
        return there, back


class Sender:
    """Starts requests as a client allows, each in a task, until its time is over."""

    def __init__(self, location: Location) -> None:
        self.location = location
        self.moved = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, request: Coroutine[Any, Any, None]) -> None:
        """Start a request."""
        task = asyncio.ensure_future(request)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def through_quota(self, quota: Quota, until: float) -> None:
        """Send what `Quota` allows, as the dispatcher does."""
        loop = asyncio.get_running_loop()
        while (now := loop.time()) < until:
            self.moved.clear()
            ready_at = quota.ready_at(now)
            if ready_at <= now:
                self.start(self._with_slot(quota, quota.take(now)))
                continue
            try:
                async with asyncio.timeout_at(min(ready_at, until)):
                    await self.moved.wait()
            except TimeoutError:
                continue
        await self.settled()

    async def through_limiter(self, limiter: AsyncLimiter, until: float) -> None:
        """Send what a token bucket lets through, as most programs do."""
        while asyncio.get_running_loop().time() < until:
            await limiter.acquire()
            self.start(self._alone())
        await self.settled()

    async def settled(self) -> None:
        """Wait for the answers that are still due."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _with_slot(self, quota: Quota, slot: Slot) -> None:
        admitted, seen = await self.location.exchange()
        now = asyncio.get_running_loop().time()
        quota.give_back(slot, now, seen)
        if not admitted:
            quota.throttled(now)
        self.moved.set()

    async def _alone(self) -> None:
        await self.location.exchange()


class Client(Protocol):
    """One way of keeping to a limit."""

    async def __call__(
        self, sender: Sender, until: float, snapshot: QuotaSnapshot | None
    ) -> QuotaSnapshot | None:
        """Send until then. Go on from ``snapshot``, and return what the next process needs."""


def our_quota(limit: RateLimit | None, share: float = 1.0) -> Client:
    """The client that this is about, which takes the limit for that until answers tell."""

    async def client(sender: Sender, until: float, snapshot: QuotaSnapshot | None) -> QuotaSnapshot:
        loop = asyncio.get_running_loop()
        quota = Quota(limit, snapshot=snapshot, now=loop.time(), wall_ms=wall_ms(), share=share)
        await sender.through_quota(quota, until)
        return quota.state(loop.time(), wall_ms())

    return client


def wall_ms() -> int:
    """A wall clock that agrees with the loop's."""
    return EPOCH_MS + round(asyncio.get_running_loop().time() * 1000)


async def play(scenario: Scenario, client: Client) -> Outcome:
    """Let a client loose, and say how it did."""
    loop = asyncio.get_running_loop()
    location = Location(scenario)
    visitor = None
    if scenario.others != "none":
        visitor = asyncio.ensure_future(location.visit())
        await asyncio.sleep(scenario.warm_up)
    snapshot = None
    if scenario.restart_after:
        snapshot = await client(Sender(location), loop.time() + scenario.restart_after, None)
        await asyncio.sleep(0.5)
    began = loop.time()
    until = began + scenario.seconds
    await client(Sender(location), until, snapshot)
    if visitor is not None:
        visitor.cancel()
    sent = sum(began <= at < until for at in location.arrivals)
    return Outcome(
        used=sent / scenario.bound,
        sent=sent,
        throttled=sum(at >= began for at in location.refusals),
    )


def simulate(scenario: Scenario, client: Client | None = None) -> Outcome:
    """`play` in virtual time; by default with our client, which assumes the documented limit."""
    return in_virtual_time(play(scenario, client or our_quota(RateLimit())))


def _window(scenario: Scenario, phase: float) -> RateWindow:
    match scenario.kind:
        case "fixed":
            return FixedWindow(scenario.requests, scenario.interval, phase)
        case "from-first":
            return FixedWindow(scenario.requests, scenario.interval, None)
        case "sliding":
            return SlidingWindow(scenario.requests, scenario.interval)
        case "bucket":
            return Bucket(scenario.requests, scenario.interval)
