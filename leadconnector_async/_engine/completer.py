"""The completer: carries out the steps that complete a record before it is sent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from leadconnector_async._api.completing import complete, contact_fact
from leadconnector_async._api.dialogue import (
    Inspect,
    Learn,
    Recall,
    StepFailedError,
    StepLagsError,
    StepRefusedError,
    Turn,
)
from leadconnector_async._api.late import Late, read_late
from leadconnector_async._engine import steps
from leadconnector_async._engine.unsettled import Errand
from leadconnector_async._files import current_digest
from leadconnector_async._outbox.interface import State
from leadconnector_async._transport import Request

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

    from leadconnector_async._engine.desk import Memory
    from leadconnector_async._engine.lanes import Lane, Site
    from leadconnector_async._engine.tally import Tally
    from leadconnector_async._gateway import Gateway
    from leadconnector_async._transport import Answer

MOST_STRANGERS: Final = 20_000
"""Contacts of a location that are known not to be there, kept so that each is asked for once."""


class Completer:
    """Shared by all workers; what it knows of a record is in its lane's errand."""

    def __init__(self, gateway: Gateway, memory: Memory, tally: Tally, random: Random) -> None:
        self._gateway = gateway
        self._memory = memory
        self._tally = tally
        self._random = random

    async def begin(self, site: Site, lane: Lane) -> steps.Step | None:
        """Go as far as is possible without a request. None: there is more to do, or it is done."""
        claim = lane.claims[0]
        errand = lane.errand
        if errand is None:
            errand = lane.errand = Errand(read_late(claim.late or "{}"))
        stranger = site.strangers.get(_marks(errand.late))
        if stranger is not None:
            return steps.End(State.REJECTED, reason=stranger)
        errand.steps = complete(
            claim.payload,
            errand.late,
            location=site.name,
            mode=self._gateway.policy.contacts,
            version=self._gateway.version,
        )
        return await self._advance(site, lane, errand, None)

    async def go_on(
        self, site: Site, lane: Lane, errand: Errand, answer: Answer
    ) -> steps.Step | None:
        """Take the answer to the errand's request in."""
        self._tally.errands += 1
        return await self._advance(site, lane, errand, answer)

    def failed(self, errand: Errand, reason: str, *, lags: bool = False) -> steps.Step:
        """Begin again after a while; or give the record up, which provably was not sent.

        While the API is down, no record is charged. ``lags``: what is there does not show yet, so
        that only time helps.
        """
        errand.start_over()
        policy = self._gateway.policy
        if self._gateway.breaker.is_open:
            return steps.Again(policy.delay(errand.failures + 1, self._random))
        errand.failures += 1
        if errand.failures >= policy.attempts:
            text = f"{reason} (in {errand.failures} attempts)"
            return steps.End(State.REJECTED, reason=text)
        delay = policy.delay(errand.failures, self._random)
        if lags:
            looks = policy.look_after
            delay = max(delay, looks[min(errand.failures, len(looks)) - 1])
        return steps.Again(delay)

    async def _advance(
        self, site: Site, lane: Lane, errand: Errand, result: object
    ) -> steps.Step | None:
        todo, errand.steps, errand.request = errand.steps, None, None
        assert todo is not None  # noqa: S101 - tells the type checker
        try:
            while True:
                step = todo.send(result)
                if isinstance(step, Request):
                    errand.steps, errand.request = todo, step
                    return None
                result = await self._carry_out(site, lane, errand, step)
        except _BeingLearnedError:
            errand.start_over()
            return steps.Again(_BEING_LEARNED)
        except StopIteration as end:
            errand.completed = end.value
            return None
        except StepFailedError as error:
            return self.failed(errand, str(error), lags=isinstance(error, StepLagsError))
        except StepRefusedError as error:
            self._note_stranger(site, lane, errand, str(error))
            return steps.End(State.REJECTED, reason=str(error))

    async def _carry_out(self, site: Site, lane: Lane, errand: Errand, step: Turn) -> object:
        match step:
            case Recall(names):
                return lane.facts | await self._recall(site, lane, errand, names)
            case Learn(facts):
                await self._memory.remember(site, facts)
                lane.facts |= _of_whom(facts)
                errand.learning = None
            case Inspect(path):
                try:
                    return await asyncio.to_thread(current_digest, path)
                except OSError:
                    return None
        return None

    async def _recall(
        self, site: Site, lane: Lane, errand: Errand, names: list[str]
    ) -> dict[str, str]:
        unknown = [name for name in names if name not in lane.facts]
        shared = [name for name in unknown if name.startswith(_SHARED)]
        _see_that_none_is_being_learned(site, errand, shared)
        found = await self._memory.recall(site, unknown) if unknown else {}
        lane.facts |= _of_whom(found)
        shared = [name for name in shared if name not in found]
        _see_that_none_is_being_learned(site, errand, shared)
        for name in shared:
            site.learning[name], errand.learning = errand, name
        return found

    def _note_stranger(self, site: Site, lane: Lane, errand: Errand, reason: str) -> None:
        contact = errand.late.contact
        if contact is None or contact_fact(contact) in lane.facts:
            return
        if len(site.strangers) >= MOST_STRANGERS:
            site.strangers.clear()
        site.strangers[_marks(errand.late)] = reason


class _BeingLearnedError(Exception):
    """Another lane asks the API for the same fact just now."""


def _see_that_none_is_being_learned(site: Site, errand: Errand, names: list[str]) -> None:
    for name in names:
        other = site.learning.get(name)
        if other is not None and other.learning != name:
            del site.learning[name]
        elif other is not None and other is not errand:
            raise _BeingLearnedError


def _marks(late: Late) -> tuple[str | None, str | None]:
    """What a contact is looked up by. Its name is not."""
    return (late.contact.phone, late.contact.email) if late.contact else (None, None)


def _of_whom(facts: Mapping[str, str]) -> dict[str, str]:
    """The facts of the lane's contact: few. Those of files and mails are one for each record."""
    return {name: value for name, value in facts.items() if name.startswith(_OF_WHOM)}


_SHARED: Final = "file:"
"""Contacts and conversations belong to one lane, files to all of a location."""
_BEING_LEARNED: Final = 0.1
"""Seconds until a lane looks again whether another one has learned what it needs."""
_OF_WHOM: Final = ("contact:", "conversation:", "owner:")
