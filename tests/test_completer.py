from __future__ import annotations

import asyncio
from random import Random
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from test_lanes import site as make_site

from leadconnector_async._api.late import Late, LocalFile
from leadconnector_async._breaker import FAILURES_TO_OPEN, Breaker
from leadconnector_async._engine import steps
from leadconnector_async._engine.completer import MOST_STRANGERS, Completer
from leadconnector_async._engine.lanes import Lane, Site
from leadconnector_async._engine.tally import Tally
from leadconnector_async._engine.unsettled import Errand
from leadconnector_async._files import current_digest
from leadconnector_async._messages import Contact
from leadconnector_async._outbox.interface import Claim
from leadconnector_async._policy import Policy
from leadconnector_async._transport import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from leadconnector_async._gateway import Gateway

KIM = Late(contact=Contact(phone="+1"))


class Notebook:
    """A memory that may be told to hold on."""

    def __init__(self) -> None:
        self.facts: dict[str, str] = {}
        self.open = asyncio.Event()
        self.open.set()

    async def recall(self, site: Site, names: Sequence[str]) -> dict[str, str]:
        """See `Memory.recall`."""
        del site
        await self.open.wait()
        return {name: self.facts[name] for name in names if name in self.facts}

    async def remember(self, site: Site, facts: Mapping[str, str]) -> None:
        """See `Memory.remember`."""
        del site
        await self.open.wait()
        self.facts |= facts


def completer(memory: Notebook, breaker: Breaker | None = None, **policy: object) -> Completer:
    """A completer that only finds contacts."""
    chosen = Policy(**{"contacts": "find", "look_after": (2.0, 8.0), **policy})  # type: ignore[arg-type]
    gateway = cast(
        "Gateway", SimpleNamespace(policy=chosen, version="v", breaker=breaker or Breaker())
    )
    return Completer(gateway, memory, Tally(), Random(1))


def lane_of(late: Late, seq: int = 1, body: bytes = b'{"type":"SMS"}') -> Lane:
    """A lane with one record."""
    lane = Lane(seq)
    lane.claims.append(Claim(1, seq, 0, seq, b"k", body, 0, late.encoded()))
    return lane


def test_a_cancellation_half_way_leaves_the_lane_able_to_begin_again() -> None:
    """Whatever it waited for."""

    async def scenario() -> None:
        memory, lane, place = Notebook(), lane_of(KIM), make_site()
        worker = completer(memory)
        memory.open.clear()
        task = asyncio.create_task(worker.begin(place, lane))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        errand = lane.errand
        assert errand is not None
        assert (errand.steps, errand.request, errand.completed) == (None, None, None)
        memory.open.set()
        assert await worker.begin(place, lane) is None
        assert errand.request is not None
        found = Answer(200, {}, b'{"contact":{"id":"k"}}')
        assert await worker.go_on(place, lane, errand, found) is None
        assert errand.completed is not None
        assert memory.facts == {"contact:+1": "k"}

    asyncio.run(scenario())


def test_a_stranger_is_known_by_number_and_address() -> None:
    """Another address with the same number may find somebody. There is a bound to it."""

    async def scenario() -> None:
        worker, place = completer(Notebook()), make_site()
        none = Answer(200, {}, b'{"contact":null}')
        lane = lane_of(KIM)
        await worker.begin(place, lane)
        ended = await worker.go_on(place, lane, cast("Errand", lane.errand), none)
        assert isinstance(ended, steps.End)
        again = lane_of(KIM, 2)
        assert await worker.begin(place, again) == ended
        other = lane_of(Late(contact=Contact(phone="+1", email="k@x.org")), 3)
        assert await worker.begin(place, other) is None
        place.strangers = {(str(n), None): "no" for n in range(MOST_STRANGERS)}
        await worker.begin(place, lane)
        await worker.go_on(place, lane, cast("Errand", lane.errand), none)
        assert len(place.strangers) == 1

    asyncio.run(scenario())


def test_one_lane_uploads_and_the_others_wait() -> None:
    """Until it has, or until it gives up."""

    async def scenario() -> None:
        memory, place = Notebook(), make_site()
        memory.facts = {f"conversation:c{n}": "v" for n in (1, 2)}
        worker = completer(memory)
        late = Late(attachments=[LocalFile(__file__, "")])
        first, second = (lane_of(late, n, b'{"type":"SMS","contactId":"c%d"}' % n) for n in (1, 2))
        errand = first.errand = Errand(late, learning="file:")
        place.learning["file:"] = errand
        assert isinstance(await worker.begin(place, second), steps.Again)
        errand.start_over()
        ended = await worker.begin(place, second)  # its digest is another: told, not waited for
        assert isinstance(ended, steps.End)
        assert "has changed" in (ended.reason or "")

    asyncio.run(scenario())


@pytest.mark.parametrize("url", ["https://x.org/1", ""])
def test_nothing_stays_of_an_upload_whose_record_is_over(url: str) -> None:
    """A location can have a file for each of its records: sent or not, they must not pile up."""

    async def scenario() -> None:
        memory, place = Notebook(), make_site()
        memory.facts = {"conversation:c1": "v"}
        worker = completer(memory, attempts=1)
        late = Late(attachments=[LocalFile(__file__, current_digest(__file__))])
        lane = place.lanes[1] = lane_of(late, body=b'{"type":"SMS","contactId":"c1"}')
        assert await worker.begin(place, lane) is None
        assert len(place.learning) == 1
        done = Answer(200, {}, b'{"uploadedFiles":{"f":"%b"}}' % url.encode())
        await worker.go_on(place, lane, cast("Errand", lane.errand), done)
        place.take_out(lane, lane.claims[0])
        assert not place.learning

    asyncio.run(scenario())


def test_what_lags_is_waited_for_as_long_as_reads_lag() -> None:
    """However short the other waits are; and not for ever."""

    async def scenario() -> None:
        worker = completer(Notebook(), attempts=3, backoff=0.0)
        errand = Errand(Late())
        first, second, third = (worker.failed(errand, "x", lags=True) for _ in range(3))
        assert (first, second) == (steps.Again(2.0), steps.Again(8.0))
        assert isinstance(third, steps.End)
        assert third.reason == "x (in 3 attempts)"
        assert worker.failed(Errand(Late()), "x") == steps.Again(0.0)

    asyncio.run(scenario())


def test_no_record_is_charged_while_the_api_is_down() -> None:
    """It begins again as often as it takes; what fails once the API is back counts."""

    async def scenario() -> None:
        breaker = Breaker()
        worker = completer(Notebook(), breaker, attempts=2, backoff=0.0)
        errand = Errand(Late())
        for _ in range(FAILURES_TO_OPEN):
            breaker.failed(0.0)
        assert [worker.failed(errand, "502") for _ in range(9)] == [steps.Again(0.0)] * 9
        breaker.succeeded()
        assert worker.failed(errand, "502") == steps.Again(0.0)
        assert isinstance(worker.failed(errand, "502"), steps.End)

    asyncio.run(scenario())


def test_a_lane_keeps_the_facts_of_its_contact_alone() -> None:
    """A mailbox has a fact for each mail: they stay in the store."""

    async def scenario() -> None:
        memory, place = Notebook(), make_site()
        memory.facts = {"contact:+1": "k", "mail:k:m": "e"}
        late = Late(contact=KIM.contact, mail="m")
        lane = lane_of(late)
        assert await completer(memory).begin(place, lane) is None
        assert lane.facts == {"contact:+1": "k"}
        assert lane.errand is not None
        assert lane.errand.completed is not None
        assert b'"emailMessageId":"e"' in lane.errand.completed.body

    asyncio.run(scenario())
