"""The enricher: carries out the steps that complete a record before it is sent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from leadconnector_async.api import effects
from leadconnector_async.api.enrichment import contact_lookup, enrich
from leadconnector_async.delivery import decisions
from leadconnector_async.delivery.lane import Enrichment, Lane
from leadconnector_async.outbox.base import State
from leadconnector_async.records.deferred import Deferred, current_digest, read_deferred
from leadconnector_async.transport.base import Request, Response

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

    from leadconnector_async.delivery.outcomes import LookupStore
    from leadconnector_async.delivery.results import RunStats
    from leadconnector_async.delivery.scheduler import LocationState
    from leadconnector_async.session import ApiSession

MAX_UNREACHABLE: Final = 20_000
"""Contacts of a location that are known not to be there, kept so that each is asked for once."""


class Enricher:
    """Shared by all workers; what it knows of a record is in its lane's enrichment."""

    def __init__(
        self, session: ApiSession, lookups: LookupStore, stats: RunStats, random: Random
    ) -> None:
        self._session = session
        self._lookups = lookups
        self._stats = stats
        self._random = random

    async def begin(self, state: LocationState, lane: Lane) -> decisions.Decision | None:
        """Go as far as is possible without a request. None: there is more to do, or it is done."""
        claim = lane.claims[0]
        enrichment = lane.enrichment
        if enrichment is None:
            enrichment = lane.enrichment = Enrichment(read_deferred(claim.deferred or "{}"))
        stranger = state.unreachable.get(_marks(enrichment.deferred))
        if stranger is not None:
            return decisions.Settle(State.REJECTED, reason=stranger)
        enrichment.steps = enrich(
            claim.payload,
            enrichment.deferred,
            location=state.name,
            mode=self._session.policy.contacts,
            unread_of=lane.id if self._session.policy.mark_read else None,
        )
        return await self._advance(state, lane, enrichment, None)

    async def go_on(
        self, state: LocationState, lane: Lane, enrichment: Enrichment, response: Response
    ) -> decisions.Decision | None:
        """Take the answer to the enrichment's request in."""
        self._stats.enrichments += 1
        if enrichment.request is not None:
            path = enrichment.request.path.partition("?")[0]
            lane.claims[0].note(f"{enrichment.request.method} {path}: {response.status}")
        return await self._advance(state, lane, enrichment, response)

    async def begin_again(self, state: LocationState, lane: Lane, need: str) -> None:
        """Complete a record anew, refused for want of a conversation as others will be."""
        lane.enrichment = None
        await self._lookups.put_lookups(state, {need: "a conversation"})
        state.ready.insert(0, lane)

    def failed(
        self, enrichment: Enrichment, reason: str, *, lags: bool = False
    ) -> decisions.Decision:
        """Begin again after a while; or give the record up, which provably was not sent.

        While the API is down, no record is charged. ``lags``: what is there does not show yet, so
        that only time helps.
        """
        enrichment.start_over()
        policy = self._session.policy
        if self._session.breaker.is_open:
            return decisions.Retry(policy.delay(enrichment.failures + 1, self._random))
        enrichment.failures += 1
        if enrichment.failures >= policy.attempts:
            return decisions.exhausted(reason, enrichment.failures)
        delay = policy.delay(enrichment.failures, self._random)
        if lags:
            looks = policy.look_after
            delay = max(delay, looks[min(enrichment.failures, len(looks)) - 1])
        return decisions.Retry(delay)

    async def _advance(
        self, state: LocationState, lane: Lane, enrichment: Enrichment, result: object
    ) -> decisions.Decision | None:
        todo, enrichment.steps, enrichment.request = enrichment.steps, None, None
        assert todo is not None  # noqa: S101 - tells the type checker
        try:
            while True:
                step = todo.send(result)
                if isinstance(step, Request):
                    enrichment.steps, enrichment.request = todo, step
                    return None
                result = await self._carry_out(state, lane, enrichment, step)
        except _LookupInProgressError:
            enrichment.start_over()
            return decisions.Retry(_BEING_LEARNED)
        except StopIteration as end:
            enrichment.completed, enrichment.learning = end.value, None
            enrichment.drop_file()
            return None
        except effects.StepFailedError as error:
            lags = isinstance(error, effects.StepLagsError)
            return self.failed(enrichment, str(error), lags=lags)
        except effects.StepRefusedError as error:
            contact = enrichment.deferred.contact
            if contact is not None and contact_lookup(contact) not in lane.lookups:
                if len(state.unreachable) >= MAX_UNREACHABLE:
                    state.unreachable.clear()
                state.unreachable[_marks(enrichment.deferred)] = str(error)
            return decisions.Settle(State.REJECTED, reason=str(error))

    async def _carry_out(
        self, state: LocationState, lane: Lane, enrichment: Enrichment, step: effects.Effect
    ) -> object:
        match step:
            case effects.GetLookups(names):
                return lane.lookups | await self._get_lookups(state, lane, enrichment, names)
            case effects.PutLookups(lookups):
                await self._lookups.put_lookups(state, lookups)
                lane.lookups |= _of_whom(lookups)
                if enrichment.learning in lookups:  # not what it learned on the way there
                    enrichment.learning = None
            case effects.HashFile(path):
                try:
                    return await asyncio.to_thread(current_digest, path)
                except OSError:
                    return None
            case effects.FetchFile(digest):
                enrichment.drop_file()
                enrichment.fetched = await self._lookups.fetch_file(digest)
                return enrichment.fetched
        return None

    async def _get_lookups(
        self, state: LocationState, lane: Lane, enrichment: Enrichment, names: list[str]
    ) -> dict[str, str]:
        unknown = [name for name in names if name not in lane.lookups]
        shared = [name for name in unknown if name.startswith(_SHARED)]
        _see_that_none_is_being_learned(state, enrichment, shared)
        found = await self._lookups.get_lookups(state, unknown) if unknown else {}
        lane.lookups |= _of_whom(found)
        shared = [name for name in shared if name not in found]
        _see_that_none_is_being_learned(state, enrichment, shared)
        for name in shared:
            state.learning[name], enrichment.learning = enrichment, name
        return found


class _LookupInProgressError(Exception):
    """Another lane asks the API for the same lookup just now."""


def _see_that_none_is_being_learned(
    state: LocationState, enrichment: Enrichment, names: list[str]
) -> None:
    for name in names:
        other = state.learning.get(name)
        if other is not None and other.learning != name:
            del state.learning[name]
        elif other is not None and other is not enrichment:
            raise _LookupInProgressError


def _marks(deferred: Deferred) -> tuple[str | None, str | None]:
    """What a contact is looked up by. Its name is not."""
    return (deferred.contact.phone, deferred.contact.email) if deferred.contact else (None, None)


def _of_whom(lookups: Mapping[str, str]) -> dict[str, str]:
    """The lookups of the lane's contact: few. Those of files and mails are one for each record."""
    return {name: value for name, value in lookups.items() if name.startswith(_OF_WHOM)}


_SHARED: Final = ("file:", "unread:")
"""Contacts and conversations belong to one lane, files to all of a location; whether a conversation
is unread is asked by the first of the lanes that are with its contact."""

_BEING_LEARNED: Final = 0.1
"""Seconds until a lane looks again whether another one has learned what it needs."""

_OF_WHOM: Final = ("contact:", "conversation:", "owner:", "mark:")
