"""OAuth's tokens in a database: one renewal at a time, over all processes."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import oauth_process
import pytest
from oauth_kit import APP, FIRST, FIRST_OWN, SECRET, Direct, direct
from postgres_kit import cut_off
from virtual_time import Clock

from leadconnector_async import NotSentError, OAuth, TokenStoreError
from leadconnector_async.auth.store import NOTHING, StoredTokens, digest
from leadconnector_async.auth.token_database import TokenDatabase
from leadconnector_async.sandbox import Latency, SandboxConfig, SandboxThread

if TYPE_CHECKING:
    from leadconnector_async.transport.base import Request, Response

PAIR = StoredTokens(access="a", renew_at=1.5, ends_at=2.5, refresh="r", seed=b"s")


@pytest.mark.slow
async def test_what_is_kept_is_there_for_the_next(postgres_place: str) -> None:
    """A pair takes away the note that a refresh token was being sent."""
    store, other = TokenDatabase(postgres_place), TokenDatabase(postgres_place)
    assert await store.read("one") == NOTHING
    async with store.alone("one"):
        await store.ask("one", b"asked", 3.5)
        asked = await other.read("one")
        assert (asked.asked, asked.asked_at, asked.refresh) == (b"asked", 3.5, None)
        await store.keep("one", PAIR)
    assert await other.read("one") == PAIR
    await store.close()
    assert await store.read("one") == PAIR
    assert await store.read("two") == NOTHING
    await store.close()
    await other.close()


@pytest.mark.slow
def test_one_installation_is_refreshed_by_one_at_a_time(postgres_place: str) -> None:
    """Whether over one connection or two; others go on meanwhile."""

    async def scenario() -> None:
        store, other = TokenDatabase(postgres_place), TokenDatabase(postgres_place)
        within = 0

        async def refresh(of: TokenDatabase) -> None:
            nonlocal within
            async with of.alone("one"):
                within += 1
                assert within == 1
                async with other.alone(f"two {id(asyncio.current_task())}"):
                    await asyncio.sleep(0.01)
                within -= 1

        await asyncio.gather(*(refresh(of) for of in (store, store, other, other)))
        await store.close()
        await other.close()

    asyncio.run(scenario())


@pytest.mark.slow
async def test_who_has_lost_its_lock_sends_no_refresh_token(postgres_place: str) -> None:
    """Another one may have sent it; but what has come is kept all the same."""
    store = TokenDatabase(postgres_place)
    async with store.alone("one"):
        await store.ask("one", b"asked", 3.5)
        assert await cut_off(postgres_place) == 1
        with pytest.raises(NotSentError, match="lost"):
            await store.ask("one", b"other", 4.5)
        await store.keep("one", PAIR)
    assert await store.read("one") == PAIR
    async with store.alone("one"):
        await store.ask("one", b"asked", 3.5)
    await store.close()


async def test_providers_on_one_database_refresh_once(postgres_place: str) -> None:
    """The pair is there before it is used, and comes back for the next program."""
    transport, kept = direct(Clock()), TokenDatabase(postgres_place)
    seen = []

    def note(request: Request, response: Response) -> None:
        if request.path == "/oauth/token" and response.status == 200:
            seen.append(request.body)

    transport.on_answer = note
    providers = [provider(postgres_place, transport) for _ in range(3)]
    tokens = set(await asyncio.gather(*(one.token("own") for one in providers)))
    assert len(tokens) == len(seen) == 1
    stored = await kept.read("app/Location/own")
    assert {stored.access} == tokens
    assert (stored.seed, stored.asked) == (digest(FIRST_OWN), None)
    renewed = await providers[0].renew("own", tokens.pop())
    assert renewed == (await kept.read("app/Location/own")).access
    assert len(seen) == 2
    for one in providers:
        await one.detach_transport()
    await kept.close()


def provider(store: str, transport: Direct) -> OAuth:
    """One over a store."""
    made = OAuth("app", SECRET, store=store, refresh_tokens=FIRST, clock=Clock())
    made.attach_transport(transport)
    return made


@pytest.mark.full
def test_processes_that_start_together_refresh_once(postgres_place: str) -> None:
    """Real ones, over a real server: each gets the same token."""
    slow = Latency(up=0.05, down=0.05)
    with SandboxThread(SandboxConfig(oauth=APP, latency=slow)) as sandbox:
        at = time.time() + 3
        processes = [oauth_process.start(postgres_place, sandbox, at) for _ in range(3)]
        tokens = [process.communicate(timeout=60)[0] for process in processes]
        assert [process.returncode for process in processes] == [0, 0, 0]
        assert len(set(tokens)) == 1
        assert sandbox.requests == {("token", 200): 1}


async def test_a_store_that_cannot_be_used_says_why() -> None:
    """As an outbox does, and without a password."""
    nowhere = "postgresql://postgres:secret@/postgres?host=/nowhere"
    with pytest.raises(TokenStoreError, match="cannot be reached") as raised:
        await TokenDatabase(nowhere).read("one")
    assert "secret" not in str(raised.value)
