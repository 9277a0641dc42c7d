from __future__ import annotations

import asyncio

import pytest

from leadconnector_async.auth.provider import AccessToken, TokenCache, lasting
from leadconnector_async.errors import AccessError, NotSentError
from leadconnector_async.models import Refusal


class Source:
    """Gives numbered tokens that live 100 s, when it is let."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.refusals: list[str | None] = []
        self.error: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    def clock(self) -> float:
        """Seconds."""
        return self.now

    async def fetch(self, refused: str | None) -> AccessToken:
        """The next token."""
        self.refusals.append(refused)
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return lasting(f"t{len(self.refusals)}", self.now, 100.0)


def test_a_token_is_renewed_ahead_of_its_end() -> None:
    """A tenth of its life, or ten minutes."""
    assert lasting("t", 1000.0, 100.0) == AccessToken("t", 1090.0, 1100.0)
    assert lasting("t", 0.0, 86_400.0) == AccessToken("t", 85_800.0, 86_400.0)

    async def scenario() -> None:
        source = Source()
        cache = TokenCache(source.fetch, source.clock)
        assert [await cache.token(), await cache.token()] == ["t1", "t1"]
        source.now += 89
        assert await cache.token() == "t1"
        source.now += 1
        assert await cache.token() == "t2"

    asyncio.run(scenario())


def test_many_who_ask_cause_one_fetch() -> None:
    """Whether they have no token, or one that was refused."""

    async def scenario() -> None:
        source = Source()
        cache = TokenCache(source.fetch, source.clock)
        assert set(await asyncio.gather(*(cache.token() for _ in range(200)))) == {"t1"}
        renewed = await asyncio.gather(*(cache.renew("t1") for _ in range(200)))
        assert set(renewed) == {"t2"}
        assert await cache.renew("t1") == "t2"
        assert source.refusals == [None, "t1"]

    asyncio.run(scenario())


def test_a_caller_that_is_cancelled_cuts_nothing_off() -> None:
    """The fetch goes on; `settle` waits for it."""

    async def scenario() -> None:
        source = Source()
        source.gate.clear()
        cache = TokenCache(source.fetch, source.clock)
        caller = asyncio.create_task(cache.token())
        await asyncio.sleep(0)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        source.gate.set()
        await cache.settle()
        assert await cache.token() == "t1"
        assert len(source.refusals) == 1

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "error", [NotSentError("down"), AccessError(Refusal(status=400, message="used up"))]
)
def test_while_there_is_no_new_token_the_old_one_serves_to_its_end(error: Exception) -> None:
    """It is asked again after a while, not for each request."""

    async def scenario() -> None:
        source = Source()
        cache = TokenCache(source.fetch, source.clock)
        await cache.token()
        source.now, source.error = 1095.0, error
        assert [await cache.token() for _ in range(5)] == ["t1"] * 5
        assert len(source.refusals) == 2
        source.now = 1100.0
        with pytest.raises(type(error)):
            await cache.token()
        source.error = None
        assert await cache.token() == "t4"

    asyncio.run(scenario())


def test_a_refusal_reaches_all_who_wait() -> None:
    """And the next to ask has the source asked again."""

    async def scenario() -> None:
        source = Source()
        source.error = AccessError(Refusal(status=401, message="no"))
        cache = TokenCache(source.fetch, source.clock)
        results = await asyncio.gather(*(cache.token() for _ in range(3)), return_exceptions=True)
        assert results == [source.error] * 3
        source.error = None
        assert await cache.token() == "t2"

    asyncio.run(scenario())


def test_a_keeper_shows_no_token() -> None:
    """Nor does what it holds."""

    async def scenario() -> None:
        source = Source()
        cache = TokenCache(source.fetch, source.clock)
        token = await cache.token()
        assert f"'{token}'" not in repr(cache) + repr(AccessToken(token))
        assert "t1" not in repr(cache)

    asyncio.run(scenario())
