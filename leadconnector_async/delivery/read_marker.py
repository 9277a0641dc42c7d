"""The read marker: sets the unread count of conversations to 0 once their last message is settled.

It asks the outbox now and then, whose lookups tell what is to be done: so nothing is forgotten by a
crash, and what was done is not done again. A mark whose answer was lost is made again, which
changes nothing. It works beside the dispatcher, within the same quotas.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, Final

from leadconnector_async import errors
from leadconnector_async.api import responses
from leadconnector_async.api.endpoints import mark_read, with_missing_scope
from leadconnector_async.api.enrichment import unread_name
from leadconnector_async.transport.base import WithheldError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from leadconnector_async.delivery.results import RunStats
    from leadconnector_async.delivery.scheduler import LocationState
    from leadconnector_async.outbox.durable import DurableOutbox
    from leadconnector_async.outbox.lookups import ReadMark
    from leadconnector_async.quota.window import Slot
    from leadconnector_async.session import ApiSession

MAX_SLEEP_S: Final = 60.0

EVERY_S: Final = 1.0

AT_ONCE: Final = 8
"""Requests of one location in flight at most."""


@dataclass(eq=False, repr=False)
class ReadMarker:
    """Marks what is finished in the locations that are open. ``notice`` is told what is not."""

    _session: ApiSession
    _outbox: DurableOutbox
    _stats: RunStats
    _locations: Mapping[str, LocationState]
    _notice: Callable[[str, str], object]
    _tries: Counter[str] = field(default_factory=Counter)
    _barred: set[str] = field(default_factory=set)
    _random: Random = field(default_factory=Random)
    _ended: asyncio.Event = field(default_factory=asyncio.Event)
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)

    async def beside(self, work: Coroutine[Any, Any, None]) -> None:
        """Await ``work``, and mark what it finishes; at its end, all that is finished by then."""
        marking = asyncio.ensure_future(self._mark_all())
        try:
            await work
        except BaseException:
            marking.cancel()
            await asyncio.gather(marking, return_exceptions=True)
            raise
        self._ended.set()
        await marking

    def stop(self) -> None:
        """Begin nothing more: the next run goes on."""
        self._stopping.set()

    async def _mark_all(self) -> None:
        while not self._ended.is_set():
            await self._round()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), EVERY_S)
        while not self._stopping.is_set() and await self._round():
            pass

    async def _round(self) -> int:
        """Try each mark that is due once. Returns how many were tried."""
        rounds = [
            self._of_location(state)
            for state in list(self._locations.values())
            if state.error is None and state.name not in self._barred
        ]
        return sum(await asyncio.gather(*rounds))

    async def _of_location(self, state: LocationState) -> int:
        most = self._session.policy.attempts
        found = await self._outbox.finished(state.lease)
        due = [mark for mark in found if self._tries[mark.name] < most]
        turns = asyncio.Semaphore(AT_ONCE)

        async def in_turn(mark: ReadMark) -> None:
            async with turns:
                is_over = state.name in self._barred or self._stopping.is_set()
                if not is_over and await self._is_done(state, mark):
                    names = mark.name, unread_name(mark.name)
                    await self._outbox.forget_lookups(state.lease, names)

        await asyncio.gather(*map(in_turn, due))
        return len(due)

    async def _is_done(self, state: LocationState, mark: ReadMark) -> bool:
        """Make one request, if one is due. True: there is no more to be done."""
        if mark.conversation is None:
            return True
        self._tries[mark.name] += 1
        request = mark_read(state.name, mark.conversation)
        try:
            slot = await self._slot(state)
            self._stats.requests += 1
            response = await self._session.exchange(
                state.name, state.quota, slot, request, state.may_send
            )
        except errors.DailyQuotaSpentError:
            await self._wait_for_day(state, mark)
            return False
        except (errors.RefusedError, errors.TransportError, WithheldError) as error:
            bars = not isinstance(error, errors.TransportError)
            return await self._put_off(state, mark, str(error), bars=bars)
        if responses.is_success(response) and not responses.is_foreign(response):
            self._stats.marked += 1
            return True
        said = with_missing_scope(request, responses.read_refusal(response.status, response.body))
        why = f"{said.status} {said.message}"
        bars = responses.is_unauthorized(response)
        if bars or not responses.is_final(response):
            if isinstance(responses.classify(response.status, response.body), responses.Throttled):
                after = responses.retry_after(response, self._session.policy.retry_after_cap)
                self._session.pause(state.name, state.quota, after)
            return await self._put_off(state, mark, why, bars=bars)
        self._notice(f"conversations that could not be marked as read: {why}", mark.conversation)
        return True

    async def _slot(self, state: LocationState) -> Slot:
        """Wait for a slot, which may take as long as a pause after 429, and no longer than `stop`.

        Raises:
            NotSentError: it was stopped. DailyQuotaSpentError: see `ApiSession.acquire_slot`.
        """
        while not self._stopping.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(EVERY_S):
                    return await self._session.acquire_slot(state.name, state.quota)
        raise errors.NotSentError("the run was stopped")

    async def _rest(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    async def _put_off(self, state: LocationState, mark: ReadMark, why: str, *, bars: bool) -> bool:
        """Try again later: in this run, or where that is in vain, in the next one."""
        if bars:
            self._barred.add(state.name)
        if bars or self._tries[mark.name] >= self._session.policy.attempts:
            what = "conversations are not marked as read yet, and are with the same command again"
            self._notice(f"{what}: {why}", mark.conversation or "")
        else:
            await self._rest(self._session.policy.delay(self._tries[mark.name], self._random))
        return False

    async def _wait_for_day(self, state: LocationState, mark: ReadMark) -> None:
        if self._session.policy.wait_for_day:
            self._tries[mark.name] -= 1
            now = asyncio.get_running_loop().time()
            await self._rest(min(max(state.quota.day.ends - now, 0.0), MAX_SLEEP_S))
        else:
            self._barred.add(state.name)
