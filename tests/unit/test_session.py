"""What the session makes of token providers that refuse, fail or renew; and of limits."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from datetime import UTC, datetime
from math import inf
from typing import TYPE_CHECKING, ClassVar, cast

import pytest
from fault_harness import QUICK
from msgspec.structs import replace
from oauth_kit import APP, FIRST_COMPANY, direct
from virtual_time import Clock

from leadconnector_async import (
    AccessError,
    FateUnknownError,
    InboundMessage,
    Ingestor,
    LeadConnector,
    NotSentError,
    OAuth,
    Policy,
    RateLimit,
    Record,
    Sent,
    Timeouts,
)
from leadconnector_async.auth.provider import StaticToken
from leadconnector_async.auth.session_tokens import NoTokenYetError, SessionTokens
from leadconnector_async.breaker import FAILURES_TO_OPEN, Breaker
from leadconnector_async.models import Refusal
from leadconnector_async.observer import Exchange, Observer
from leadconnector_async.quota.limits import QuotaSnapshot
from leadconnector_async.quota.window import Day
from leadconnector_async.sandbox import Sandbox, SandboxConfig
from leadconnector_async.session import ApiSession
from leadconnector_async.transport.base import FileUnreadableError, Request, Response, WithheldError

if TYPE_CHECKING:
    from pathlib import Path

    from leadconnector_async.quota.quota import Quota
    from leadconnector_async.transport.base import Transport

MESSAGE = InboundMessage(
    type="SMS",
    contact_id="c1",
    direction="inbound",
    date=datetime(2024, 5, 1, tzinfo=UTC),
    message="x",
)


class Moody:
    """A provider that fails as it is told."""

    def __init__(self) -> None:
        self.current = "old"
        self.on_token: list[BaseException] = []
        self.on_renew: list[BaseException] = []

    async def token(self, location_id: str) -> str:
        """The current token, or the next error."""
        del location_id
        if self.on_token:
            raise self.on_token.pop(0)
        return self.current

    async def renew(self, location_id: str, refused: str) -> str | None:
        """The next error, or a good token."""
        del location_id, refused
        if self.on_renew:
            raise self.on_renew.pop(0)
        self.current = "good"
        return self.current


def add(tokens: Moody) -> list[int]:
    """Add one message to a sandbox that knows the good token alone: the statuses of its answers."""

    async def scenario() -> list[int]:
        async with (
            Sandbox(SandboxConfig(tokens={"good": "L"})) as sandbox,
            LeadConnector(tokens, location_id="L", base_url=sandbox.url, policy=QUICK) as api,
        ):
            await api.add_inbound_message(MESSAGE)
            return [call.status for call in sandbox.messages.calls]

    return asyncio.run(scenario())


def refusal(message: str) -> AccessError:
    """What a provider raises that has no token."""
    return AccessError(Refusal(status=401, message=message))


def test_a_provider_that_has_no_token_is_heard() -> None:
    """Its words reach the caller, before a request and after one that was refused."""
    tokens = Moody()
    tokens.on_token = [refusal("buy one")] * 2
    with pytest.raises(AccessError, match="no token: buy one"):
        add(tokens)
    tokens.on_token, tokens.on_renew = [], [refusal("it is used up")]
    with pytest.raises(AccessError, match="no token: it is used up"):
        add(tokens)


def test_a_provider_out_of_reach_is_asked_again() -> None:
    """As for a request that did not leave: before one, and when a token was refused."""
    tokens = Moody()
    tokens.on_token = [NotSentError("down"), TimeoutError(), ConnectionRefusedError()]
    tokens.current = "good"
    add(tokens)
    assert not tokens.on_token


def test_a_provider_that_does_not_answer_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a token, and for the next one: all stood still without a word, closing included."""
    monkeypatch.setattr("leadconnector_async.auth.session_tokens.TOKEN_S", 0.01)
    hung = []

    class Hanging(Moody):
        async def token(self, location_id: str) -> str:
            await self.hang_once("token")
            return await super().token(location_id)

        async def renew(self, location_id: str, refused: str) -> str | None:
            await self.hang_once("renew")
            return await super().renew(location_id, refused)

        async def hang_once(self, where: str) -> None:
            if where not in hung:
                hung.append(where)
                await asyncio.Event().wait()

    add(Hanging())
    assert hung == ["token", "renew"]


@pytest.mark.virtual_time
@pytest.mark.parametrize(("patience", "read", "most"), [(5, 1, 6), (1, 5, 6), (1800, 60, 121)])
async def test_a_provider_that_hangs_is_waited_for_as_long_as_the_patience(
    patience: float, read: float, most: float
) -> None:
    """Closing waits as long. But a request may take its time, and two minutes are enough."""

    class Hanging(Moody):
        async def token(self, location_id: str) -> str:
            await asyncio.Event().wait()
            return await super().token(location_id)

    given = Policy(attempts=1, patience=patience), Timeouts(read=read)
    began = asyncio.get_running_loop().time()
    async with LeadConnector(Hanging(), policy=given[0], timeouts=given[1]) as api:
        with pytest.raises(NotSentError):
            await api.add_inbound_message(MESSAGE, location_id="l")
    assert most - 2 < asyncio.get_running_loop().time() - began < most


def test_a_renewal_out_of_reach_is_asked_for_again() -> None:
    """The request is one that did not leave; nor does another one, with the token that was refused.

    Else each would be answered, so that the API was never out of reach, and patience without end.
    """
    tokens = Moody()
    tokens.on_renew = [NotSentError("down"), NotSentError("down")]
    statuses = add(tokens)
    assert not tokens.on_renew
    assert len(statuses) == 2


async def test_a_renewal_that_brings_nothing_is_asked_for_once() -> None:
    """However many wait, also where an earlier one could not be made; the old one is kept."""
    asked = []

    class Spent(StaticToken):
        async def renew(self, location_id: str, refused: str) -> str | None:  # noqa: ARG002
            asked.append(refused)
            if len(asked) == 1:
                raise NotSentError("down")
            return None

    tokens = SessionTokens(Spent("old"), Breaker(), lambda: True)
    with pytest.raises(NotSentError):
        await tokens.renewed("L", "old", 60.0)
    assert await tokens.token("M", 60.0) == "old"
    assert len(asked) == 1
    calls = [tokens.renewed("L", "old", 60.0) for _ in range(3)]
    assert await asyncio.gather(*calls, tokens.token("L", 60.0)) == [None, None, None, "old"]
    assert len(asked) == 2


async def test_of_the_one_location_a_source_out_of_reach_is_as_the_api() -> None:
    """Whose circuit breaker counts it: sending pauses, and ends after the patience."""
    tokens, breaker = Moody(), Breaker()
    tokens.on_token, tokens.on_renew = [TimeoutError()], [ConnectionResetError()]
    alone = SessionTokens(tokens, breaker, lambda: True)
    with pytest.raises(NoTokenYetError, match="provider raised TimeoutError"):
        await alone.token("L", 0.0)
    with pytest.raises(NoTokenYetError, match="provider raised ConnectionResetError"):
        await alone.renewed("L", "old", 0.0)
    assert repr(breaker) == "<Breaker closed, 2 failures>"
    assert alone.due_at("L") < 0


@pytest.mark.parametrize("durable", [False, True])
def test_a_provider_whose_own_work_is_cancelled_is_asked_again(
    tmp_path: Path, *, durable: bool
) -> None:
    """The run is not cancelled by that: it would wait for ever for what its worker had in hand."""

    async def scenario() -> int:
        tokens = Moody()
        tokens.on_token, tokens.on_renew = [asyncio.CancelledError()], [asyncio.CancelledError()]
        outbox = tmp_path / "o.db" if durable else None
        async with (
            Sandbox(SandboxConfig(tokens={"good": "L"})) as sandbox,
            LeadConnector(tokens, location_id="L", base_url=sandbox.url, policy=QUICK) as api,
            Ingestor(api, outbox=outbox) as ingestor,
            asyncio.timeout(60),
        ):
            return len([outcome async for outcome in ingestor.run([MESSAGE])])

    assert asyncio.run(scenario()) == 1


async def test_a_call_that_is_cancelled_while_its_provider_works_ends_so() -> None:
    """It is not taken for the provider's own failure, and not asked again."""

    class Slow(Moody):
        def __init__(self) -> None:
            super().__init__()
            self.asked = asyncio.Event()

        async def token(self, location_id: str) -> str:
            assert not self.asked.is_set()
            self.asked.set()
            await asyncio.Event().wait()
            return location_id

    tokens = Slow()
    async with LeadConnector(tokens, location_id="L", base_url="http://127.0.0.1:1") as api:
        call = asyncio.create_task(api.add_inbound_message(MESSAGE))
        await tokens.asked.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call


@pytest.mark.parametrize("renewing", [False, True])
async def test_any_other_error_of_a_provider_stops_its_location_alone(*, renewing: bool) -> None:
    """Such as of a table without the location. It is the cause, and its words are not repeated."""

    class Table(Moody):
        async def token(self, location_id: str) -> str:
            return {"L": "good", "M": "bad"}[location_id]

        async def renew(self, location_id: str, refused: str) -> str | None:
            del location_id, refused
            raise KeyError("pit-secret")

    wrong = "M" if renewing else "?"
    records = [Record(message=MESSAGE, location_id=name) for name in (wrong, "L", "L")]
    async with (
        Sandbox(SandboxConfig(tokens={"good": "L"})) as sandbox,
        LeadConnector(Table(), base_url=sandbox.url, policy=QUICK) as api,
        Ingestor(api) as ingestor,
    ):
        ends = await asyncio.gather(*map(ingestor.submit, records), return_exceptions=True)
        assert isinstance(ends[0], AccessError)
        assert str(ends[0]) == "401 no token: its provider raised KeyError"
        assert isinstance(ends[0].__cause__, KeyError)
        assert [type(end) for end in ends[1:]] == [Sent, Sent]


@pytest.mark.parametrize("given", [None, b"good"])
def test_a_provider_that_gives_no_text_is_told_so(given: object) -> None:
    """Nothing is sent: None would go as a request without a token, bytes as their repr."""
    tokens = Moody()
    tokens.current = cast("str", given)
    with pytest.raises(AccessError, match=f"no token: .* no text but {type(given).__name__}"):
        add(tokens)


def test_a_renewal_is_logged_without_a_token(caplog: pytest.LogCaptureFixture) -> None:
    """The location is named, and neither the old token nor the new one."""
    with caplog.at_level(logging.DEBUG, "leadconnector_async"):
        add(Moody())
    told = [record.getMessage() for record in caplog.records if "asyncio" not in record.name]
    assert told == ["token of location L renewed"]


def test_a_token_that_is_refused_each_time_is_renewed_twice_and_no_more() -> None:
    """Whoever waits for the answer gets the refusal, of the last token."""

    class RenewsToAnother(Moody):
        renewals = 0

        async def renew(self, location_id: str, refused: str) -> str | None:
            del location_id
            assert refused == self.current
            self.renewals += 1
            self.current = f"bad{self.renewals}"
            return self.current

    tokens = RenewsToAnother()
    with pytest.raises(AccessError, match="Invalid token"):
        add(tokens)
    assert tokens.renewals == 2


async def test_without_a_token_no_slot_is_used() -> None:
    """Nothing left."""
    tokens = Moody()
    session = ApiSession(direct(), tokens, policy=QUICK, limit=RateLimit(1, 60.0))
    quota = session.quota("L")
    now = asyncio.get_running_loop().time
    for error in (refusal("no"), NotSentError("down")):
        tokens.on_token = [error]
        assert quota.ready_at(now()) <= now()
        slot = quota.take(now())
        request = Request("POST", "/", "v")
        with pytest.raises(type(error)):
            await session.exchange("L", quota, slot, request)
        assert "0 of 1 in 60 s, 0 in flight, 0 of" in repr(quota)


async def exchanged(session: ApiSession, request: Request, location: str = "L") -> Response:
    """The answer to a request in a slot of its own."""
    quota = session.quota(location)
    slot = await session.acquire_slot(location, quota)
    return await session.exchange(location, quota, slot, request)


@pytest.mark.virtual_time
async def test_without_a_token_for_the_one_location_the_others_are_sent_for() -> None:
    """It counted as an API that is out of reach, for all; it stops alone after the patience."""

    class Vault(Moody):
        is_down, asked = True, 0

        async def token(self, location_id: str) -> str:
            if location_id == "L" and self.is_down:
                self.asked += 1
                raise TimeoutError
            return "good"

    class Server:
        async def send(self, *_: object) -> Response:
            return Response(201, {}, b"{}")

    vault, request = Vault(), Request("POST", "/conversations/messages/inbound", "v")
    policy = replace(QUICK, patience=10.0)
    session = ApiSession(cast("Transport", Server()), vault, policy=policy, limit=None)
    session.quota("other")
    for _ in range(100):
        with pytest.raises(NotSentError, match="provider raised TimeoutError"):
            await exchanged(session, request)
    assert (await exchanged(session, request, "other")).status == 201
    assert vault.asked == FAILURES_TO_OPEN
    await asyncio.sleep(11)
    for _ in range(2):
        with pytest.raises(AccessError, match="no token: its source has been out of reach for 11"):
            await exchanged(session, request)
    assert vault.asked == FAILURES_TO_OPEN + 1
    vault.is_down = False
    await asyncio.sleep(11)
    assert (await exchanged(session, request)).status == 201
    vault.is_down = True
    with pytest.raises(NotSentError):  # another outage, which has just begun
        await exchanged(session, request)


async def test_a_location_without_a_token_yet_rests_and_goes_on_by_itself(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Each of its lanes tried again without end, which kept the others from the processor."""

    class Vault(Moody):
        asked = 0

        async def token(self, location_id: str) -> str:
            if location_id == "L":
                self.asked += 1
                if self.asked == FAILURES_TO_OPEN:
                    out_of_reach.set()
                if self.asked <= FAILURES_TO_OPEN:
                    raise TimeoutError
            return "good"

    vault, lanes, out_of_reach = Vault(), 30, asyncio.Event()
    records = [
        Record(message=replace(MESSAGE, contact_id=f"c{lane}"), location_id=location)
        for location in ("other", "L")
        for lane in range(lanes)
    ]
    async with (
        Sandbox(SandboxConfig(trusting=True)) as sandbox,
        LeadConnector(vault, base_url=sandbox.url, policy=QUICK) as api,
        Ingestor(api) as ingestor,
    ):
        ends = asyncio.gather(*map(ingestor.submit, records))
        await out_of_reach.wait()
        assert ingestor.snapshot().locations["L"].paused == "out_of_reach"
        assert {type(end) for end in await ends} == {Sent}
        assert ingestor.stats.requests == 2 * lanes + FAILURES_TO_OPEN
    assert "circuit opened: 8 tries for the token of L in a row got no answer" in caplog.text


async def test_a_log_that_raises_keeps_no_slot_and_no_probe(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the slot of a first request a location stood still, and without a probe all of them."""

    def gone(*_: object) -> None:
        raise BrokenPipeError

    failures = iter(range(FAILURES_TO_OPEN))

    class Server:
        async def send(self, *_: object) -> Response:
            for _failure in failures:
                raise NotSentError("down")
            return Response(201, {}, b"{}")

    monkeypatch.setattr(logging.getLogger("leadconnector_async.breaker"), "warning", gone)
    session = ApiSession(cast("Transport", Server()), Moody(), policy=QUICK, limit=None)
    request = Request("POST", "/", "v")
    for error in [NotSentError] * (FAILURES_TO_OPEN - 1) + [BrokenPipeError] * 2:
        with pytest.raises(error):
            await exchanged(session, request)
        assert " 0 in flight" in repr(session.quota("L"))
    assert not session.breaker.is_open
    assert (await exchanged(session, request)).status == 201


class Stub:
    """A transport that answers, or fails, as it is told; and notes what it saw."""

    def __init__(self, *ends: Response | BaseException) -> None:
        self.ends = [*ends]
        self.session = ApiSession(
            cast("Transport", self), StaticToken("t"), policy=QUICK, limit=None
        )
        self.probing: list[bool] = []

    async def send(self, *_: object) -> Response:
        """Give the next end."""
        breaker = self.session.breaker
        self.probing.append(breaker.is_open and breaker.open_until == inf)
        end = self.ends.pop(0)
        if isinstance(end, BaseException):
            raise end
        return end


@pytest.mark.parametrize(
    ("end", "failures"),
    [
        (Response(201, {}, b"{}"), 0),
        (Response(422, {}, b'{"message":"no"}'), 0),
        (Response(429, {}, b"{}"), 0),
        (Response(503, {}, b"upstream"), 2),
        (Response(200, {}, b"<html>sign in"), 2),
        (FateUnknownError("reset"), 2),
        (NotSentError("refused"), 2),
        (FileUnreadableError("gone"), 1),
        (WithheldError("taken over"), 1),
        (asyncio.CancelledError(), 1),
    ],
)
async def test_what_tells_that_the_api_is_within_reach_or_out_of_it(
    end: Response | BaseException, failures: int
) -> None:
    """Its own answers do; a proxy's page is none; what was never tried tells nothing."""
    stub = Stub(NotSentError("down"), end)
    for _ in range(2):
        with suppress(NotSentError, FateUnknownError, asyncio.CancelledError):
            await exchanged(stub.session, Request("POST", "/", "v"))
    assert repr(stub.session.breaker) == f"<Breaker closed, {failures} failures>"


async def test_a_probe_that_is_cut_off_lets_the_next_one_leave() -> None:
    """One leaves at a time; were it thought to be out for good, nothing was ever sent again."""
    ends = [NotSentError("down")] * FAILURES_TO_OPEN + [asyncio.CancelledError()]
    stub = Stub(*ends)
    for _ in ends:
        with suppress(NotSentError, asyncio.CancelledError):
            await exchanged(stub.session, Request("POST", "/", "v"))
    assert stub.probing == [False] * FAILURES_TO_OPEN + [True]
    assert stub.session.breaker.is_open
    assert stub.session.breaker.open_until < inf


@pytest.mark.parametrize(("status", "ends"), [(201, True), (422, True), (429, False), (500, False)])
async def test_a_row_of_429s_ends_with_an_answer_within_the_quota(
    status: int,
    ends: bool,  # noqa: FBT001
) -> None:
    """A location whose row lasts for longer than the patience is given up."""
    stub = Stub(Response(status, {}, b"{}"))
    quota = stub.session.quota("L")
    quota.throttled_since = 5.0
    await exchanged(stub.session, Request("POST", "/", "v"))
    assert quota.throttled_since == (inf if ends else 5.0)


async def test_a_location_that_comes_back_goes_on_from_what_others_used_meanwhile() -> None:
    """And from what was used before this process, on the day that it is."""
    session = ApiSession(direct(), Moody(), policy=QUICK, limit=None)
    later = time.time_ns() // 1_000_000 + 3_600_000
    for used in (7, 9):
        assert session.quota("L", QuotaSnapshot(used, later, 0, 0)).day.used == used
        session.forget("L")


async def test_who_watches_is_told_of_requests_that_left_and_how_often_they_had_before() -> None:
    """Not of one for which there was no token, nor of one whose right to be sent had ended."""
    told: list[tuple[int, int]] = []

    class Watching(Observer):
        def requested(self, exchange: Exchange) -> None:
            told.append((exchange.response.status if exchange.response else 0, exchange.resends))

    class Server:
        async def send(self, _: Request, token: str, *__: object) -> Response:
            return Response(201 if token == "good" else 401, {}, b'{"message":"Invalid token"}')

    tokens = Moody()
    tokens.on_token = [refusal("none")]
    session = ApiSession(
        cast("Transport", Server()), tokens, policy=QUICK, limit=None, observer=Watching()
    )
    quota = session.quota("L")
    with pytest.raises(AccessError):
        await exchanged(session, Request("POST", "/", "v"))
    slot = await session.acquire_slot("L", quota)
    await session.exchange("L", quota, slot, Request("POST", "/", "v"), resends=1)
    assert told == [(401, 1), (201, 2)]


@pytest.mark.virtual_time
async def test_how_long_a_source_was_out_of_reach_is_forgotten_with_its_location() -> None:
    """Another process may have sent for it meanwhile: it would stop at the next failure."""
    tokens = Moody()
    session = ApiSession(direct(), tokens, policy=replace(QUICK, patience=1.0), limit=None)
    session.quota("other")
    tokens.on_token = [NotSentError("down")] * (FAILURES_TO_OPEN + 1)
    for last in range(FAILURES_TO_OPEN):
        with pytest.raises(NotSentError):
            await exchanged(session, Request("POST", "/", "v"))
        assert (session.token_due("L") > 0) is (last == FAILURES_TO_OPEN - 1)
    await asyncio.sleep(2)
    session.forget("L")
    with pytest.raises(NotSentError):
        await exchanged(session, Request("POST", "/", "v"))


@pytest.mark.parametrize(
    ("method", "path", "stops"),
    [
        ("POST", "/conversations/messages/inbound", True),
        ("GET", "/contacts/search/duplicate?number=1", True),
        ("GET", "/conversations/search?contactId=c1", False),
        ("PUT", "/conversations/c1", False),
    ],
)
async def test_only_what_no_record_gets_on_without_stops_where_nobody_serves_it(
    method: str,
    path: str,
    stops: bool,  # noqa: FBT001
) -> None:
    """A server without look-ups may still store: what it is asked there says nothing."""

    class Nobody:
        async def send(self, *_: object) -> Response:
            return Response(404, {}, b"404: Not Found")

    session = ApiSession(cast("Transport", Nobody()), Moody(), policy=QUICK, limit=None)
    for error in (NotSentError, NotSentError, AccessError):
        exchange = exchanged(session, Request(method, path, "v"))
        if stops:  # not by one page, or two, which may be a firewall's
            with pytest.raises(error, match="the base URL"):
                await exchange
        else:
            assert (await exchange).status == 404


async def test_nobody_is_at_a_path_only_until_something_was_done_there() -> None:
    """A firewall may answer one record with a page: the location would stop at it in each run."""
    page = Response(404, {}, b"<html>")
    answers = [page, Response(201, {}, b"{}"), page, page]

    class Guarded:
        async def send(self, *_: object) -> Response:
            return answers.pop(0)

    session = ApiSession(cast("Transport", Guarded()), Moody(), policy=QUICK, limit=None)
    request = Request("POST", "/conversations/messages/inbound", "v")
    with pytest.raises(NotSentError):  # the first of all, too
        await exchanged(session, request)
    assert [(await exchanged(session, request)).status for _ in range(3)] == [201, 404, 404]


@pytest.mark.parametrize(("attempts", "pages"), [(1, 3), (4, 4)])
async def test_pages_in_a_row_show_that_the_api_has_gone(attempts: int, pages: int) -> None:
    """As while it is replaced: all that is sent meanwhile would be refused, record by record.

    One record for whose step a firewall has pages alone is given up before that.
    """
    page, done = Response(404, {}, b"default backend - 404"), Response(201, {}, b"{}")
    answers = [done, page, page, done, *[page] * (pages + 1)]

    class Replaced:
        async def send(self, *_: object) -> Response:
            return answers.pop(0)

    policy = replace(QUICK, attempts=attempts)
    session = ApiSession(cast("Transport", Replaced()), Moody(), policy=policy, limit=None)
    request = Request("POST", "/conversations/messages/inbound", "v")
    told = [(await exchanged(session, request)).status for _ in range(4 + pages)]
    assert told == [201, 404, 404, 201, *[404] * pages]
    with pytest.raises(AccessError, match="the API has gone: a page or other"):
        await exchanged(session, request)


async def test_after_a_page_the_api_says_itself_that_it_lacks_the_path() -> None:
    """The page had its answers counted as pages that never became three: an import had no end."""
    answers = [Response(404, {}, b"<html>"), Response(404, {}, b'{"message":"Cannot POST /v1"}')]

    class Elsewhere:
        async def send(self, *_: object) -> Response:
            return answers.pop(0)

    session = ApiSession(cast("Transport", Elsewhere()), Moody(), policy=QUICK, limit=None)
    for error in (NotSentError, AccessError):
        with pytest.raises(error, match="the base URL"):
            await exchanged(session, Request("POST", "/v1", "v"))


async def test_a_slot_is_taken_at_the_moment_for_which_it_was_found_free() -> None:
    """Not when the clock has merely moved on since the quota was asked."""

    class Soon:
        day: ClassVar = Day(None)
        answers: ClassVar = [1e-9, 0.0]
        free_at = -1.0

        def ready_at(self, now: float) -> float:
            ready_at = now + self.answers.pop(0)
            self.free_at = now if ready_at == now else -1.0
            return ready_at

        def take(self, now: float) -> None:
            assert now == self.free_at

    session = ApiSession(direct(), Moody(), policy=QUICK, limit=None)
    await session.acquire_slot("L", cast("Quota", Soon()))


async def test_whoever_comes_later_does_not_overtake_those_who_wait_for_a_slot() -> None:
    """First come, first served: not even where a slot is free before the first in line asks."""

    class Full:
        day: ClassVar = Day(None)
        free = False

        def ready_at(self, now: float) -> float:
            return now if self.free else now + 1

        def take(self, now: float) -> None:
            pass

    session, quota = ApiSession(direct(), Moody(), policy=QUICK, limit=None), Full()
    served: list[int] = []

    async def ask(number: int) -> None:
        await session.acquire_slot("L", cast("Quota", quota))
        served.append(number)
        if number == 0:
            calls.append(asyncio.create_task(ask(3)))

    calls = [asyncio.create_task(ask(number)) for number in range(2)]
    await asyncio.sleep(0)
    quota.free = True
    calls.append(asyncio.create_task(ask(2)))
    while len(served) < 4:
        await asyncio.gather(*calls)
    assert served == [0, 1, 2, 3]
    assert not session._in_line


async def test_a_location_may_have_its_own_limit() -> None:
    """The others have the one for all."""
    low = RateLimit(25, 10.0, 10_000)
    async with LeadConnector("t", limits={"low": low, "free": None}) as api:
        assert api.session.limits == {"low": low, "free": None}
        assert repr(api.session.quota("low")) != repr(api.session.quota("usual"))


@pytest.mark.slow
async def test_two_hundred_requests_with_an_ended_token_cause_one_refresh(tmp_path: Path) -> None:
    """In two locations of one agency; and each message is stored once."""
    clock = Clock()
    sandbox = Sandbox(SandboxConfig(oauth=APP), clock=clock)
    tokens = OAuth(
        "app",
        APP.client_secret,
        store=tmp_path / "tokens.db",
        refresh_tokens={"co": FIRST_COMPANY},
        company_of=lambda _: "co",
        clock=Clock(),
    )
    async with (
        sandbox,
        LeadConnector(tokens, base_url=sandbox.url, policy=QUICK, limit=None) as api,
    ):
        places = ("loc-1", "loc-2")
        for place in places:
            await api.add_inbound_message(MESSAGE, location_id=place)
        clock.now += 5000
        assert sandbox.requests["token", 200] == 1
        await asyncio.gather(
            *(api.add_inbound_message(MESSAGE, location_id=place) for place in places * 100)
        )
        assert sandbox.requests["token", 200] == 2
        assert sandbox.requests["token", 400] == 0
        assert sandbox.requests["location_token", 200] == 4
        assert len(sandbox.messages) == 202
