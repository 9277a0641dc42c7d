from __future__ import annotations

import asyncio
from random import Random
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from test_scheduler import location_state as make_site

from leadconnector_async.breaker import FAILURES_TO_OPEN, Breaker
from leadconnector_async.delivery import decisions
from leadconnector_async.delivery.enricher import MAX_UNREACHABLE, Enricher
from leadconnector_async.delivery.lane import Enrichment, Lane
from leadconnector_async.delivery.results import RunStats
from leadconnector_async.models import Contact
from leadconnector_async.outbox.base import Claim, Lease
from leadconnector_async.policy import Policy
from leadconnector_async.records.deferred import Deferred, LocalFile, current_digest
from leadconnector_async.transport.base import Response

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from leadconnector_async.delivery.scheduler import LocationState
    from leadconnector_async.session import ApiSession

KIM = Deferred(contact=Contact(phone="+1"))


class Notebook:
    """A memory that may be told to hold on."""

    def __init__(self) -> None:
        self.lookups: dict[str, str] = {}
        self.open = asyncio.Event()
        self.open.set()

    async def get_lookups(self, state: LocationState, names: Sequence[str]) -> dict[str, str]:
        """See `Memory.get_lookups`."""
        del state
        await self.open.wait()
        return {name: self.lookups[name] for name in names if name in self.lookups}

    async def put_lookups(self, state: LocationState, lookups: Mapping[str, str]) -> None:
        """See `Memory.put_lookups`."""
        del state
        await self.open.wait()
        self.lookups |= lookups

    async def fetch_file(self, digest: str) -> None:
        """None is kept."""


def make_enricher(memory: Notebook, breaker: Breaker | None = None, **policy: object) -> Enricher:
    """A enricher that only finds contacts."""
    chosen = Policy(**{"contacts": "find", "look_after": (2.0, 8.0), **policy})  # type: ignore[arg-type]
    session = cast("ApiSession", SimpleNamespace(policy=chosen, breaker=breaker or Breaker()))
    return Enricher(session, memory, RunStats(), Random(1))


def lane_of(deferred: Deferred, seq: int = 1, body: bytes = b'{"type":"SMS"}') -> Lane:
    """A lane with one record."""
    lane = Lane(seq)
    lane.claims.append(Claim(Lease("l1", 1, 1), seq, 0, seq, b"k", body, 0, deferred.encoded()))
    return lane


async def test_a_cancellation_half_way_leaves_the_lane_able_to_begin_again() -> None:
    """Whatever it waited for."""
    memory, lane, place = Notebook(), lane_of(KIM), make_site()
    worker = make_enricher(memory)
    memory.open.clear()
    task = asyncio.create_task(worker.begin(place, lane))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    enrichment = lane.enrichment
    assert enrichment is not None
    assert (enrichment.steps, enrichment.request, enrichment.completed) == (None, None, None)
    memory.open.set()
    assert await worker.begin(place, lane) is None
    assert enrichment.request is not None
    found = Response(200, {}, b'{"contact":{"id":"k"}}')
    assert await worker.go_on(place, lane, enrichment, found) is None
    assert enrichment.completed is not None
    assert memory.lookups == {"contact:+1": "k"}


async def test_a_stranger_is_known_by_number_and_address() -> None:
    """Another address with the same number may find somebody. There is a bound to it."""
    worker, place = make_enricher(Notebook()), make_site()
    none = Response(200, {}, b'{"contact":null}')
    lane = lane_of(KIM)
    await worker.begin(place, lane)
    ended = await worker.go_on(place, lane, cast("Enrichment", lane.enrichment), none)
    assert isinstance(ended, decisions.Settle)
    again = lane_of(KIM, 2)
    assert await worker.begin(place, again) == ended
    other = lane_of(Deferred(contact=Contact(phone="+1", email="k@x.org")), 3)
    assert await worker.begin(place, other) is None
    place.unreachable = {(str(n), None): "no" for n in range(MAX_UNREACHABLE)}
    await worker.begin(place, lane)
    await worker.go_on(place, lane, cast("Enrichment", lane.enrichment), none)
    assert len(place.unreachable) == 1


async def test_one_lane_uploads_and_the_others_wait() -> None:
    """Until it has, or until it gives up."""
    memory, place = Notebook(), make_site()
    memory.lookups = {f"conversation:c{n}": "v" for n in (1, 2)}
    worker = make_enricher(memory)
    deferred = Deferred(attachments=[LocalFile(__file__, "")])
    first, second = (lane_of(deferred, n, b'{"type":"SMS","contactId":"c%d"}' % n) for n in (1, 2))
    enrichment = first.enrichment = Enrichment(deferred, learning="file:")
    place.learning["file:"] = enrichment
    assert isinstance(await worker.begin(place, second), decisions.Retry)
    enrichment.start_over()
    ended = await worker.begin(place, second)  # its digest is another: told, not waited for
    assert isinstance(ended, decisions.Settle)
    assert "has changed" in (ended.reason or "")


async def test_the_others_wait_until_the_file_itself_is_there() -> None:
    """Whatever else the upload has to learn on its way, as whose conversation it is."""
    worker, place = make_enricher(Notebook()), make_site()
    deferred = Deferred(attachments=[LocalFile(__file__, current_digest(__file__))])
    first = lane_of(deferred, 1, b'{"type":"SMS","conversationId":"v"}')
    second = lane_of(deferred, 2, b'{"type":"SMS","contactId":"c2"}')
    assert await worker.begin(place, first) is None
    enrichment = cast("Enrichment", first.enrichment)
    owner = Response(200, {}, b'{"contactId":"c1"}')
    assert await worker.go_on(place, first, enrichment, owner) is None
    assert isinstance(await worker.begin(place, second), decisions.Retry)
    done = Response(200, {}, b'{"uploadedFiles":{"f":"https://x.org/1"}}')
    assert await worker.go_on(place, first, enrichment, done) is None
    assert await worker.begin(place, second) is None
    assert cast("Enrichment", second.enrichment).completed is not None


@pytest.mark.parametrize("url", ["https://x.org/1", ""])
async def test_nothing_stays_of_an_upload_whose_record_is_over(url: str) -> None:
    """A location can have a file for each of its records: sent or not, they must not pile up."""
    memory, place = Notebook(), make_site()
    memory.lookups = {"conversation:c1": "v"}
    worker = make_enricher(memory, attempts=1)
    deferred = Deferred(attachments=[LocalFile(__file__, current_digest(__file__))])
    lane = place.lanes[1] = lane_of(deferred, body=b'{"type":"SMS","contactId":"c1"}')
    assert await worker.begin(place, lane) is None
    assert len(place.learning) == 1
    done = Response(200, {}, b'{"uploadedFiles":{"f":"%b"}}' % url.encode())
    await worker.go_on(place, lane, cast("Enrichment", lane.enrichment), done)
    place.take_out(lane, lane.claims[0])
    assert not place.learning


async def test_what_lags_is_waited_for_as_long_as_reads_lag() -> None:
    """However short the other waits are; and not for ever."""
    worker = make_enricher(Notebook(), attempts=3, backoff=0.0)
    enrichment = Enrichment(Deferred())
    first, second, third = (worker.failed(enrichment, "x", lags=True) for _ in range(3))
    assert (first, second) == (decisions.Retry(2.0), decisions.Retry(8.0))
    assert isinstance(third, decisions.Settle)
    assert third.reason == "x (in 3 attempts)"
    assert worker.failed(Enrichment(Deferred()), "x") == decisions.Retry(0.0)


async def test_no_record_is_charged_while_the_api_is_down() -> None:
    """It begins again as often as it takes; what fails once the API is back counts."""
    breaker = Breaker()
    worker = make_enricher(Notebook(), breaker, attempts=2, backoff=0.0)
    enrichment = Enrichment(Deferred())
    for _ in range(FAILURES_TO_OPEN):
        breaker.failed(0.0)
    assert [worker.failed(enrichment, "502") for _ in range(9)] == [decisions.Retry(0.0)] * 9
    breaker.succeeded()
    assert worker.failed(enrichment, "502") == decisions.Retry(0.0)
    assert isinstance(worker.failed(enrichment, "502"), decisions.Settle)


async def test_a_lane_keeps_the_facts_of_its_contact_alone() -> None:
    """A mailbox has a fact for each mail: they stay in the store."""
    memory, place = Notebook(), make_site()
    memory.lookups = {"contact:+1": "k", "mail:k:m": "e"}
    deferred = Deferred(contact=KIM.contact, mail="m")
    lane = lane_of(deferred)
    assert await make_enricher(memory).begin(place, lane) is None
    assert lane.lookups == {"contact:+1": "k"}
    assert lane.enrichment is not None
    assert lane.enrichment.completed is not None
    assert b'"emailMessageId":"e"' in lane.enrichment.completed.body
